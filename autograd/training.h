// What a forward pass in training needs besides the tape: layers that act otherwise than in use (batch normalisation,
// dropout) find it at tape.training. A tape without one is a tape in use.
//
// A frozen layer (Layer::trainable is false) acts as in use, as in Keras.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace limn {

// Random numbers that repeat exactly on every machine: splitmix64 (Steele, Lea & Flood 2014).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    Random(std::uint64_t seed, std::string_view stream);  // a stream of its own for each name
    std::uint64_t bits();
    double uniform() { return double(bits() >> 11) * 0x1p-53; }  // 0 <= u < 1
    double uniform(double low, double high) { return low + (high - low) * uniform(); }
    Index below(Index n) { return Index(bits() % std::uint64_t(n)); }
    template <class T> void shuffle(std::vector<T>& list) {  // Fisher & Yates
        for (std::size_t i = list.size(); i > 1; i--) std::swap(list[i - 1], list[std::size_t(below(Index(i)))]);
    }
    double normal();  // mean 0, deviation 1 (Box & Muller 1958)

private:
    std::uint64_t state_;
};

struct TrainingStep {
    std::uint64_t seed = 0;  // another one each step

    // Keras's moving averages, to be taken over when the step is done: moving = moving * momentum + batch * (1 - momentum)
    struct MovingAverage {
        Tensor moving, batch;
        double momentum;
    };
    std::vector<MovingAverage> moving_averages;
};

}  // namespace limn
