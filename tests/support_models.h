// Small networks as Keras files, made by the tests themselves.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "autograd/gradcheck.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/model_file.h"

namespace limn {

using Json = nlohmann::json;

inline Json layer_json(const std::string& class_name, const std::string& name, Json config) {
    config["name"] = name;
    return {{"class_name", class_name}, {"config", config}};
}

// Lists are vectors where they may have one element: whether Json{x} is [x] or x is for compilers to disagree about.
inline Json sequential_json(const std::vector<Json>& layers) {
    return {{"class_name", "Sequential"}, {"config", {{"name", "tiny"}, {"layers", layers}}}};
}

// A functional model, and a layer of it with what it reads (inbound_nodes).
inline Json functional_json(std::vector<Json> layers, Json inputs, Json outputs) {
    for (Json& layer : layers) layer["name"] = layer["config"]["name"];
    return {{"class_name", "Functional"},
            {"config", {{"name", "tiny"}, {"layers", layers}, {"input_layers", inputs}, {"output_layers", outputs}}}};
}

inline Json input_json(const std::string& name, Json shape) { return layer_json("InputLayer", name, {{"batch_input_shape", shape}}); }

inline Json called(Json layer, const std::vector<Json>& inbound) {
    layer["inbound_nodes"] = inbound;
    return layer;
}

// conv (3x3, relu) -> GAP -> Dense(classes): CAM and Grad-CAM both apply. `size` -1: any image size.
inline Json tiny_config(Index size = 16, Index classes = 3, const std::string& activation = "softmax") {
    const Json side = size < 0 ? Json() : Json(size);
    return sequential_json(
        {layer_json("InputLayer", "image", {{"batch_input_shape", {nullptr, side, side, 3}}}),
         layer_json("Conv2D", "conv", {{"filters", 6}, {"kernel_size", {3, 3}}, {"padding", "same"}, {"activation", "relu"}}),
         layer_json("GlobalAveragePooling2D", "gap", Json::object()),
         layer_json("Dense", "scores", {{"units", classes}, {"activation", activation}})});
}

// ... with a 2x2 max pool behind the convolution
inline Json pooled_config(Index height, Index width) {
    Json config = tiny_config();
    Json& layers = config["config"]["layers"];
    layers[0]["config"]["batch_input_shape"] = {nullptr, height, width, 3};
    layers.insert(layers.begin() + 2, layer_json("MaxPooling2D", "pool", {{"pool_size", {2, 2}}}));
    return config;
}

struct StoredArray {
    std::string layer, name;  // "conv", "kernel"
    Tensor values;
};
inline std::vector<StoredArray> tiny_weights(Index classes = 3, std::uint64_t seed = 1) {
    return {{"conv", "kernel", random_tensor({3, 3, 3, 6}, seed)},
            {"conv", "bias", random_tensor({6}, seed + 1)},
            {"scores", "kernel", random_tensor({6, classes}, seed + 2)},
            {"scores", "bias", random_tensor({classes}, seed + 3)}};
}

// The arrays under model_weights, a group a layer; `name` says what each is called inside its layer's group.
inline void write_arrays(Hdf5Writer& file, const std::vector<StoredArray>& arrays,
                         const std::function<std::string(const StoredArray&)>& name) {
    std::vector<std::string> layers;
    for (const StoredArray& a : arrays)
        if (layers.empty() || layers.back() != a.layer) layers.push_back(a.layer);
    for (const std::string& layer : layers) {
        std::vector<std::string> names;
        for (const StoredArray& a : arrays)
            if (a.layer == layer) {
                names.push_back(name(a));
                file.dataset("/model_weights/" + layer + "/" + names.back(), a.values);
            }
        file.attribute("/model_weights/" + layer, "weight_names", names);
    }
    file.group("/model_weights");
    file.attribute("/model_weights", "layer_names", layers);
}

// A whole model as Keras 2 writes it.
inline void write_model(const std::filesystem::path& path, const std::string& config, const std::vector<StoredArray>& arrays) {
    Hdf5Writer file(path);
    write_arrays(file, arrays, [](const StoredArray& a) { return a.layer + "/" + a.name + ":0"; });
    file.attribute("/model_weights", "backend", std::string("tensorflow"));
    file.attribute("/", "model_config", config);
    file.attribute("/", "keras_version", std::string("2.4.0"));
    file.commit();
}

// That network, loaded.
struct TinyModel {
    TemporaryFolder folder;
    LoadedModel loaded;
    explicit TinyModel(Index classes = 3, const std::string& activation = "softmax", Index size = 16) {
        write_model(folder / "tiny.h5", tiny_config(size, classes, activation).dump(), tiny_weights(classes));
        loaded = load_model({(folder / "tiny.h5").string(), "", ""});
    }
};

}  // namespace limn
