// The element-wise functions limn knows (unary_value), and below their derivatives (unary_slope).
//
// Names and formulas are Keras's (keras.activations); x is the input, y = f(x) the value already computed.
#pragma once

#include <cmath>
#include <string_view>

#include "engine/host_device.h"

namespace limn {

enum class Unary {
    linear,
    relu,
    elu,
    selu,
    softplus,
    softsign,
    tanh,
    sigmoid,
    hard_sigmoid,
    silu,
    hard_silu,
    gelu,
    gelu_tanh,
    exponential,
    mish,
    celu,
    clip,
    log_sigmoid,
    tanh_shrink,
    soft_shrink,
    hard_shrink,
    sparse_plus,
    squareplus,
    log,
    sqrt,
    abs
};

// A function with its constants; those a function does not use are ignored.
struct UnaryFn {
    Unary kind = Unary::linear;
    double slope = 0;             // relu: below the threshold; elu, celu: alpha; squareplus: b; hard_sigmoid: 1/6 (Keras 3) or 0.2 (before)
    double threshold = 0;         // relu, soft_shrink, hard_shrink; clip: the lower end
    double max_value = HUGE_VAL;  // relu, clip

    bool is_plain_relu() const { return kind == Unary::relu && slope == 0 && threshold == 0 && max_value == HUGE_VAL; }
};

// How the walk backward passes a ReLU: by its derivative; guided (Springenberg et al. 2014: only positive gradients
// where the input was positive); or deconvnet (Zeiler & Fergus 2014: only positive gradients, whatever the input).
enum class ReluRule { plain, guided, deconvnet };

template <class T> LIMN_HOST_DEVICE inline T relu_value(const UnaryFn& f, T x) {
    const T t = T(f.threshold), below = f.slope == 0 ? T(0) : T(f.slope) * (x - t);  // 0 at -inf, too
    return x >= T(f.max_value) ? T(f.max_value) : x <= t ? below : x;  // at the threshold, too (Keras: x * (x > threshold))
}
template <class T> LIMN_HOST_DEVICE inline T relu_slope(const UnaryFn& f, T x) {
    return f.max_value < HUGE_VAL && x >= T(f.max_value) ? T(0) : x > T(f.threshold) ? T(1) : T(f.slope);
}

template <class T> LIMN_HOST_DEVICE inline T logistic(T x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
template <class T> LIMN_HOST_DEVICE inline T softplus(T x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
template <class T> LIMN_HOST_DEVICE inline T clip01(T x) { return x < 0 ? T(0) : x > 1 ? T(1) : x; }

constexpr double selu_alpha = 1.6732632423543772848170429916717, selu_scale = 1.0507009873554804934193349852946;
constexpr double sqrt_half = 0.70710678118654752440, inverse_sqrt_2pi = 0.39894228040143267794, gelu_c = 0.79788456080286535588;

template <class T> LIMN_HOST_DEVICE inline T unary_value(const UnaryFn& f, T x) {
    switch (f.kind) {
        case Unary::linear: return x;
        case Unary::relu: return relu_value(f, x);
        case Unary::elu: return x > 0 ? x : T(f.slope) * std::expm1(x);
        case Unary::selu: return T(selu_scale) * (x > 0 ? x : T(selu_alpha) * std::expm1(x));
        case Unary::softplus: return softplus(x);
        case Unary::softsign: return x / (1 + std::abs(x));
        case Unary::tanh: return std::tanh(x);
        case Unary::sigmoid: return logistic(x);
        case Unary::hard_sigmoid: return clip01(T(f.slope) * x + T(0.5));
        case Unary::silu: return x * logistic(x);
        case Unary::hard_silu: return x * clip01(x / 6 + T(0.5));
        case Unary::gelu: return x * T(0.5) * std::erfc(-x * T(sqrt_half));
        case Unary::gelu_tanh: return x * T(0.5) * (1 + std::tanh(T(gelu_c) * (x + T(0.044715) * x * x * x)));
        case Unary::exponential: return std::exp(x);
        case Unary::mish: return x * std::tanh(softplus(x));
        case Unary::celu: return x > 0 ? x : T(f.slope) * std::expm1(x / T(f.slope));
        case Unary::clip: return x < T(f.threshold) ? T(f.threshold) : x > T(f.max_value) ? T(f.max_value) : x;
        case Unary::log_sigmoid: return -softplus(-x);
        case Unary::tanh_shrink: return x - std::tanh(x);
        case Unary::soft_shrink: return x > T(f.threshold) ? x - T(f.threshold) : x < -T(f.threshold) ? x + T(f.threshold) : T(0);
        case Unary::hard_shrink: return std::abs(x) > T(f.threshold) ? x : T(0);
        case Unary::sparse_plus: return x <= -1 ? T(0) : x >= 1 ? x : (x + 1) * (x + 1) / 4;
        case Unary::squareplus: return (x + std::sqrt(x * x + T(f.slope))) / 2;
        case Unary::log: return std::log(x);
        case Unary::sqrt: return std::sqrt(x);
        case Unary::abs: return std::abs(x);
    }
    return x;
}

template <class T> LIMN_HOST_DEVICE inline T unary_slope(const UnaryFn& f, T x, T y) {
    switch (f.kind) {
        case Unary::linear: return 1;
        case Unary::relu: return relu_slope(f, x);
        case Unary::elu: return x > 0 ? T(1) : y + T(f.slope);
        case Unary::selu: return x > 0 ? T(selu_scale) : y + T(selu_scale * selu_alpha);
        case Unary::softplus: return logistic(x);
        case Unary::softsign: return 1 / ((1 + std::abs(x)) * (1 + std::abs(x)));
        case Unary::tanh: return 1 - y * y;
        case Unary::sigmoid: return y * (1 - y);
        case Unary::hard_sigmoid: return y > 0 && y < 1 ? T(f.slope) : T(0);
        case Unary::silu: return logistic(x) + y * (1 - logistic(x));
        case Unary::hard_silu: return x <= -3 ? T(0) : x >= 3 ? T(1) : x / 3 + T(0.5);
        case Unary::gelu: return T(0.5) * std::erfc(-x * T(sqrt_half)) + x * T(inverse_sqrt_2pi) * std::exp(-x * x / 2);
        case Unary::gelu_tanh: {
            const T t = std::tanh(T(gelu_c) * (x + T(0.044715) * x * x * x));
            return T(0.5) * (1 + t) + T(0.5) * x * (1 - t * t) * T(gelu_c) * (1 + 3 * T(0.044715) * x * x);
        }
        case Unary::exponential: return y;
        case Unary::mish: {
            const T t = std::tanh(softplus(x));
            return t + x * (1 - t * t) * logistic(x);
        }
        case Unary::celu: return x > 0 ? T(1) : y / T(f.slope) + 1;
        case Unary::clip: return x < T(f.threshold) || x > T(f.max_value) ? T(0) : T(1);
        case Unary::log_sigmoid: return logistic(-x);
        case Unary::tanh_shrink: return (x - y) * (x - y);
        case Unary::soft_shrink:
        case Unary::hard_shrink: return std::abs(x) > T(f.threshold) ? T(1) : T(0);
        case Unary::sparse_plus: return clip01((x + 1) / 2);
        case Unary::squareplus: return (1 + x / std::sqrt(x * x + T(f.slope))) / 2;
        case Unary::log: return 1 / x;
        case Unary::sqrt: return 1 / (2 * y);
        case Unary::abs: return x > 0 ? T(1) : x < 0 ? T(-1) : T(0);
    }
    return 1;
}

// The gradient that passes to the input. The rule changes ReLUs only (also capped and leaky ones).
template <class T> LIMN_HOST_DEVICE inline T relu_gradient(const UnaryFn& f, ReluRule rule, T x, T dy) {
    const T passed = rule == ReluRule::deconvnet ? dy : relu_slope(f, x) * dy;
    return rule != ReluRule::plain && dy <= 0 ? T(0) : passed;
}
template <class T> LIMN_HOST_DEVICE inline T unary_gradient(const UnaryFn& f, ReluRule rule, T x, T y, T dy) {
    return f.kind == Unary::relu ? relu_gradient(f, rule, x, dy) : unary_slope(f, x, y) * dy;
}

}  // namespace limn
