// 1x1 convolutions are products of two matrices: pixels x channels and channels x filters.
#include <algorithm>

#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

class Pointwise : public ConvPlan {
public:
    explicit Pointwise(const ConvProblem& p)
        : kernels_(p.kernels), pixels_(p.shape.h * p.shape.w), depth_(p.in_channels()), out_(p.out_channels()),
          columns_(p.kernels.tile_columns), panels_((out_ + columns_ - 1) / columns_), fused_(p.fused), packed_(packed_panels(p)),
          bias_(panels_of_bias(p)) {}
    std::string algorithm() const override { return "pointwise"; }
    Cost cost() const override {
        const double sums = double(pixels_ * depth_);
        return {sums * double(out_), sums * double(panels_ * columns_), double(packed_.size()) * sizeof(float)};
    }

    void run(const Tensor& x, Tensor& y) const override {
        // A block of pixels (96 of them, up to 256 KB) stays in the second-level cache while panels pass by; small jobs, so that all
        // threads end together.
        const Index pixels = x.shape()[0] * pixels_;
        const Index blocks = std::max(pixels * depth_ >> 16, std::clamp<Index>(pixels / 96, 1, 16));
        const Index groups = std::clamp<Index>(32 / blocks, 1, panels_);
        parallel_for(blocks * groups, pixels * depth_ * out_, [&](Index job) {
            const Index block = job / groups, group = job % groups, first = pixels * block / blocks,
                        count = pixels * (block + 1) / blocks - first;
            for (Index panel = panels_ * group / groups; panel < panels_ * (group + 1) / groups; panel++)
                compute(panel, x.data() + first * depth_, count, y.data() + first * out_);
        });
    }

private:
    void compute(Index panel, const float* x, Index count, float* y) const {
        const Index column = panel * columns_;
        product_of_panel(kernels_, {x, depth_, count, 1, 0, depth_, packed_.data() + column * depth_,
                                    bias_.empty() ? nullptr : bias_.data() + column, fused_, y + column, out_, out_ - column});
    }

    const Kernels& kernels_;
    Index pixels_, depth_, out_, columns_, panels_;
    Fused fused_;
    Tensor packed_;
    std::vector<float> bias_;
};

}  // namespace

std::string refuse_pointwise(const ConvProblem& p) {
    const Window& w = p.shape.window;
    if (w.r != 1 || w.s != 1) return "its kernel is not 1x1";
    if (w.stride_h != 1 || w.stride_w != 1) return "it has strides";
    if (p.shape.p != p.shape.h || p.shape.q != p.shape.w || w.pad_top != 0 || w.pad_left != 0) return "it is padded";
    if (p.shape.groups != 1) return "it has groups";
    return "";
}

std::unique_ptr<ConvPlan> plan_pointwise(const ConvProblem& problem) { return std::make_unique<Pointwise>(problem); }

}  // namespace limn::cpu
