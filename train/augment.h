// Photos seen differently each time, so that a network learns the animal and not the photo.
#pragma once

#include <string_view>

#include "autograd/training.h"
#include "view/photo.h"

namespace limn {

struct Augmentation {
    double smallest_crop = 1;  // share of the photo's area that a crop has at least (Szegedy et al. 2015); 1: the whole photo
    double aspect = 1;         // a crop's sides differ from the photo's by at most this factor
    bool flip = false;         // left and right change places in half of the photos
    double colour = 0;         // brightness, contrast and saturation each change by up to this share
    double cutout = 0;         // a grey square hides up to this share of the area (DeVries & Taylor 2017)

    bool changes() const { return smallest_crop < 1 || aspect > 1 || flip || colour > 0 || cutout > 0; }
};

// none; light (flip); standard (crops from 35 %, flip, colour 0.3); strong (crops from 20 %, flip, colour 0.4, cutout 0.15)
Augmentation augmentation_named(std::string_view name);

// The photo as one training step sees it, (1,h,w,channels): cropped, resized, flipped, coloured, preprocessed.
Tensor augmented(const Image& photo, const PhotoInput& input, const Augmentation& augmentation, Random& random);

}  // namespace limn
