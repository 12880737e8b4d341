// For messages about a word that is not known: which known ones it could have meant.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace limn {

// The `count` words of a list with the fewest letters to change, insert or drop (Levenshtein 1966), nearest first.
std::vector<std::string> nearest_words(const std::string& word, std::span<const std::string> list, std::size_t count);

// The word of a list that was probably meant or built upon: the longest that is more than a third of it ("SubpixelConv2D"), else the
// nearest if at most half of its letters differ; "" if there is none.
std::string probably_meant(const std::string& word, std::span<const std::string> list);

}  // namespace limn
