#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/window.h"

namespace limn {

namespace {

class Pooling2D : public Layer {
public:
    explicit Pooling2D(const Config& config) : Layer(config), window_(WindowConfig::read(config, "pool_size", true)) {}
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 4); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], window_.rows(in[0][1]), window_.columns(in[0][2]), in[0][3]};
    }

protected:
    Tensor output_for(const Var& x) const {
        const Shape shape = output_shape({x.shape()});
        if (shape[1] < 1 || shape[2] < 1) reject(fmt::format("an image of {}x{} is smaller than its window", x.shape()[1], x.shape()[2]));
        return x.value.like(shape);
    }
    WindowConfig window_;
};

class MaxPooling2D : public Pooling2D {
public:
    using Pooling2D::Pooling2D;
    Fusible fusible() const override {
        const WindowConfig& w = window_;
        const bool usual = w.r == 2 && w.s == 2 && w.stride_h == 2 && w.stride_w == 2 && w.dilation_h == 1 && w.dilation_w == 1;
        return {.kind = usual && w.padding == Padding::valid ? Fusible::Kind::max_pool : Fusible::Kind::nothing};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        // y = the largest x of the window; backward, its gradient goes to that x (the first of equals, in reading order)
        const Var& x = in[0];
        Tensor y = output_for(x);
        const auto argmax = x.recorded() ? std::make_shared<Backend::Argmax>() : nullptr;
        tape.backend().max_pool(window_.on(x.shape()[1], x.shape()[2]), x.value, y, argmax.get());
        return tape.record("max_pool", {x}, y, [argmax](const Tensor& dy, Walk& walk) {
            Tensor dx = walk.gradient_for(0, dy);
            walk.backend.max_pool_grad(*argmax, dy, dx);
            walk.give(0, dx);
        });
    }
};

class AveragePooling2D : public Pooling2D {
public:
    using Pooling2D::Pooling2D;
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        // y = the mean of the window's pixels inside the image; backward, each of them gets dy / how many they are
        const Var& x = in[0];
        const Window window = window_.on(x.shape()[1], x.shape()[2]);
        Tensor y = output_for(x);
        tape.backend().average_pool(window, x.value, y);
        return tape.record("average_pool", {x}, y, [window](const Tensor& dy, Walk& walk) {
            Tensor dx = walk.gradient_for(0, dy);
            walk.backend.average_pool_grad(window, dy, dx);
            walk.give(0, dx);
        });
    }
};

// y[n,c] = mean (or maximum) over all axes between the images and the channels: of a line, an image or a volume
class GlobalPooling : public Layer {
public:
    GlobalPooling(const Config& config, Reduction reduction)
        : Layer(config), reduction_(reduction), keep_axes_(config.flag("keepdims", false)),
          rank_(config.class_name[config.class_name.size() - 2] - '0' + 2) {}  // ...1D, 2D, 3D
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], rank_); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        Shape out = in[0];
        for (int axis = rank_ - 2; axis > 0; axis--) out = keep_axes_ ? out.with(axis, 1) : out.without(axis);
        return out;
    }
    MaskUse mask_use(const std::vector<int>&) const override {
        return {.reads = class_name == "GlobalAveragePooling1D" || class_name == "GlobalAvgPool1D"};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        std::vector<int> axes;
        for (int axis = 1; axis < rank_ - 1; axis++) axes.push_back(axis);
        const Var y = in.size() > 1                   ? mean_of_those_that_count(tape, in[0], in[1])
                      : reduction_ == Reduction::mean ? mean(tape, in[0], axes)
                                                      : max(tape, in[0], axes);
        return keep_axes_ ? y : reshape(tape, y, output_shape({in[0].shape()}));
    }

private:
    // x: (N,T,c)  mask: (N,T)
    static Var mean_of_those_that_count(Tape& tape, const Var& x, const Var& mask) {
        const Var m = reshape(tape, mask, {mask.shape()[0], mask.shape()[1], 1});
        return divide(tape, sum(tape, multiply(tape, x, m), {1}), sum(tape, m, {1}));
    }
    Reduction reduction_;
    bool keep_axes_;
    int rank_;
};

}  // namespace

LayerPtr make_max_pooling2d(const Config& config) { return std::make_shared<MaxPooling2D>(config); }
LayerPtr make_average_pooling2d(const Config& config) { return std::make_shared<AveragePooling2D>(config); }
LayerPtr make_global_average_pooling(const Config& config) { return std::make_shared<GlobalPooling>(config, Reduction::mean); }
LayerPtr make_global_max_pooling(const Config& config) { return std::make_shared<GlobalPooling>(config, Reduction::maximum); }

}  // namespace limn
