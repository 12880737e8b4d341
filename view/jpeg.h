// What a JPEG's segments say besides its pixels: how many colour components, which side is up, whether it is whole.
// Never decodes pixels (image.cpp does), never trusts a length: what lies beyond the end is not read. It runs before stb, which
// does trust some of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace limn {

struct JpegFacts {
    int components = 0;     // 1 grey, 3 colour, 4 CMYK; 0: no frame header was found
    int orientation = 1;    // EXIF's 1 to 8; 1 (upright) where EXIF is missing or damaged
    bool complete = false;  // sound segments, pixels and, after them, the end marker
};

JpegFacts read_jpeg_facts(std::span<const std::uint8_t> jpeg);

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view text, std::size_t at = 0);  // from the byte `at` on

// The orientation in a TIFF block, which is what an EXIF segment holds after its name.
int exif_orientation(std::span<const std::uint8_t> tiff);

}  // namespace limn
