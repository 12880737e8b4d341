#include "weights/keras_writer.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "engine/file.h"
#include "layers/core.h"
#include "weights/hdf5_file.h"
#include "weights/json_value.h"
#include "weights/keras3_weights.h"
#include "weights/keras_config.h"
#include "weights/modern_config.h"
#include "weights/names_for_keras3.h"
#include "weights/zip_file.h"

namespace limn {

namespace {

using OrderedJson = nlohmann::ordered_json;

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
        std::string name = without_slashes(model.node(i).inputs.empty() ? model.node(i).name : layer->name);
        for (int n = 2; !taken.insert(name).second; n++) name += "_" + std::to_string(n);
        list.push_back({layer, i, name});
    }
    return list;
}

// The class and the settings in Keras 3's words, which Keras 2 understands, too.
std::pair<std::string, OrderedJson> described(const Model& model, const Written& written) {
    const Layer& layer = *written.layer;
    std::string class_name = layer.class_name;
    Dict settings = layer.keras_config.settings;
    if (const auto call = settings.find("call"); call != settings.end()) {  // the builder's own word
        if (const Value* keywords = call->second.find("keywords"); keywords && keywords->as<Dict>())
            for (const auto& [keyword, value] : *keywords->as<Dict>())
                LIMN_CHECK(keyword == "training", "layer '{}': a network that calls a layer with '{}' cannot be written yet", written.name,
                           keyword);
        settings.erase(call);
    }
    if (layer.keras_config.keras_major < 3) say_for_keras3(class_name, settings);
    std::erase_if(settings, [&](const auto& setting) { return is_left_out(setting.first, class_name); });
    OrderedJson config = json_from(Value(settings));
    if (config.is_null()) config = OrderedJson::object();
    for (const char* of_one_version : {"dtype", "batch_input_shape", "batch_shape"}) config.erase(of_one_version);
    config["name"] = written.name;
    if (!is_left_out("trainable", class_name)) config["trainable"] = layer.trainable;
    if (layer.class_name == "InputLayer") {
        OrderedJson shape = OrderedJson::array();
        for (Index size : model.node(written.node).shape) shape.push_back(size < 0 ? OrderedJson() : OrderedJson(size));
        config = {{"batch_input_shape", shape}, {"dtype", "float32"}, {"name", written.name}};
    }
    return {class_name, config};
}

// A call of a layer that is written: its number, and the call's.
using MadeBy = std::pair<std::size_t, std::size_t>;
using Reads = std::vector<std::vector<std::vector<MadeBy>>>;  // by layer and call; nothing for inputs

// The numbers of the layers in the order in which Keras lists them, and gives a file's arrays to them: the farthest from the outputs
// first, of equally far ones as they are met on the way back from the outputs (keras.src.ops.function.map_graph).
std::vector<std::size_t> in_order_of_keras(const Reads& reads, const std::vector<MadeBy>& outputs) {
    std::vector<std::size_t> met(reads.size(), reads.size());
    std::size_t count = 0;
    std::set<MadeBy> seen;
    std::vector<MadeBy> inputs_first;
    const std::function<void(MadeBy)> visit = [&](MadeBy at) {
        if (!seen.insert(at).second) return;
        if (met[at.first] == reads.size()) met[at.first] = count++;
        if (at.second < reads[at.first].size())
            for (const MadeBy& in : reads[at.first][at.second]) visit(in);
        inputs_first.push_back(at);
    };
    for (const MadeBy& output : outputs) visit(output);
    std::map<MadeBy, int> depths;
    std::vector<int> depth(reads.size());
    for (auto at = inputs_first.rbegin(); at != inputs_first.rend(); ++at) {
        int& own = depths[*at];
        own = depth[at->first] = std::max(own, depth[at->first]);
        if (at->second < reads[at->first].size())
            for (const MadeBy& in : reads[at->first][at->second]) depths[in] = std::max(own + 1, depths[in]);
    }
    std::vector<std::size_t> order(reads.size());
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::ranges::stable_sort(order,
                             [&](std::size_t a, std::size_t b) { return std::pair(-depth[a], met[a]) < std::pair(-depth[b], met[b]); });
    return order;
}

}  // namespace

std::string keras_config_of(const Model& model) {
    const std::vector<Written> written = written_layers(model);
    std::vector<MadeBy> made(model.nodes().size());
    // a value before its split activation stands for the whole layer
    const auto maker_of = [&](int node) { return made[std::size_t(is_split_activation(model, node) ? model.node(node).inputs[0] : node)]; };
    Reads read_by(written.size());
    std::vector<OrderedJson> described_layers;
    const std::vector<std::string> known = known_layers();
    for (std::size_t number = 0; number < written.size(); number++) {
        const Written& w = written[number];
        LIMN_CHECK(std::ranges::count(known, w.layer->class_name),
                   "layer '{}': a network with masks, wrapped layers or layers that return their state cannot be written yet", w.name);
        LIMN_CHECK(w.layer->keras_config.channels_first.empty(), "layer '{}': a network with channels first cannot be written yet", w.name);
        OrderedJson calls = OrderedJson::array();
        for (int i = w.node; i < int(model.nodes().size()); i++) {
            if (model.node(i).layer.get() != w.layer) continue;
            made[std::size_t(i)] = {number, calls.size()};
            OrderedJson reads = OrderedJson::array();
            std::vector<MadeBy> makers;
            for (int in : model.node(i).inputs) {
                makers.push_back(maker_of(in));
                reads.push_back({written[makers.back().first].name, makers.back().second, 0, OrderedJson::object()});
            }
            if (!reads.empty()) calls.push_back(reads), read_by[number].push_back(makers);
        }
        const auto [class_name, config] = described(model, w);
        described_layers.push_back({{"class_name", class_name}, {"config", config}, {"inbound_nodes", calls}, {"name", w.name}});
    }
    std::vector<MadeBy> outputs;
    for (int output : model.outputs) outputs.push_back(maker_of(output));
    OrderedJson layers = OrderedJson::array();
    for (std::size_t number : in_order_of_keras(read_by, outputs)) layers.push_back(described_layers[number]);
    const auto references = [&](const std::vector<int>& nodes) {
        OrderedJson list = OrderedJson::array();
        for (int i : nodes) {
            const auto [number, call] = maker_of(i);
            list.push_back({written[number].name, call, 0});
        }
        return list;
    };
    const OrderedJson config = {{"name", without_slashes(model.name.empty() ? "model" : model.name)},
                                {"layers", layers},
                                {"input_layers", references(model.inputs)},
                                {"output_layers", references(model.outputs)}};
    return OrderedJson{{"class_name", "Functional"}, {"config", config}}.dump();
}

namespace {

// The layers of a configuration by their path in it, in its order: "base/conv".
using Layers = std::vector<std::pair<std::string, const Layer*>>;

struct PlacedWeight {
    std::string path;  // "base/conv/kernel"
    const Layer* layer;
    const Weight* weight;
};

// Trainable arrays first, as Keras lists them.
std::vector<PlacedWeight> ordered_weights(const Layers& layers) {
    std::vector<PlacedWeight> list;
    for (bool trainable : {true, false})
        for (const auto& [path, layer] : layers)
            for (const Weight& weight : layer->weights)
                if ((layer->trainable && weight.trainable) == trainable) list.push_back({path + "/" + weight.name, layer, &weight});
    return list;
}

bool has_gates(const std::string& kind) {  // also of a cell: "LSTMCell"
    return kind.find("LSTM") != std::string::npos || kind.find("GRU") != std::string::npos;
}

// Is the layer's activation, or that of its gates, Keras 1's and 2's hard_sigmoid?
bool old_hard_sigmoid(const Config& config, const char* key) {
    const Value* given = config.find(key);
    const bool by_itself =
        has_gates(config.class_name) && !config.class_name.starts_with("CuDNN") && key == std::string("recurrent_activation");
    return config.keras_major < 3 && (given ? given->as<std::string>() && *given->as<std::string>() == "hard_sigmoid" : by_itself);
}

// Keras 1 and 2 computed hard_sigmoid as clip(0.2 x + 0.5), Keras 3 as clip(x / 6 + 0.5): with x 1.2 times as large it is the same.
Tensor as_keras3(const Layer& layer, const Weight& weight) {
    const bool gates = has_gates(layer.class_name);
    if (!old_hard_sigmoid(layer.keras_config, gates ? "recurrent_activation" : "activation")) return weight.value;
    const Index columns = weight.shape.rank() ? weight.shape[-1] : 1, each = columns / (layer.class_name.ends_with("LSTM") ? 4 : 3);
    Tensor scaled = weight.value.host().clone();
    for (Index i = 0; i < scaled.size(); i++)  // LSTM: input, forget, cell, output; GRU: update, reset, new: the third is no gate
        if (!gates || i % columns / std::max<Index>(each, 1) != 2) scaled.data()[i] *= 1.2f;
    return scaled;
}

// That holds where what is squashed is one sum of products of the layer's own weights.
void check_hard_sigmoid(const Model& model) {
    for (const Node& node : model.nodes()) {
        const Layer& layer = *node.layer;
        const auto kernels = std::ranges::count_if(layer.weights, [](const Weight& w) { return w.name.ends_with("kernel"); });
        const auto old = [](const Config& c) { return old_hard_sigmoid(c, "activation") || old_hard_sigmoid(c, "recurrent_activation"); };
        LIMN_CHECK(layer.class_name != "RNN" || std::ranges::none_of(cells_of(layer.keras_config), old),
                   "layer '{}': a cell's hard_sigmoid is that of Keras 1 and 2, clip(0.2 x + 0.5), which Keras 3 no longer has",
                   layer.name);
        LIMN_CHECK(!old_hard_sigmoid(layer.keras_config, "activation") || layer.class_name == "SimpleRNN" ||
                       (kernels == 1 && !has_gates(layer.class_name)),
                   "layer '{}': its hard_sigmoid is that of Keras 1 and 2, clip(0.2 x + 0.5), which Keras 3 no longer has", layer.name);
    }
}

// for_keras3: read with Keras 3's meaning of what a layer's settings say
void write_legacy(Hdf5Writer& file, const Layers& layers, const std::vector<std::string>& top, bool for_keras3, Precision precision) {
    file.group("/model_weights");
    for (const std::string& name : top) {
        Layers inside;
        for (const auto& [path, layer] : layers)
            if (path == name || path.starts_with(name + "/")) inside.push_back({path, layer});
        const std::string group = "/model_weights/" + name;
        file.group(group);
        std::vector<std::string> weight_names;
        for (const PlacedWeight& w : ordered_weights(inside)) {
            weight_names.push_back(w.path + ":0");
            file.dataset(group + "/" + weight_names.back(), for_keras3 ? as_keras3(*w.layer, *w.weight) : w.weight->value,
                         precision == Precision::f16);
        }
        file.attribute(group, "weight_names", weight_names);
    }
    file.attribute("/model_weights", "layer_names", top);
    file.attribute("/model_weights", "backend", std::string("tensorflow"));
}

void write_keras3(Hdf5Writer& file, const Layers& layers, const StorePaths& paths) {
    file.group("/layers");  // even if none has weights
    for (const auto& [path, layer] : layers) {
        const auto store = paths.find(path);
        LIMN_CHECK(store != paths.end(), "layer '{}' has no place in the file", path);
        std::map<std::string, int> counts;
        const auto add = [&, layer = layer, path = path](const std::string& place, const Weight& weight) {
            const std::string group = place + "/vars";
            const int number = counts[group]++;
            if (number == 0) {
                file.group(group);
                file.attribute(group, "name", last_of(path));
            }
            file.dataset(group + "/" + std::to_string(number), as_keras3(*layer, weight));
        };
        for (const Weight& weight : layer->weights) {
            if (weight.name != "vector_u") {
                add(store->second + place_in_layer(*layer, weight), weight);
                continue;
            }
            // SpectralNormalization's own arrays: the kernel of the layer that it wraps once more, and the vector
            const std::string wrapper = parent_of(store->second);
            const auto kernel =
                std::ranges::find_if(layer->weights, [](const Weight& w) { return w.name.ends_with("kernel") || w.name == "embeddings"; });
            if (kernel != layer->weights.end()) add(wrapper, *kernel);
            add(wrapper, weight);
        }
    }
}

std::vector<std::string> top_names(const std::string& config) {
    const OrderedJson root = OrderedJson::parse(config);
    std::vector<std::string> names;
    for (const OrderedJson& layer : root["config"]["layers"])
        if (layer["class_name"] != "InputLayer" || root["class_name"] != "Sequential")
            names.push_back(layer.contains("name") && layer["name"].is_string() ? layer["name"].get<std::string>()
                                                                                : layer["config"]["name"].get<std::string>());
    return names;
}

void write_notes(Hdf5Writer& file, const ModelNotes& notes) {
    if (!notes.labels.empty()) file.attribute("/", "labels", notes.labels);
    const std::pair<const char*, const std::string*> attributes[] = {
        {"preprocess", &notes.preprocess}, {"size", &notes.size}, {"resize", &notes.resize}};
    for (const auto& [name, value] : attributes)
        if (!value->empty()) file.attribute("/", name, *value);
}

void write_whole(const std::filesystem::path& path, const std::string& config, const Layers& layers, const std::string& keras_version,
                 const ModelNotes& notes, Precision precision) {
    Hdf5Writer file(path);
    write_legacy(file, layers, top_names(config), keras_major(keras_version) >= 3, precision);
    file.attribute("/", "model_config", config);
    file.attribute("/", "backend", std::string("tensorflow"));
    for (const char* place : {"/", "/model_weights"}) file.attribute(place, "keras_version", keras_version);  // Keras 2 looks in both
    write_notes(file, notes);
    file.commit();
}

void write_archive(const std::filesystem::path& path, const std::string& config, const Layers& layers, const ModelNotes& notes) {
    PendingFile weights(path.string() + ".weights");  // removed at the end
    Hdf5Writer file(weights.temporary_path());
    write_keras3(file, layers, store_paths(config));
    write_notes(file, notes);
    file.commit();
    OrderedJson root = OrderedJson::parse(config);
    root["module"] = root["class_name"] == "Functional" ? "keras.src.models.functional" : "keras";
    const std::string text = root.dump(), metadata = OrderedJson{{"keras_version", "3.0.0"}, {"date_saved", ""}}.dump();
    const std::vector<std::byte> stored = read_file(weights.temporary_path(), std::size_t(1) << 40);
    const ZipMember members[] = {{"metadata.json", std::as_bytes(std::span(metadata))},
                                 {"config.json", std::as_bytes(std::span(text))},
                                 {"model.weights.h5", stored}};
    write_zip(path, members);
}

}  // namespace

SavedForm saved_form(const Model& model) {
    int newest = 2;
    for (const Written& w : written_layers(model))
        if (w.layer->class_name != "InputLayer") newest = std::max(newest, w.layer->keras_config.keras_major);
    // a few functions changed their meaning with Keras 3 (layers/config.h)
    if (newest >= 3) check_hard_sigmoid(model);
    return {keras_config_of(model), newest >= 3 ? "3.0.0" : "2.15.0"};
}

void save_model(const std::filesystem::path& path, const Model& model, const ModelNotes& notes, Precision precision) {
    Layers layers;
    for (const Written& w : written_layers(model)) layers.push_back({w.name, w.layer});
    const auto [config, version] = saved_form(model);
    write_whole(path, config, layers, version, notes, precision);
}

std::vector<std::string> convert_model(const std::filesystem::path& path, const LoadedModel& loaded, Precision precision) {
    const Model& model = loaded.model;
    std::string config;
    Layers layers;
    MovedPaths moved;
    if (loaded.config.empty()) {
        config = keras_config_of(model);
        for (const Written& w : written_layers(model)) layers.push_back({w.name, w.layer});
    } else {
        check_hard_sigmoid(model);
        config = names_for_keras3(modern_config(loaded.config, model), moved);
        for (const Layer* layer : model.weighted_layers()) layers.push_back({path_after(moved, layer->name), layer});
    }
    std::vector<std::string> notes;
    if (!moved.empty())
        notes.push_back(fmt::format("Keras 3 takes no '/' in names; renamed: '{}' is '{}'{}", moved.begin()->first, moved.begin()->second,
                                    moved.size() > 1 ? fmt::format(", and {} more", moved.size() - 1) : ""));
    const std::string extension = path.extension().string();
    const ModelNotes own{loaded.labels, loaded.preprocess, loaded.size, loaded.resize};
    if (extension == ".keras") {
        LIMN_CHECK(precision == Precision::f32, "{}: a .keras file keeps float32; float16 is for .h5", path.string());
        write_archive(path, config, layers, own);
        return notes;
    }
    LIMN_CHECK(extension == ".h5" || extension == ".hdf5", "{}: the name should end in .h5 or .keras, which says what is written",
               path.string());
    LIMN_CHECK(config.find("\"__ellipsis__\"") == std::string::npos,
               "{}: the network cuts with '...', which Keras reads from .keras files only: write one", path.string());
    write_whole(path, config, layers, "3.0.0", own, precision);
    return notes;
}

}  // namespace limn
