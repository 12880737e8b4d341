#include "cam/grad_cam.h"

namespace limn {

Tensor by_target(const Tensor& activations, const Tensor& gradients) {
    const Shape &a = activations.shape(), &g = gradients.shape();
    LIMN_CHECK(a.rank() == 4 && g.rank() == 4 && a[0] > 0 && g[0] % a[0] == 0 && a.with(0, g[0]) == g,
               "gradients {} do not belong to activations {}", g.str(), a.str());
    return gradients.reshaped({g[0] / a[0], a[0], a[1], a[2], a[3]});
}

Tensor over_pixels(const Backend& backend, Reduction op, const Tensor& x) {
    Tensor y = x.like({x.shape()[0], 1, 1, x.shape()[3]});
    backend.reduce(op, x, y);
    return y;
}

Tensor weighted_sum(const Backend& backend, const Tensor& activations, const Tensor& weights) {
    Tensor maps = activations.like({weights.shape()[0], activations.shape()[1], activations.shape()[2]});
    backend.channel_dot(activations, weights, maps);
    return maps;
}

Tensor grad_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    by_target(activations, gradients);
    return weighted_sum(backend, activations, over_pixels(backend, Reduction::mean, gradients));
}

}  // namespace limn
