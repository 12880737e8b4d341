// Short labels in pictures. text.cpp is the only file that knows stb's font.
#pragma once

#include <string_view>

#include "view/colormap.h"
#include "view/image.h"

namespace limn {

// ASCII (other characters become "?") with its upper left corner there; 8 * scale pixels high. What does not fit the image is left out.
void draw_text(Image& image, Index top, Index left, std::string_view text, Rgb colour, int scale = 1);
Index text_width(std::string_view text, int scale = 1);

}  // namespace limn
