// The borders of the parts of a black and white image, as border following finds them (Suzuki & Abe 1985, CVGIP 30, algorithm 1).
//
// A contour is a closed walk over the outermost pixels of a part (8 neighbours), or over those around a hole. Its area is that of the
// polygon through the pixels' centres, so that a line of pixels has none. Boxes for localisation are drawn around the contour with the
// largest area: the convention of the WSOL benchmark (Choe et al. 2020), whose tools find contours this way.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace limn {

struct Contour {
    Index left, top, right, bottom;  // its pixels, both ends included
    double area;
    bool hole;
};

// pixels: (H,W), row by row; not 0 is white. In the order in which their first pixels are met, row by row.
std::vector<Contour> contours(std::span<const std::uint8_t> pixels, Index height, Index width);

// The one with the largest area (of equal ones the last); null if there is none.
const Contour* largest(const std::vector<Contour>& list);

}  // namespace limn
