// Any kernel, stride, padding, dilation and groups, both directions. The product of "pixels x taps" and "taps x channels" is formed
// tile by tile; the left matrix exists only as pointers into the image.
#include <algorithm>
#include <array>

#include "engine/cpu/conv_plan.h"
#include "engine/threads.h"

namespace limn::cpu {

namespace {

class ImplicitGemm : public ConvPlan {
public:
    explicit ImplicitGemm(const ConvProblem& p)
        : kernels_(p.kernels), window_(p.shape.window), map_(p.shape, p.direction), groups_(p.shape.groups), taps_(window_.r * window_.s),
          depth_(p.in_channels() / groups_), in_step_(p.in_channels()), out_(p.out_channels() / groups_), columns_(kernels_.tile_columns),
          panels_((out_ + columns_ - 1) / columns_), fused_(p.fused), packed_(packed_panels(p)), bias_(panels_of_bias(p)) {}
    std::string algorithm() const override { return "implicit gemm"; }
    Cost cost() const override {
        const double pixels = double(map_.out_rows * map_.out_columns), sums = pixels * double(taps_ * depth_ * groups_);
        return {sums * double(out_), sums * double(panels_ * columns_), double(packed_.size()) * sizeof(float)};
    }

    void run(const Tensor& x, Tensor& y) const override {
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
                for (Index s = 0; s < plan_->window_.s; s++) {
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
                    if (used) ids_[std::size_t(used_++)] = r * plan_->window_.s + s;
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
    Window window_;
    TapMap map_;
    Index groups_, taps_, depth_, in_step_, out_, columns_, panels_;  // taps of `depth_` numbers each
    Fused fused_;
    Tensor packed_;
    std::vector<float> bias_;
};

}  // namespace

std::unique_ptr<ConvPlan> plan_implicit_gemm(const ConvProblem& problem) { return std::make_unique<ImplicitGemm>(problem); }

}  // namespace limn::cpu
