// Convolutions as kernels of our own, by their definition: for those that cuDNN has no plan for. Slow, but every convolution runs.
// The kernel lies as Keras stores it: (r,s,c/groups,k).
#pragma once

#include "engine/cuda/totals.h"

namespace limn::cuda {

// ConvShape in int
struct Taps {
    int r, s, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int h, w, c, p, q, k, group_c, group_k;  // group_c: channels a group, group_k: filters a group
    LIMN_HOST_DEVICE int weight(int tap_r, int tap_s, int channel, int filter) const {
        return ((tap_r * s + tap_s) * group_c + channel) * k + filter;
    }
};

// y[n,p,q,k] = fused(bias[k] + sum over r,s,c of x[n, p*stride+r*dilation-pad, ..., c] * kernel[r,s,c,k])
struct DirectForward {
    Taps t;
    Fused fused;
    const float *x, *kernel, *bias;  // bias may be null
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const int n = i / (t.k * t.q * t.p), p = i / (t.k * t.q) % t.p, q = i / t.k % t.q, k = i % t.k;
        Sum sum;
        if (bias) sum.add(bias[k]);
        for (int r = 0; r < t.r; r++)
            for (int s = 0; s < t.s; s++) {
                const int h = p * t.stride_h + r * t.dilation_h - t.pad_top, w = q * t.stride_w + s * t.dilation_w - t.pad_left;
                if (h < 0 || w < 0 || h >= t.h || w >= t.w) continue;
                const float* pixel = x + ((n * t.h + h) * t.w + w) * t.c + k / t.group_k * t.group_c;
                for (int c = 0; c < t.group_c; c++) sum.add(pixel[c] * kernel[t.weight(r, s, c, k)]);
            }
        y[i] = fused_value(fused, sum.total());
    }
};

// dx[n,h,w,c] = fused(bias[c] + sum over r,s,k of dy[n,p,q,k] * kernel[r,s,c,k]), p and q being those whose tap (r,s) reads (h,w)
struct DirectGradInput {
    Taps t;
    Fused fused;
    const float *dy, *kernel, *bias;  // bias may be null
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const int n = i / (t.c * t.w * t.h), h = i / (t.c * t.w) % t.h, w = i / t.c % t.w, c = i % t.c, first = c / t.group_c * t.group_k;
        Sum sum;
        if (bias) sum.add(bias[c]);
        for (int r = 0; r < t.r; r++)
            for (int s = 0; s < t.s; s++) {
                const int down = h + t.pad_top - r * t.dilation_h, right = w + t.pad_left - s * t.dilation_w;
                const int p = down / t.stride_h, q = right / t.stride_w;
                if (down < 0 || right < 0 || down % t.stride_h || right % t.stride_w || p >= t.p || q >= t.q) continue;
                const float* pixel = dy + ((n * t.p + p) * t.q + q) * t.k + first;
                for (int k = 0; k < t.group_k; k++) sum.add(pixel[k] * kernel[t.weight(r, s, c % t.group_c, first + k)]);
            }
        dx[i] = fused_value(fused, sum.total());
    }
};

// dkernel[r,s,c,k] = sum over n,p,q of x[n, ..., c] * dy[n,p,q,k]
struct DirectGradKernel {
    Taps t;
    int terms;  // n * p * q
    const float *x, *dy;
    float* dkernel;
    using Total = Sum;
    LIMN_HOST_DEVICE void add(Sum& v, int output, int term) const {
        const int k = output % t.k, c = output / t.k % t.group_c, s = output / (t.k * t.group_c) % t.s,
                  r = output / (t.k * t.group_c * t.s);
        const int n = term / (t.p * t.q), p = term / t.q % t.p, q = term % t.q;
        const int h = p * t.stride_h + r * t.dilation_h - t.pad_top, w = q * t.stride_w + s * t.dilation_w - t.pad_left;
        if (h < 0 || w < 0 || h >= t.h || w >= t.w) return;
        v.add(x[((n * t.h + h) * t.w + w) * t.c + k / t.group_k * t.group_c + c] * dy[term * t.k + k]);
    }
    LIMN_HOST_DEVICE void finish(int output, const Sum& v) const { dkernel[output] = v.total(); }
};

}  // namespace limn::cuda
