#include <algorithm>

#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

// The taps that an out pixel has along one axis, and what they read: both go up (or down) by equal steps.
struct Taps {
    Index first = 0, step = 0, count = 0, in = 0, in_step = 0;
};

template <class F> Taps taps_of(Index taps, F in_of) {
    Taps t;
    for (Index tap = 0; tap < taps; tap++) {
        const Index in = in_of(tap);
        if (in < 0) continue;
        if (t.count == 0) t.first = tap, t.in = in;
        if (t.count == 1) t.step = tap - t.first, t.in_step = in - t.in;
        t.count++;
    }
    return t;
}

// One filter a channel; channels lie side by side, so a vector of them is one load. A row of outputs is cut into runs of pixels that
// use the same taps: at most of the row all of them, at its ends fewer.
class Depthwise : public ConvPlan {
public:
    explicit Depthwise(const ConvProblem& problem)
        : kernels_(problem.kernels), map_(problem.shape, problem.direction), r_(problem.shape.window.r), s_(problem.shape.window.s),
          c_(problem.shape.c), fused_(problem.fused), kernel_(problem.weights.kernel), bias_(problem.weights.bias),
          step_(problem.forward() ? problem.shape.window.stride_w : 1) {
        for (Index i = 0; i < map_.out_rows; i++) rows_.push_back(taps_of(r_, [&](Index r) { return map_.in_row(i, r); }));
        for (Index j = 0; j < map_.out_columns;) {
            const Index first = j++;
            while (j < map_.out_columns && continues(j)) j++;
            runs_.push_back({first, j - first, taps_of(s_, [&](Index s) { return map_.in_column(first, s); })});
        }
    }
    std::string algorithm() const override { return "depthwise"; }
    Cost cost() const override {
        const double sums = double(map_.out_rows * map_.out_columns * r_ * s_ * c_);
        return {sums, sums, double(kernel_.size()) * sizeof(float)};
    }
    void run(const Tensor& x, Tensor& y) const override {
        const Index N = x.shape()[0], in_row = map_.in_columns * c_, image = map_.in_rows * in_row;
        const float* bias = bias_.empty() ? nullptr : bias_.data();
        // Neighbouring rows of outputs read the same rows of inputs: they are one job.
        const Index rows = N * map_.out_rows, jobs = std::min(rows, std::max<Index>(8, rows / 4));
        parallel_for(jobs, rows * map_.out_columns * c_ * r_ * s_, [&](Index job) {
            for (Index out_row = rows * job / jobs; out_row < rows * (job + 1) / jobs; out_row++) {
                const Taps& row = rows_[std::size_t(out_row % map_.out_rows)];
                const float *from = x.data() + out_row / map_.out_rows * image + row.in * in_row, *w = kernel_.data() + row.first * s_ * c_;
                for (const auto& [first, count, column] : runs_)
                    kernels_.depthwise({from + column.in * c_, row.in_step * in_row, column.in_step * c_, step_ * c_, w + column.first * c_,
                                        row.step * s_ * c_, column.step * c_, row.count, column.count, bias, fused_, count, c_,
                                        y.data() + (out_row * map_.out_columns + first) * c_});
            }
        });
    }

private:
    struct Run {
        Index first, count;
        Taps columns;
    };
    // Does each tap of column j read `step_` to the right of where it reads for the column before?
    bool continues(Index j) const {
        for (Index s = 0; s < s_; s++) {
            const Index before = map_.in_column(j - 1, s), now = map_.in_column(j, s);
            if (now != (before < 0 ? before : before + step_)) return false;
        }
        return true;
    }

    const Kernels& kernels_;
    TapMap map_;
    Index r_, s_, c_;
    Fused fused_;
    Tensor kernel_, bias_;
    Index step_;
    std::vector<Taps> rows_;
    std::vector<Run> runs_;
};

}  // namespace

std::string refuse_depthwise(const ConvProblem& p) {
    if (p.shape.groups != p.shape.c) return "its channels are mixed";
    if (p.shape.k != p.shape.c) return "more than one filter a channel";
    return "";
}

std::unique_ptr<ConvPlan> plan_depthwise(const ConvProblem& problem) { return std::make_unique<Depthwise>(problem); }

}  // namespace limn::cpu
