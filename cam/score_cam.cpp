#include "cam/methods.h"

#include <algorithm>
#include <cmath>

namespace limn {

Tensor score_cam(const Question& q) {
    const Backend& backend = q.backend();
    const Shape &x = q.image().shape(), a = q.activations().shape();
    const Index K = a[3], T = q.targets();

    // Channel k as an image of its own, (K,h,w,1), from 0 to 1. The enlarged map's extremes are those at the layer's resolution or lie
    // between them; it is normalised after enlarging, as in the authors' code.
    Tensor channels = q.activations().like({K, a[1] * a[2]}), large = channels.like({K, x[1], x[2], 1});
    backend.transpose({1, 0}, q.activations().reshaped({a[1] * a[2], K}), channels);
    backend.resize(Interpolation::bilinear, channels.reshaped({K, a[1], a[2], 1}), large);
    const auto largest = [&](const Tensor& maps) {
        Tensor y = maps.like({K, 1, 1, 1});
        backend.reduce(Reduction::maximum, maps, y);
        return y;
    };
    Tensor negative = large.like();
    backend.binary(Binary::multiply, large, Tensor::full({1}, -1, large.dtype()), negative);
    const Tensor top = largest(large), bottom = largest(negative);  // maximum and -minimum
    Tensor range = top.like(), flat = top.like();
    backend.binary(Binary::add, top, bottom, range);
    backend.binary(Binary::equal, range, Tensor::zeros({1}, range.dtype()), flat);
    backend.binary(Binary::add, range, flat, range);
    backend.binary(Binary::add, large, bottom, large);
    backend.binary(Binary::divide, large, range, large);

    const Tensor scores = q.scores(K, [&](Index first, Index n) {
        Tensor masked = q.image().like({n, x[1], x[2], x[3]});
        backend.binary(Binary::multiply, q.image(), large.rows(first, n), masked);
        return masked;
    });

    const Tensor is_flat = flat.host();
    Tensor weights({T, 1, 1, K});
    for (Index t = 0; t < T; t++) {
        double best = -HUGE_VAL, sum = 0;
        const auto score = [&](Index k) { return is_flat.at_flat(k) != 0 ? -HUGE_VAL : scores.at_flat(k * T + t); };
        for (Index k = 0; k < K; k++) best = std::max(best, score(k));
        for (Index k = 0; k < K; k++) sum += std::exp(score(k) - best);
        for (Index k = 0; k < K; k++) weights.data()[t * K + k] = best == -HUGE_VAL ? 0 : float(std::exp(score(k) - best) / sum);
    }
    return weighted_sum(backend, q.activations(), weights.on(backend.device()));
}

}  // namespace limn
