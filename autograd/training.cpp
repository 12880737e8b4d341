#include "autograd/training.h"

#include <cmath>
#include <numbers>

namespace limn {

std::uint64_t Random::bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

Random::Random(std::uint64_t seed, std::string_view stream) : state_(seed) {
    for (char c : stream) state_ = bits() ^ static_cast<unsigned char>(c);
    bits();
}

double Random::normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
}

}  // namespace limn
