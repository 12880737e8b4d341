#include <algorithm>

#include "cam/methods.h"

namespace limn {

namespace {

// First and last pixel (excluded) of each window along a side.
std::vector<std::pair<Index, Index>> windows(Index side, Sliding by) {
    LIMN_CHECK(by.step >= 1 && by.step <= by.size, "occlusion: a window of {} pixels that moves by {} leaves pixels out", by.size, by.step);
    std::vector<std::pair<Index, Index>> list;
    for (Index first = 0;; first += by.step) {
        list.emplace_back(first, std::min(side, first + by.size));
        if (first + by.size >= side) return list;
    }
}

Sliding usual(Index side) {
    const Index size = std::max<Index>(1, (side + 3) / 7);
    return {size, std::max<Index>(1, size / 2)};
}

}  // namespace

Tensor occlusion_under(const Question& q, Sliding by_rows, Sliding by_columns) {
    const Backend& backend = q.backend();
    const Shape& x = q.image().shape();
    const auto rows = windows(x[1], by_rows), columns = windows(x[2], by_columns);
    const Index across = Index(columns.size()), count = Index(rows.size()) * across, T = q.targets();
    // calls f for each pixel of window i
    const auto each_pixel = [&](Index i, auto f) {
        for (Index r = rows[std::size_t(i / across)].first; r < rows[std::size_t(i / across)].second; r++)
            for (Index c = columns[std::size_t(i % across)].first; c < columns[std::size_t(i % across)].second; c++) f(r * x[2] + c);
    };

    // Trial 0 leaves everything as it is.
    const Tensor scores = q.scores(count + 1, [&](Index first, Index n) {
        Tensor shown = Tensor::full({n, x[1], x[2], 1}, 1), covered = q.image().like(x.with(0, n));
        for (Index i = 0; i < n; i++)
            if (first + i > 0) each_pixel(first + i - 1, [&](Index pixel) { shown.data()[i * x[1] * x[2] + pixel] = 0; });
        backend.binary(Binary::multiply, q.image(), shown, covered);
        return covered;
    });

    Tensor maps = Tensor::zeros({T, x[1], x[2]});
    std::vector<float> covers(std::size_t(x[1] * x[2]));
    for (Index i = 0; i < count; i++) {
        each_pixel(i, [&](Index pixel) { covers[std::size_t(pixel)]++; });
        for (Index t = 0; t < T; t++) {
            const float drop = scores.data()[t] - scores.data()[(i + 1) * T + t];
            each_pixel(i, [&](Index pixel) { maps.data()[t * x[1] * x[2] + pixel] += drop; });
        }
    }
    for (Index i = 0; i < maps.size(); i++) maps.data()[i] /= covers[std::size_t(i % (x[1] * x[2]))];
    return maps;
}

Tensor occlusion(const Question& q) { return occlusion_under(q, usual(q.image().shape()[1]), usual(q.image().shape()[2])); }

}  // namespace limn
