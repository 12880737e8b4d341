#include "cam/grad_cam.h"

namespace limn {

static void check(const Shape& a, const Shape& g) {
    LIMN_CHECK(a.rank() == 4 && g.rank() == 4 && a[0] > 0 && g[0] % a[0] == 0 && a.with(0, g[0]) == g,
               "gradients {} do not belong to activations {}", g.str(), a.str());
}

Tensor grad_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    const Shape& g = gradients.shape();
    check(activations.shape(), g);
    Tensor alpha = gradients.like({g[0], 1, 1, g[3]}), maps = gradients.like({g[0], g[1], g[2]});
    backend.reduce(Reduction::mean, gradients, alpha);
    backend.channel_dot(activations, alpha, maps);
    return maps;
}

Tensor hires_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    const Shape& g = gradients.shape();
    check(activations.shape(), g);
    Tensor maps = gradients.like({g[0], g[1], g[2]});
    backend.channel_dot(activations, gradients, maps);
    return maps;
}

}  // namespace limn
