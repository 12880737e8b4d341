// One map of one photo, rated: its number for each metric, and what numbers of whole data sets are made of.
//
// A raw map (h,w) becomes a heat map as for the eye: negative cells count as 0, half-pixel bilinear to the size where it is compared,
// the largest value 1. At the photo's size it meets masks and boxes, at 224x224 the benchmark's sweeps, at the input's size the network.
#pragma once

#include <cmath>
#include <map>
#include <optional>

#include "evaluate/annotations.h"
#include "evaluate/faithfulness.h"
#include "evaluate/metrics.h"

namespace limn {

struct Rating {
    std::map<std::string, double> numbers;  // by metric; without those that do not apply, or are not finite
    void note(const std::string& id, double value) {
        if (std::isfinite(value)) numbers[id] = value;
    }
    std::string box_hits;  // for MaxBoxAcc (localisation.h)
    PixelCounts pixels;    // for PxAP
};

struct RatingSettings {
    std::vector<Metric> metrics;
    Index step = 0;          // pixels a step of insertion and deletion; 0: as many as the input is wide
    Index thresholds = 100;  // of the sweeps
    std::uint64_t seed = 1;
    bool wants(std::string_view id) const;
};

Tensor heat_of(const Tensor& raw, Index height, Index width);

// Did the network name the right class? First, or among its best five.
struct Answer {
    bool first, among_five;
};
void rate_place(const RatingSettings& settings, const Tensor& raw, const Truth& truth, Index height, Index width,
                const std::optional<Answer>& answer, Rating& rating);

// score: of the whole input
void rate_faithfulness(const RatingSettings& settings, const Tensor& raw, const Tensor& input, const Scorer& scorer, double score,
                       Rating& rating);

}  // namespace limn
