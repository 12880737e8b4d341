#include "view/colormap.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/error.h"

namespace limn {

using Rgb = std::array<std::uint8_t, 3>;

static constexpr std::pair<Colormap, std::string_view> names[] = {
    {Colormap::jet, "jet"}, {Colormap::viridis, "viridis"}, {Colormap::inferno, "inferno"}, {Colormap::grey, "grey"}, {Colormap::diverging, "diverging"}};

Colormap colormap_from_name(std::string_view wanted) {
    for (const auto& [map, name] : names)
        if (name == wanted) return map;
    fail("colormap '{}' is not known; jet, viridis, inferno, grey and diverging are", wanted);
}

// Nine colours at 0, 1/8, ... 1; between them a straight line.
static Rgb between(std::span<const Rgb> colours, float v) {
    const float at = v * float(colours.size() - 1);
    const std::size_t low = std::min(colours.size() - 2, std::size_t(at));
    Rgb out{};
    for (std::size_t c = 0; c < 3; c++) out[c] = std::uint8_t(std::lround(float(colours[low][c]) + (at - float(low)) * (float(colours[low + 1][c]) - float(colours[low][c]))));
    return out;
}

Rgb color(Colormap map, float value) {
    static constexpr Rgb viridis[] = {{68, 1, 84}, {71, 44, 122}, {59, 81, 139}, {44, 113, 142}, {33, 144, 141}, {39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37}};
    static constexpr Rgb inferno[] = {{0, 0, 4}, {31, 12, 72}, {85, 15, 109}, {136, 34, 106}, {186, 54, 85}, {227, 89, 51}, {249, 140, 10}, {249, 201, 50}, {252, 255, 164}};
    static constexpr Rgb diverging[] = {{33, 60, 178}, {255, 255, 255}, {178, 24, 43}};
    const float v = value > 0 ? std::min(value, 1.0f) : 0;
    switch (map) {
        case Colormap::viridis: return between(viridis, v);
        case Colormap::inferno: return between(inferno, v);
        case Colormap::diverging: return between(diverging, v);
        case Colormap::grey: return {std::uint8_t(v * 255), std::uint8_t(v * 255), std::uint8_t(v * 255)};
        case Colormap::jet: break;
    }
    // OpenCV's 256 steps (but for one blue at step 159, 1 there, 2 here): each channel rises and falls by 4 levels a step.
    const int i = int(v * 255);
    const auto level = [](int rising, int falling) { return std::uint8_t(std::clamp(std::min(rising, falling), 0, 255)); };
    return {level(4 * i - 382, 1148 - 4 * i), level(4 * i - 128, 892 - 4 * i), level(4 * i + 128, 638 - 4 * i)};
}

}  // namespace limn
