// A map: raw numbers at a layer's resolution, and what is made of them for the eye: ReLU, normalisation, size.
// The only place where that is done.
#pragma once

#include <string>
#include <vector>

#include "engine/backend.h"

namespace limn {

// max: ReLU, then / largest;  minmax: to 0..1;  none: ReLU only;  signed_: 0.5 + 0.5 * x / largest magnitude, so that 0.5 is nothing
enum class Normalize { max, minmax, none, signed_ };
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
Tensor resize_map(const Backend& backend, const Tensor& map, Index height, Index width);

// (h,w), 0 to 1 (for none: 0 and above), ready to be coloured. NaN becomes 0.
Tensor normalized(const Backend& backend, const Tensor& raw, Normalize mode);

// A map over its photo.
struct Drawing {
    Normalize normalize = Normalize::max;
    Paint paint;
    Tensor colours;  // (256,3) bytes, from 0 to 1 (view/colormap.h)
};
struct Drawn {
    Tensor heat;     // (H,W), normalised, as large as the photo
    Tensor picture;  // (H,W,3) bytes
};
Drawn draw(const Backend& backend, const Drawing& drawing, const Tensor& raw, const Tensor& photo);  // photo: (H,W,3) bytes

struct Box {
    Index top, left, bottom, right;  // pixels, bottom and right excluded
    float peak;                      // largest value of the map inside
};
// The largest connected part (8 neighbours) where a normalised map is at least `threshold`, or all of them, the largest first; none if
// there is no such cell.
std::vector<Box> bounding_boxes(const Tensor& heat, float threshold, bool all = false);

}  // namespace limn
