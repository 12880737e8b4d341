#include "evaluate/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/training.h"

namespace limn {

double quantile(std::span<const double> sorted, double share) {
    LIMN_CHECK(!sorted.empty(), "no numbers have no quantile");
    const double place = share * double(sorted.size() - 1);
    const auto below = std::size_t(place), above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - double(below)) * (sorted[above] - sorted[below]);
}

Estimate bootstrap(Index count, const Statistic& statistic, const Bootstrap& options) {
    if (count == 0) return {NAN, NAN, NAN, 0};
    std::vector<Index> photos(std::size_t(count), 0);
    std::iota(photos.begin(), photos.end(), Index(0));
    const double value = statistic(photos);
    Random random(options.seed, "bootstrap");
    std::vector<double> found;
    for (Index i = 0; i < options.resamples; i++) {
        for (Index& photo : photos) photo = random.below(count);
        if (const double v = statistic(photos); !std::isnan(v)) found.push_back(v);
    }
    if (found.empty()) return {value, NAN, NAN, count};
    std::sort(found.begin(), found.end());
    const double tail = (1 - options.confidence) / 2;
    return {value, quantile(found, tail), quantile(found, 1 - tail), count};
}

Estimate bootstrap_mean(std::span<const double> values, const Bootstrap& options) {
    return bootstrap(
        Index(values.size()),
        [&](std::span<const Index> photos) {
            double sum = 0;
            for (Index photo : photos) sum += values[std::size_t(photo)];
            return sum / double(photos.size());
        },
        options);
}

}  // namespace limn
