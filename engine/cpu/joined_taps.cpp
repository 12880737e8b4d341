// First layers: with few channels the taps of one row of a kernel are taken as one tap. x[h, w..w+s, 0..c] lie side by side, so 3x3 taps
// of 3 channels are 3 taps of 9 numbers, and a row of outputs is a product of matrices.
#include <algorithm>
#include <cstring>

#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

class JoinedTaps : public ConvPlan {
public:
    explicit JoinedTaps(const ConvProblem& p)
        : kernels_(p.kernels), shape_(p.shape), depth_(p.shape.window.s * p.shape.c),
          in_row_(((p.shape.q - 1) * p.shape.window.stride_w + p.shape.window.s) * p.shape.c),
          panels_((p.shape.k + p.kernels.tile_columns - 1) / p.kernels.tile_columns), fused_(p.fused), packed_(packed_panels(p)),
          bias_(panels_of_bias(p)) {}
    std::string algorithm() const override { return "joined taps"; }
    Cost cost() const override {
        const double sums = double(shape_.p * shape_.q * shape_.window.r * depth_);
        return {sums * double(shape_.k), sums * double(panels_ * kernels_.tile_columns), double(packed_.size()) * sizeof(float)};
    }

    void run(const Tensor& x, Tensor& y) const override {
        const Window& w = shape_.window;
        const Index most = 8, blocks = (shape_.p + most - 1) / most;  // some rows of outputs share their rows of inputs
        parallel_for(x.shape()[0] * blocks, [&](Index job) {
            const Index n = job / blocks, first = shape_.p * (job % blocks) / blocks, last = shape_.p * (job % blocks + 1) / blocks;
            const float* rows = padded(x.data() + n * shape_.h * shape_.w * shape_.c, first * w.stride_h - w.pad_top,
                                       (last - 1 - first) * w.stride_h + (w.r - 1) * w.dilation_h + 1);
            for (Index i = first; i < last; i++)
                for (Index panel = 0; panel < panels_; panel++) {
                    const Index column = panel * kernels_.tile_columns;
                    product_of_panel(
                        kernels_, {rows + (i - first) * w.stride_h * in_row_, w.stride_w * shape_.c, shape_.q, w.r, w.dilation_h * in_row_,
                                   depth_, packed_.data() + column * w.r * depth_, bias_.empty() ? nullptr : bias_.data() + column, fused_,
                                   y.data() + (n * shape_.p + i) * shape_.q * shape_.k + column, shape_.k, shape_.k - column});
                }
        });
    }

private:
    // A copy of `count` rows of an image with their padding, so that every tap exists.
    const float* padded(const float* image, Index first, Index count) const {
        thread_local std::vector<float> copy;
        copy.resize(std::size_t(count * in_row_));
        // a border may be wider than all that is read
        const Index row = shape_.w * shape_.c, left = std::min(in_row_, shape_.window.pad_left * shape_.c),
                    some = std::min(row, in_row_ - left);
        for (Index i = 0; i < count; i++) {
            float* to = copy.data() + i * in_row_;
            if (first + i < 0 || first + i >= shape_.h) {
                std::fill(to, to + in_row_, 0.0f);
                continue;
            }
            std::fill(to, to + left, 0.0f);
            std::memcpy(to + left, image + (first + i) * row, std::size_t(some) * sizeof(float));
            std::fill(to + left + some, to + in_row_, 0.0f);
        }
        return copy.data();
    }

    const Kernels& kernels_;
    ConvShape shape_;
    Index depth_, in_row_, panels_;
    Fused fused_;
    Tensor packed_;
    std::vector<float> bias_;
};

}  // namespace

std::string refuse_joined_taps(const ConvProblem& p) {
    if (!p.forward()) return "only for the forward pass";
    if (p.shape.groups != 1) return "it has groups";
    if (p.shape.window.s == 1) return "its kernel has one column";
    if (p.shape.window.dilation_w != 1) return "it is dilated";
    if (p.shape.c > 8) return "more than 8 channels";
    return "";
}

std::unique_ptr<ConvPlan> plan_joined_taps(const ConvProblem& problem) { return std::make_unique<JoinedTaps>(problem); }

}  // namespace limn::cpu
