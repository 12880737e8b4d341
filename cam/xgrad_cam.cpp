#include "cam/grad_cam.h"

namespace limn {

Tensor xgrad_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    // products g_k A_k of every target; their sums over the pixels, divided by those of A_k
    const Tensor split = by_target(activations, gradients);
    Tensor products = split.like();
    backend.binary(Binary::multiply, split, activations, products);
    const Tensor sums = over_pixels(backend, Reduction::sum, products.reshaped(gradients.shape()));
    Tensor totals = over_pixels(backend, Reduction::sum, activations), weights = sums.like();
    backend.binary(Binary::add, totals, Tensor::full({1}, 1e-7, totals.dtype()), totals);
    const Shape by_image{split.shape()[0], split.shape()[1], 1, 1, split.shape()[4]};
    Tensor shares = weights.reshaped(by_image);
    backend.binary(Binary::divide, sums.reshaped(by_image), totals, shares);
    return weighted_sum(backend, activations, weights);
}

}  // namespace limn
