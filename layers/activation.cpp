#include "layers/activation.h"

#include <algorithm>
#include <functional>

#include "autograd/ops.h"
#include "layers/axis.h"
#include "layers/core.h"

namespace limn {

namespace {

// log softmax(x)_i = x_i - m - log sum_j e^(x_j - m), m = max x
Var log_softmax(Tape& tape, const Var& x) {
    const Var below = subtract(tape, x, max(tape, x, {-1}));
    return subtract(tape, below, log(tape, sum(tape, exp(tape, below), {-1})));
}

// y_i = max(x_i - t, 0), t such that they sum to 1 (Martins & Astudillo 2016): where y > 0, for the k largest, t = (their sum - 1) / k.
// Which these are is found by sorting, on the host; they are constants for the walk backward.
Var sparsemax(Tape& tape, const Var& x) {
    const Tensor in = x.value.host();
    Tensor largest = in.like(), k = in.like(in.shape().with(-1, 1));
    with_type(in.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const Index c = in.shape()[-1];
        for (Index row = 0; row < k.size(); row++) {
            const T* values = in.data<T>() + row * c;
            std::vector<T> sorted(values, values + c);
            std::sort(sorted.begin(), sorted.end(), std::greater<T>());
            T total = 0;
            Index count = 0;
            while (count < c && sorted[std::size_t(count)] * T(count + 1) > total + sorted[std::size_t(count)] - 1)
                total += sorted[std::size_t(count++)];
            k.data<T>()[row] = T(count);
            for (Index i = 0; i < c; i++) largest.data<T>()[row * c + i] = T(count && values[i] * T(count) > total - 1);
        }
    });
    const Tensor mask = largest.on(x.value.device());
    const Var t = divide(tape, shift(tape, sum(tape, multiply(tape, x, mask), {-1}), -1), k.on(x.value.device()));
    return multiply(tape, subtract(tape, x, t), mask);
}

// a * sigmoid(b), a and b the halves of x
Var glu(Tape& tape, const Var& x) {
    const Index half = x.shape()[-1] / 2;
    Shape from = x.shape();
    for (int i = 0; i < from.rank(); i++) from[i] = 0;
    const Shape size = x.shape().with(-1, half);
    const Var gate = unary(tape, {.kind = Unary::sigmoid}, crop(tape, x, from.with(-1, half), size));
    return multiply(tape, crop(tape, x, from, size), gate);
}

}  // namespace

int Activation::axis_of(const Shape& shape) const {
    const int axis = keras_config.nhwc_axis(activation_.axis, shape.rank());
    if (axis == 0) reject(fmt::format("axis {} of {} is that of the images", activation_.axis, shape.str()));
    return axis;
}

Shape Activation::output_shape(const std::vector<Shape>& in) const {
    if (activation_.along == ActivationFn::Along::nothing) return in[0];
    const int axis = axis_of(in[0]);
    if (activation_.along != ActivationFn::Along::glu) return in[0];
    if (in[0][axis] % 2 == 1) reject(fmt::format("an axis of {} has no halves", in[0][axis]));
    return in[0].with(axis, in[0][axis] < 0 ? -1 : in[0][axis] / 2);
}

Var Activation::forward(Tape& tape, const std::vector<Var>& in) const {
    using Along = ActivationFn::Along;
    const Var& x = in[0];
    if (activation_.along == Along::nothing) return unary(tape, activation_.fn, x);
    const auto along_last = [&](const Var& v) {
        return activation_.along == Along::softmax       ? softmax(tape, v)
               : activation_.along == Along::log_softmax ? log_softmax(tape, v)
               : activation_.along == Along::sparsemax   ? sparsemax(tape, v)
                                                         : glu(tape, v);
    };
    return with_axis_last(tape, x, axis_of(x.shape()), along_last);
}

namespace {

// y = max(0,x) + alpha * min(0,x), alpha learned: one a channel, or one an element
class PReLU : public Layer {
public:
    explicit PReLU(const Config& config) : Layer(config) {}
    void build(const std::vector<Shape>& inputs) override {
        const int rank = inputs[0].rank();
        Shape alpha = inputs[0].with(0, 1);  // in the file's order of axes
        const std::vector<int> order = keras_config.file_order(rank);
        for (int i = 1; i < rank; i++) alpha[i] = inputs[0][order[std::size_t(i)]];
        for (Index axis : keras_config.integers("shared_axes", {})) {
            if (axis < 1 || axis >= rank) reject(fmt::format("there is no axis {} among {}", axis, rank));
            alpha[int(axis)] = 1;
        }
        for (int i = 1; i < rank; i++)
            if (alpha[i] < 1) reject("an image size that is not fixed needs shared_axes");
        weights.push_back({"alpha", alpha.without(0), {}});
        alpha_ = alpha;
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var negative = relu(tape, scale(tape, in[0], -1));
        Var alpha = reshape(tape, tape.parameter(weights[0].value), alpha_);
        const std::vector<int> order = keras_config.nhwc_order(alpha_.rank());
        if (!std::is_sorted(order.begin(), order.end())) alpha = transpose(tape, alpha, order);
        return subtract(tape, relu(tape, in[0]), multiply(tape, negative, alpha));
    }

private:
    Shape alpha_;
};

}  // namespace

LayerPtr make_activation(const Config& config, const ActivationFn& activation) { return std::make_shared<Activation>(config, activation); }
LayerPtr make_activation_layer(const Config& config) { return make_activation(config, activation_of(config).value()); }
LayerPtr make_prelu(const Config& config) { return std::make_shared<PReLU>(config); }

}  // namespace limn
