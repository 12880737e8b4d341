// A map: raw numbers at a layer's resolution, and what is made of them for the eye: ReLU, normalisation, size.
// The only place where that is done.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor.h"

namespace limn {

enum class Normalize { max, minmax, none };  // max: ReLU, then / largest;  minmax: to 0..1;  none: ReLU only
Normalize normalize_named(std::string_view name);
std::string_view name_of(Normalize mode);

struct MapStatistics {
    float min = 0, max = 0, mean = 0;
    Index peak_row = 0, peak_column = 0;  // cell of the largest value
    double negative = 0;                  // share of the cells below 0
    bool finite = true;
};
MapStatistics statistics(const Tensor& raw);  // raw: (h,w)

// Half-pixel bilinear: cell (i,j) is a square whose value stands at its centre; beyond the outer centres it stays as it is.
Tensor resize_map(const Tensor& map, Index height, Index width);

// (h,w), 0 to 1 (for none: 0 and above), ready to be coloured. NaN becomes 0.
Tensor normalized(const Tensor& raw, Normalize mode);

struct Box {
    Index top, left, bottom, right;  // pixels, bottom and right excluded
    float peak;                      // largest value of the map inside
};
// The largest connected part (8 neighbours) where a normalised map is at least `threshold`; none if there is no such cell.
std::vector<Box> bounding_boxes(const Tensor& heat, float threshold);

}  // namespace limn
