// From Keras's JSON (model_config) to a Model without weights. The only file that knows Keras's JSON.
#pragma once

#include <string>

#include "layers/model.h"

namespace limn {

// json: the text of model_config, of Keras 2 or 3, Sequential or functional, models inside models.
// Layers appear under the names described in layers/model.h. Every error names the layer.
Model model_from_config(const std::string& json, const std::string& keras_version);

}  // namespace limn
