// From a photo to what a network takes: resized, in the right scale and order of channels.
#pragma once

#include "view/image.h"
#include "weights/preprocessing.h"

namespace limn {

struct PhotoInput {
    Preprocess mode = Preprocess::unit;
    Index height = 0, width = 0;                            // both 0: each photo keeps its own size; one: its proportions
    bool fixed() const { return height > 0 && width > 0; }  // do all photos become the same size?
    Resampling resampling = Resampling::nearest;
    int channels = 3;

    Tensor operator()(const Image& photo) const;  // (1,h,w,channels)
};

}  // namespace limn
