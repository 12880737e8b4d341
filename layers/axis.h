// Functions that work along the last axis, along any other.
#pragma once

#include <numeric>
#include <utility>

#include "autograd/ops.h"

namespace limn {

// f of x with `axis` and the last one swapped, and swapped back.
template <class F> Var with_axis_last(Tape& tape, const Var& x, int axis, F f) {
    const int rank = x.shape().rank();
    if (axis == rank - 1) return f(x);
    std::vector<int> order(std::size_t(rank), 0);
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[std::size_t(axis)], order.back());
    return transpose(tape, f(transpose(tape, x, order)), order);
}

// x / its length along the axes; a length whose square is below `least` counts as that
inline Var unit_length(Tape& tape, const Var& x, const std::vector<int>& axes, double least) {
    const Var squares = sum(tape, multiply(tape, x, x), axes);
    return divide(tape, x, sqrt(tape, maximum(tape, squares, Tensor::full({1}, least, x.value.dtype()))));
}

}  // namespace limn
