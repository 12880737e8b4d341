// What is wrong with a map, or could mislead who looks at it: one line each, with what to try. Never a blank picture without a word.
#pragma once

#include "cam/explain.h"

namespace limn {

// dead_gradient: all gradients that the map was made of are zero.
std::vector<std::string> diagnose(const Model& model, const Request& request, const Explained& image, const Map& map, bool dead_gradient);

}  // namespace limn
