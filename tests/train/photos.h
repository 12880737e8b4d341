// Small photos for tests: noise around a colour of their own, so that classes can be told apart.
#pragma once

#include "autograd/training.h"
#include "view/image.h"

namespace limn {

inline Image test_photo(Index h, Index w, std::uint64_t seed, int red = 128) {
    Random random(seed);
    Image image{h, w, std::vector<std::uint8_t>(std::size_t(h * w * 3))};
    for (std::size_t i = 0; i < image.rgb.size(); i++)
        image.rgb[i] = std::uint8_t(std::clamp<double>((i % 3 == 0 ? red : 128) + random.uniform(-60, 60), 0, 255));
    return image;
}

// 0.png, 1.png... ; every seed makes other photos
inline void write_photos(const std::filesystem::path& folder, int count, std::uint64_t seed, int red = 128) {
    std::filesystem::create_directories(folder);
    for (int i = 0; i < count; i++)
        write_png(folder / (std::to_string(i) + ".png"), test_photo(12 + i % 3, 14, seed * 1000 + std::uint64_t(i), red));
}

}  // namespace limn
