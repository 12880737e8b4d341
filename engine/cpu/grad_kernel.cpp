// The gradients of kernels: dkernel[r,s,c,k] = sum over images and pixels of x[n,h,w,c] * dy[n,p,q,k], a matrix product
// that sums over pixels. Both factors are read where they lie.
#include <algorithm>

#include "engine/cpu/backend.h"
#include "engine/threads.h"

namespace limn {

namespace {

// The outputs along one axis whose tap falls inside: first <= p < last
struct Valid {
    Index first, last;
};
Valid valid(Index places, Index size, Index stride, Index offset) {  // 0 <= p*stride + offset < size
    const auto reaches = [&](Index p) { return p * stride + offset; };
    Valid v{0, places};
    while (v.first < places && reaches(v.first) < 0) v.first++;
    while (v.last > v.first && reaches(v.last - 1) >= size) v.last--;
    return v;
}

}  // namespace

void CpuBackend::conv2d_grad_kernel(const ConvShape& v, const Tensor& x, const Tensor& dy, Tensor& dkernel) const {
    const Index N = x.shape()[0], C = v.c / v.groups, K = v.k / v.groups, taps = v.window.r * v.window.s;
    const bool depthwise = v.groups == v.c && v.k == v.c;
    std::fill(dkernel.data(), dkernel.data() + dkernel.size(), 0.0f);

    // A job owns some rows (input channels) of some taps, so that nothing is summed across threads. Rows of pixels pass by
    // in blocks whose dy stays in the caches while all taps of the job use it (measured: 32 to 64 KB are best).
    const Index row_blocks = (C + 23) / 24, tap_blocks = row_blocks * v.groups >= 8 ? 1 : taps;
    const Index height = std::clamp<Index>((Index(1) << 13) / (v.q * K), 1, std::max<Index>(1, N * v.p));
    const auto each_tap = [&](Index tap_block, Index first_row, Index last_row, auto body) {
        std::vector<const float*> a, b;
        for (Index tap = tap_block * taps / tap_blocks; tap < (tap_block + 1) * taps / tap_blocks; tap++) {
            const Index down = tap / v.window.s * v.window.dilation_h - v.window.pad_top,
                        right = tap % v.window.s * v.window.dilation_w - v.window.pad_left;
            const Valid p = valid(v.p, v.h, v.window.stride_h, down), q = valid(v.q, v.w, v.window.stride_w, right);
            a.clear(), b.clear();
            for (Index row = first_row; row < last_row; row++) {  // row n*P + p
                const Index n = row / v.p, i = row % v.p;
                if (i < p.first || i >= p.last) continue;
                a.push_back(x.data() + ((n * v.h + i * v.window.stride_h + down) * v.w + q.first * v.window.stride_w + right) * v.c);
                b.push_back(dy.data() + (row * v.q + q.first) * v.k);
            }
            if (!a.empty() && q.last > q.first) body(tap, a, b, q.last - q.first);
        }
    };
    if (depthwise) {
        const Index slice = 64;  // channels
        return parallel_for((v.c + slice - 1) / slice, [&](Index job) {
            const Index first = job * slice, count = std::min(v.c, first + slice) - first;
            for (Index tap_block = 0; tap_block < tap_blocks; tap_block++)
                each_tap(tap_block, 0, N * v.p, [&](Index tap, const auto& a, const auto& b, Index length) {
                    float* out = dkernel.data() + tap * v.k + first;
                    for (std::size_t run = 0; run < a.size(); run++)
                        for (Index i = 0; i < length; i++)
                            kernels_.multiply_add(a[run] + i * v.window.stride_w * v.c + first, b[run] + i * v.k + first, count, out);
                });
        });
    }
    parallel_for(v.groups * row_blocks * tap_blocks, [&](Index job) {
        const Index tap_block = job % tap_blocks, block = job / tap_blocks % row_blocks, group = job / tap_blocks / row_blocks;
        const Index first = C * block / row_blocks, rows = C * (block + 1) / row_blocks - first;
        for (Index row = 0; row < N * v.p; row += height)
            each_tap(tap_block, row, std::min(N * v.p, row + height), [&](Index tap, auto& a, auto& b, Index length) {
                for (const float*& pixel : a) pixel += group * C + first;
                for (const float*& pixel : b) pixel += group * K;
                kernels_.outer({a.data(), b.data(), Index(a.size()), length, v.window.stride_w * v.c, v.k,
                                dkernel.data() + (tap * C + first) * v.k + group * K, v.k, rows, K});
            });
    });
}

void CpuBackend::dense_grad_kernel(const Tensor& x, const Tensor& dy, Tensor& dkernel) const {
    const Index N = x.shape()[0], C = dkernel.shape()[0], K = dkernel.shape()[1], rows = 48;
    std::fill(dkernel.data(), dkernel.data() + dkernel.size(), 0.0f);
    const float* b = dy.data();
    parallel_for((C + rows - 1) / rows, N * C * K, [&](Index job) {
        const Index first = job * rows;
        const float* a = x.data() + first;
        kernels_.outer({&a, &b, 1, N, C, K, dkernel.data() + first * K, K, std::min(rows, C - first), K});
    });
}

}  // namespace limn
