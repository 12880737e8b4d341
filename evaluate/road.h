// ROAD, remove and debias (Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods"): pixels are taken
// away by numbers that look like their surroundings, so that the shape of what is missing tells the network nothing.
//
// Noisy linear imputation: a missing pixel is the weighted mean of its neighbours, 1/6 of each beside it and 1/12 of each across a
// corner (as shares of those inside the picture). One equation a pixel; the system is symmetric and positive definite.
#pragma once

#include <cstdint>
#include <vector>

#include "evaluate/faithfulness.h"

namespace limn {

// input: (1,H,W,c); missing: (H,W) bytes, not 0 where a pixel is to be imputed. Normal noise of this deviation is added to those.
Tensor imputed(const Tensor& input, const Tensor& missing, double noise, std::uint64_t seed);

struct RoadOptions {
    std::vector<double> percentiles{10, 20, 30, 40, 50, 60, 70, 80, 90};
    double noise = 0.01;
    std::uint64_t seed = 1;
};
// (score without the least relevant pixels - score without the most relevant ones) / 2, the mean over percentiles of the map: above 0
// where the map ranks pixels as the network does (the combination of pytorch-grad-cam).
double road(const Scorer& scorer, const Tensor& input, const Tensor& heat, const RoadOptions& options = {});

}  // namespace limn
