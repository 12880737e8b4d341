// How a convolution is done on the cpu: an ordered list of candidates, of which the first that does not refuse is taken.
// Every refusal has a one-line reason (ConvPlan::refusals), so that it can be printed and tested which algorithm runs.
#pragma once

#include "engine/backend.h"
#include "engine/cpu/kernels.h"
#include "engine/memory.h"

namespace limn::cpu {

// What one convolution asks for, in either direction, as "out pixels gather from in pixels".
struct ConvProblem {
    const ConvShape& shape;
    const ConvWeights& weights;
    Direction direction;
    Fused fused;
    const Kernels& kernels;
    bool exact = false;  // no algorithm that rounds otherwise than the definition's sums

    bool forward() const { return direction == Direction::forward; }
    Index in_channels() const { return forward() ? shape.c : shape.k; }
    Index out_channels() const { return forward() ? shape.k : shape.c; }
};

struct Candidate {
    const char* name;
    std::string (*refuse)(const ConvProblem&);  // why not; empty if it can
    std::unique_ptr<ConvPlan> (*plan)(const ConvProblem&);
};

// Each in a file of its own name. Refusals: why not; empty if it can.
std::string refuse_depthwise(const ConvProblem&);
std::unique_ptr<ConvPlan> plan_depthwise(const ConvProblem&);
std::string refuse_pointwise(const ConvProblem&);
std::unique_ptr<ConvPlan> plan_pointwise(const ConvProblem&);
std::string refuse_joined_taps(const ConvProblem&);
std::unique_ptr<ConvPlan> plan_joined_taps(const ConvProblem&);
std::string refuse_winograd2(const ConvProblem&);
std::string refuse_winograd4(const ConvProblem&);
std::unique_ptr<ConvPlan> plan_winograd2(const ConvProblem&);
std::unique_ptr<ConvPlan> plan_winograd4(const ConvProblem&);
std::unique_ptr<ConvPlan> plan_implicit_gemm(const ConvProblem&);  // never refuses

std::span<const Candidate> candidates();  // in order of preference
std::unique_ptr<ConvPlan> plan_convolution(const ConvProblem&);

// A kernel as an algorithm wants it: made once, then shared by all plans of these weights. The original is hardly needed any more.
template <class Pack> Tensor packed_once(const ConvWeights& weights, const std::string& key, Pack pack) {
    Tensor& slot = weights.packed[key];
    if (slot.empty()) {
        slot = pack();
        forget_mapped(weights.kernel.data(), std::size_t(weights.kernel.size()) * sizeof(float));
    }
    return slot;
}

// The kernel as panels of Kernels::tile_columns filters, the last one filled up with zeros: [group][panel][tap][in channel][column].
Tensor packed_panels(const ConvProblem&);
std::vector<float> panels_of_bias(const ConvProblem&);  // [group][panel][column]; empty without a bias

// job.columns may be less than a panel, but job.y holds no more.
void product_of_panel(const Kernels&, ProductJob job);

// Which in pixel each tap of each out pixel reads, along both axes: in_row(i, r) or -1 where there is nothing to read.
// Forward: i*stride + r*dilation - pad. Toward the input: the p with p*stride = i + pad - r*dilation, if there is one.
class TapMap {
public:
    TapMap(const ConvShape& shape, Direction direction);
    Index out_rows, out_columns, in_rows, in_columns;
    std::int32_t in_row(Index i, Index r) const { return rows_[std::size_t(i * taps_r_ + r)]; }
    std::int32_t in_column(Index j, Index s) const { return columns_[std::size_t(j * taps_s_ + s)]; }
    // Columns in the order in which they are best taken together: those that use the same taps follow each other.
    Index column(Index order) const { return order_[std::size_t(order)]; }

private:
    Index taps_r_, taps_s_;
    std::vector<std::int32_t> rows_, columns_;
    std::vector<Index> order_;
};

}  // namespace limn::cpu
