#include "view/overlay.h"

#include <algorithm>
#include <cmath>

namespace limn {

Image overlay(const Image& photo, const Tensor& heat, const OverlayStyle& style) {
    LIMN_CHECK(heat.shape() == (Shape{photo.height, photo.width}), "a map of {} cannot be laid over a photo of {}x{}", heat.shape().str(), photo.height, photo.width);
    Image out = photo;
    const bool article = style.mode == OverlayStyle::Mode::article;
    const float keep = article ? 1 : 1 - style.alpha;
    for (Index i = 0; i < heat.size(); i++) {
        const float v = std::isnan(heat.data()[i]) ? 0 : heat.data()[i];
        if (article && v < style.threshold) continue;
        const auto rgb = color(style.colormap, v);
        for (std::size_t c = 0; c < 3; c++) {
            std::uint8_t& p = out.rgb[std::size_t(i) * 3 + c];
            p = std::uint8_t(std::clamp(keep * float(p) + style.alpha * float(rgb[c]), 0.0f, 255.0f));
        }
    }
    return out;
}

void draw_box(Image& image, Index top, Index left, Index bottom, Index right, std::array<std::uint8_t, 3> rgb) {
    for (Index r = std::max<Index>(0, top); r < std::min(image.height, bottom); r++)
        for (Index c = std::max<Index>(0, left); c < std::min(image.width, right); c++)
            if (r < top + 2 || r >= bottom - 2 || c < left + 2 || c >= right - 2) std::copy(rgb.begin(), rgb.end(), image.pixel(r, c));
}

}  // namespace limn
