#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

// One filter a channel; channels lie side by side, so a vector of them is one load. A row of outputs is cut into runs of pixels that
// use the same taps: at most of the row all of them, at its ends fewer.
class Depthwise : public ConvPlan {
public:
    explicit Depthwise(const ConvProblem& problem)
        : kernels_(problem.kernels), map_(problem.shape, problem.direction), r_(problem.shape.window.r), s_(problem.shape.window.s),
          c_(problem.shape.c), fused_(problem.fused), kernel_(problem.weights.kernel), bias_(problem.weights.bias) {
        const Index step = problem.forward() ? problem.shape.window.stride_w : 1;
        for (Index j = 0; j < map_.out_columns;) {
            Index end = j + 1;
            while (end < map_.out_columns && continues(end, step)) end++;
            runs_.push_back({j, end});
            j = end;
        }
        x_step_ = step * c_;
    }
    std::string algorithm() const override { return "depthwise"; }
    Cost cost() const override {
        const double sums = double(map_.out_rows * map_.out_columns * r_ * s_ * c_);
        return {sums, sums, double(kernel_.size()) * sizeof(float)};
    }
    void run(const Tensor& x, Tensor& y) const override {
        const Index N = x.shape()[0], image = map_.in_rows * map_.in_columns * c_;
        parallel_for(N * map_.out_rows, N * map_.out_rows * map_.out_columns * c_ * r_ * s_, [&](Index block) {
            const Index n = block / map_.out_rows, i = block % map_.out_rows;
            thread_local std::vector<const float*> starts;
            thread_local std::vector<Index> ids;
            for (const Run& run : runs_) {
                starts.clear(), ids.clear();
                for (Index r = 0; r < r_; r++)
                    for (Index s = 0; s < s_; s++) {
                        const Index h = map_.in_row(i, r), w = map_.in_column(run.first, s);
                        if (h < 0 || w < 0) continue;
                        starts.push_back(x.data() + n * image + (h * map_.in_columns + w) * c_);
                        ids.push_back(r * s_ + s);
                    }
                kernels_.depthwise({starts.data(), ids.data(), Index(ids.size()), x_step_, run.last - run.first, c_, kernel_.data(),
                                    bias_.empty() ? nullptr : bias_.data(), fused_,
                                    y.data() + ((n * map_.out_rows + i) * map_.out_columns + run.first) * c_});
            }
        });
    }

private:
    struct Run {
        Index first, last;
    };
    // Does each tap of column j read `step` to the right of where it reads for the column before?
    bool continues(Index j, Index step) const {
        for (Index s = 0; s < s_; s++) {
            const Index before = map_.in_column(j - 1, s), now = map_.in_column(j, s);
            if (now != (before < 0 ? before : before + step)) return false;
        }
        return true;
    }

    const Kernels& kernels_;
    TapMap map_;
    Index r_, s_, c_, x_step_ = 0;
    Fused fused_;
    Tensor kernel_, bias_;
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
