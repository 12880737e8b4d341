// Texts and pictures inside HTML pages that need nothing else.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace limn {

// Safe as an element's text and as an attribute in quotes, whatever bytes it holds (those that are no UTF-8 become "?").
std::string escaped(std::string_view text);

std::string data_uri(std::string_view type, const std::vector<std::byte>& bytes);  // data:image/png;base64,...

}  // namespace limn
