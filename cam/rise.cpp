#include "autograd/training.h"
#include "cam/methods.h"

namespace limn {

Tensor rise(const Question& q) {
    const Backend& backend = q.backend();
    const Shape& x = q.image().shape();
    const Index count = q.samples(2000), T = q.targets(), H = x[1], W = x[2], cells = 7;
    const Index cell_h = (H + cells - 1) / cells, cell_w = (W + cells - 1) / cells;

    // Mask i: 7x7 cells, open or closed, enlarged to one cell more than the image and cut out at random.
    const auto masks = [&](Index first, Index n) {
        Tensor grid({n, cells, cells, 1}), large({n, H + cell_h, W + cell_w, 1}), cut({n, H, W, 1});
        std::vector<Shape> from;
        for (Index i = 0; i < n; i++) {
            Random random(q.seed(), std::to_string(first + i));  // its own, however trials are batched
            for (Index j = 0; j < cells * cells; j++) grid.data()[i * cells * cells + j] = random.uniform() < 0.5;
            from.push_back({0, random.below(cell_h), random.below(cell_w), 0});
        }
        grid = grid.on(backend.device()), large = large.on(backend.device()), cut = cut.on(backend.device());
        backend.resize(Interpolation::bilinear, grid, large);
        for (Index i = 0; i < n; i++) {
            Tensor one = cut.rows(i, 1);
            backend.copy_box(large.rows(i, 1), from[std::size_t(i)], {1, H, W, 1}, one, {0, 0, 0, 0});
        }
        return cut;
    };
    const Tensor scores = q.scores(count, [&](Index first, Index n) {
        Tensor shown = q.image().like(x.with(0, n));
        backend.binary(Binary::multiply, q.image(), masks(first, n), shown);
        return shown;
    });

    // map = sum of score * mask / sum of mask - mean score. The masks are drawn a second time: they need not be kept.
    Tensor weights({count, T + 1}), sums = q.image().zeros_like({T + 1, H * W});
    std::vector<double> mean(std::size_t(T), 0.0);
    for (Index i = 0; i < count; i++)
        for (Index t = 0; t < T; t++) mean[std::size_t(t)] += double(scores.data()[i * T + t]) / double(count);
    for (Index i = 0; i < count; i++) {
        for (Index t = 0; t < T; t++) weights.data()[i * (T + 1) + t] = scores.data()[i * T + t] - float(mean[std::size_t(t)]);
        weights.data()[i * (T + 1) + T] = 1;
    }
    for (Index first = 0; first < count; first += q.batch) {
        const Index n = std::min(q.batch, count - first);
        Tensor part = sums.like();
        backend.dense_grad_kernel(weights.rows(first, n).on(backend.device()), masks(first, n).reshaped({n, H * W}), part);
        backend.binary(Binary::add, sums, part, sums);
    }
    Tensor maps = sums.like({T, H * W}), seen = sums.rows(T, 1);
    backend.binary(Binary::maximum, seen, Tensor::full({1}, 1e-6), seen);
    backend.binary(Binary::divide, sums.rows(0, T), seen, maps);
    return maps.reshaped({T, H, W});
}

}  // namespace limn
