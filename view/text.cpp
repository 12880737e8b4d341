#include "view/text.h"

#include <algorithm>
#include <cstring>
#include <string>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_easy_font.h>
#pragma GCC diagnostic pop

namespace limn {

static std::string ascii(std::string_view text) {
    std::string plain;
    for (const char c : text)
        if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) plain += c >= 32 && c < 127 ? c : '?';  // one for each character of UTF-8
    return plain;
}

Index text_width(std::string_view text, int scale) { return scale * stb_easy_font_width(ascii(text).data()); }

void draw_text(Image& image, Index top, Index left, std::string_view text, Rgb colour, int scale) {
    std::string plain = ascii(text);
    struct Corner {
        float x, y, z;
        unsigned char colour[4];
    };
    std::vector<Corner> corners(64 * plain.size() + 64);
    const int quads = stb_easy_font_print(0, 0, plain.data(), nullptr, corners.data(), int(corners.size() * sizeof(Corner)));
    for (int q = 0; q < quads; q++) {  // axis-parallel rectangles
        const Corner &a = corners[std::size_t(4 * q)], &b = corners[std::size_t(4 * q + 2)];
        for (Index r = top + Index(a.y) * scale; r < std::min(image.height, top + Index(b.y) * scale); r++)
            for (Index c = left + Index(a.x) * scale; c < std::min(image.width, left + Index(b.x) * scale); c++)
                if (r >= 0 && c >= 0) std::copy(colour.begin(), colour.end(), image.pixel(r, c));
    }
}

}  // namespace limn
