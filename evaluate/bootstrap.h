// How sure is a number that was measured on some photos? The percentile bootstrap (Efron & Tibshirani 1993, chapter 13): the same number
// over photos drawn with replacement, many times; the middle 95 % of what comes out.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace limn {

struct Estimate {
    double value, low, high;
    Index count;  // photos behind it
};

struct Bootstrap {
    Index resamples = 1000;
    double confidence = 0.95;
    std::uint64_t seed = 1;
};

// statistic: of photos given by their numbers (0 to count-1; repeated where one was drawn more than once). NaN for no photos.
using Statistic = std::function<double(std::span<const Index> photos)>;
Estimate bootstrap(Index count, const Statistic& statistic, const Bootstrap& options = {});
Estimate bootstrap_mean(std::span<const double> values, const Bootstrap& options = {});

// Between the two nearest of sorted values, as NumPy's percentile; share: 0 to 1.
double quantile(std::span<const double> sorted, double share);

}  // namespace limn
