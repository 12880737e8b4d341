// Element-wise functions, broadcasting, reductions and moves as the loops of their definitions.
#pragma once

#include <algorithm>
#include <limits>

#include "engine/backend.h"

namespace limn::reference {

template <class T> T apply(Binary op, T a, T b) {
    switch (op) {
        case Binary::add: return a + b;
        case Binary::subtract: return a - b;
        case Binary::multiply: return a * b;
        case Binary::divide: return a / b;
        case Binary::maximum: return a > b ? a : b;
        case Binary::minimum: return a < b ? a : b;
        case Binary::equal: return a == b ? T(1) : T(0);
        case Binary::greater_equal: return a >= b ? T(1) : T(0);
    }
    return a;
}

// How far a step along each axis of `full` moves in a tensor of shape `part` (NumPy's rule: 0 where it repeats).
inline std::array<Index, Shape::max_rank> broadcast_steps(const Shape& part, const Shape& full) {
    std::array<Index, Shape::max_rank> steps{};
    LIMN_CHECK(part.rank() <= full.rank(), "{} does not repeat to {}", part.str(), full.str());
    Index step = 1;
    for (int i = 1; i <= part.rank(); i++) {
        const Index size = part[-i];
        LIMN_CHECK(size == 1 || size == full[-i], "{} does not repeat to {}", part.str(), full.str());
        steps[std::size_t(full.rank() - i)] = size == 1 ? 0 : step;
        step *= size;
    }
    return steps;
}

// Calls body(i, a, b) for every element of `shape` in order: i counts them, a and b follow the given steps.
template <class Body> void walk(const Shape& shape, const std::array<Index, Shape::max_rank>& a_steps,
                                const std::array<Index, Shape::max_rank>& b_steps, Body body) {
    std::array<Index, Shape::max_rank> at{};
    const Index size = shape.size();
    Index a = 0, b = 0;
    for (Index i = 0; i < size; i++) {
        body(i, a, b);
        for (int axis = shape.rank() - 1; axis >= 0; axis--) {
            const auto j = std::size_t(axis);
            a += a_steps[j], b += b_steps[j];
            if (++at[j] < shape[axis]) break;
            a -= a_steps[j] * shape[axis], b -= b_steps[j] * shape[axis];
            at[j] = 0;
        }
    }
}

template <class T> void binary(Binary op, const Tensor& a, const Tensor& b, Tensor& y) {
    const T *pa = a.data<T>(), *pb = b.data<T>();
    T* py = y.data<T>();
    walk(y.shape(), broadcast_steps(a.shape(), y.shape()), broadcast_steps(b.shape(), y.shape()),
         [&](Index i, Index ia, Index ib) { py[i] = apply(op, pa[ia], pb[ib]); });
}

template <class T> void reduce(Reduction op, const Tensor& x, Tensor& y) {
    const auto steps = broadcast_steps(y.shape(), x.shape());
    const T* px = x.data<T>();
    std::vector<double> sum(std::size_t(y.size()), op == Reduction::maximum ? -std::numeric_limits<double>::infinity() : 0.0);
    walk(x.shape(), steps, {}, [&](Index i, Index o, Index) {
        double& s = sum[std::size_t(o)];
        s = op == Reduction::maximum ? std::max(s, double(px[i])) : s + double(px[i]);
    });
    const double scale = op == Reduction::mean ? double(y.size()) / double(x.size()) : 1;
    std::transform(sum.begin(), sum.end(), y.data<T>(), [&](double s) { return T(s * scale); });
}

template <class T> void copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) {
    std::array<Index, Shape::max_rank> x_steps{}, y_steps{};
    Index x_start = 0, y_start = 0, x_step = 1, y_step = 1;
    for (int axis = box.rank() - 1; axis >= 0; axis--) {
        x_steps[std::size_t(axis)] = x_step, y_steps[std::size_t(axis)] = y_step;
        x_start += from[axis] * x_step, y_start += to[axis] * y_step;
        x_step *= x.shape()[axis], y_step *= y.shape()[axis];
    }
    const T* px = x.data<T>() + x_start;
    T* py = y.data<T>() + y_start;
    walk(box, x_steps, y_steps, [&](Index, Index i, Index o) { py[o] = px[i]; });
}

template <class T> void transpose(const std::vector<int>& order, const Tensor& x, Tensor& y) {
    std::array<Index, Shape::max_rank> x_strides{}, steps{};
    Index step = 1;
    for (int axis = x.shape().rank() - 1; axis >= 0; axis--) x_strides[std::size_t(axis)] = step, step *= x.shape()[axis];
    for (std::size_t i = 0; i < order.size(); i++) steps[i] = x_strides[std::size_t(order[i])];
    const T* px = x.data<T>();
    T* py = y.data<T>();
    walk(y.shape(), steps, {}, [&](Index i, Index from, Index) { py[i] = px[from]; });
}

}  // namespace limn::reference
