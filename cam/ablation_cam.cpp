#include "cam/methods.h"

namespace limn {

Tensor ablation_cam(const Question& q) {
    const Backend& backend = q.backend();
    const Tensor& A = q.activations();
    const Index K = A.shape()[3], T = q.targets();

    // Trial 0 leaves everything as it is, trial k+1 takes channel k away.
    const Tensor scores = q.scores_above(K + 1, [&](Index first, Index n) {
        Tensor kept = Tensor::full({n, 1, 1, K}, 1), altered = A.like(A.shape().with(0, n));
        for (Index i = 0; i < n; i++)
            if (first + i > 0) kept.data()[i * K + first + i - 1] = 0;
        backend.binary(Binary::multiply, A, kept, altered);
        return altered;
    });
    Tensor weights({T, 1, 1, K});
    for (Index t = 0; t < T; t++)
        for (Index k = 0; k < K; k++) weights.data()[t * K + k] = scores.data()[t] - scores.data()[(k + 1) * T + t];
    return weighted_sum(backend, A, weights.on(backend.device()));
}

}  // namespace limn
