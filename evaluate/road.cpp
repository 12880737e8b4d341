#include "evaluate/road.h"

#include <algorithm>
#include <numeric>

#include "autograd/training.h"
#include "engine/threads.h"
#include "evaluate/bootstrap.h"

namespace limn {

namespace {

// Numbers of the pixels, with a frame of zeros around them: nothing lies beyond the edges.
using Grid = std::vector<double>;

// In eight sums, so that none waits for the other
double dot(const Grid& a, const Grid& b) {
    double sums[8] = {};
    std::size_t i = 0;
    for (; i + 8 <= a.size(); i += 8)
        for (std::size_t k = 0; k < 8; k++) sums[k] += a[i + k] * b[i + k];
    for (; i < a.size(); i++) sums[0] += a[i] * b[i];
    return std::accumulate(sums, sums + 8, 0.0);
}

// For a missing pixel i, with its neighbours j:  (sum of the weights inside the picture) * x_i - sum of w_j * x_j over missing ones
//                                              =  sum of w_j * x_j over known ones
class System {
public:
    System(const Tensor& missing, Index height, Index width) : height_(height), width_(width), missing_(grid()), diagonal_(grid()) {
        Grid inside = grid();
        each_pixel([&](Index pixel, std::size_t at) { missing_[at] = missing.data<std::uint8_t>()[pixel] != 0, inside[at] = 1; });
        each_pixel([&](Index, std::size_t at) { diagonal_[at] = around(inside, at); });
    }

    // Of the missing pixels; 0 elsewhere
    Grid fill(const Grid& values) const {
        Grid known = values, right = grid();
        each_pixel([&](Index, std::size_t at) { known[at] *= 1 - missing_[at]; });
        each_pixel([&](Index, std::size_t at) { right[at] = missing_[at] * around(known, at); });
        return solve(right);
    }

    Grid grid() const { return Grid(std::size_t((height_ + 2) * (width_ + 2))); }
    template <class F> void each_pixel(F&& f) const {
        for (Index r = 0; r < height_; r++)
            for (Index c = 0; c < width_; c++) f(r * width_ + c, std::size_t((r + 1) * (width_ + 2) + c + 1));
    }

private:
    double around(const Grid& x, std::size_t at) const {  // the weighted sum of the neighbours
        const double* above = x.data() + at - std::size_t(width_ + 2);
        const double *row = x.data() + at, *below = row + (width_ + 2);
        return (2 * (above[0] + row[-1] + row[1] + below[0]) + above[-1] + above[1] + below[-1] + below[1]) * (1.0 / 12);
    }

    // Conjugate gradients (Hestenes & Stiefel 1952). From 0, so that what touches no known pixel stays 0.
    Grid solve(const Grid& right) const {
        Grid x = grid(), rest = right, direction = right, image = grid();
        double squared = dot(rest, rest);
        const double enough = squared * 1e-12;  // a residual of a millionth: far below the noise
        for (std::size_t i = 0; i < 20 * x.size() && squared > enough; i++) {
            each_pixel([&](Index, std::size_t at) { image[at] = missing_[at] * (diagonal_[at] * direction[at] - around(direction, at)); });
            const double length = squared / dot(direction, image);
            for (std::size_t k = 0; k < x.size(); k++) x[k] += length * direction[k], rest[k] -= length * image[k];
            const double next = dot(rest, rest);
            for (std::size_t k = 0; k < x.size(); k++) direction[k] = rest[k] + next / squared * direction[k];
            squared = next;
        }
        return x;
    }

    Index height_, width_;
    Grid missing_, diagonal_;  // missing: 1 or 0
};

}  // namespace

Tensor imputed(const Tensor& input, const Tensor& missing, double noise, std::uint64_t seed) {
    const Index H = input.shape()[1], W = input.shape()[2], C = input.shape()[3];
    LIMN_CHECK(missing.shape() == (Shape{H, W}), "an input of {} does not go with missing pixels of {}", input.shape().str(),
               missing.shape().str());
    const System system(missing, H, W);
    Random random(seed, "imputation");
    Tensor out = input.clone();
    for (Index c = 0; c < C; c++) {
        Grid values = system.grid();
        system.each_pixel([&](Index pixel, std::size_t at) { values[at] = input.data()[pixel * C + c]; });
        const Grid filled = system.fill(values);
        system.each_pixel([&](Index pixel, std::size_t at) {
            if (missing.data<std::uint8_t>()[pixel]) out.data()[pixel * C + c] = float(filled[at] + noise * random.normal());
        });
    }
    return out;
}

double road(const Scorer& scorer, const Tensor& input, const Tensor& heat, const RoadOptions& options) {
    std::vector<double> sorted(heat.values().begin(), heat.values().end());
    std::sort(sorted.begin(), sorted.end());
    const Index count = Index(options.percentiles.size());
    LIMN_CHECK(count > 0, "ROAD without percentiles");
    std::vector<Tensor> inputs(std::size_t(2 * count));  // the most relevant pixels away, then the least relevant ones
    parallel_for(2 * count, [&](Index i) {
        const bool most = i < count;
        const double share = options.percentiles[std::size_t(i % count)] / 100;
        const double limit = quantile(sorted, most ? share : 1 - share);
        Tensor missing(heat.shape(), DType::u8);
        for (Index k = 0; k < heat.size(); k++)
            missing.data<std::uint8_t>()[k] = most ? double(heat.data()[k]) >= limit : double(heat.data()[k]) <= limit;
        inputs[std::size_t(i)] = imputed(input, missing, options.noise, options.seed + std::uint64_t(i));
    });
    const std::vector<double> scores = scores_of(scorer, 2 * count, [&](Index i) { return inputs[std::size_t(i)]; });
    double sum = 0;
    for (Index i = 0; i < 2 * count; i++) sum += i < count ? -scores[std::size_t(i)] : scores[std::size_t(i)];
    return sum / (2 * double(count));
}

}  // namespace limn
