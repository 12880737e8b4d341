// A configuration of any Keras in words that Keras 3 takes: what `limn convert` writes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "layers/model.h"

namespace limn {

// json: a configuration that model_from_config() took, giving `model`. Names, calls and nesting stay; classes and settings of Keras 1
// and 2 become those of Keras 3, settings that only concern training from scratch (initializers) or that Keras 3 no longer has are
// left out, and a Lambda whose meaning was stated becomes the Rescaling it is. What cannot be said is an Error.
std::string modern_config(const std::string& json, const Model& model);

// One layer: says what Keras 1 and 2 took for granted where Keras 3 takes something else, and names classes that Keras 3 has under another
// name (cuDNN's cells are plain ones there, with their arrays as limn holds them).
void say_for_keras3(std::string& class_name, Dict& settings);

// Is this setting left out: of training from scratch alone (initializers), or unknown to Keras 3's class?
bool is_left_out(const std::string& setting, const std::string& class_name);

// As the builder of the network names it (weights/keras_config.cpp); empty for what is no layer.
std::string name_of(const nlohmann::ordered_json& layer);

}  // namespace limn
