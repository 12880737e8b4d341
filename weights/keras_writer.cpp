#include "weights/keras_writer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "weights/hdf5_file.h"

namespace limn {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Value& value) {
    if (const bool* flag = value.as<bool>()) return *flag;
    if (const double* number = value.as<double>()) {
        const bool whole = *number == std::floor(*number) && std::abs(*number) < 1e15;
        return whole ? Json(std::int64_t(*number)) : Json(*number);
    }
    if (const std::string* text = value.as<std::string>()) return *text;
    if (const List* list = value.as<List>()) {
        Json array = Json::array();
        for (const Value& item : *list) array.push_back(to_json(item));
        return array;
    }
    if (const Dict* dict = value.as<Dict>()) {
        Json object = Json::object();
        for (const auto& [key, item] : *dict) object[key] = to_json(item);
        return object;
    }
    return {};
}

// The layers in the order in which they first run, and the name each gets in the file.
struct Written {
    const Layer* layer;
    int node;  // its first
    std::string name;
};

bool is_split_activation(const Model& model, int i) {
    const Node& node = model.node(i);
    return node.inputs.size() == 1 && model.node(node.inputs[0]).name == node.name + ":linear";
}

std::vector<Written> written_layers(const Model& model) {
    std::vector<Written> list;
    std::set<std::string> taken;
    for (int i = 0; i < int(model.nodes().size()); i++) {
        const Layer* layer = model.node(i).layer.get();
        if (is_split_activation(model, i) || std::any_of(list.begin(), list.end(), [&](const Written& w) { return w.layer == layer; }))
            continue;
        std::string name = model.node(i).inputs.empty() ? model.node(i).name : layer->name;
        std::replace(name.begin(), name.end(), '/', '_');
        for (int n = 2; !taken.insert(name).second; n++) name += "_" + std::to_string(n);
        list.push_back({layer, i, name});
    }
    return list;
}

Json config_of(const Model& model, const Written& written) {
    const Layer& layer = *written.layer;
    Json config = to_json(Value(layer.keras_config.settings));
    if (config.is_null()) config = Json::object();
    for (const char* of_one_version : {"dtype", "batch_input_shape", "batch_shape"}) config.erase(of_one_version);
    config["name"] = written.name;
    config["trainable"] = layer.trainable;
    if (layer.class_name == "InputLayer") {
        Json shape = Json::array();
        for (Index size : model.node(written.node).shape) shape.push_back(size < 0 ? Json() : Json(size));
        config = {{"batch_input_shape", shape}, {"dtype", "float32"}, {"name", written.name}};
    }
    return config;
}

}  // namespace

std::string keras_config_of(const Model& model) {
    const std::vector<Written> written = written_layers(model);
    std::vector<std::pair<std::string, int>> made(model.nodes().size());  // node -> layer and call
    Json layers = Json::array();
    const std::vector<std::string> known = known_layers();
    for (const Written& w : written) {
        LIMN_CHECK(std::ranges::count(known, w.layer->class_name),
                   "layer '{}': a network with masks, wrapped layers or layers that return their state cannot be written yet", w.name);
        LIMN_CHECK(!w.layer->keras_config.channels_first, "layer '{}': a network with channels first cannot be written yet", w.name);
        Json calls = Json::array();
        for (int i = w.node; i < int(model.nodes().size()); i++) {
            if (model.node(i).layer.get() != w.layer) continue;
            made[std::size_t(i)] = {w.name, int(calls.size())};
            Json reads = Json::array();
            for (int in : model.node(i).inputs) {
                // a value before its split activation stands for the whole layer
                const auto& [name, call] = made[std::size_t(is_split_activation(model, in) ? model.node(in).inputs[0] : in)];
                reads.push_back({name, call, 0, Json::object()});
            }
            if (!reads.empty()) calls.push_back(reads);
        }
        layers.push_back(
            {{"class_name", w.layer->class_name}, {"config", config_of(model, w)}, {"inbound_nodes", calls}, {"name", w.name}});
    }
    const auto references = [&](const std::vector<int>& nodes) {
        Json list = Json::array();
        for (int i : nodes) {
            const auto& [name, call] = made[std::size_t(is_split_activation(model, i) ? model.node(i).inputs[0] : i)];
            list.push_back({name, call, 0});
        }
        return list;
    };
    std::string name = model.name.empty() ? "model" : model.name;
    std::replace(name.begin(), name.end(), '/', '_');
    const Json config = {
        {"name", name}, {"layers", layers}, {"input_layers", references(model.inputs)}, {"output_layers", references(model.outputs)}};
    return Json{{"class_name", "Functional"}, {"config", config}}.dump();
}

void save_model(const std::filesystem::path& path, const Model& model, const ModelNotes& notes, Precision precision) {
    Hdf5Writer file(path);
    int keras_major = 2;
    std::vector<std::string> names;
    file.group("/model_weights");
    for (const Written& w : written_layers(model)) {
        const std::string group = "/model_weights/" + w.name;
        keras_major = std::max(keras_major, w.layer->keras_config.keras_major);
        names.push_back(w.name);
        file.group(group);
        std::vector<std::string> weight_names;
        for (const Weight& weight : w.layer->weights) {
            weight_names.push_back(w.name + "/" + weight.name + ":0");
            file.dataset(group + "/" + weight_names.back(), weight.value, precision == Precision::f16);
        }
        file.attribute(group, "weight_names", weight_names);
    }
    file.attribute("/model_weights", "layer_names", names);
    file.attribute("/model_weights", "backend", std::string("tensorflow"));
    file.attribute("/", "model_config", keras_config_of(model));
    file.attribute("/", "backend", std::string("tensorflow"));
    // a few functions changed their meaning with Keras 3 (layers/config.h)
    file.attribute("/", "keras_version", std::string(keras_major >= 3 ? "3.0.0" : "2.15.0"));
    if (!notes.labels.empty()) file.attribute("/", "labels", notes.labels);
    const std::pair<const char*, const std::string*> attributes[] = {
        {"preprocess", &notes.preprocess}, {"size", &notes.size}, {"resize", &notes.resize}};
    for (const auto& [name, value] : attributes)
        if (!value->empty()) file.attribute("/", name, *value);
    file.commit();
}

}  // namespace limn
