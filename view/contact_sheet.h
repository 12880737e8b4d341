// Many pictures of one photo on one, each with its label: what methods, layers and targets have in common and where they differ.
#pragma once

#include <string>
#include <vector>

#include "view/image.h"

namespace limn {

struct Labelled {
    std::string label;
    Image picture;
};

enum class LabelPlace { above, below };

// In reading order, `columns` in a row (0: as many as make it about as wide as a screen), each `width` pixels wide.
Image contact_sheet(const std::vector<Labelled>& pictures, Index columns = 0, Index width = 240, LabelPlace where = LabelPlace::above);

}  // namespace limn
