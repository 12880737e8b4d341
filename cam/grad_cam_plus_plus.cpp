#include "cam/grad_cam.h"

namespace limn {

Tensor grad_cam_plus_plus(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    const Tensor zero = Tensor::full({1}, 0, gradients.dtype()), two = Tensor::full({1}, 2, gradients.dtype());
    const auto apply = [&](Binary op, const Tensor& a, const Tensor& b) {
        Tensor y = a.like();
        backend.binary(op, a, b, y);
        return y;
    };
    const auto or_one = [&](const Tensor& x) { return apply(Binary::add, x, apply(Binary::equal, x, zero)); };  // 1 where it is 0

    // Where the gradient is positive, alpha = 1 / (2 + g * sum of A); there may be several targets for each image.
    const Tensor positive = apply(Binary::maximum, by_target(activations, gradients), zero);
    const Tensor is_positive = apply(Binary::equal, apply(Binary::equal, positive, zero), zero);
    const Tensor totals = over_pixels(backend, Reduction::sum, activations);
    const Tensor denominator = apply(Binary::add, apply(Binary::multiply, positive, totals), two);
    const Tensor alpha = apply(Binary::divide, is_positive, or_one(denominator));

    const auto pixel_sums = [&](const Tensor& x) { return over_pixels(backend, Reduction::sum, x.reshaped(gradients.shape())); };
    const Tensor weights = apply(Binary::divide, pixel_sums(apply(Binary::multiply, alpha, positive)), or_one(pixel_sums(alpha)));
    return weighted_sum(backend, activations, weights);
}

}  // namespace limn
