// Pooling, resizing and softmax as the loops of their definitions.
#pragma once

#include <algorithm>
#include <cmath>

#include "engine/backend.h"

namespace limn::reference {

struct PoolShape {
    Index n, h, w, c, p, q;
};

// The part of a window that lies inside the plane: rows h0..h1 and columns w0..w1 (last excluded), step = dilation.
struct Inside {
    Index h0, h1, w0, w1;
};
inline Inside inside(const Window& v, const PoolShape& s, Index p, Index q) {
    const Index top = p * v.stride_h - v.pad_top, left = q * v.stride_w - v.pad_left;
    return {std::max<Index>(0, top), std::min(s.h, top + v.r), std::max<Index>(0, left), std::min(s.w, left + v.s)};
}

// Winners are counted in 32 bits within each image.
inline Backend::Argmax no_winners_yet(const Window& window, const Tensor& x, const Tensor& y) {
    LIMN_CHECK(x.size() / std::max<Index>(1, x.shape()[0]) < Index(1) << 31, "{} is too large for a max pool to be walked back",
               x.shape().str());
    return {window, Tensor(y.shape(), DType::i32)};
}

// y[n,p,q,c] = max of x over the window. A NaN in the window wins, so that it is seen and not lost.
template <class T> void max_pool(const Window& v, const PoolShape& s, const T* x, T* y, std::int32_t* argmax) {
    for (Index n = 0; n < s.n; n++)
        for (Index p = 0; p < s.p; p++)
            for (Index q = 0; q < s.q; q++) {
                const Inside in = inside(v, s, p, q);
                for (Index c = 0; c < s.c; c++) {
                    Index best = (in.h0 * s.w + in.w0) * s.c + c;
                    const T* plane = x + n * s.h * s.w * s.c;
                    for (Index h = in.h0; h < in.h1; h++)
                        for (Index w = in.w0; w < in.w1; w++) {
                            const Index i = (h * s.w + w) * s.c + c;
                            if (plane[i] > plane[best] || (std::isnan(plane[i]) && !std::isnan(plane[best]))) best = i;
                        }
                    const Index out = ((n * s.p + p) * s.q + q) * s.c + c;
                    y[out] = plane[best];
                    if (argmax) argmax[out] = static_cast<std::int32_t>(best);
                }
            }
}

// dx[n, argmax[n,p,q,c]] += dy[n,p,q,c]
template <class T> void max_pool_grad(const PoolShape& s, std::span<const std::int32_t> argmax, const T* dy, T* dx) {
    const Index plane = s.h * s.w * s.c, outputs = s.p * s.q * s.c;
    std::fill(dx, dx + s.n * plane, T(0));
    for (Index n = 0; n < s.n; n++)
        for (Index i = 0; i < outputs; i++) dx[n * plane + argmax[std::size_t(n * outputs + i) % argmax.size()]] += dy[n * outputs + i];
}

// y[n,p,q,c] = mean of x over the part of the window inside the plane
template <class T> void average_pool(const Window& v, const PoolShape& s, const T* x, T* y) {
    for (Index n = 0; n < s.n; n++)
        for (Index p = 0; p < s.p; p++)
            for (Index q = 0; q < s.q; q++) {
                const Inside in = inside(v, s, p, q);
                for (Index c = 0; c < s.c; c++) {
                    double sum = 0;
                    for (Index h = in.h0; h < in.h1; h++)
                        for (Index w = in.w0; w < in.w1; w++) sum += double(x[((n * s.h + h) * s.w + w) * s.c + c]);
                    y[((n * s.p + p) * s.q + q) * s.c + c] = T(sum / double((in.h1 - in.h0) * (in.w1 - in.w0)));
                }
            }
}

template <class T> void average_pool_grad(const Window& v, const PoolShape& s, const T* dy, T* dx) {
    std::fill(dx, dx + s.n * s.h * s.w * s.c, T(0));
    for (Index n = 0; n < s.n; n++)
        for (Index p = 0; p < s.p; p++)
            for (Index q = 0; q < s.q; q++) {
                const Inside in = inside(v, s, p, q);
                for (Index h = in.h0; h < in.h1; h++)
                    for (Index w = in.w0; w < in.w1; w++)
                        for (Index c = 0; c < s.c; c++)
                            dx[((n * s.h + h) * s.w + w) * s.c + c] +=
                                dy[((n * s.p + p) * s.q + q) * s.c + c] / T((in.h1 - in.h0) * (in.w1 - in.w0));
            }
}

// Where output i of `out` along an axis of `in` reads: a*x[low] + b*x[high].
struct Blend {
    Index low, high;
    double a, b;
};
inline Blend blend(Interpolation mode, Index i, Index in, Index out) {
    const double at = (double(i) + 0.5) * double(in) / double(out);
    if (mode == Interpolation::nearest) {
        const Index nearest = std::min(in - 1, static_cast<Index>(at));
        return {nearest, nearest, 1, 0};
    }
    const double position = std::max(0.0, at - 0.5);
    const Index low = std::min(in - 1, static_cast<Index>(position));
    const double fraction = low == in - 1 ? 0 : position - double(low);
    return {low, std::min(in - 1, low + 1), 1 - fraction, fraction};
}

// y[n,p,q,c] = sum of the (up to) four pixels around its place, weighted by nearness
template <class T> void resize(Interpolation mode, const PoolShape& s, const T* x, T* y) {
    for (Index n = 0; n < s.n; n++)
        for (Index p = 0; p < s.p; p++)
            for (Index q = 0; q < s.q; q++) {
                const Blend v = blend(mode, p, s.h, s.p), u = blend(mode, q, s.w, s.q);
                const T* image = x + n * s.h * s.w * s.c;
                for (Index c = 0; c < s.c; c++)
                    y[((n * s.p + p) * s.q + q) * s.c + c] = T(v.a * (u.a * double(image[(v.low * s.w + u.low) * s.c + c]) +
                                                                      u.b * double(image[(v.low * s.w + u.high) * s.c + c])) +
                                                               v.b * (u.a * double(image[(v.high * s.w + u.low) * s.c + c]) +
                                                                      u.b * double(image[(v.high * s.w + u.high) * s.c + c])));
            }
}

template <class T> void resize_grad(Interpolation mode, const PoolShape& s, const T* dy, T* dx) {
    std::fill(dx, dx + s.n * s.h * s.w * s.c, T(0));
    for (Index n = 0; n < s.n; n++)
        for (Index p = 0; p < s.p; p++)
            for (Index q = 0; q < s.q; q++) {
                const Blend v = blend(mode, p, s.h, s.p), u = blend(mode, q, s.w, s.q);
                T* image = dx + n * s.h * s.w * s.c;
                for (Index c = 0; c < s.c; c++) {
                    const double g = double(dy[((n * s.p + p) * s.q + q) * s.c + c]);
                    image[(v.low * s.w + u.low) * s.c + c] += T(v.a * u.a * g);
                    image[(v.low * s.w + u.high) * s.c + c] += T(v.a * u.b * g);
                    image[(v.high * s.w + u.low) * s.c + c] += T(v.b * u.a * g);
                    image[(v.high * s.w + u.high) * s.c + c] += T(v.b * u.b * g);
                }
            }
}

// y_i = exp(x_i - max) / sum_j exp(x_j - max), for each row of C numbers
template <class T> void softmax(Index rows, Index C, const T* x, T* y) {
    for (Index r = 0; r < rows; r++, x += C, y += C) {
        const T top = *std::max_element(x, x + C);
        double sum = 0;
        for (Index c = 0; c < C; c++) sum += double(y[c] = std::exp(x[c] - top));
        for (Index c = 0; c < C; c++) y[c] = T(double(y[c]) / sum);
    }
}

// dx_i = y_i * (dy_i - sum_j y_j dy_j)
template <class T> void softmax_grad(Index rows, Index saved_rows, Index C, const T* y, const T* dy, T* dx) {
    for (Index r = 0; r < rows; r++, dy += C, dx += C) {
        const T* row = y + r % saved_rows * C;
        double dot = 0;
        for (Index c = 0; c < C; c++) dot += double(row[c]) * double(dy[c]);
        for (Index c = 0; c < C; c++) dx[c] = T(double(row[c]) * (double(dy[c]) - dot));
    }
}

}  // namespace limn::reference
