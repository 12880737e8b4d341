// Weights in Keras's legacy HDF5 layout: a group with the attribute layer_names, a group a layer with the attribute
// weight_names, each naming a dataset inside that group. Whole models keep this under "model_weights". Before Keras 1.1 the
// attributes were nb_layers and nb_params, and names only numbers.
#pragma once

#include <string>
#include <vector>

#include "layers/model.h"
#include "weights/hdf5_file.h"

namespace limn {

// Fills all weights of the model. Names decide, shapes are checked; where names do not match but order and shapes do,
// the order is used and said so in `notes`. A missing, surplus or misshapen array is an Error that names it.
// Arrays of older versions and of Theano are brought into today's layout (weights/older_layouts.h).
void load_legacy_weights(const Hdf5File& file, const std::string& group, int keras_major, Model& model, std::vector<std::string>& notes);

bool has_legacy_weights(const Hdf5File& file, const std::string& group);

// One stored layer of such a file, for recognising what a weights-only file belongs to.
struct StoredLayer {
    std::string name;
    std::vector<std::string> weights;  // datasets, by their path in the file
};
std::vector<StoredLayer> stored_layers(const Hdf5File& file, const std::string& group);

}  // namespace limn
