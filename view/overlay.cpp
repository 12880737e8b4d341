#include "view/overlay.h"

#include <algorithm>

#include "engine/backend.h"

namespace limn {

Image overlay(const Image& photo, const Tensor& heat, const OverlayStyle& style) {
    LIMN_CHECK(heat.shape() == (Shape{photo.height, photo.width}), "a map of {} cannot be laid over a photo of ({},{})", heat.shape().str(),
               photo.height, photo.width);
    Tensor picture({photo.height, photo.width, 3}, DType::u8);
    reference_backend().paint(style.paint(), heat, colour_table(style.colormap), bytes_of(photo), picture);
    return image_of(picture);
}

void draw_box(Image& image, Index top, Index left, Index bottom, Index right, Rgb colour) {
    for (Index r = std::max<Index>(0, top); r < std::min(image.height, bottom); r++)
        for (Index c = std::max<Index>(0, left); c < std::min(image.width, right); c++)
            if (r < top + 2 || r >= bottom - 2 || c < left + 2 || c >= right - 2)
                std::copy(colour.begin(), colour.end(), image.pixel(r, c));
}

}  // namespace limn
