#include "cam/methods.h"

namespace limn {

Tensor recipro_cam(const Question& q) {
    const Backend& backend = q.backend();
    const Tensor& A = q.activations();
    const Index h = A.shape()[1], w = A.shape()[2], T = q.targets();

    // Trial i shows the surroundings of cell i; the last one shows nothing.
    const Tensor scores = q.scores_above(h * w + 1, [&](Index first, Index n) {
        Tensor shown = Tensor::zeros({n, h, w, 1}), altered = A.like(A.shape().with(0, n));
        for (Index i = 0; i < n && first + i < h * w; i++) {
            const Index row = (first + i) / w, column = (first + i) % w;
            for (Index r = std::max<Index>(0, row - 1); r <= std::min(h - 1, row + 1); r++)
                for (Index c = std::max<Index>(0, column - 1); c <= std::min(w - 1, column + 1); c++)
                    shown.data()[(i * h + r) * w + c] = (r == row ? 0.5f : 0.25f) * (c == column ? 0.5f : 0.25f);
        }
        backend.binary(Binary::multiply, A, shown, altered);
        return altered;
    });
    Tensor maps({T, h, w});
    for (Index t = 0; t < T; t++)
        for (Index i = 0; i < h * w; i++) maps.data()[t * h * w + i] = scores.data()[i * T + t] - scores.data()[h * w * T + t];
    return maps;
}

}  // namespace limn
