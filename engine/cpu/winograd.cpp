// Winograd's convolution (Lavin & Gray 2015) for 3x3 kernels of stride 1: a tile of 4x4 outputs costs 36 multiplications for each
// pair of channels where the definition needs 144. Its price: transforms of tiles and weights, and some digits: about 1e-6 of a
// layer's largest value where the definition loses 3e-7. One number that is not finite spreads over its whole tile.
//
// The matrices of F(m x m, 3x3) follow from polynomial interpolation (Toom-Cook) at m+1 points and infinity. Both sets of points are
// chosen for small errors: 1/sqrt(2) and sqrt(2) lose less than half as much as 1 and 2.
#include "engine/cpu/conv_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "engine/threads.h"

namespace limn::cpu {

namespace {

// The problem as planes that are read and written, in either direction.
WinogradPlane plane_of(const ConvProblem& p) {
    const ConvShape& v = p.shape;
    if (p.forward()) return {v.h, v.w, v.c, v.p, v.q, v.k, v.window.pad_top, v.window.pad_left};
    return {v.p, v.q, v.k, v.h, v.w, v.c, 2 - v.window.pad_top, 2 - v.window.pad_left};
}

// What F(m x m, 3x3) costs an image for each pair of channels: its multiplications, the padding of tiles at the edges included, and
// reading its weights from memory. (A core does about 16 multiplications while memory delivers it one number.)
constexpr Index per_weight = 16;
Index cost(const WinogradPlane& plane, Index m) { return (plane.rows(m) * plane.columns(m) + per_weight) * (m + 2) * (m + 2); }

// Interpolation points; the last one is infinity.
template <int M> struct Points;
template <> struct Points<2> { static constexpr double at[3] = {0, 1, -1}; };
template <> struct Points<4> { static constexpr double a = 0.70710678118654752440, at[5] = {0, a, -a, 2 * a, -2 * a}; };

// G (M+2, 3): row i evaluates the kernel's polynomial g0 + g1 x + g2 x^2 at point i, divided by the product of the point's
// distances to the others (Lagrange); the last row is its leading coefficient.
template <int M> struct KernelTransform {
    double rows[M + 2][3] = {};
    KernelTransform() {
        for (int i = 0; i <= M; i++) {
            const double p = Points<M>::at[i];
            double distance = 1;
            for (int j = 0; j <= M; j++)
                if (j != i) distance *= p - Points<M>::at[j];
            for (int r = 0; r < 3; r++) rows[i][r] = std::pow(p, r) / distance;
        }
        rows[M + 1][2] = 1;
    }
};

// The points' streams must not fall on the same lines of the first-level cache: an odd multiple of 64 bytes past each 4 KB.
Index apart(Index floats) { return (floats + 1023) / 1024 * 1024 + 16; }

// Working memory of this thread, kept for the next layer.
template <int which> float* scratch(Index floats) {
    thread_local std::vector<float> kept;
    if (Index(kept.size()) < floats) kept = std::vector<float>(std::size_t(floats));
    return kept.data();
}

template <int M> class Winograd : public ConvPlan {
    static constexpr Index points = (M + 2) * (M + 2);

public:
    explicit Winograd(const ConvProblem& p)
        : kernels_(p.kernels), transforms_(M == 2 ? p.kernels.winograd2 : p.kernels.winograd4), plane_(plane_of(p)),
          columns_(p.kernels.tile_columns), panels_((plane_.k + columns_ - 1) / columns_), channels_(plane_.channels()), fused_(p.fused) {
        weights_ =
            packed_once(p.weights, algorithm() + (p.forward() ? " forward " : " grad ") + kernels_.isa, [&] { return transformed(p); });
        bias_ = panels_of_bias(p);
    }
    std::string algorithm() const override { return M == 2 ? "winograd F(2,3)" : "winograd F(4,3)"; }

    Cost cost() const override {
        const double pairs = double(plane_.c) * double(plane_.k), tiles = double(plane_.rows(M) * plane_.columns(M));
        return {9 * pairs * double(plane_.p * plane_.q), tiles * points * double(channels_) * double(panels_ * columns_),
                double(weights_.size()) * sizeof(float)};
    }
    bool pools() const override { return fused_ == Fused::relu_max_pool; }

    void run(const Tensor& x, Tensor& y) const override {
        const Index tiles = x.shape()[0] * plane_.rows(M) * plane_.columns(M);
        if (tiles == 0) return;
        const Index weight_bytes = points * channels_ * panels_ * columns_ * Index(sizeof(float));
        constexpr Index most_own = 28, most_shared = 98, own_bytes = Index(2) << 20;
        // Small weights: each thread takes blocks of tiles through all steps, in its own second-level cache. Large ones: all threads
        // transform a block together, then share out the panels, so that the weights are read once for each block.
        const bool own = weight_bytes <= own_bytes;
        const Index most = own ? most_own : most_shared, blocks = (tiles + most - 1) / most, height = (tiles + blocks - 1) / blocks;
        const Index v_step = apart(channels_ * height), m_step = apart(columns_ * height);
        if (own)
            return parallel_for(blocks, [&](Index block) {
                const Index first = block * height, count = std::min(height, tiles - first);
                if (count <= 0) return;
                float *v = scratch<0>(points * v_step), *m = scratch<1>(points * m_step);
                transforms_.input(plane_, x.data(), first, 0, count, count, v, v_step);
                for (Index panel = 0; panel < panels_; panel++) compute(panel, first, count, v, v_step, m, m_step, y);
            });
        float* v = scratch<0>(points * v_step);
        for (Index first = 0; first < tiles; first += height) {
            const Index count = std::min(height, tiles - first), pieces = std::min<Index>(count, 16);
            parallel_for(pieces, [&](Index i) {
                transforms_.input(plane_, x.data(), first, count * i / pieces, count * (i + 1) / pieces, count, v, v_step);
            });
            parallel_for(panels_, [&](Index panel) { compute(panel, first, count, v, v_step, scratch<1>(points * m_step), m_step, y); });
        }
    }

private:
    void compute(Index panel, Index first, Index count, const float* v, Index v_step, float* m, Index m_step, Tensor& y) const {
        const Index size = channels_ * columns_;
        const float* u = weights_.data() + panel * points * size;
        for (Index i = 0; i < points; i++, u += size)
            kernels_.winograd_products(count, v + i * v_step, u, channels_, m + i * m_step,
                                       panel * points + i + 1 < panels_ * points ? u + size : u);
        transforms_.output(plane_, m, m_step, first, count, bias_.empty() ? nullptr : bias_.data() + panel * columns_, fused_,
                           panel * columns_, y.data());
    }

    // [panel][point][in channel][column]; channels and columns that do not exist are zero
    Tensor transformed(const ConvProblem& p) const {
        static const KernelTransform<M> G;
        Tensor out({panels_, points, channels_, columns_});
        const float* kernel = p.weights.kernel.data();  // (3,3,C,K)
        const Index C = p.shape.c, K = p.shape.k;
        parallel_for(panels_, [&](Index panel) {
            const Index first = panel * columns_, count = std::min(columns_, plane_.k - first);
            std::array<float, 9 * 32> g{};
            for (Index c = 0; c < plane_.c; c++) {
                for (Index tap = 0; tap < 9; tap++) {
                    float* to = g.data() + tap * columns_;
                    if (p.forward())
                        std::copy_n(kernel + (tap * C + c) * K + first, count, to);
                    else  // taps the other way round, channels exchanged
                        for (Index j = 0; j < count; j++) to[j] = kernel[((8 - tap) * C + first + j) * K + c];
                }
                transforms_.kernel(G.rows, g.data(), out.data() + (panel * points * channels_ + c) * columns_, channels_ * columns_);
            }
            for (Index i = 0; i < points; i++)
                std::fill_n(out.data() + ((panel * points + i) * channels_ + plane_.c) * columns_, (channels_ - plane_.c) * columns_, 0.0f);
        });
        return out;
    }

    const Kernels& kernels_;
    const WinogradKernels& transforms_;
    WinogradPlane plane_;
    Index columns_, panels_, channels_;
    Fused fused_;
    Tensor weights_;
    std::vector<float> bias_;
};

std::string refuse(const ConvProblem& p, Index m) {
    const Window& w = p.shape.window;
    if (p.exact) return "exact sums are asked for";
    if (w.r != 3 || w.s != 3) return "its kernel is not 3x3";
    if (w.stride_h != 1 || w.stride_w != 1) return "it has strides";
    if (w.dilation_h != 1 || w.dilation_w != 1) return "it is dilated";
    if (p.shape.groups != 1) return "it has groups";
    if (p.in_channels() < 16 || p.out_channels() < 16) return "too few channels: the transforms would cost more than they save";
    const WinogradPlane plane = plane_of(p);
    const Index mine = cost(plane, m), other = cost(plane, 6 - m), direct = 9 * plane.p * plane.q + 9 * per_weight;
    if (10 * mine >= 9 * direct)
        return "its plane is too small: tiles would be padding, and more weights read for it than multiplications saved";
    if (m == 4 && other <= mine) return "F(2,3) is cheaper on so small a plane: it has less than half the weights to read";
    return "";
}

}  // namespace

std::string refuse_winograd2(const ConvProblem& p) { return refuse(p, 2); }
std::string refuse_winograd4(const ConvProblem& p) { return refuse(p, 4); }
std::unique_ptr<ConvPlan> plan_winograd2(const ConvProblem& p) { return std::make_unique<Winograd<2>>(p); }
std::unique_ptr<ConvPlan> plan_winograd4(const ConvProblem& p) { return std::make_unique<Winograd<4>>(p); }

}  // namespace limn::cpu
