// Names of files and folders can be any bytes; pages and logs hold texts.
#pragma once

#include <string>
#include <string_view>

namespace limn {

// How many bytes the UTF-8 character at the beginning has; 0 if there is none.
std::size_t utf8_length(std::string_view text);

// Bytes that are not UTF-8 become U+FFFD: readers give up at a text that is not valid.
std::string valid_utf8(std::string_view text);

}  // namespace limn
