#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

// One filter a channel; channels lie side by side, so a vector of them is one load.
class Depthwise : public ConvPlan {
public:
    explicit Depthwise(const ConvProblem& problem)
        : kernels_(problem.kernels), taps_(problem.shape, problem.direction), r_(problem.shape.window.r), s_(problem.shape.window.s),
          c_(problem.shape.c), fused_(problem.fused), kernel_(problem.weights.kernel), bias_(problem.weights.bias) {}
    std::string algorithm() const override { return "depthwise"; }
    void run(const Tensor& x, Tensor& y) const override {
        const Index N = x.shape()[0], image = taps_.in_rows * taps_.in_columns * c_;
        parallel_for(N * taps_.out_rows, [&](Index block) {
            const Index n = block / taps_.out_rows, i = block % taps_.out_rows;
            std::vector<const float*> pixels(std::size_t(r_ * s_));
            std::vector<Index> ids(std::size_t(r_ * s_));
            for (Index j = 0; j < taps_.out_columns; j++) {
                Index count = 0;
                for (Index r = 0; r < r_; r++)
                    for (Index s = 0; s < s_; s++) {
                        const Index h = taps_.in_row(i, r), w = taps_.in_column(j, s);
                        if (h < 0 || w < 0) continue;
                        pixels[std::size_t(count)] = x.data() + n * image + (h * taps_.in_columns + w) * c_;
                        ids[std::size_t(count++)] = r * s_ + s;
                    }
                kernels_.depthwise(pixels.data(), ids.data(), count, c_, kernel_.data(), bias_.empty() ? nullptr : bias_.data(), fused_,
                                   y.data() + ((n * taps_.out_rows + i) * taps_.out_columns + j) * c_);
            }
        });
    }

private:
    const Kernels& kernels_;
    TapMap taps_;
    Index r_, s_, c_;
    Fused fused_;
    Tensor kernel_, bias_;
};

}  // namespace

std::string refuse_depthwise(const ConvProblem& p) {
    if (p.shape.groups != p.shape.c) return "its channels are mixed";
    if (p.shape.k != p.shape.c) return "more than one filter a channel";
    return "";
}

std::unique_ptr<ConvPlan> plan_depthwise(const ConvProblem& problem) { return std::make_unique<Depthwise>(problem); }

}  // namespace limn::cpu
