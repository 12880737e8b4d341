#include "layers/activation.h"

#include <algorithm>
#include <numeric>

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

// y_i = max(x_i - t, 0). By Martins & Astudillo 2016, t = (s_k - 1) / k, s_j being the sum of the j largest x and k the number of x above t.
// All of Keras 3 takes t = (s_1 + s_2 + ... + s_k - 1) / k instead, so that y rarely sums to 1; files were trained with that. The j-th
// largest x is in k - j + 1 of these sums. Sorting is done on the host; how often each x counts is a constant for the walk backward.
Var sparsemax(Tape& tape, const Var& x) {
    const Tensor in = x.value.host();
    Tensor times = Tensor::zeros(in.shape(), in.dtype()), k = in.like(in.shape().with(-1, 1));
    with_type(in.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const Index c = in.shape()[-1];
        std::vector<Index> order(static_cast<std::size_t>(c));
        for (Index row = 0; row < k.size(); row++) {
            const T* values = in.data<T>() + row * c;
            std::iota(order.begin(), order.end(), Index(0));
            std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return values[a] > values[b]; });
            T total = 0;
            Index count = 0;
            for (; count < c; count++) {
                const T next = values[order[std::size_t(count)]];
                if (!(next * T(count + 1) > total + next - 1)) break;
                total += next;
            }
            count = std::max<Index>(count, 1);  // not a number: so is the result
            for (Index j = 0; j < count; j++) times.data<T>()[row * c + order[std::size_t(j)]] = T(count - j);
            k.data<T>()[row] = T(count);
        }
    });
    Device* device = x.value.device();
    const Var sums = sum(tape, multiply(tape, x, times.on(device)), {-1});
    return relu(tape, subtract(tape, x, divide(tape, shift(tape, sums, -1), k.on(device))));
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
