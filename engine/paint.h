// One pixel's colour, for all backends.
#pragma once

#include <cstdint>

#include "engine/host_device.h"
#include "engine/verbs.h"

namespace limn {

// The step of a colour table for a value from 0 to 1; those outside are clamped, NaN counts as 0.
LIMN_HOST_DEVICE inline int colour_step(float value) { return value > 0 ? int((value < 1 ? value : 1) * 255) : 0; }

// rgb: the photo's pixel, out: the picture's, table: 256 colours. Cut down to whole numbers, as NumPy's astype(uint8) does.
LIMN_HOST_DEVICE inline void paint_pixel(const Paint& paint, float value, const std::uint8_t* table, const std::uint8_t* rgb,
                                         std::uint8_t* out) {
    const std::uint8_t* colour = table + 3 * colour_step(value);
    const bool article = paint.mode == Paint::Mode::article, cold = article && !((value == value ? value : 0) >= paint.threshold);
    for (int c = 0; c < 3; c++) {
        const float photo = rgb[c], hue = colour[c];
        const float mixed = cold ? photo : article ? photo + paint.alpha * hue : photo + paint.alpha * (hue - photo);
        out[c] = std::uint8_t(mixed < 0 ? 0 : mixed > 255 ? 255 : mixed);
    }
}

}  // namespace limn
