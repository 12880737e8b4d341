// How the learning rate changes over a run.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "engine/error.h"

namespace limn {

struct Schedule {
    std::string name = "cosine";                 // constant; cosine (to 0 at the end: Loshchilov & Hutter 2017); step
    double learning_rate = 1e-3;                 // the largest
    double warmup = 0;                           // epochs over which it rises from 0
    double step_epochs = 10, step_factor = 0.1;  // step: after every so many epochs it is multiplied

    void check() const {
        LIMN_CHECK(name == "constant" || name == "cosine" || name == "step", "schedule '{}' is not known; constant, cosine and step are",
                   name);
        LIMN_CHECK(learning_rate > 0 && std::isfinite(learning_rate), "a learning rate of {} makes no sense", learning_rate);
        LIMN_CHECK(warmup >= 0 && step_epochs > 0 && step_factor > 0, "warm-up, step length and step factor should be positive");
    }
    // epoch: how far the run is, in epochs: 2.5 is the middle of the third
    double at(double epoch, double epochs) const {
        if (epoch < warmup) return learning_rate * epoch / warmup;
        if (name == "step") return learning_rate * std::pow(step_factor, std::floor(epoch / step_epochs));
        if (name == "cosine" && epochs > warmup)
            return learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, (epoch - warmup) / (epochs - warmup))));
        return learning_rate;
    }
};

}  // namespace limn
