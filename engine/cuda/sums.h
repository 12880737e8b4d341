// What kernels add up with. Sums keep what rounding loses (Neumaier 1974): float is enough.
#pragma once

#include <cmath>

#include "engine/host_device.h"

namespace limn::cuda {

struct Sum {
    float value = 0, lost = 0;
    LIMN_HOST_DEVICE void add(float x) {
        const float t = value + x;
        lost += std::fabs(value) >= std::fabs(x) ? (value - t) + x : (x - t) + value;
        value = t;
    }
    LIMN_HOST_DEVICE void merge(const Sum& other) { add(other.value), lost += other.lost; }
    LIMN_HOST_DEVICE float total() const { return std::isfinite(value) ? value + lost : value; }
};
struct TwoSums {
    Sum a, b;
    LIMN_HOST_DEVICE void merge(const TwoSums& other) { a.merge(other.a), b.merge(other.b); }
};
struct Largest {
    float value = -HUGE_VALF;
    LIMN_HOST_DEVICE void add(float x) { value = value < x ? x : value; }
    LIMN_HOST_DEVICE void merge(const Largest& other) { add(other.value); }
    LIMN_HOST_DEVICE float total() const { return value; }
};

struct Count {
    int value = 0;
    LIMN_HOST_DEVICE void merge(const Count& other) { value += other.value; }
};

}  // namespace limn::cuda
