// From numbers for each pixel and colour, (M,H,W,c), to a map (M,H,W).
#pragma once

#include "cam/grad_cam.h"

namespace limn {

inline Tensor over_colours(const Backend& backend, Reduction op, const Tensor& x) {
    const Shape& s = x.shape();
    Tensor y = x.like({s[0], s[1], s[2], 1});
    backend.reduce(op, x, y);
    return y.reshaped({s[0], s[1], s[2]});
}
inline Tensor sum_of_colours(const Backend& backend, const Tensor& x) { return over_colours(backend, Reduction::sum, x); }
inline Tensor largest_magnitude(const Backend& backend, const Tensor& x) {
    Tensor magnitude = x.like();
    backend.unary({.kind = Unary::abs}, x, magnitude);
    return over_colours(backend, Reduction::maximum, magnitude);
}
// sum over the colours of image * x
inline Tensor dot_with_image(const Backend& backend, const Tensor& image, const Tensor& x) { return weighted_sum(backend, image, x); }

}  // namespace limn
