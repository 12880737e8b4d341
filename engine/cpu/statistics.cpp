// Sums over many rows: global pooling, gradients of kernels and biases, batch normalisation.
//
// Floats are summed in blocks of a few rows and the blocks in double, so that the number of rows costs no digits; which rows
// make a block follows from the shape alone, so the sums do not depend on the number of threads.
#include <algorithm>
#include <cmath>

#include "engine/cpu/backend.h"
#include "engine/threads.h"

namespace limn {

namespace {

// The blocks of an array (rows,C): few enough rows to stay in the first-level cache, many enough to share among threads.
struct Blocks {
    Index rows, C, height = std::clamp<Index>((Index(1) << 12) / C, 1, 256), count = (rows + height - 1) / height;
    Index first(Index block) const { return block * height; }
    Index size(Index block) const { return std::min(rows, (block + 1) * height) - block * height; }
};

// total[c] = sum over blocks of what sum(first row, rows, out[C]) makes of each
template <class Sum> std::vector<double> sum_blocks(const Blocks& blocks, Sum sum) {
    const Index groups = std::min<Index>(blocks.count, 64);  // each a thread's work, in a fixed order
    std::vector<double> totals(std::size_t(groups * blocks.C), 0.0);
    parallel_for(groups, blocks.rows * blocks.C, [&](Index group) {
        std::vector<float> part(std::size_t(blocks.C));
        double* total = totals.data() + group * blocks.C;
        for (Index block = blocks.count * group / groups; block < blocks.count * (group + 1) / groups; block++) {
            sum(blocks.first(block), blocks.size(block), part.data());
            for (Index c = 0; c < blocks.C; c++) total[c] += double(part[std::size_t(c)]);
        }
    });
    for (Index group = 1; group < groups; group++)
        for (Index c = 0; c < blocks.C; c++) totals[std::size_t(c)] += totals[std::size_t(group * blocks.C + c)];
    totals.resize(std::size_t(blocks.C));
    return totals;
}

}  // namespace

void CpuBackend::reduce(Reduction op, const Tensor& x, Tensor& y) const {
    // Two shapes are fast: all axes but the channels (a bias's gradient), and the pixels of each image (global pooling).
    const Shape &in = x.shape(), &out = y.shape();
    const bool all = in.rank() >= 2 && y.size() == in[-1] && out[-1] == in[-1];
    const bool pixels = in.rank() == 4 && out == Shape{in[0], 1, 1, in[3]};
    if (op == Reduction::maximum || x.size() == 0 || !(all || pixels)) return ReferenceBackend::reduce(op, x, y);
    const Index C = in[-1], rows = all ? x.size() / C : in[1] * in[2];
    for (Index n = 0; n < y.size() / C; n++) {
        const float* from = x.data() + n * rows * C;
        const std::vector<double> sum =
            sum_blocks({rows, C}, [&](Index first, Index count, float* part) { kernels_.sum_rows(from + first * C, count, C, part); });
        for (Index c = 0; c < C; c++) y.data()[n * C + c] = float(sum[std::size_t(c)] / (op == Reduction::mean ? double(rows) : 1));
    }
}

void CpuBackend::moments(const Tensor& x, Tensor& mean, Tensor& variance) const {
    const Index C = mean.size(), rows = x.size() / C;
    const std::vector<double> sum =
        sum_blocks({rows, C}, [&](Index first, Index count, float* part) { kernels_.sum_rows(x.data() + first * C, count, C, part); });
    for (Index c = 0; c < C; c++) mean.data()[c] = float(sum[std::size_t(c)] / double(rows));
    const std::vector<double> squares = sum_blocks(
        {rows, C}, [&](Index first, Index count, float* part) { kernels_.sum_squares(x.data() + first * C, mean.data(), count, C, part); });
    for (Index c = 0; c < C; c++) variance.data()[c] = float(squares[std::size_t(c)] / double(rows));
}

void CpuBackend::batch_norm_grad(const Normalised& n, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) const {
    const Index C = n.mean.size(), rows = dy.size() / C;
    const std::vector<double> sum =
        sum_blocks({rows, C}, [&](Index first, Index count, float* part) { kernels_.sum_rows(dy.data() + first * C, count, C, part); });
    const std::vector<double> products = sum_blocks({rows, C}, [&](Index first, Index count, float* part) {
        kernels_.sum_products(dy.data() + first * C, n.x.data() + first * C, n.mean.data(), count, C, part);
    });
    // dx = a * dy + b * (x - mean) + shift
    std::vector<float> a(std::size_t(C), 0.0f), b = a, shift = a;
    for (Index c = 0; c < C; c++) {
        const auto i = std::size_t(c);
        const double s = std::sqrt(double(n.variance.data()[c]) + n.epsilon),
                     factor = (n.gamma.empty() ? 1 : double(n.gamma.data()[c])) / s;
        a[i] = float(factor), b[i] = float(-factor * products[i] / (s * s) / double(rows)),
        shift[i] = float(-factor * sum[i] / double(rows));
        dgamma.data()[c] = float(products[i] / s), dbeta.data()[c] = float(sum[i]);
    }
    parallel_ranges(rows, std::max<Index>(1, (Index(1) << 15) / C), [&](Index first, Index last) {
        for (Index i = first; i < last; i++)
            kernels_.blend(dy.data() + i * C, n.x.data() + i * C, n.mean.data(), a.data(), b.data(), shift.data(), C, dx.data() + i * C);
    });
}

}  // namespace limn
