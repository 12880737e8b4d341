// What the verbs of engine/backend.h are told beside their tensors.
#pragma once

#include <cstdint>

#include "engine/host_device.h"

namespace limn {

using Index = std::int64_t;

// A window that slides over a plane: x (h,w) -> y (p,q). Tap (r,s) of output (p,q) reads
// x[p*stride_h + r*dilation_h - pad_top, q*stride_w + s*dilation_w - pad_left]; outside the plane it reads nothing (0).
struct Window {
    Index r = 1, s = 1;
    Index stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
    Index pad_top = 0, pad_left = 0;
    bool operator==(const Window&) const = default;
};

enum class Direction { forward, grad_input };
// Done to the result before it is stored. The pool: 2x2, stride 2, of what relu leaves; y is then (N,p/2,q/2,k).
enum class Fused { none, relu, relu6, relu_max_pool };
template <class T> LIMN_HOST_DEVICE T fused_value(Fused fused, T v) {  // without the pool
    return fused == Fused::none ? v : v < 0 ? T(0) : fused == Fused::relu6 && v > 6 ? T(6) : v;
}

enum class Binary { add, subtract, multiply, divide, maximum, minimum, equal, greater_equal };
enum class Reduction { sum, mean, maximum };
enum class Interpolation { nearest, bilinear };  // bilinear: half-pixel centres, edges clamped

// How colours are laid over a photo. article: photo + alpha * colour, clipped, and no colour where the value is below the threshold;
// blend: (1 - alpha) * photo + alpha * colour everywhere; there is no threshold.
struct Paint {
    enum class Mode { article, blend } mode = Mode::article;
    float threshold = 0.2f, alpha = 0.5f;
};

// One step of an optimiser (train/optimizer.h): which formula, and its constants.
struct Update {
    enum class Rule { sgd, momentum, nesterov, adam } rule = Rule::sgd;
    float rate = 0;                                 // adam: with the correction of the first steps
    float decay = 0;                                // w -= decay * w before the step
    float momentum = 0;                             // momentum, nesterov
    float rest_1 = 0, rest_2 = 0, epsilon = 1e-7f;  // adam: 1 - beta_1, 1 - beta_2
};

}  // namespace limn
