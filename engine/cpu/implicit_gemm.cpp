// Any kernel, stride, padding, dilation and groups, both directions. The product of "pixels x taps" and "taps x channels" is formed
// tile by tile; the left matrix exists only as pointers into the image.
#include <algorithm>
#include <array>
#include <cstring>

#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

// With few channels the taps of one row are taken as one: x[h, w..w+s, 0..c] lie side by side, so 3x3 taps of 3 channels are 3 taps
// of 9. The image is then copied with its padding, so that every tap exists.
bool joins_taps(const ConvProblem& p) {
    return p.forward() && p.shape.groups == 1 && p.shape.window.dilation_w == 1 && p.shape.window.s > 1 && p.shape.c <= 8;
}

ConvShape joined(ConvShape v) {
    const Window w = v.window;
    v.h = (v.p - 1) * w.stride_h + (w.r - 1) * w.dilation_h + 1, v.w = (v.q - 1) * w.stride_w + w.s;
    v.window.pad_top = v.window.pad_left = 0;
    return v;
}

class ImplicitGemm : public ConvPlan {
public:
    explicit ImplicitGemm(const ConvProblem& p)
        : kernels_(p.kernels), joined_(joins_taps(p)), window_(p.shape.window), map_(map_of(p)), groups_(p.shape.groups),
          taps_across_(joined_ ? 1 : window_.s), taps_(window_.r * taps_across_),
          depth_(p.in_channels() / groups_ * (joined_ ? window_.s : 1)), in_step_(p.in_channels()), out_(p.out_channels() / groups_),
          columns_(kernels_.tile_columns), panels_((out_ + columns_ - 1) / columns_), fused_(p.fused), packed_(packed_panels(p)),
          bias_(panels_of_bias(p)) {}
    std::string algorithm() const override { return "implicit gemm"; }
    Cost cost() const override {
        const double pixels = double(map_.out_rows * map_.out_columns), sums = pixels * double(taps_ * depth_ * groups_);
        return {sums * double(out_), sums * double(panels_ * columns_), double(packed_.size()) * sizeof(float)};
    }

    void run(const Tensor& image, Tensor& y) const override {
        const Tensor x = joined_ ? padded(image) : image;
        const Index rows = kernels_.tile_rows, pixels = x.shape()[0] * map_.out_rows * map_.out_columns, tiles = (pixels + rows - 1) / rows;
        // A group of panels should stay in the second-level cache while a block of tiles passes under it.
        const Index panel_bytes = taps_ * depth_ * columns_ * Index(sizeof(float));
        const Index together = std::clamp<Index>((Index(256) << 10) / panel_bytes, 1, panels_),
                    panel_groups = (panels_ + together - 1) / together;
        const Index block = std::clamp<Index>(tiles / 8, 1, 48), blocks = (tiles + block - 1) / block;
        parallel_for(groups_ * panel_groups * blocks, [&](Index job) {
            const Index first_tile = job % blocks * block, panel_group = job / blocks % panel_groups, group = job / blocks / panel_groups;
            thread_local Gather gather;
            gather.begin(*this, x, y, group);
            for (Index t = first_tile; t < std::min(tiles, first_tile + block); t++) {
                gather.collect(t * rows, std::min(pixels, (t + 1) * rows));
                for (Index panel = panel_group * together; panel < std::min(panels_, (panel_group + 1) * together); panel++)
                    gather.compute(panel);
            }
        });
    }

private:
    static TapMap map_of(const ConvProblem& p) {
        if (!joins_taps(p)) return TapMap(p.shape, p.direction);
        ConvShape v = joined(p.shape);
        v.window.s = 1;
        return TapMap(v, p.direction);
    }

    Tensor padded(const Tensor& x) const {
        const Index N = x.shape()[0], h = x.shape()[1], row = x.shape()[2] * x.shape()[3];
        Tensor out({N, map_.in_rows, map_.in_columns, x.shape()[3]});
        const Index out_row = out.shape()[2] * out.shape()[3], left = window_.pad_left * x.shape()[3],
                    count = std::min(row, out_row - left);
        parallel_for(N * map_.in_rows, N * map_.in_rows * out_row, [&](Index i) {
            const Index n = i / map_.in_rows, from = i % map_.in_rows - window_.pad_top;
            float* to = out.data() + i * out_row;
            if (from < 0 || from >= h) return void(std::fill(to, to + out_row, 0.0f));
            std::fill(to, to + left, 0.0f);
            std::memcpy(to + left, x.data() + (n * h + from) * row, std::size_t(count) * sizeof(float));
            std::fill(to + left + count, to + out_row, 0.0f);
        });
        return out;
    }

    // The pointers of one tile: for each tap that anybody uses, where each of the tile's pixels reads.
    class Gather {
    public:
        void begin(const ImplicitGemm& plan, const Tensor& x, Tensor& y, Index group) {
            plan_ = &plan, group_ = group;
            x_ = x.data() + group * plan.depth_, y_ = y.data() + group * plan.out_;
            const auto rows = std::size_t(plan.kernels_.tile_rows), taps = std::size_t(plan.taps_);
            if (zeros_.size() < std::size_t(plan.depth_)) zeros_.resize(std::size_t(plan.depth_));
            if (pixels_.size() < taps * rows) pixels_.resize(taps * rows);
            if (ids_.size() < taps) ids_.resize(taps);
        }

        void collect(Index first, Index last) {
            const TapMap& map = plan_->map_;
            const Index plane = map.out_rows * map.out_columns, in_step = plan_->in_step_, out_step = plan_->out_ * plan_->groups_;
            count_ = int(last - first);
            const Index rows = plan_->kernels_.tile_rows;
            Index n = first / plane, i = first % plane / map.out_columns, order = first % map.out_columns;
            for (int m = 0; m < count_; m++) {
                const Index j = map.column(order);
                places_[std::size_t(m)] = {i, j, x_ + n * map.in_rows * map.in_columns * in_step};
                out_[std::size_t(m)] = y_ + ((n * map.out_rows + i) * map.out_columns + j) * out_step;
                if (++order == map.out_columns) {
                    order = 0;
                    if (++i == map.out_rows) i = 0, n++;
                }
            }
            used_ = 0;
            for (Index r = 0; r < plan_->window_.r; r++)
                for (Index s = 0; s < plan_->taps_across_; s++) {
                    const float** tap = pixels_.data() + used_ * rows;
                    bool used = false;
                    for (int m = 0; m < count_; m++) {
                        const Place& place = places_[std::size_t(m)];
                        const Index h = map.in_row(place.i, r), w = map.in_column(place.j, s);
                        const bool inside = h >= 0 && w >= 0;
                        tap[m] = inside ? place.image + (h * map.in_columns + w) * in_step : zeros_.data();
                        used |= inside;
                    }
                    for (Index m = count_; m < rows; m++) tap[m] = zeros_.data();
                    if (used) ids_[std::size_t(used_++)] = r * plan_->taps_across_ + s;
                }
        }
        void compute(Index panel) {
            const Index at = group_ * plan_->panels_ + panel, first = panel * plan_->columns_;
            plan_->kernels_.tile({pixels_.data(), ids_.data(), used_, plan_->depth_,
                                  plan_->packed_.data() + at * plan_->taps_ * plan_->depth_ * plan_->columns_,
                                  plan_->bias_.empty() ? nullptr : plan_->bias_.data() + at * plan_->columns_, plan_->fused_, out_.data(),
                                  first, count_, int(std::min(plan_->columns_, plan_->out_ - first))});
        }

    private:
        static constexpr std::size_t most_rows = 16;
        struct Place {
            Index i, j;
            const float* image;
        };
        const ImplicitGemm* plan_ = nullptr;
        const float* x_ = nullptr;
        float* y_ = nullptr;
        Index group_ = 0, used_ = 0;
        std::vector<float> zeros_;
        std::vector<const float*> pixels_;
        std::vector<Index> ids_;
        std::array<float*, most_rows> out_;
        std::array<Place, most_rows> places_;
        int count_ = 0;
    };

    const Kernels& kernels_;
    bool joined_;
    Window window_;
    TapMap map_;
    Index groups_, taps_across_, taps_, depth_, in_step_, out_, columns_, panels_;  // taps of `depth_` numbers each
    Fused fused_;
    Tensor packed_;
    std::vector<float> bias_;
};

}  // namespace

std::unique_ptr<ConvPlan> plan_implicit_gemm(const ConvProblem& problem) { return std::make_unique<ImplicitGemm>(problem); }

}  // namespace limn::cpu
