// The inner loops of the cpu backend, once for each instruction set.
//
// The same text (vec.h, tiles.h, loops.h) is compiled three times, into the namespaces baseline, avx2 and avx512, each
// inside a region of the file that may use those instructions. At run time one table of functions is chosen: the best
// this processor has, or what LIMN_ISA names. Nothing above engine/cpu knows about it.
#pragma once

#include <cstdint>

#include "engine/backend.h"

namespace limn::cpu {

// y[m][j] = fused(bias[j] + sum over taps t and channels c of pixels[t][m][c] * weights[tap_ids[t]][c][j])
struct TileJob {
    const float* const* pixels;  // [taps][tile rows]: where tap t of pixel m starts; never null
    const Index* tap_ids;        // which of the packed weights belongs to tap t
    Index taps, channels;
    const float* weights;  // a panel: [all taps][channels][tile columns]
    const float* bias;     // [tile columns] or null
    Fused fused;
    float* const* y;    // [tile rows]: where the first channel of pixel m's results goes
    Index y_offset;     // this panel's first channel
    int rows, columns;  // how many of the tile are real
};

// y[m][j] = fused(bias[j] + sum over t and c of x[m*x_step + t*x_tap + c] * weights[t][c][j])
struct ProductJob {
    const float* x;
    Index x_step, rows, taps, x_tap, depth;
    const float* weights;  // a panel: [taps][depth][tile columns]
    const float* bias;     // [tile columns] or null
    Fused fused;
    float* y;
    Index y_step, columns;  // half a panel's columns, or all
};

// y[i][c] = fused(bias[c] + sum over r, s of x[r*x_row + s*x_column + i*x_pixel + c] * weights[r*w_row + s*w_column + c]) for pixels i
// side by side that have the same taps
struct DepthwiseJob {
    const float* x;
    Index x_row, x_column, x_pixel;
    const float* weights;
    Index w_row, w_column, r, s;
    const float* bias;  // or null
    Fused fused;
    Index pixels, channels;
    float* y;
};

// out[m][j] += sum over runs and i < length of a[run][i*a_step + m] * b[run][i*b_step + j]: what a kernel's gradient sums
struct OuterJob {
    const float *const *a, *const *b;  // [runs]: where each run of pixels starts
    Index runs, length, a_step, b_step;
    float* out;
    Index out_step, rows, columns;
};

// A Winograd convolution's planes: x (N,h,w,c) -> y (N,p,q,k), or y (N,p/2,q/2,k) where the 2x2 max pool is done at once. Tiles of
// m x m outputs are numbered image by image, row by row.
struct WinogradPlane {
    static constexpr Index channel_block = 16;  // input channels are padded to a multiple: one line of the caches
    Index h, w, c, p, q, k, pad_top, pad_left;
    Index channels() const { return (c + channel_block - 1) / channel_block * channel_block; }
    struct Tile {
        Index n, p, q;  // its first output
    };
    Index rows(Index m) const { return (p + m - 1) / m; }
    Index columns(Index m) const { return (q + m - 1) / m; }
    Tile tile(Index t, Index m) const {
        const Index across = columns(m), each = rows(m) * across;
        return {t / each, t % each / across * m, t % across * m};
    }
};

// The transforms of F(m x m, 3x3), documented in winograd_tiles.h.
struct WinogradKernels {
    void (*input)(const WinogradPlane&, const float* x, Index block, Index first, Index last, Index tiles, float* v, Index v_step);
    void (*output)(const WinogradPlane&, const float* m, Index m_step, Index block, Index tiles, const float* bias, Fused, Index k,
                   float* y);
    void (*kernel)(const double (*G)[3], const float* g, float* u, Index u_step);
};

struct Kernels {
    const char* isa;
    int tile_rows, tile_columns;
    void (*tile)(const TileJob&);
    void (*product)(const ProductJob&);
    void (*depthwise)(const DepthwiseJob&);
    // y[n][k] = sum_{c < depth} x[n][c] * w[c][k] for up to 8 rows n: whole rows of w stream by, 8 at a time
    void (*dense_rows)(const float* x, Index x_step, Index n, const float* w, Index depth, Index k, float* y);
    // y[n*y_step + c] = sum_k x[n][k] * w[c][k] for up to 8 rows n and all rows c
    void (*dots)(const float* x, Index x_step, Index n, const float* w, Index rows, Index k, float* y, Index y_step);
    void (*outer)(const OuterJob&);
    void (*relu)(const float* x, Index size, float* y);
    void (*relu_grad)(const float* y, const float* dy, Index size, float* dx);
    void (*any_relu)(const UnaryFn&, const float* x, Index size, float* y);
    void (*any_relu_grad)(const UnaryFn&, ReluRule, const float* x, const float* dy, Index size, float* dx);
    void (*add)(const float* a, const float* b, Index size, float* y);
    void (*subtract)(const float* a, const float* b, Index size, float* y);
    void (*multiply)(const float* a, const float* b, Index size, float* y);
    void (*scale)(const float* x, float factor, Index size, float* y);
    void (*affine)(const float* x, const float* mean, const float* scale, const float* shift, Index size, float* y);
    void (*maximum)(const float* const* x, Index count, Index size, float* y);  // of `count` rows; a NaN wins
    // the same, and which row won (the first of equals), as ids[row]
    void (*maximum_at)(const float* const* x, const std::int32_t* ids, Index count, Index size, float* y, std::int32_t* winner);
    void (*weighted_sum)(const float* const* x, const float* factors, Index count, Index size, float* y);  // of `count` rows
    // sum[c] = sum over rows of x; of (x - mean)^2; of dy * (x - mean)
    void (*sum_rows)(const float* x, Index rows, Index c, float* sum);
    void (*sum_squares)(const float* x, const float* mean, Index rows, Index c, float* sum);
    void (*sum_products)(const float* dy, const float* x, const float* mean, Index rows, Index c, float* sum);
    // dx[c] = a[c] * dy[c] + b[c] * (x[c] - mean[c]) + shift[c]
    void (*blend)(const float* dy, const float* x, const float* mean, const float* a, const float* b, const float* shift, Index c,
                  float* dx);
    void (*multiply_add)(const float* a, const float* b, Index size, float* y);  // y += a * b
    WinogradKernels winograd2, winograd4;                                        // F(2x2,3x3) and F(4x4,3x3)
    float (*multiply_adds_only)(Index rounds);  // nothing else, in registers, to measure the peak: multiply_adds_each a round
    int multiply_adds_each;
    void (*winograd_products)(Index tiles, const float* v, const float* u, Index channels, float* m, const float* next);
};

namespace baseline {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}

// The best table for this processor; LIMN_ISA=baseline|avx2|avx512 asks for another one (an Error if it cannot run here).
const Kernels& best_kernels();
std::vector<const Kernels*> runnable_kernels();  // all that can run here, for tests

}  // namespace limn::cpu
