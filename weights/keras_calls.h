// How Keras's JSON says what a layer reads: the calls of a layer, and functions that are called without one.
// weights/keras_config.cpp makes the network of it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "layers/config.h"

namespace limn {

// A member that has to be there, and a text: else an Error that names `where`.
const nlohmann::json& json_member(const nlohmann::json& j, const char* key, const std::string& where);
std::string json_text(const nlohmann::json& j, const char* key, const std::string& where);

// One call's output: (layer, which call, which of its outputs).
struct Reference {
    std::string layer;
    Index call = 0, output = 0;
};
// ["a",0,0], lists of these and dictionaries, whose keys are sorted (as Keras's tree.flatten does)
std::vector<Reference> references_from(const nlohmann::json& j, const std::string& where);

// One call of a layer: the tensors it reads, in the order in which they stand in its arguments; and the arguments as plain values,
// null for a tensor. (Python's None is the text "None".) Masks and initial states are not among the keywords.
struct Call {
    std::vector<Reference> reads;
    List arguments;
    Dict keywords;
    bool keras_3 = false;
    bool given_mask = false;  // mask=... is a tensor
    bool with_mask = true;    // Keras 3 hands no mask to a call with several arguments (an initial state) unless one is given

    const std::string* tensor_by_keyword() const;  // the name of one; null if there is none
};

// Keras 2: [[["a",0,0,{}],["b",0,0,{}]], ...]; Keras 3: [{"args": [...], "kwargs": {...}}, ...]
std::vector<Call> calls_of(const nlohmann::json& layer, const std::string& where);

// The calls of a model inside a model are counted from 0, or from 1 where its own creation counts as the first. Keras 3 does so only in
// output_layers, of functional models; Keras 1 and 2 do everywhere, but for Sequential models that were made without an input shape.
// calls: how many there are; least and most: their numbers where they are read.
bool calls_count_from_1(const nlohmann::json& model, int keras_major, Index calls, Index least, Index most);

// A node that calls a function and no layer, as settings of the layer "Operation" (layers/operation.cpp); nothing for layers.
std::optional<Dict> operation_of(const nlohmann::json& layer, const std::string& class_name, const nlohmann::json& config,
                                 const Call& call);

// In HDF5 files of Keras 3, which leave out the module: is this a function that was called without a layer? Layers say whether they are
// trainable, or at least what numbers they compute with; of a name that is both, neither makes it a function.
bool is_function(const std::string& class_name, const nlohmann::json& config);

}  // namespace limn
