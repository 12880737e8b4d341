// Convolution and dense layers as the loops of their definitions. Sums run in double, so this is the truth the fast
// kernels are measured against.
#pragma once

#include "engine/backend.h"

namespace limn::reference {

// Calls body(p, q, h, w) for every place where tap (r,s) of an output falls inside the input plane.
template <class Body> void for_each_tap(const Window& window, Index r, Index s, Index P, Index Q, Index H, Index W, Body body) {
    for (Index p = 0; p < P; p++)
        for (Index q = 0; q < Q; q++) {
            const Index h = p * window.stride_h + r * window.dilation_h - window.pad_top;
            const Index w = q * window.stride_w + s * window.dilation_w - window.pad_left;
            if (h >= 0 && h < H && w >= 0 && w < W) body(p, q, h, w);
        }
}

// y[n,p,q,k] = fused(bias[k] + sum_{r,s,c} x[n,h(p,r),w(q,s),g*C+c] * kernel[r,s,c,k]),  g = k / (K/groups)
template <class T> void conv2d(const ConvShape& v, const T* kernel, const T* bias, Fused fused, Index N, const T* x, T* y) {
    const Index C = v.c / v.groups, K = v.k / v.groups;
    std::vector<double> sum(static_cast<std::size_t>(v.p * v.q * v.k));
    for (Index n = 0; n < N; n++) {
        for (std::size_t i = 0; i < sum.size(); i++) sum[i] = bias ? double(bias[Index(i) % v.k]) : 0;
        for (Index r = 0; r < v.window.r; r++)
            for (Index s = 0; s < v.window.s; s++)
                for_each_tap(v.window, r, s, v.p, v.q, v.h, v.w, [&](Index p, Index q, Index h, Index w) {
                    const T* pixel = x + ((n * v.h + h) * v.w + w) * v.c;
                    double* out = sum.data() + (p * v.q + q) * v.k;
                    for (Index k = 0; k < v.k; k++)
                        for (Index c = 0; c < C; c++)
                            out[k] += double(pixel[k / K * C + c]) * double(kernel[((r * v.window.s + s) * C + c) * v.k + k]);
                });
        for (std::size_t i = 0; i < sum.size(); i++) y[n * Index(sum.size()) + Index(i)] = T(fused_value(fused, sum[i]));
    }
}

// dx[n,h,w,g*C+c] = bias[c] + sum over the (p,q,r,s) that read (h,w), and k of group g, of dy[n,p,q,k] * kernel[r,s,c,k]
template <class T> void conv2d_grad_input(const ConvShape& v, const T* kernel, const T* bias, Fused fused, Index N, const T* dy, T* dx) {
    const Index C = v.c / v.groups, K = v.k / v.groups;
    std::vector<double> sum(static_cast<std::size_t>(v.h * v.w * v.c));
    for (Index n = 0; n < N; n++) {
        for (std::size_t i = 0; i < sum.size(); i++) sum[i] = bias ? double(bias[Index(i) % v.c]) : 0;
        for (Index r = 0; r < v.window.r; r++)
            for (Index s = 0; s < v.window.s; s++)
                for_each_tap(v.window, r, s, v.p, v.q, v.h, v.w, [&](Index p, Index q, Index h, Index w) {
                    const T* out = dy + ((n * v.p + p) * v.q + q) * v.k;
                    double* pixel = sum.data() + (h * v.w + w) * v.c;
                    for (Index k = 0; k < v.k; k++)
                        for (Index c = 0; c < C; c++)
                            pixel[k / K * C + c] += double(out[k]) * double(kernel[((r * v.window.s + s) * C + c) * v.k + k]);
                });
        for (std::size_t i = 0; i < sum.size(); i++) dx[n * Index(sum.size()) + Index(i)] = T(fused_value(fused, sum[i]));
    }
}

// dkernel[r,s,c,k] = sum_{n,p,q} x[n,h(p,r),w(q,s),g*C+c] * dy[n,p,q,k]
template <class T> void conv2d_grad_kernel(const ConvShape& v, Index N, const T* x, const T* dy, T* dkernel) {
    const Index C = v.c / v.groups, K = v.k / v.groups;
    std::vector<double> sum(static_cast<std::size_t>(v.window.r * v.window.s * C * v.k));
    for (Index n = 0; n < N; n++)
        for (Index r = 0; r < v.window.r; r++)
            for (Index s = 0; s < v.window.s; s++)
                for_each_tap(v.window, r, s, v.p, v.q, v.h, v.w, [&](Index p, Index q, Index h, Index w) {
                    const T* pixel = x + ((n * v.h + h) * v.w + w) * v.c;
                    const T* out = dy + ((n * v.p + p) * v.q + q) * v.k;
                    double* taps = sum.data() + (r * v.window.s + s) * C * v.k;
                    for (Index k = 0; k < v.k; k++)
                        for (Index c = 0; c < C; c++) taps[c * v.k + k] += double(pixel[k / K * C + c]) * double(out[k]);
                });
    for (std::size_t i = 0; i < sum.size(); i++) dkernel[i] = T(sum[i]);
}

// y[n,k] = fused(bias[k] + sum_c x[n,c] * kernel[c,k])
template <class T> void dense(Index N, Index C, Index K, const T* x, const T* kernel, const T* bias, Fused fused, T* y) {
    std::vector<double> sum(static_cast<std::size_t>(K));
    for (Index n = 0; n < N; n++) {
        for (Index k = 0; k < K; k++) sum[k] = bias ? double(bias[k]) : 0;
        for (Index c = 0; c < C; c++)
            for (Index k = 0; k < K; k++) sum[k] += double(x[n * C + c]) * double(kernel[c * K + k]);
        for (Index k = 0; k < K; k++) y[n * K + k] = T(fused_value(fused, sum[k]));
    }
}

// dx[n,c] = sum_k dy[n,k] * kernel[c,k]
template <class T> void dense_grad_input(Index N, Index C, Index K, const T* dy, const T* kernel, T* dx) {
    for (Index n = 0; n < N; n++)
        for (Index c = 0; c < C; c++) {
            double sum = 0;
            for (Index k = 0; k < K; k++) sum += double(dy[n * K + k]) * double(kernel[c * K + k]);
            dx[n * C + c] = T(sum);
        }
}

// dkernel[c,k] = sum_n x[n,c] * dy[n,k]
template <class T> void dense_grad_kernel(Index N, Index C, Index K, const T* x, const T* dy, T* dkernel) {
    for (Index c = 0; c < C; c++)
        for (Index k = 0; k < K; k++) {
            double sum = 0;
            for (Index n = 0; n < N; n++) sum += double(x[n * C + c]) * double(dy[n * K + k]);
            dkernel[c * K + k] = T(sum);
        }
}

}  // namespace limn::reference
