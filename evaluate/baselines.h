// Maps that know nothing of the network. A method is worth what it gains over them: on many data sets a box in the middle beats it
// (Choe et al. 2020, table 2; the objects are large and central).
#pragma once

#include "view/image.h"

namespace limn {

struct Baseline {
    std::string name, what;
    // (h,w) of at most height x width cells, 0 and above; a pure function of what it is given
    Tensor (*map)(const Image& photo, Index height, Index width, std::uint64_t seed);
};

// height and width: of the network's input, or whatever size the maps of methods are compared at.
//     centre-box    1 in a box with half of the area, in the middle
//     centre-gauss  a Gaussian in the middle, its deviation a quarter of the sides
//     random        7x7 uniform numbers
//     edges         the gradient's magnitude (Sobel) of the grey photo at that size
std::span<const Baseline> baselines();

}  // namespace limn
