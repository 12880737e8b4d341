#include "engine/cpu/backend.h"

#include <algorithm>
#include <cstring>

#include "engine/cpu/broadcast.h"
#include "engine/cpu/conv_plan.h"
#include "engine/reference/pooling.h"
#include "engine/threads.h"

namespace limn {

namespace {

constexpr Index grain = 1 << 15;  // elements a thread takes at a time: 128 KB, well above the cost of a fork

// Kernels exist for float; checks in double use the reference backend.
void expect_float(const Tensor& t) {
    LIMN_CHECK(t.dtype() == DType::f32, "the cpu backend computes in float; use the reference backend for double");
}

}  // namespace

std::unique_ptr<ConvPlan> CpuBackend::plan_conv2d(const ConvShape& shape, const ConvWeights& weights, Direction direction,
                                                  Fused fused) const {
    expect_float(weights.kernel);
    return cpu::plan_convolution({shape, weights, direction, fused, kernels_, exact_});
}

void CpuBackend::dense(const Tensor& x, const Tensor& kernel, const Tensor& bias, Fused fused, Tensor& y) const {
    // The weights stream by once, in slices of whole rows; each slice sums into a buffer of its own. How many slices
    // there are follows from the shape alone, so the sums do not depend on the number of threads or images.
    const Index N = x.shape()[0], C = kernel.shape()[0], K = kernel.shape()[1];
    const Index slices = std::clamp<Index>(C / 256, 1, 64), at_once = 8;
    std::vector<float> sums(std::size_t(slices * std::min(at_once, N) * K));
    for (Index first = 0; first < N; first += at_once) {
        const Index n = std::min(at_once, N - first);
        parallel_for(slices, n * C * K, [&](Index slice) {
            const Index begin = C * slice / slices, end = C * (slice + 1) / slices;
            kernels_.dense_rows(x.data() + first * C + begin, C, n, kernel.data() + begin * K, end - begin, K, sums.data() + slice * n * K);
        });
        parallel_ranges(n * K, 4096, [&](Index begin, Index end) {
            float* out = y.data() + first * K;
            for (Index i = begin; i < end; i++) {
                float sum = bias.empty() ? 0 : bias.data()[i % K];
                for (Index slice = 0; slice < slices; slice++) sum += sums[std::size_t(slice * n * K + i)];
                out[i] = fused_value(fused, sum);
            }
        });
    }
}

void CpuBackend::dense_grad_input(const Tensor& dy, const Tensor& kernel, Tensor& dx) const {
    const Index N = dy.shape()[0], C = kernel.shape()[0], K = kernel.shape()[1];
    const Index rows = std::max<Index>(32, grain / K), at_once = 8;
    parallel_ranges(C, rows, [&](Index begin, Index end) {
        for (Index n = 0; n < N; n += at_once)
            kernels_.dots(dy.data() + n * K, K, std::min(at_once, N - n), kernel.data() + begin * K, end - begin, K,
                          dx.data() + n * C + begin, C);
    });
}

// Both pools: for each output pixel, pointers to the pixels of its window that lie inside.
template <class Body> static void for_each_window(const Window& v, const Tensor& x, const Tensor& y, Body body) {
    const reference::PoolShape s{x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3], y.shape()[1], y.shape()[2]};
    parallel_for(s.n * s.p, [&](Index block) {
        std::vector<const float*> pixels(std::size_t(v.r * v.s));
        std::vector<std::int32_t> places(std::size_t(v.r * v.s));  // in the image
        const Index n = block / s.p, p = block % s.p;
        for (Index q = 0; q < s.q; q++) {
            const reference::Inside in = reference::inside(v, s, p, q);
            Index count = 0;
            for (Index h = in.h0; h < in.h1; h++)
                for (Index w = in.w0; w < in.w1; w++) {
                    pixels[std::size_t(count)] = x.data() + ((n * s.h + h) * s.w + w) * s.c;
                    places[std::size_t(count++)] = std::int32_t(h * s.w + w);
                }
            body(pixels.data(), places.data(), count, ((n * s.p + p) * s.q + q) * s.c);
        }
    });
}

void CpuBackend::max_pool(const Window& window, const Tensor& x, Tensor& y, Argmax* argmax) const {
    const Index C = x.shape()[3];
    if (argmax) *argmax = reference::no_winners_yet(window, x, y);
    for_each_window(window, x, y, [&](const float* const* pixels, const std::int32_t* places, Index count, Index out) {
        if (!argmax) return kernels_.maximum(pixels, count, C, y.data() + out);
        std::int32_t* winner = argmax->winners.data<std::int32_t>() + out;
        kernels_.maximum_at(pixels, places, count, C, y.data() + out, winner);
        for (Index c = 0; c < C; c++) winner[c] = std::int32_t(winner[c] * C + c);
    });
}

void CpuBackend::max_pool_grad(const Argmax& argmax, const Tensor& dy, Tensor& dx) const {
    const Index N = dy.shape()[0], out = dy.size() / std::max<Index>(1, N), in = dx.size() / std::max<Index>(1, N);
    parallel_for(N, [&](Index n) {
        const float* g = dy.data() + n * out;
        const std::int32_t* winner = argmax.winners.data<std::int32_t>() + n * out % argmax.winners.size();
        float* to = dx.data() + n * in;
        std::fill(to, to + in, 0.0f);
        for (Index i = 0; i < out; i++) to[winner[i]] += g[i];
    });
}

void CpuBackend::average_pool(const Window& window, const Tensor& x, Tensor& y) const {
    for_each_window(window, x, y, [&](const float* const* pixels, const std::int32_t*, Index count, Index out) {
        const std::vector<float> shares(std::size_t(count), 1 / float(count));
        kernels_.weighted_sum(pixels, shares.data(), count, x.shape()[3], y.data() + out);
    });
}

void CpuBackend::unary(const UnaryFn& f, const Tensor& x, Tensor& y) const {
    expect_float(x);
    parallel_ranges(x.size(), grain, [&](Index begin, Index end) {
        if (f.is_plain_relu()) return kernels_.relu(x.data() + begin, end - begin, y.data() + begin);
        if (f.kind == Unary::relu) return kernels_.any_relu(f, x.data() + begin, end - begin, y.data() + begin);
        for (Index i = begin; i < end; i++) y.data()[i] = unary_value(f, x.data()[i]);
    });
}

void CpuBackend::unary_grad(const UnaryFn& f, ReluRule rule, const Tensor& x, const Tensor& y, const Tensor& dy, Tensor& dx) const {
    parallel_ranges(dy.size() / std::max<Index>(1, y.size()), 1, [&](Index begin, Index end) {  // one target after another
        for (Index t = begin; t < end; t++)
            parallel_ranges(y.size(), grain, [&](Index first, Index last) {
                const float* g = dy.data() + t * y.size();
                float* out = dx.data() + t * y.size();
                if (f.is_plain_relu() && rule == ReluRule::plain)
                    return kernels_.relu_grad(y.data() + first, g + first, last - first, out + first);
                if (f.kind == Unary::relu) return kernels_.any_relu_grad(f, rule, x.data() + first, g + first, last - first, out + first);
                for (Index i = first; i < last; i++) out[i] = unary_gradient(f, rule, x.data()[i], y.data()[i], g[i]);
            });
    });
}

void CpuBackend::binary(Binary op, const Tensor& a, const Tensor& b, Tensor& y) const {
    if (y.dtype() != DType::f32) return ReferenceBackend::binary(op, a, b, y);
    const auto kernel = op == Binary::add        ? kernels_.add
                        : op == Binary::subtract ? kernels_.subtract
                        : op == Binary::multiply ? kernels_.multiply
                                                 : nullptr;
    if (kernel && a.shape() == y.shape() && b.shape() == y.shape())
        return parallel_ranges(y.size(), grain,
                               [&](Index begin, Index end) { kernel(a.data() + begin, b.data() + begin, end - begin, y.data() + begin); });
    if (op == Binary::multiply && a.shape() == y.shape() && b.size() == 1)
        return parallel_ranges(
            y.size(), grain, [&](Index begin, Index end) { kernels_.scale(a.data() + begin, b.data()[0], end - begin, y.data() + begin); });
    const auto with = [&](auto constant) {
        cpu::broadcast(a, b, y, [](float u, float v) { return reference::apply<float>(decltype(constant)::value, u, v); });
    };
    switch (op) {
        case Binary::add: return with(std::integral_constant<Binary, Binary::add>());
        case Binary::subtract: return with(std::integral_constant<Binary, Binary::subtract>());
        case Binary::multiply: return with(std::integral_constant<Binary, Binary::multiply>());
        case Binary::divide: return with(std::integral_constant<Binary, Binary::divide>());
        case Binary::maximum: return with(std::integral_constant<Binary, Binary::maximum>());
        case Binary::minimum: return with(std::integral_constant<Binary, Binary::minimum>());
        case Binary::equal: return with(std::integral_constant<Binary, Binary::equal>());
        case Binary::greater_equal: return with(std::integral_constant<Binary, Binary::greater_equal>());
    }
}

void CpuBackend::affine(const Tensor& x, const Tensor& mean, const Tensor& scale, const Tensor& shift, Tensor& y) const {
    const Index C = scale.size(), rows = std::max<Index>(1, grain / C);
    LIMN_CHECK(x.size() % C == 0, "{} channels are scaled, {} has others", C, x.shape().str());
    const std::vector<float> zeros(std::size_t(C), 0.0f);
    const float *m = mean.empty() ? zeros.data() : mean.data(), *b = shift.empty() ? zeros.data() : shift.data();
    parallel_ranges(x.size() / C, rows, [&](Index begin, Index end) {
        for (Index i = begin; i < end; i++) kernels_.affine(x.data() + i * C, m, scale.data(), b, C, y.data() + i * C);
    });
}

void CpuBackend::softmax(const Tensor& x, Tensor& y) const {
    const Index C = x.shape()[-1];
    parallel_ranges(x.size() / C, std::max<Index>(1, 4096 / C),
                    [&](Index begin, Index end) { reference::softmax(end - begin, C, x.data() + begin * C, y.data() + begin * C); });
}

void CpuBackend::resize(Interpolation mode, const Tensor& x, Tensor& y) const {
    const Index h = x.shape()[1], w = x.shape()[2], C = x.shape()[3], p = y.shape()[1], q = y.shape()[2];
    std::vector<reference::Blend> columns;
    for (Index column = 0; column < q; column++) columns.push_back(reference::blend(mode, column, w, q));
    parallel_for(x.shape()[0] * p, [&](Index block) {
        const reference::Blend v = reference::blend(mode, block % p, h, p);
        const float* image = x.data() + block / p * h * w * C;
        for (Index column = 0; column < q; column++) {
            const reference::Blend& u = columns[std::size_t(column)];
            const float* const corners[] = {image + (v.low * w + u.low) * C, image + (v.low * w + u.high) * C,
                                            image + (v.high * w + u.low) * C, image + (v.high * w + u.high) * C};
            const float weights[] = {float(v.a * u.a), float(v.a * u.b), float(v.b * u.a), float(v.b * u.b)};
            float* out = y.data() + (block * q + column) * C;
            if (C < 8)  // a map: less than the kernel's call would cost
                for (Index c = 0; c < C; c++)
                    out[c] = mode == Interpolation::nearest ? corners[0][c]
                                                            : corners[0][c] * weights[0] + corners[1][c] * weights[1] +
                                                                  corners[2][c] * weights[2] + corners[3][c] * weights[3];
            else
                kernels_.weighted_sum(corners, weights, mode == Interpolation::nearest ? 1 : 4, C, out);
        }
    });
}

void CpuBackend::copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) const {
    // Whole runs of the last axis at a time; an axis that is taken whole joins the one before it.
    const int rank = box.rank();
    if (rank < 2 || x.dtype() != DType::f32) return ReferenceBackend::copy_box(x, from, box, y, to);
    if (rank > 2 && box[-1] == x.shape()[-1] && box[-1] == y.shape()[-1]) {
        const auto joined = [&](const Shape& s, bool place) {
            Shape shorter = s.without(rank - 1);
            shorter[-1] = place ? s[-2] * box[-1] : s[-2] * s[-1];
            return shorter;
        };
        Tensor target = y.reshaped(joined(y.shape(), false));
        return copy_box(x.reshaped(joined(x.shape(), false)), joined(from, true), joined(box, true), target, joined(to, true));
    }
    const Index run = box[-1], runs = run ? box.size() / run : 0;
    parallel_ranges(runs, std::max<Index>(1, grain / std::max<Index>(1, run)), [&](Index begin, Index end) {
        for (Index i = begin; i < end; i++) {
            Index rest = i, x_at = from[-1], y_at = to[-1], x_step = x.shape()[-1], y_step = y.shape()[-1];
            for (int axis = rank - 2; axis >= 0; axis--) {
                const Index at = rest % box[axis];
                rest /= box[axis];
                x_at += (from[axis] + at) * x_step, y_at += (to[axis] + at) * y_step;
                x_step *= x.shape()[axis], y_step *= y.shape()[axis];
            }
            std::memcpy(y.data() + y_at, x.data() + x_at, std::size_t(run) * sizeof(float));
        }
    });
}

const Backend& cpu_backend() {
    static const CpuBackend backend(cpu::best_kernels());
    return backend;
}

}  // namespace limn
