// Element by element with axes that repeat (NumPy's rule), a row at a time and in threads: the definition is reference::binary.
#pragma once

#include "engine/reference/elementwise.h"
#include "engine/threads.h"

namespace limn::cpu {

// How three tensors are walked together: axes of size 1 left out, and neighbours joined where both inputs go on without a jump.
struct Walk {
    struct Axis {
        Index size, a, b;  // how far a step moves in the inputs
    };
    std::vector<Axis> axes;  // innermost first

    Walk(const Shape& a, const Shape& b, const Shape& y) {
        const auto a_steps = reference::broadcast_steps(a, y), b_steps = reference::broadcast_steps(b, y);
        for (int i = y.rank() - 1; i >= 0; i--) {
            const auto at = std::size_t(i);
            if (y[i] == 1) continue;
            if (!axes.empty() && a_steps[at] == axes.back().a * axes.back().size && b_steps[at] == axes.back().b * axes.back().size)
                axes.back().size *= y[i];
            else
                axes.push_back({y[i], a_steps[at], b_steps[at]});
        }
        if (axes.empty()) axes.push_back({1, 0, 0});
    }
};

// y = f(a, b)
template <class F> void broadcast(const Tensor& a, const Tensor& b, Tensor& y, F f) {
    const Walk walk(a.shape(), b.shape(), y.shape());
    const Walk::Axis row = walk.axes[0];
    const float *pa = a.data(), *pb = b.data();
    float* py = y.data();
    const auto do_row = [&](const float* ra, const float* rb, float* ry, Index count) {
        if (row.a == 1 && row.b == 1)
            for (Index i = 0; i < count; i++) ry[i] = f(ra[i], rb[i]);
        else if (row.b == 0 && row.a == 1)
            for (Index i = 0; i < count; i++) ry[i] = f(ra[i], *rb);
        else
            for (Index i = 0; i < count; i++) ry[i] = f(ra[i * row.a], rb[i * row.b]);
    };
    if (walk.axes.size() == 1) {
        parallel_ranges(row.size, 1 << 15,
                        [&](Index begin, Index end) { do_row(pa + begin * row.a, pb + begin * row.b, py + begin, end - begin); });
        return;
    }
    const Index rows = y.size() / row.size;
    parallel_ranges(rows, std::max<Index>(1, (1 << 15) / row.size), [&](Index begin, Index end) {
        std::array<Index, Shape::max_rank> at{};
        Index ia = 0, ib = 0, rest = begin;
        for (std::size_t axis = 1; axis < walk.axes.size(); axis++) {
            const Walk::Axis& step = walk.axes[axis];
            at[axis] = rest % step.size, rest /= step.size;
            ia += at[axis] * step.a, ib += at[axis] * step.b;
        }
        for (Index i = begin; i < end; i++) {
            do_row(pa + ia, pb + ib, py + i * row.size, row.size);
            for (std::size_t axis = 1; axis < walk.axes.size(); axis++) {
                const Walk::Axis& step = walk.axes[axis];
                ia += step.a, ib += step.b;
                if (++at[axis] < step.size) break;
                ia -= step.a * step.size, ib -= step.b * step.size;
                at[axis] = 0;
            }
        }
    });
}

}  // namespace limn::cpu
