#include "layers/activation.h"

#include <cmath>
#include <numeric>

#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

Var Activation::forward(Tape& tape, const std::vector<Var>& in) const {
    const Var& x = in[0];
    if (!activation_.softmax) return unary(tape, activation_.fn, x);
    const int rank = x.shape().rank(), axis = softmax_axis_ < 0 ? softmax_axis_ + rank : softmax_axis_;
    if (axis == rank - 1) return softmax(tape, x);
    if (axis <= 0 || axis >= rank) reject(fmt::format("a softmax along axis {} of {} makes no sense", axis, x.shape().str()));
    std::vector<int> order(std::size_t(rank), 0);  // swap the axis with the last one, and back
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[std::size_t(axis)], order.back());
    return transpose(tape, softmax(tape, transpose(tape, x, order)), order);
}

namespace {

// y = max(0,x) + alpha * min(0,x), alpha learned: one a channel, or one an element
class PReLU : public Layer {
public:
    explicit PReLU(const Config& config) : Layer(config) {}
    void build(const std::vector<Shape>& inputs) override {
        const int rank = inputs[0].rank();
        Shape alpha = inputs[0].with(0, 1);
        for (Index axis : keras_config.integers("shared_axes", {})) alpha[keras_config.nhwc_axis(axis, rank)] = 1;
        for (int i = 1; i < rank; i++)
            if (alpha[i] < 1) reject("an image size that is not fixed needs shared_axes");
        weights.push_back({"alpha", alpha.without(0), {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var negative = relu(tape, scale(tape, in[0], -1));
        return subtract(tape, relu(tape, in[0]), multiply(tape, negative, tape.parameter(weights[0].value)));
    }

private:
};

}  // namespace

LayerPtr make_activation(const std::string& name, const ActivationFn& activation) {
    return std::make_shared<Activation>(Config{"Activation", name, {}}, activation);
}

LayerPtr make_activation_layer(const Config& config) {
    const std::string& kind = config.class_name;
    UnaryFn f{.kind = Unary::relu};
    if (kind == "Activation") return std::make_shared<Activation>(config, config.activation("activation"));
    if (kind == "Softmax")
        return std::make_shared<Activation>(
            config, ActivationFn{.softmax = true, .fn = {}},
            config.channels_first ? config.nhwc_axis(config.integer("axis", -1), 4) : int(config.integer("axis", -1)));
    if (kind == "LeakyReLU") f.slope = config.number("negative_slope", config.number("alpha", 0.3));
    if (kind == "ELU") f = {.kind = Unary::elu, .slope = config.number("alpha", 1)};
    if (kind == "ThresholdedReLU") f.threshold = config.number("theta", 1);
    if (kind == "ReLU") {
        f.max_value = config.number("max_value", HUGE_VAL);
        f.slope = config.number("negative_slope", 0);
        f.threshold = config.number("threshold", 0);
    }
    return std::make_shared<Activation>(config, ActivationFn{.softmax = false, .fn = f});
}

LayerPtr make_prelu(const Config& config) { return std::make_shared<PReLU>(config); }

}  // namespace limn
