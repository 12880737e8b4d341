// Kernels that add up, and those that use what they found.
//
// A *total* adds up terms for each output: 256 lanes take every 256th term each, add(value, output, term), then halves are merged, then
// finish(output, total). The order, and so every bit, is the same on any GPU and on the host.
#pragma once

#include "engine/cuda/kernels.h"

namespace limn::cuda {

// ---- along axes

template <class Value> struct ReduceTotal {
    Steps kept, reduced;  // where an output's terms begin in x; where each term lies from there
    int terms;
    const float* x;
    float scale;
    float* y;
    using Total = Value;
    LIMN_HOST_DEVICE void add(Value& v, int output, int term) const { v.add(x[kept(output).a + reduced(term).a]); }
    LIMN_HOST_DEVICE void finish(int output, const Value& v) const { y[output] = v.total() * scale; }
};

// sum of exp(x - top) of a row, and then the row
struct ExponentialsTotal {
    int terms;
    const float *x, *top;
    float* sum;
    using Total = Sum;
    LIMN_HOST_DEVICE void add(Sum& v, int row, int c) const { v.add(std::exp(x[row * terms + c] - top[row])); }
    LIMN_HOST_DEVICE void finish(int row, const Sum& v) const { sum[row] = v.total(); }
};
struct SoftmaxKernel {
    int channels;
    const float *x, *top, *sum;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const { y[i] = std::exp(x[i] - top[i / channels]) / sum[i / channels]; }
};

// sum of y * dy of a row, and then dx = y * (dy - that)
struct RowProductsTotal {
    int terms, saved;  // elements of y: several targets read them again
    const float *y, *dy;
    float* sum;
    using Total = Sum;
    LIMN_HOST_DEVICE void add(Sum& v, int row, int c) const { v.add(y[(row * terms + c) % saved] * dy[row * terms + c]); }
    LIMN_HOST_DEVICE void finish(int row, const Sum& v) const { sum[row] = v.total(); }
};
struct SoftmaxGradKernel {
    int channels, saved;
    const float *y, *dy, *sum;
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const { dx[i] = y[i % saved] * (dy[i] - sum[i / channels]); }
};

// ---- maps

// an output is a pixel of map m, a term a channel
struct ChannelDotTotal {
    int terms, images, pixels, weight_pixels;  // weight_pixels: as many, or 1
    const float *x, *weights;
    float* y;
    using Total = Sum;
    LIMN_HOST_DEVICE void add(Sum& v, int output, int c) const {
        const int m = output / pixels, pixel = output % pixels;
        v.add(x[((m % images) * pixels + pixel) * terms + c] * weights[(m * weight_pixels + pixel % weight_pixels) * terms + c]);
    }
    LIMN_HOST_DEVICE void finish(int output, const Sum& v) const { y[output] = v.total(); }
};

// an output is a number k of a row, a term another number of it: how many are larger
struct LargestTotal {
    int terms, rows, targets;
    const float* x;
    float* y;
    using Total = Count;
    LIMN_HOST_DEVICE float number(int i) const { return x[i] == x[i] ? x[i] : -HUGE_VALF; }
    LIMN_HOST_DEVICE void add(Count& v, int output, int j) const {
        const float own = number(output), other = number(output / terms * terms + j);
        v.value += other > own || (other == own && j < output % terms);
    }
    LIMN_HOST_DEVICE void finish(int output, const Count& v) const {
        for (int t = 0; t < targets; t++) y[t * rows * terms + output] = v.value == t ? 1.0f : 0.0f;
    }
};

// ---- batch normalisation: an output is a channel, a term a row

struct SquaredDistanceTotal {
    int terms, channels;
    const float *x, *mean;
    float* variance;
    using Total = Sum;
    LIMN_HOST_DEVICE void add(Sum& v, int c, int row) const {
        const float d = x[row * channels + c] - mean[c];
        v.add(d * d);
    }
    LIMN_HOST_DEVICE void finish(int c, const Sum& v) const { variance[c] = v.total() / float(terms); }
};

struct BatchNormTotal {
    int terms, channels;
    const float *x, *mean, *variance;
    double epsilon;
    const float* dy;
    float *dgamma, *dbeta;
    using Total = TwoSums;
    LIMN_HOST_DEVICE void add(TwoSums& v, int c, int row) const {
        const float g = dy[row * channels + c];
        v.a.add(g), v.b.add(g * (x[row * channels + c] - mean[c]));
    }
    LIMN_HOST_DEVICE void finish(int c, const TwoSums& v) const {
        dbeta[c] = v.a.total(), dgamma[c] = float(double(v.b.total()) / std::sqrt(double(variance[c]) + epsilon));
    }
};
struct BatchNormGradKernel {
    int rows, channels;
    const float *x, *mean, *variance, *gamma;  // gamma may be null
    double epsilon;
    const float *dy, *dgamma, *dbeta;
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const int c = i % channels;
        const double s = std::sqrt(double(variance[c]) + epsilon), xhat = (double(x[i]) - double(mean[c])) / s;
        dx[i] = float((gamma ? double(gamma[c]) : 1) / s * (double(dy[i]) - double(dbeta[c]) / rows - xhat * double(dgamma[c]) / rows));
    }
};

}  // namespace limn::cuda
