// Weights in Keras 3's layout: `.weights.h5` files, and the model.weights.h5 inside `.keras` archives.
//
// A layer's arrays are "layers/conv2d_1/vars/0", "1"...: groups are named by class and counted, each model's layers anew
// ("layers/functional/layers/conv2d"), whatever the layers are called. Since Keras 3.6 the group "vars" says the layer's real name,
// too. tf.keras 2.12 to 2.14 wrote "_layer_checkpoint_dependencies" where Keras writes "layers", and counted with gaps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "layers/model.h"
#include "weights/hdf5_file.h"

namespace limn {

bool has_keras3_weights(const Hdf5File& file);

// Where such a file keeps each layer of a model, from the model's configuration (JSON): "base/conv" -> "layers/functional/layers/conv2d".
using StorePaths = std::map<std::string, std::string>;
StorePaths store_paths(const std::string& config);

// Where below its layer's place a weight's array lies: an LSTM's "kernel" in "/cell", an attention's "query/kernel" in "/query_dense".
std::string place_in_layer(const Layer& layer, const Weight& weight);

// "GlobalAveragePooling2D" -> "global_average_pooling2d", as Keras names classes in its files.
std::string snake_case(const std::string& class_name);

// Fills all weights of the model. Real names decide where the file has them, else the place by class and number, else the order
// within a class; shapes are checked always, and what was inferred is said in `notes`. paths may be empty: then names alone decide.
void load_keras3_weights(const Hdf5File& file, const StorePaths& paths, Model& model, std::vector<std::string>& notes);

// The layers that have arrays, by their real names, for recognising what a weights-only file belongs to.
std::vector<std::string> keras3_layer_names(const Hdf5File& file);

}  // namespace limn
