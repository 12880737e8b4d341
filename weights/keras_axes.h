// What a configuration says of the order of axes: limn's images have their channels last, a file's may have them first.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

namespace limn {

// Of how many axes (batch included) the tensors are that some layer takes with their channels first.
void find_channels_first(const nlohmann::json& j, std::set<int>& found, int depth = 0);
// Does a layer of images have its channels last?
bool uses_channels_last(const nlohmann::json& j, int depth = 0);
// Does a layer of this class work on the last axis, whatever lies there?
bool works_on_last_axis(const std::string& class_name);

}  // namespace limn
