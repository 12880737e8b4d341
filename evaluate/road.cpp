#include "evaluate/road.h"

#include <algorithm>
#include <cmath>

#include "autograd/training.h"
#include "engine/threads.h"
#include "evaluate/bootstrap.h"

namespace limn {

namespace {

// For the missing pixel i: (sum of the weights inside the picture) * x_i - sum of weight * x_j over missing neighbours j
//                        =  sum of weight * known neighbours
struct System {
    struct Neighbour {
        Index unknown;  // its number
        double weight;
    };
    std::vector<Index> pixels;  // of each unknown
    std::vector<double> diagonal;
    std::vector<Neighbour> neighbours;               // of all unknowns, one after another
    std::vector<std::size_t> first;                  // where each one's begin; one more than unknowns
    std::vector<std::pair<Index, Neighbour>> known;  // {pixel, {unknown, weight}}

    System(const Tensor& missing, Index height, Index width) {
        std::vector<Index> number(std::size_t(height * width), -1);
        for (Index i = 0; i < height * width; i++)
            if (missing.data<std::uint8_t>()[i]) number[std::size_t(i)] = Index(pixels.size()), pixels.push_back(i);
        for (Index pixel : pixels) {
            const Index row = pixel / width, column = pixel % width;
            first.push_back(neighbours.size());
            double total = 0;
            for (Index r = std::max<Index>(0, row - 1); r <= std::min(height - 1, row + 1); r++)
                for (Index c = std::max<Index>(0, column - 1); c <= std::min(width - 1, column + 1); c++) {
                    if (r == row && c == column) continue;
                    const double weight = r == row || c == column ? 1.0 / 6 : 1.0 / 12;
                    total += weight;
                    const Index other = number[std::size_t(r * width + c)];
                    if (other >= 0)
                        neighbours.push_back({other, weight});
                    else
                        known.push_back({r * width + c, {number[std::size_t(pixel)], weight}});
                }
            diagonal.push_back(total);
        }
        first.push_back(neighbours.size());
    }

    std::vector<double> times(const std::vector<double>& x) const {
        std::vector<double> y(x.size());
        for (std::size_t i = 0; i < x.size(); i++) {
            double sum = diagonal[i] * x[i];
            for (std::size_t k = first[i]; k < first[i + 1]; k++) sum -= neighbours[k].weight * x[std::size_t(neighbours[k].unknown)];
            y[i] = sum;
        }
        return y;
    }
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
    return sum;
}

// Hestenes & Stiefel 1952. From 0, so that what touches no known pixel stays 0.
std::vector<double> solve(const System& system, const std::vector<double>& right) {
    std::vector<double> x(right.size()), rest = right, direction = right;
    double squared = dot(rest, rest);
    const double enough = squared * 1e-12;  // a residual of a millionth: far below the noise
    for (std::size_t i = 0; i < 20 * right.size() + 100 && squared > enough; i++) {
        const std::vector<double> image = system.times(direction);
        const double length = squared / dot(direction, image);
        for (std::size_t k = 0; k < x.size(); k++) x[k] += length * direction[k], rest[k] -= length * image[k];
        const double next = dot(rest, rest);
        for (std::size_t k = 0; k < x.size(); k++) direction[k] = rest[k] + next / squared * direction[k];
        squared = next;
    }
    return x;
}

}  // namespace

Tensor imputed(const Tensor& input, const Tensor& missing, double noise, std::uint64_t seed) {
    const Index H = input.shape()[1], W = input.shape()[2], C = input.shape()[3];
    LIMN_CHECK(missing.shape() == (Shape{H, W}), "an input of {} does not go with missing pixels of {}", input.shape().str(),
               missing.shape().str());
    const System system(missing, H, W);
    Random random(seed, "imputation");
    Tensor out = input.clone();
    for (Index c = 0; c < C; c++) {
        std::vector<double> right(system.pixels.size());
        for (const auto& [pixel, neighbour] : system.known)
            right[std::size_t(neighbour.unknown)] += neighbour.weight * double(input.data()[pixel * C + c]);
        const std::vector<double> found = solve(system, right);
        for (std::size_t i = 0; i < found.size(); i++) out.data()[system.pixels[i] * C + c] = float(found[i] + noise * random.normal());
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
