#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/resizing.h"

namespace limn {

namespace {

// What is added to or taken from the two ends of each axis between the images and the channels.
using Borders = std::vector<std::pair<Index, Index>>;

// 1, (1, 2) or ((1, 2), (3, 4)): everywhere the same, one number an axis, or (before, after) for each. With a single axis (1, 2) is (before, after).
Borders read_borders(const Config& config, const std::string& key) {
    const auto axes = std::size_t(config.class_name[config.class_name.size() - 2] - '0');  // ...1D, 2D, 3D
    const Value* v = config.find(key);
    const List* list = v ? v->as<List>() : nullptr;
    Borders borders;
    if (axes == 1 && list && list->size() == 2) {
        borders.push_back(config.pair(key, 1));
    } else if (list && list->size() == axes && (*list)[0].as<List>()) {
        for (const Value& item : *list) borders.push_back(Config{config.class_name, config.name, {{key, item}}}.pair(key, 1));
    } else {
        for (Index size : config.each(key, axes, 1)) borders.push_back({size, size});
    }
    for (const auto& [before, after] : borders)
        for (Index size : {before, after})
            if (size < 0 || size > 1 << 20) config.reject(fmt::format("'{}' of {} makes no sense", key, size));
    return borders;
}

class Bordered : public Layer {
public:
    Bordered(const Config& config, const std::string& key) : Layer(config), borders_(read_borders(config, key)) {}
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], int(borders_.size()) + 2); }

protected:
    Shape side(const Shape& like, bool behind) const {
        Shape shape = like.with(0, 0).with(-1, 0);
        for (std::size_t i = 0; i < borders_.size(); i++) shape[int(i) + 1] = behind ? borders_[i].second : borders_[i].first;
        return shape;
    }
    Borders borders_;
};

class ZeroPadding : public Bordered {
public:
    explicit ZeroPadding(const Config& config) : Bordered(config, "padding") {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        Shape out = in[0];
        for (std::size_t i = 0; i < borders_.size(); i++)
            if (Index& size = out[int(i) + 1]; size >= 0) size += borders_[i].first + borders_[i].second;
        return out;
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return pad(tape, in[0], side(in[0].shape(), false), side(in[0].shape(), true));
    }
    Fusible fusible() const override {
        if (borders_.size() != 2) return {};
        const auto [top, bottom] = borders_[0];
        const auto [left, right] = borders_[1];
        return {.kind = Fusible::Kind::padding, .top = top, .bottom = bottom, .left = left, .right = right};
    }
    LayerPtr followed_by(const Layer& next) const override { return borders_.size() == 2 ? next.padded_by(fusible()) : nullptr; }
};

class Cropping : public Bordered {
public:
    explicit Cropping(const Config& config) : Bordered(config, "cropping") {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        Shape out = in[0];
        for (std::size_t i = 0; i < borders_.size(); i++)
            if (Index& size = out[int(i) + 1]; size >= 0) {
                size -= borders_[i].first + borders_[i].second;
                if (size < 1) reject(fmt::format("nothing is left of {}", in[0].str()));
            }
        return out;
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return crop(tape, in[0], side(in[0].shape(), false), output_shape({in[0].shape()}));
    }
};

class UpSampling2D : public Layer {
public:
    explicit UpSampling2D(const Config& config) : Layer(config) {
        std::tie(rows_, columns_) = config.pair("size", 2);
        mode_ = config.text("interpolation", "nearest");
        check_interpolation(config, mode_);
        if (rows_ < 1 || columns_ < 1 || rows_ > 4096 || columns_ > 4096) reject("'size' makes no sense");
    }
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 4); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], in[0][1] < 0 ? -1 : in[0][1] * rows_, in[0][2] < 0 ? -1 : in[0][2] * columns_, in[0][3]};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Shape out = output_shape({in[0].shape()});
        return resized(tape, in[0], out[1], out[2], mode_);
    }

private:
    Index rows_ = 2, columns_ = 2;
    std::string mode_;
};

}  // namespace

LayerPtr make_zero_padding(const Config& config) { return std::make_shared<ZeroPadding>(config); }
LayerPtr make_cropping(const Config& config) { return std::make_shared<Cropping>(config); }
LayerPtr make_up_sampling2d(const Config& config) { return std::make_shared<UpSampling2D>(config); }

}  // namespace limn
