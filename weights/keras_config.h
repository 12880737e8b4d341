// From Keras's JSON (model_config) to a Model without weights. The only file that knows Keras's JSON.
#pragma once

#include <map>
#include <string>

#include "layers/model.h"

namespace limn {

// What Lambda layers compute, in words (layers/lambda.cpp), by the layer's name: their Python code is never run.
using Lambdas = std::map<std::string, std::string>;

// json: the text of model_config, of Keras 1 to 3, Sequential or functional, models inside models.
// Layers appear under the names described in layers/model.h. Every error names the layer.
// keras_version: of the Keras that wrote it; where it is empty, what the text itself says.
Model model_from_config(const std::string& json, const std::string& keras_version, const Lambdas& lambdas = {});

int keras_major(const std::string& keras_version);  // "2.2.4-tf" -> 2; 2 where it says nothing

// The "keras_version" a JSON document names at its top (a configuration, or the metadata of a .keras file); empty if none.
std::string keras_version_in(const std::string& json);

}  // namespace limn
