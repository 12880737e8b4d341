#include "view/colormap.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/paint.h"

namespace limn {

namespace {

struct Named {
    Colormap map;
    std::string_view name;
};
constexpr Named colormaps[] = {{Colormap::jet, "jet"},
                               {Colormap::viridis, "viridis"},
                               {Colormap::inferno, "inferno"},
                               {Colormap::grey, "grey"},
                               {Colormap::diverging, "diverging"}};

// Every 17th of matplotlib's 256 colours.
constexpr Rgb viridis[] = {{68, 1, 84},    {72, 26, 108},  {71, 47, 125},  {65, 68, 135},  {57, 86, 140},  {49, 104, 142},
                           {42, 120, 142}, {35, 136, 142}, {31, 152, 139}, {34, 168, 132}, {53, 183, 121}, {84, 197, 104},
                           {122, 209, 81}, {165, 219, 54}, {210, 226, 27}, {253, 231, 37}};
constexpr Rgb inferno[] = {{0, 0, 4},      {12, 8, 38},    {36, 12, 79},   {66, 10, 104},  {93, 18, 110},  {120, 28, 109},
                           {147, 38, 103}, {174, 48, 92},  {199, 62, 76},  {221, 81, 58},  {237, 105, 37}, {248, 133, 15},
                           {252, 165, 10}, {250, 198, 45}, {242, 230, 97}, {252, 255, 164}};
constexpr Rgb diverging[] = {{33, 60, 178}, {255, 255, 255}, {178, 24, 43}};
constexpr Rgb grey[] = {{0, 0, 0}, {255, 255, 255}};

// The colours at equal distances from 0 to 1, and straight lines between them.
Rgb between(std::span<const Rgb> colours, float v) {
    const float at = v * float(colours.size() - 1);
    const std::size_t low = std::min(colours.size() - 2, std::size_t(at));
    Rgb out{};
    for (std::size_t c = 0; c < 3; c++)
        out[c] = std::uint8_t(std::lround(std::lerp(float(colours[low][c]), float(colours[low + 1][c]), at - float(low))));
    return out;
}

// OpenCV's 256 steps: each channel rises and falls by 4 levels a step. Only the last step with any blue breaks the rule.
Rgb jet(int step) {
    const auto level = [](int rising, int falling) { return std::uint8_t(std::clamp(std::min(rising, falling), 0, 255)); };
    const std::uint8_t blue = step == 159 ? 1 : level(4 * step + 128, 638 - 4 * step);
    return {level(4 * step - 382, 1148 - 4 * step), level(4 * step - 128, 892 - 4 * step), blue};
}

}  // namespace

Colormap colormap_from_name(std::string_view wanted) {
    std::string known;
    for (const auto& [map, name] : colormaps) {
        if (name == wanted) return map;
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    fail("colormap '{}' is not known: choose one of {}", wanted, known);
}

Rgb color(Colormap map, float value01) {
    const float v = value01 > 0 ? std::min(value01, 1.0f) : 0;
    switch (map) {
        case Colormap::viridis: return between(viridis, v);
        case Colormap::inferno: return between(inferno, v);
        case Colormap::grey: return between(grey, v);
        case Colormap::diverging: return between(diverging, v);
        case Colormap::jet: break;
    }
    return jet(colour_step(v));
}

Tensor colour_table(Colormap map) {
    Tensor table({256, 3}, DType::u8);
    for (int step = 0; step < 256; step++)
        std::ranges::copy(map == Colormap::jet ? jet(step) : color(map, float(step) / 255), table.data<std::uint8_t>() + 3 * step);
    return table;
}

}  // namespace limn
