#include "view/overlay.h"

#include <algorithm>
#include <cmath>

namespace limn {

Image overlay(const Image& photo, const Tensor& heat, const OverlayStyle& style) {
    LIMN_CHECK(heat.shape() == (Shape{photo.height, photo.width}), "a map of {} cannot be laid over a photo of ({},{})", heat.shape().str(),
               photo.height, photo.width);
    Image out = photo;
    const bool article = style.mode == OverlayStyle::Mode::article;
    for (Index i = 0; i < heat.size(); i++) {
        const float v = std::isnan(heat.data()[i]) ? 0 : heat.data()[i];
        if (article && v < style.threshold) continue;
        const Rgb colour = color(style.colormap, v);
        for (std::size_t c = 0; c < 3; c++) {
            std::uint8_t& p = out.rgb[std::size_t(i) * 3 + c];
            const float mixed = article ? float(p) + style.alpha * float(colour[c]) : std::lerp(float(p), float(colour[c]), style.alpha);
            p = std::uint8_t(std::clamp(mixed, 0.0f, 255.0f));  // cut down to a whole number, as NumPy's astype(uint8) does
        }
    }
    return out;
}

void draw_box(Image& image, Index top, Index left, Index bottom, Index right, Rgb colour) {
    for (Index r = std::max<Index>(0, top); r < std::min(image.height, bottom); r++)
        for (Index c = std::max<Index>(0, left); c < std::min(image.width, right); c++)
            if (r < top + 2 || r >= bottom - 2 || c < left + 2 || c >= right - 2)
                std::copy(colour.begin(), colour.end(), image.pixel(r, c));
}

}  // namespace limn
