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

namespace {

using Packed = std::shared_ptr<const std::vector<float>>;

Packed packed_once(const ConvWeights& weights, const std::string& key, auto pack) {
    Packed& slot = weights.packed[key];
    if (!slot) slot = std::make_shared<const std::vector<float>>(pack());
    return slot;
}

// ---- depthwise: one filter a channel; channels lie side by side, so a vector of them is one load
class Depthwise : public ConvPlan {
public:
    explicit Depthwise(const ConvProblem& problem)
        : kernels_(problem.kernels), taps_(problem.shape, problem.direction), r_(problem.shape.window.r), s_(problem.shape.window.s),
          c_(problem.shape.c), relu_(problem.fused == Fused::relu), kernel_(problem.weights.kernel), bias_(problem.weights.bias) {}
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
                kernels_.depthwise(pixels.data(), ids.data(), count, c_, kernel_.data(), bias_.empty() ? nullptr : bias_.data(), relu_,
                                   y.data() + ((n * taps_.out_rows + i) * taps_.out_columns + j) * c_);
            }
        });
    }

private:
    const Kernels& kernels_;
    TapMap taps_;
    Index r_, s_, c_;
    bool relu_;
    Tensor kernel_, bias_;
};

std::string refuse_depthwise(const ConvProblem& p) {
    if (p.shape.groups != p.shape.c) return "its channels are mixed";
    if (p.shape.k != p.shape.c) return "more than one filter a channel";
    return "";
}

// ---- implicit GEMM: any kernel, stride, padding, dilation and groups, both directions. The product of "pixels x taps"
// and "taps x channels" is formed tile by tile; the left matrix exists only as pointers into the image.
class ImplicitGemm : public ConvPlan {
public:
    explicit ImplicitGemm(const ConvProblem& p)
        : kernels_(p.kernels), taps_(p.shape, p.direction), r_(p.shape.window.r), s_(p.shape.window.s), groups_(p.shape.groups),
          in_(p.in_channels() / groups_), out_(p.out_channels() / groups_), columns_(kernels_.tile_columns),
          panels_((out_ + columns_ - 1) / columns_), relu_(p.fused == Fused::relu) {
        packed_ = packed_once(p.weights, std::string("implicit gemm ") + (p.forward() ? "forward " : "grad ") + kernels_.isa,
                              [&] { return pack(p); });
        if (!p.weights.bias.empty()) {  // a panel at a time, zeros where the last one is not full
            bias_.resize(std::size_t(groups_ * panels_ * columns_));
            for (Index k = 0; k < out_ * groups_; k++)
                bias_[std::size_t((k / out_ * panels_) * columns_ + k % out_)] = p.weights.bias.data()[k];
        }
    }
    std::string algorithm() const override { return "implicit gemm"; }

    void run(const Tensor& x, Tensor& y) const override {
        const Index rows = kernels_.tile_rows, pixels = x.shape()[0] * taps_.out_rows * taps_.out_columns,
                    tiles = (pixels + rows - 1) / rows;
        // A group of panels should stay in the second-level cache while a block of tiles passes under it.
        const Index panel_bytes = r_ * s_ * in_ * columns_ * Index(sizeof(float));
        const Index together = std::clamp<Index>((Index(256) << 10) / panel_bytes, 1, panels_),
                    panel_groups = (panels_ + together - 1) / together;
        const Index block = std::clamp<Index>(tiles / 8, 1, 48), blocks = (tiles + block - 1) / block;
        parallel_for(groups_ * panel_groups * blocks, [&](Index job) {
            const Index first_tile = job % blocks * block, panel_group = job / blocks % panel_groups, group = job / blocks / panel_groups;
            Gather gather(*this, x, y, group);
            for (Index t = first_tile; t < std::min(tiles, first_tile + block); t++) {
                gather.collect(t * rows, std::min(pixels, (t + 1) * rows));
                for (Index panel = panel_group * together; panel < std::min(panels_, (panel_group + 1) * together); panel++)
                    gather.compute(panel);
            }
        });
    }

private:
    // The pointers of one tile: for each tap that anybody uses, where each of the tile's pixels reads.
    class Gather {
    public:
        Gather(const ImplicitGemm& plan, const Tensor& x, Tensor& y, Index group)
            : plan_(plan), x_(x.data() + group * plan.in_), y_(y.data() + group * plan.out_), group_(group),
              zeros_(std::size_t(plan.in_), 0.0f), pixels_(std::size_t(plan.r_ * plan.s_ * plan.kernels_.tile_rows)),
              ids_(std::size_t(plan.r_ * plan.s_)), out_(std::size_t(plan.kernels_.tile_rows)),
              places_(std::size_t(plan.kernels_.tile_rows)) {}

        void collect(Index first, Index last) {
            const TapMap& map = plan_.taps_;
            const Index plane = map.out_rows * map.out_columns, in_step = plan_.in_ * plan_.groups_, out_step = plan_.out_ * plan_.groups_;
            count_ = int(last - first);
            for (int m = 0; m < count_; m++) {
                const Index n = (first + m) / plane, i = (first + m) % plane / map.out_columns,
                            j = map.column((first + m) % map.out_columns);
                places_[std::size_t(m)] = {i, j, x_ + n * map.in_rows * map.in_columns * in_step};
                out_[std::size_t(m)] = y_ + ((n * map.out_rows + i) * map.out_columns + j) * out_step;
            }
            taps_ = 0;
            const Index rows = plan_.kernels_.tile_rows;
            for (Index r = 0; r < plan_.r_; r++)
                for (Index s = 0; s < plan_.s_; s++) {
                    const float** tap = pixels_.data() + taps_ * rows;
                    bool used = false;
                    for (int m = 0; m < count_; m++) {
                        const Place& place = places_[std::size_t(m)];
                        const Index h = map.in_row(place.i, r), w = map.in_column(place.j, s);
                        const bool inside = h >= 0 && w >= 0;
                        tap[m] = inside ? place.image + (h * map.in_columns + w) * in_step : zeros_.data();
                        used |= inside;
                    }
                    for (Index m = count_; m < rows; m++) tap[m] = zeros_.data();
                    if (used) ids_[std::size_t(taps_++)] = r * plan_.s_ + s;
                }
        }
        void compute(Index panel) {
            const Index at = group_ * plan_.panels_ + panel, first = panel * plan_.columns_;
            float* out[64];
            for (int m = 0; m < count_; m++) out[m] = out_[std::size_t(m)] + first;
            plan_.kernels_.tile({pixels_.data(), ids_.data(), taps_, plan_.in_,
                                 plan_.packed_->data() + at * plan_.r_ * plan_.s_ * plan_.in_ * plan_.columns_,
                                 plan_.bias_.empty() ? nullptr : plan_.bias_.data() + at * plan_.columns_, plan_.relu_, out, count_,
                                 int(std::min(plan_.columns_, plan_.out_ - first))});
        }

    private:
        struct Place {
            Index i, j;
            const float* image;
        };
        const ImplicitGemm& plan_;
        const float* x_;
        float* y_;
        Index group_;
        std::vector<float> zeros_;
        std::vector<const float*> pixels_;
        std::vector<Index> ids_;
        std::vector<float*> out_;
        std::vector<Place> places_;
        Index taps_ = 0;
        int count_ = 0;
    };

    // [group][panel][tap][in channel][column], the columns past the last out channel zero
    std::vector<float> pack(const ConvProblem& p) const {
        const Index taps = r_ * s_, C = p.shape.c / groups_, K = p.shape.k / groups_;
        std::vector<float> out(std::size_t(groups_ * panels_ * taps * in_ * columns_));
        const float* kernel = p.weights.kernel.data();  // (r,s,C,K*groups)
        parallel_for(groups_ * panels_, [&](Index at) {
            const Index group = at / panels_, first = at % panels_ * columns_, count = std::min(columns_, out_ - first);
            float* to = out.data() + at * taps * in_ * columns_;
            for (Index tap = 0; tap < taps; tap++)
                for (Index i = 0; i < in_; i++, to += columns_) {
                    const float* from = kernel + tap * C * p.shape.k + group * K;
                    if (p.forward())
                        std::memcpy(to, from + i * p.shape.k + first, std::size_t(count) * sizeof(float));
                    else
                        for (Index j = 0; j < count; j++) to[j] = from[(first + j) * p.shape.k + i];
                }
        });
        return out;
    }

    const Kernels& kernels_;
    TapMap taps_;
    Index r_, s_, groups_, in_, out_, columns_, panels_;
    bool relu_;
    Packed packed_;
    std::vector<float> bias_;
};

std::string never_refuse(const ConvProblem&) { return ""; }
template <class Plan> std::unique_ptr<ConvPlan> make(const ConvProblem& problem) { return std::make_unique<Plan>(problem); }

}  // namespace

std::span<const Candidate> candidates() {
    static const Candidate list[] = {
        {"depthwise", refuse_depthwise, make<Depthwise>},
        {"implicit gemm", never_refuse, make<ImplicitGemm>},
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
