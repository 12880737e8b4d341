// The kernels of the cuda backend that are neither cuDNN's nor cuBLAS's, one struct each; those that add up over a whole tensor stand in totals.h.
//
// A kernel computes element i of its result: kernel(i) for all i below a count, in any order. On a GPU every i has a thread
// (library/launch.cu); the tests call the same text in a loop on the host and compare it with the definitions in engine/reference.
// Nothing here writes an element twice: gradients gather from all outputs that used an input, instead of scattering into it.
//
// Elements are counted in int: a tensor on a GPU has fewer than 2^31.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/cuda/sums.h"
#include "engine/paint.h"
#include "engine/unary.h"
#include "engine/update.h"
#include "engine/verbs.h"

namespace limn::cuda {

// ---- element by element

struct UnaryKernel {
    UnaryFn f;
    const float* x;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const { y[i] = unary_value(f, x[i]); }
};

struct UnaryGradKernel {
    UnaryFn f;
    ReluRule rule;
    const float *x, *y;
    int saved;  // elements of x and y: several targets read them again
    const float* dy;
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const { dx[i] = unary_gradient(f, rule, x[i % saved], y[i % saved], dy[i]); }
};

// Element i of a full shape, and where two other tensors have it: their steps along each axis, 0 where they repeat.
struct Steps {
    static constexpr int most = 6;  // axes: Shape::max_rank
    int rank = 0, sizes[most] = {}, a[most] = {}, b[most] = {};
    struct Places {
        int a, b;
    };
    LIMN_HOST_DEVICE Places operator()(int i) const {
        Places at{0, 0};
        for (int axis = rank - 1; axis >= 0; axis--) {
            const int k = i % sizes[axis];
            i /= sizes[axis], at.a += k * a[axis], at.b += k * b[axis];
        }
        return at;
    }
};

// a number for all elements, or one of each
struct Operand {
    const float* numbers = nullptr;
    float constant = 0;
    LIMN_HOST_DEVICE float at(int i) const { return numbers ? numbers[i] : constant; }
};

struct BinaryKernel {
    Binary op;
    Steps steps;
    Operand a, b;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Steps::Places at = steps(i);
        const float u = a.at(at.a), v = b.at(at.b);
        switch (op) {
            case Binary::add: y[i] = u + v; break;
            case Binary::subtract: y[i] = u - v; break;
            case Binary::multiply: y[i] = u * v; break;
            case Binary::divide: y[i] = u / v; break;
            case Binary::maximum: y[i] = u > v ? u : v; break;
            case Binary::minimum: y[i] = u < v ? u : v; break;
            case Binary::equal: y[i] = u == v ? 1.0f : 0.0f; break;
            case Binary::greater_equal: y[i] = u >= v ? 1.0f : 0.0f; break;
        }
    }
};

// y = (x - mean) * scale + shift by channel
struct AffineKernel {
    const float *x, *mean, *scale, *shift;  // mean and shift may be null
    int channels;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const int c = i % channels;
        y[i] = (x[i] - (mean ? mean[c] : 0)) * scale[c] + (shift ? shift[c] : 0);
    }
};

// y = fused(x + bias), where cuDNN and cuBLAS do not do it in passing
struct BiasKernel {
    const float *x, *bias;  // bias may be null
    int channels;
    Fused fused;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const { y[i] = fused_value(fused, x[i] + (bias ? bias[i % channels] : 0)); }
};

// ---- windows

// x (n,h,w,c) -> y (n,p,q,c)
struct Planes {
    int n, h, w, c, p, q;
    struct Place {
        int n, row, column, c;
    };
    LIMN_HOST_DEVICE Place of_input(int i) const { return {i / (c * w * h), i / (c * w) % h, i / c % w, i % c}; }
    LIMN_HOST_DEVICE Place of_output(int i) const { return {i / (c * q * p), i / (c * q) % p, i / c % q, i % c}; }
    LIMN_HOST_DEVICE int input(int image, int row, int column, int channel) const { return ((image * h + row) * w + column) * c + channel; }
    LIMN_HOST_DEVICE int output(int image, int row, int column, int channel) const {
        return ((image * p + row) * q + column) * c + channel;
    }
};

// Along one axis: what an output's window reads, and which outputs' windows read an input. Last ones excluded.
struct Range {
    int first, last;
    LIMN_HOST_DEVICE int count() const { return last - first; }
};
struct Axis {
    int taps, stride, pad, inputs, outputs;
    LIMN_HOST_DEVICE Range inputs_of(int out) const {
        const int start = out * stride - pad;
        return {start < 0 ? 0 : start, start + taps > inputs ? inputs : start + taps};
    }
    LIMN_HOST_DEVICE Range outputs_of(int in) const {
        const int low = in + pad - taps + 1, high = (in + pad) / stride + 1;
        return {low <= 0 ? 0 : (low + stride - 1) / stride, high > outputs ? outputs : high};
    }
};

struct MaxPoolKernel {
    Planes at;
    Axis rows, columns;
    const float* x;
    float* y;
    std::int32_t* winners;  // may be null
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Planes::Place o = at.of_output(i);
        const Range r = rows.inputs_of(o.row), s = columns.inputs_of(o.column);
        int best = at.input(o.n, r.first, s.first, o.c);
        for (int h = r.first; h < r.last; h++)
            for (int w = s.first; w < s.last; w++) {
                const int j = at.input(o.n, h, w, o.c);
                if (x[j] > x[best] || (x[j] != x[j] && x[best] == x[best])) best = j;  // a NaN wins, so that it is seen
            }
        y[i] = x[best];
        if (winners) winners[i] = best - at.input(o.n, 0, 0, 0);
    }
};

struct MaxPoolGradKernel {
    Planes at;
    Axis rows, columns;
    const std::int32_t* winners;
    int saved;  // how many: several targets read them again
    const float* dy;
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Planes::Place o = at.of_input(i);
        const int place = i - at.input(o.n, 0, 0, 0);
        const Range p = rows.outputs_of(o.row), q = columns.outputs_of(o.column);
        float sum = 0;
        for (int row = p.first; row < p.last; row++)
            for (int column = q.first; column < q.last; column++) {
                const int j = at.output(o.n, row, column, o.c);
                if (winners[j % saved] == place) sum += dy[j];
            }
        dx[i] = sum;
    }
};

struct AveragePoolKernel {
    Planes at;
    Axis rows, columns;
    const float* x;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Planes::Place o = at.of_output(i);
        const Range r = rows.inputs_of(o.row), s = columns.inputs_of(o.column);
        Sum sum;
        for (int h = r.first; h < r.last; h++)
            for (int w = s.first; w < s.last; w++) sum.add(x[at.input(o.n, h, w, o.c)]);
        y[i] = sum.total() / float(r.count() * s.count());
    }
};

struct AveragePoolGradKernel {
    Planes at;
    Axis rows, columns;
    const float* dy;
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Planes::Place o = at.of_input(i);
        const Range p = rows.outputs_of(o.row), q = columns.outputs_of(o.column);
        float sum = 0;
        for (int row = p.first; row < p.last; row++)
            for (int column = q.first; column < q.last; column++)
                sum += dy[at.output(o.n, row, column, o.c)] / float(rows.inputs_of(row).count() * columns.inputs_of(column).count());
        dx[i] = sum;
    }
};

// ---- resizing: output `out` of an axis reads a * x[low] + b * x[high]
struct ResizeAxis {
    Interpolation mode;
    int inputs, outputs;
    struct Blend {
        int low, high;
        float a, b;
        LIMN_HOST_DEVICE float of(int in) const { return (in == low ? a : 0) + (in == high ? b : 0); }
    };
    LIMN_HOST_DEVICE Blend operator()(int out) const {
        const double at = (double(out) + 0.5) * double(inputs) / double(outputs);
        if (mode == Interpolation::nearest) {
            const int nearest = int(at) < inputs - 1 ? int(at) : inputs - 1;
            return {nearest, nearest, 1, 0};
        }
        const double position = at > 0.5 ? at - 0.5 : 0;
        const int low = int(position) < inputs - 1 ? int(position) : inputs - 1;
        const double fraction = low == inputs - 1 ? 0 : position - low;
        return {low, low + 1 < inputs ? low + 1 : low, float(1 - fraction), float(fraction)};
    }
    // all that may read `in`, and some that do not
    LIMN_HOST_DEVICE Range outputs_of(int in) const {
        const double ratio = double(outputs) / double(inputs);
        const int first = int((in - 1) * ratio) - 1, last = int((in + 2) * ratio) + 2;
        return {first < 0 || in == 0 ? 0 : first, last > outputs || in == inputs - 1 ? outputs : last};
    }
};

struct ResizeKernel {
    Planes at;
    ResizeAxis rows, columns;
    const float* x;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Planes::Place o = at.of_output(i);
        const ResizeAxis::Blend v = rows(o.row), u = columns(o.column);
        y[i] = v.a * (u.a * x[at.input(o.n, v.low, u.low, o.c)] + u.b * x[at.input(o.n, v.low, u.high, o.c)]) +
               v.b * (u.a * x[at.input(o.n, v.high, u.low, o.c)] + u.b * x[at.input(o.n, v.high, u.high, o.c)]);
    }
};

struct ResizeGradKernel {
    Planes at;
    ResizeAxis rows, columns;
    const float* dy;
    float* dx;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Planes::Place o = at.of_input(i);
        const Range p = rows.outputs_of(o.row), q = columns.outputs_of(o.column);
        Sum sum;
        for (int row = p.first; row < p.last; row++) {
            const float down = rows(row).of(o.row);
            for (int column = q.first; down != 0 && column < q.last; column++)
                sum.add(down * columns(column).of(o.column) * dy[at.output(o.n, row, column, o.c)]);
        }
        dx[i] = sum.total();
    }
};

// ---- moving numbers: y[steps.b] = x[steps.a]
struct CopyKernel {
    Steps steps;
    const float* x;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const {
        const Steps::Places at = steps(i);
        y[at.b] = x[at.a];
    }
};

// ---- pictures and training

struct PaintKernel {
    Paint paint;
    const float* values;
    const std::uint8_t *table, *photo;
    std::uint8_t* picture;
    LIMN_HOST_DEVICE void operator()(int i) const { paint_pixel(paint, values[i], table, photo + 3 * i, picture + 3 * i); }
};

struct UpdateKernel {
    Update rule;
    const float *gradient, *weights;
    float *m, *v, *updated;  // m and v may be null
    LIMN_HOST_DEVICE void operator()(int i) const {
        float none = 0;
        updated[i] = limn::updated(rule, weights[i], gradient[i], m ? m[i] : none, v ? v[i] : none);
    }
};

}  // namespace limn::cuda
