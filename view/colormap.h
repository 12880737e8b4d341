// Colours for numbers from 0 to 1.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "engine/tensor.h"

namespace limn {

using Rgb = std::array<std::uint8_t, 3>;

// jet: OpenCV's COLORMAP_JET at the step uint8(255 * value), exactly. viridis and inferno: matplotlib's, to within 7 of
// 255 levels (on average half a level). diverging: blue, white at 0.5, red.
enum class Colormap { jet, viridis, inferno, grey, diverging };
Colormap colormap_from_name(std::string_view name);  // an Error lists the names

Rgb color(Colormap map, float value01);  // values outside 0..1 are clamped, NaN counts as 0
Tensor colour_table(Colormap map);       // the colours of 256 steps from 0 to 1, for Backend::paint: (256,3) bytes

}  // namespace limn
