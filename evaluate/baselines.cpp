#include "evaluate/baselines.h"

#include <cmath>

#include "autograd/training.h"

namespace limn {

namespace {

Tensor centre_box(const Image&, Index height, Index width, std::uint64_t) {
    Tensor map = Tensor::zeros({height, width});
    const auto margin = [](Index side) { return Index(std::llround(double(side) * (1 - std::sqrt(0.5)) / 2)); };
    for (Index r = margin(height); r < height - margin(height); r++)
        for (Index c = margin(width); c < width - margin(width); c++) map.data()[r * width + c] = 1;
    return map;
}

Tensor centre_gauss(const Image&, Index height, Index width, std::uint64_t) {
    Tensor map({height, width});
    const auto distance = [](Index i, Index side) { return (double(i) + 0.5 - double(side) / 2) / (double(side) / 4); };
    for (Index r = 0; r < height; r++)
        for (Index c = 0; c < width; c++) {
            const double y = distance(r, height), x = distance(c, width);
            map.data()[r * width + c] = float(std::exp(-(y * y + x * x) / 2));
        }
    return map;
}

Tensor uniform_noise(const Image&, Index height, Index width, std::uint64_t seed) {
    Random random(seed, "random map");
    Tensor map({std::min<Index>(7, height), std::min<Index>(7, width)});
    for (float& v : map.values()) v = float(random.uniform());
    return map;
}

Tensor edges(const Image& photo, Index height, Index width, std::uint64_t) {
    const Tensor grey = to_tensor(resize(photo, height, width, Resampling::bilinear), 1);
    const auto at = [&](Index r, Index c) {
        return double(grey.data()[std::clamp<Index>(r, 0, height - 1) * width + std::clamp<Index>(c, 0, width - 1)]);
    };
    Tensor map({height, width});
    for (Index r = 0; r < height; r++)
        for (Index c = 0; c < width; c++) {
            double x = 0, y = 0;
            for (Index d = -1; d <= 1; d++) {
                const double weight = d == 0 ? 2 : 1;
                x += weight * (at(r + d, c + 1) - at(r + d, c - 1));
                y += weight * (at(r + 1, c + d) - at(r - 1, c + d));
            }
            map.data()[r * width + c] = float(std::hypot(x, y));
        }
    return map;
}

}  // namespace

std::span<const Baseline> baselines() {
    static const Baseline list[] = {{"centre-box", "a box in the middle with half of the area", centre_box},
                                    {"centre-gauss", "a Gaussian in the middle", centre_gauss},
                                    {"random", "7x7 random numbers", uniform_noise},
                                    {"edges", "gradient magnitude of the grey photo", edges}};
    return list;
}

}  // namespace limn
