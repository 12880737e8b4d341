// A whole model as a file that Keras opens: HDF5 with model_config and the weights in the legacy layout, or a `.keras` archive.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "layers/model.h"
#include "weights/model_file.h"

namespace limn {

// What a network's file says beside the network; kept as attributes of the file's root, which Keras ignores.
struct ModelNotes {
    std::vector<std::string> labels;  // class names by index; a single sigmoid has two (of 0 and of 1)
    std::string preprocess;           // weights/preprocessing.h: caffe, tf, torch, unit or raw
    std::string size;                 // photos are resized to this: "128x128"
    std::string resize;               // and how: nearest or bilinear
};

// The model_config, as JSON: functional, in the form both Keras 2 and 3 read. Nested models are written unrolled; since
// Keras 3 allows no '/' in a name, "base/conv" becomes "base_conv". A model of channels-first layers is an Error.
std::string keras_config_of(const Model& model);

// What save_model will write; an Error if Keras could not say what the model computes. To know before a long training.
struct SavedForm {
    std::string config, keras_version;
};
SavedForm saved_form(const Model& model);

enum class Precision { f32, f16 };  // of the stored numbers; Keras and limn widen float16 as they read

void save_model(const std::filesystem::path& path, const Model& model, const ModelNotes& notes, Precision precision = Precision::f32);

// A model that was loaded from a file, written with its own names and nesting, in words Keras 3 takes (weights/modern_config.h). The
// name's end says in which form: .h5 or .keras. Returns, in lines, what a reader would not expect: layers that had to be renamed.
std::vector<std::string> convert_model(const std::filesystem::path& path, const LoadedModel& loaded, Precision precision = Precision::f32);

}  // namespace limn
