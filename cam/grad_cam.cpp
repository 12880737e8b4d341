#include "cam/grad_cam.h"

#include "engine/threads.h"

namespace limn {

// Calls each(activations, gradients, map, pixels, channels) for every image of every target.
template <class Each> static Tensor for_each_image(const Tensor& A, const Tensor& G, Each each) {
    const Shape &a = A.shape(), &g = G.shape();
    LIMN_CHECK(a.rank() == 4 && g.rank() == 4 && a[0] > 0 && g[0] % a[0] == 0 && a.with(0, g[0]) == g,
               "gradients {} do not belong to activations {}", g.str(), a.str());
    const Index pixels = a[1] * a[2], channels = a[3];
    Tensor maps({g[0], a[1], a[2]});
    parallel_for(g[0], [&](Index i) {
        each(A.data() + i % a[0] * pixels * channels, G.data() + i * pixels * channels, maps.data() + i * pixels, pixels, channels);
    });
    return maps;
}

Tensor grad_cam(const Tensor& activations, const Tensor& gradients) {
    return for_each_image(activations, gradients, [](const float* A, const float* dA, float* map, Index pixels, Index channels) {
        std::vector<double> alpha(std::size_t(channels), 0.0);
        for (Index i = 0; i < pixels; i++)
            for (Index k = 0; k < channels; k++) alpha[std::size_t(k)] += double(dA[i * channels + k]);
        for (double& a : alpha) a /= double(pixels);
        for (Index i = 0; i < pixels; i++) {
            double sum = 0;
            for (Index k = 0; k < channels; k++) sum += alpha[std::size_t(k)] * double(A[i * channels + k]);
            map[i] = float(sum);
        }
    });
}

Tensor hires_cam(const Tensor& activations, const Tensor& gradients) {
    return for_each_image(activations, gradients, [](const float* A, const float* dA, float* map, Index pixels, Index channels) {
        for (Index i = 0; i < pixels; i++) {
            double sum = 0;
            for (Index k = 0; k < channels; k++) sum += double(dA[i * channels + k]) * double(A[i * channels + k]);
            map[i] = float(sum);
        }
    });
}

}  // namespace limn
