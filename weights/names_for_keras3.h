// Layers' names that Keras 3 refuses: those with a '/', as Keras 2 gave them to its own DenseNet ("conv1/bn").
#pragma once

#include <map>
#include <string>

namespace limn {

// Where a layer was in a configuration -> where it is now: "base/conv1/bn" -> "base/conv1_bn". Only what moved.
using MovedPaths = std::map<std::string, std::string>;

// A configuration (JSON, as modern_config() writes it) whose names have '_' for each '/', as Keras's own networks were renamed; "_2" behind
// where two layers of a model would have one name. `moved`: of layers within models, wrappers and recurrent layers, too.
std::string names_for_keras3(const std::string& config, MovedPaths& moved);

std::string without_slashes(std::string name);

// The path of a layer, or of something within it.
std::string path_after(const MovedPaths& moved, const std::string& path);

}  // namespace limn
