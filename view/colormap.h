// Colours for numbers from 0 to 1.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace limn {

// jet as OpenCV's COLORMAP_JET; viridis and inferno as matplotlib's, from nine of their colours; diverging: blue, white
// at 0.5, red.
enum class Colormap { jet, viridis, inferno, grey, diverging };
Colormap colormap_from_name(std::string_view name);        // an Error lists the names

std::array<std::uint8_t, 3> color(Colormap map, float value);  // values outside 0..1 are clamped, NaN counts as 0

}  // namespace limn
