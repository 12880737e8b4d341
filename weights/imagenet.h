// The names of ImageNet's 1000 classes (ILSVRC 2012) in the order of their indices: the first WordNet synonym of each,
// with underscores, as keras.applications prints them.
#pragma once

#include <span>
#include <string_view>

namespace limn {

std::span<const std::string_view> imagenet_labels();

}  // namespace limn
