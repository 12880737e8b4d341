#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

struct Border {
    Index top, bottom, left, right;
};

// 1, (1, 2) or ((1, 2), (3, 4)): the same everywhere, (height, width), or ((top, bottom), (left, right))
Border read_border(const Config& config, const std::string& key) {
    const Value* v = config.find(key);
    const List* list = v ? v->as<List>() : nullptr;
    const auto side = [&](const Value& item) {
        const Config sub{config.class_name, config.name, {{key, item}}};
        return sub.pair(key, 1);
    };
    Border b{1, 1, 1, 1};
    if (list && list->size() == 2 && (*list)[0].as<List>() && (*list)[1].as<List>()) {
        std::tie(b.top, b.bottom) = side((*list)[0]);
        std::tie(b.left, b.right) = side((*list)[1]);
    } else {
        const auto [h, w] = config.pair(key, 1);
        b = {h, h, w, w};
    }
    for (Index size : {b.top, b.bottom, b.left, b.right})
        if (size < 0 || size > 1 << 20) config.reject(fmt::format("'{}' of {} makes no sense", key, size));
    return b;
}

class ZeroPadding2D : public Layer {
public:
    explicit ZeroPadding2D(const Config& config) : Layer(config), border_(read_border(config, "padding")) {}
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 4); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        const Index h = in[0][1], w = in[0][2];
        return {in[0][0], h < 0 ? -1 : h + border_.top + border_.bottom, w < 0 ? -1 : w + border_.left + border_.right, in[0][3]};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return pad(tape, in[0], {0, border_.top, border_.left, 0}, {0, border_.bottom, border_.right, 0});
    }
    Fusible fusible() const override {
        return {.kind = Fusible::Kind::padding, .top = border_.top, .bottom = border_.bottom, .left = border_.left, .right = border_.right};
    }
    LayerPtr followed_by(const Layer& next) const override { return next.padded_by(fusible()); }

private:
    Border border_;
};

class Cropping2D : public Layer {
public:
    explicit Cropping2D(const Config& config) : Layer(config), border_(read_border(config, "cropping")) {}
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 4); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        Shape out = in[0];
        if (out[1] >= 0) out[1] -= border_.top + border_.bottom;
        if (out[2] >= 0) out[2] -= border_.left + border_.right;
        if ((in[0][1] >= 0 && out[1] < 1) || (in[0][2] >= 0 && out[2] < 1)) reject(fmt::format("nothing is left of {}", in[0].str()));
        return out;
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return crop(tape, in[0], {0, border_.top, border_.left, 0}, output_shape({in[0].shape()}).with(0, in[0].shape()[0]));
    }

private:
    Border border_;
};

class UpSampling2D : public Layer {
public:
    explicit UpSampling2D(const Config& config) : Layer(config) {
        std::tie(rows_, columns_) = config.pair("size", 2);
        const std::string mode = config.text("interpolation", "nearest");
        if (mode != "nearest" && mode != "bilinear") reject(fmt::format("interpolation '{}' is not known; nearest and bilinear are", mode));
        mode_ = mode == "nearest" ? Interpolation::nearest : Interpolation::bilinear;
        if (rows_ < 1 || columns_ < 1 || rows_ > 4096 || columns_ > 4096) reject("'size' makes no sense");
    }
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 4); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], in[0][1] < 0 ? -1 : in[0][1] * rows_, in[0][2] < 0 ? -1 : in[0][2] * columns_, in[0][3]};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Shape out = output_shape({in[0].shape()});
        return resize(tape, mode_, in[0], out[1], out[2]);
    }

private:
    Index rows_ = 2, columns_ = 2;
    Interpolation mode_ = Interpolation::nearest;
};

}  // namespace

LayerPtr make_zero_padding2d(const Config& config) { return std::make_shared<ZeroPadding2D>(config); }
LayerPtr make_cropping2d(const Config& config) { return std::make_shared<Cropping2D>(config); }
LayerPtr make_up_sampling2d(const Config& config) { return std::make_shared<UpSampling2D>(config); }

}  // namespace limn
