#include "engine/cpu/conv_plan.h"

#include <algorithm>
#include <cstring>

#include "engine/threads.h"

namespace limn::cpu {

TapMap::TapMap(const ConvShape& v, Direction direction) : taps_r_(v.window.r), taps_s_(v.window.s) {
    const bool forward = direction == Direction::forward;
    out_rows = forward ? v.p : v.h, out_columns = forward ? v.q : v.w;
    in_rows = forward ? v.h : v.p, in_columns = forward ? v.w : v.q;
    const auto table = [&](Index outs, Index taps, Index ins, Index stride, Index dilation, Index pad) {
        std::vector<std::int32_t> t(std::size_t(outs * taps), -1);
        for (Index i = 0; i < outs; i++)
            for (Index r = 0; r < taps; r++) {
                const Index position = forward ? i * stride + r * dilation - pad : i + pad - r * dilation;
                const Index in = forward ? position : position / stride;
                if (position >= 0 && (forward || position % stride == 0) && in < ins) t[std::size_t(i * taps + r)] = std::int32_t(in);
            }
        return t;
    };
    rows_ = table(out_rows, v.window.r, in_rows, v.window.stride_h, v.window.dilation_h, v.window.pad_top);
    columns_ = table(out_columns, v.window.s, in_columns, v.window.stride_w, v.window.dilation_w, v.window.pad_left);
    const Index phases = forward ? 1 : v.window.stride_w;
    for (Index phase = 0; phase < phases; phase++)
        for (Index j = phase; j < out_columns; j += phases) order_.push_back(j);
}

Tensor packed_panels(const ConvProblem& p) {
    const std::string key = std::string("panels ") + (p.forward() ? "forward " : "grad ") + p.kernels.isa;
    return packed_once(p.weights, key, [&] {
        const Index groups = p.shape.groups, taps = p.shape.window.r * p.shape.window.s, columns = p.kernels.tile_columns;
        const Index C = p.shape.c / groups, K = p.shape.k / groups, in = p.in_channels() / groups, outs = p.out_channels() / groups,
                    panels = (outs + columns - 1) / columns;
        Tensor out({groups * panels, taps, in, columns});
        const float* kernel = p.weights.kernel.data();  // (r,s,C,K*groups)
        parallel_for(groups * panels, [&](Index at) {
            const Index group = at / panels, first = at % panels * columns, count = std::min(columns, outs - first);
            float* to = out.data() + at * taps * in * columns;
            for (Index tap = 0; tap < taps; tap++)
                for (Index i = 0; i < in; i++, to += columns) {
                    const float* from = kernel + tap * C * p.shape.k + group * K;
                    if (p.forward())
                        std::memcpy(to, from + i * p.shape.k + first, std::size_t(count) * sizeof(float));
                    else
                        for (Index j = 0; j < count; j++) to[j] = from[(first + j) * p.shape.k + i];
                    std::fill(to + count, to + columns, 0.0f);
                }
        });
        return out;
    });
}

std::vector<float> panels_of_bias(const ConvProblem& p) {
    if (p.weights.bias.empty()) return {};
    const Index groups = p.shape.groups, columns = p.kernels.tile_columns, outs = p.out_channels() / groups,
                panels = (outs + columns - 1) / columns;
    std::vector<float> bias(std::size_t(groups * panels * columns));
    for (Index k = 0; k < outs * groups; k++) bias[std::size_t(k / outs * panels * columns + k % outs)] = p.weights.bias.data()[k];
    return bias;
}

void product_of_panel(const Kernels& kernels, ProductJob job) {
    if (job.columns >= kernels.tile_columns || job.columns == kernels.tile_columns / 2) return kernels.product(job);
    thread_local std::vector<float> results;
    results.resize(std::size_t(job.rows * kernels.tile_columns));
    const ProductJob wanted = job;
    job.y = results.data(), job.y_step = job.columns = kernels.tile_columns;
    kernels.product(job);
    for (Index m = 0; m < job.rows; m++)
        std::memcpy(wanted.y + m * wanted.y_step, results.data() + m * job.y_step, std::size_t(wanted.columns) * sizeof(float));
}

std::span<const Candidate> candidates() {
    static const Candidate list[] = {
        {"depthwise", refuse_depthwise, plan_depthwise},
        {"pointwise", refuse_pointwise, plan_pointwise},
        {"joined taps", refuse_joined_taps, plan_joined_taps},
        {"winograd F(4,3)", refuse_winograd4, plan_winograd4},
        {"winograd F(2,3)", refuse_winograd2, plan_winograd2},
        {"implicit gemm", [](const ConvProblem&) { return std::string(); }, plan_implicit_gemm},
    };
    return list;
}

std::unique_ptr<ConvPlan> plan_convolution(const ConvProblem& problem) {
    std::vector<ConvPlan::Refusal> refusals;
    for (const Candidate& candidate : candidates()) {
        std::string reason = candidate.refuse(problem);
        if (reason.empty()) {
            auto plan = candidate.plan(problem);
            plan->refusals = std::move(refusals);
            return plan;
        }
        refusals.push_back({candidate.name, std::move(reason)});
    }
    fail("no algorithm can compute this convolution");
}

}  // namespace limn::cpu
