// A map laid over the photo it explains.
#pragma once

#include "view/colormap.h"
#include "view/image.h"

namespace limn {

struct OverlayStyle {
    using Mode = Paint::Mode;
    Mode mode = Mode::article;
    Colormap colormap = Colormap::jet;
    float threshold = 0.2f, alpha = 0.5f;
    Paint paint() const { return {mode, threshold, alpha}; }
};
// heat: (h,w) of the photo's size, 0 to 1; NaN counts as 0
Image overlay(const Image& photo, const Tensor& heat, const OverlayStyle& style);

// A frame of two pixels around the box (bottom and right excluded), clipped to the image.
void draw_box(Image& image, Index top, Index left, Index bottom, Index right, Rgb colour);

}  // namespace limn
