// From the name a user gives to a Model that can run. Read this first in weights/.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "layers/model.h"
#include "weights/preprocessing.h"

namespace limn {

struct ModelSource {
    std::string model;   // a file (.h5, .hdf5, .keras, .weights.h5: what it is decides, not its name) or a name (vgg16) that was fetched
    std::string config;  // for files with weights only: a .json, .h5 or .keras that holds the model's configuration
    std::string architecture;                         // or the name of a known network (vgg16-notop...)
    std::map<std::string, std::string> lambdas = {};  // what Lambda layers compute, by name (layers/lambda.cpp)
    bool any_numbers = false;  // take weights that are NaN or infinite, too: to look at them
};

struct LoadedModel {
    Model model;
    std::filesystem::path file;
    std::string keras_version;             // that wrote the file; "1" if it does not say
    std::string config;                    // as the file has it (JSON); empty if the network was recognised by its layers
    std::vector<std::string> notes;        // what was inferred, a sentence each
    std::vector<std::string> labels;       // class names the file carries, or ImageNet's where it has 1000 classes; else empty
    std::string preprocess, size, resize;  // how photos should be prepared, where the file says so (weights/keras_writer.h)
};

// Opens the file, rebuilds the network (from its config, the given one, or recognised by its layers) and reads the
// weights; large arrays stay in the file, mapped. Every way in which this can go wrong is one Error, NaN among the weights included.
LoadedModel load_model(const ModelSource& source);
LoadedModel load_model_unprobed(const ModelSource& source);  // without the child process (weights/probe.h): for fuzz/

// A line for each array that holds NaN or infinite numbers.
std::vector<std::string> broken_weights(const Model& model);

// As the file says, else as the network looks.
PreprocessChoice preprocess_of(const LoadedModel& loaded);

// Writes weights in the legacy layout that Keras's load_weights() opens.
void save_weights(const std::filesystem::path& path, const Model& model);

}  // namespace limn
