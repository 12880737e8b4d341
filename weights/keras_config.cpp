#include "weights/keras_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "layers/core.h"

namespace limn {

namespace {

using Json = nlohmann::json;
constexpr int max_depth = 64;

Value to_value(const Json& j, int depth = 0) {
    LIMN_CHECK(depth < max_depth, "the model's configuration is nested too deeply");
    switch (j.type()) {
        case Json::value_t::boolean: return j.get<bool>();
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
        case Json::value_t::number_float: return j.get<double>();
        case Json::value_t::string: return j.get<std::string>();
        case Json::value_t::array: {
            List list;
            for (const Json& item : j) list.push_back(to_value(item, depth + 1));
            return list;
        }
        case Json::value_t::object: {
            Dict dict;
            for (const auto& [key, item] : j.items()) dict.emplace(key, to_value(item, depth + 1));
            return dict;
        }
        default: return {};
    }
}

const Json& member(const Json& j, const char* key, const std::string& where) {
    LIMN_CHECK(j.is_object() && j.contains(key), "the model's configuration is incomplete: {} has no '{}'", where, key);
    return j.at(key);
}

std::string text_of(const Json& j, const char* key, const std::string& where) {
    const Json& value = member(j, key, where);
    LIMN_CHECK(value.is_string(), "the model's configuration is wrong: '{}' of {} should be a text", key, where);
    return value.get<std::string>();
}

// One call's output: (layer, which call, which of its outputs).
struct Reference {
    std::string layer;
    Index call = 0, output = 0;
};

Reference reference_from(const Json& j, const std::string& where) {
    LIMN_CHECK(j.is_array() && j.size() >= 3 && j[0].is_string() && j[1].is_number_integer() && j[2].is_number_integer(),
               "the model's configuration is wrong: {} reads something that is no [layer, call, output]", where);
    return {j[0].get<std::string>(), j[1].get<Index>(), j[2].get<Index>()};
}

// ["a",0,0] or [["a",0,0],["b",0,0]]
std::vector<Reference> references_from(const Json& j, const std::string& where) {
    if (j.is_array() && !j.empty() && j[0].is_string()) return {reference_from(j, where)};
    std::vector<Reference> list;
    LIMN_CHECK(j.is_array(), "the model's configuration is wrong: {} should list its inputs", where);
    for (const Json& item : j) list.push_back(reference_from(item, where));
    return list;
}

// One call of a layer: the tensors it reads, in the order in which they stand in its arguments; and the arguments as plain values,
// null for a tensor. (Python's None is the text "None".)
struct Call {
    std::vector<Reference> reads;
    List arguments;
    Dict keywords;
    bool keras_3 = false;

    // A tensor given by name; null if there is none.
    const std::string* tensor_by_keyword() const {
        for (const auto& [name, value] : keywords) {
            const List* list = value.as<List>();
            const bool in_list = list && std::any_of(list->begin(), list->end(), [](const Value& v) { return v.is_null(); });
            if (value.is_null() || in_list) return &name;
        }
        return nullptr;
    }
};

bool is_reference(const Json& j) {  // Keras 2: ["a",0,0]
    return j.is_array() && j.size() == 3 && j[0].is_string() && j[1].is_number_integer() && j[2].is_number_integer();
}

// Keras 3: {"class_name": "__keras_tensor__", "config": {"keras_history": ["a",0,0]}}, {"class_name": "__numpy__", "config": {"value": ...}}
Value argument_from(const Json& j, std::vector<Reference>& reads, const std::string& where, int depth = 0) {
    LIMN_CHECK(depth < max_depth, "the model's configuration is nested too deeply");
    if (j.is_null()) return "None";
    if (is_reference(j)) {
        reads.push_back(reference_from(j, where));
        return {};
    }
    if (j.is_array()) {
        List list;
        for (const Json& item : j) list.push_back(argument_from(item, reads, where, depth + 1));
        return list;
    }
    if (!j.is_object()) return to_value(j);
    const Json kind = j.value("class_name", Json());
    if (kind == "__keras_tensor__") {
        reads.push_back(reference_from(member(member(j, "config", where), "keras_history", where), where));
        return {};
    }
    if (kind == "__numpy__" || kind == "__tensor__") return to_value(member(member(j, "config", where), "value", where));
    Dict dict;
    for (const auto& [key, item] : j.items()) dict.emplace(key, argument_from(item, reads, where, depth + 1));
    return dict;
}

// Keras 2: ["a",0,0,{"y": 3.0}] or [["a",0,0,{}],["b",0,0,{}]]; ["_CONSTANT_VALUE",-1,2.0,{}] stands for a first argument that is no tensor
Call call_of_keras_2(const Json& node, const std::string& where) {
    Call call;
    LIMN_CHECK(node.is_array(), "the model's configuration is wrong: {} should list its inputs", where);
    const bool single = !node.empty() && node[0].is_string();
    List first;
    Json keywords;
    for (const Json& item : single ? Json::array({node}) : node) {
        if (item.is_array() && item.size() >= 3 && item[0] == "_CONSTANT_VALUE") {
            first.push_back(to_value(item[2]));
        } else {
            call.reads.push_back(reference_from(item, where));
            first.push_back({});
        }
        if (item.size() > 3 && item[3].is_object()) keywords = item[3];  // the same beside each input
    }
    if (single)
        call.arguments = std::move(first);
    else
        call.arguments.push_back(std::move(first));
    for (const auto& [key, item] : keywords.items())
        if (!item.is_null()) call.keywords[key] = argument_from(item, call.reads, where);
    return call;
}

// Keras 3: {"args": [...], "kwargs": {...}}
Call call_of_keras_3(const Json& node, const std::string& where) {
    Call call;
    call.keras_3 = true;
    const Json& args = member(node, "args", where);
    LIMN_CHECK(args.is_array(), "the model's configuration is wrong: 'args' of {} should be a list", where);
    for (const Json& item : args) call.arguments.push_back(argument_from(item, call.reads, where));
    if (node.contains("kwargs") && node["kwargs"].is_object())
        for (const auto& [key, item] : node["kwargs"].items())
            if (!item.is_null()) call.keywords[key] = argument_from(item, call.reads, where);
    return call;
}

std::vector<Call> calls_of(const Json& layer, const std::string& where) {
    std::vector<Call> calls;
    if (!layer.contains("inbound_nodes") || layer["inbound_nodes"].is_null()) return calls;
    LIMN_CHECK(layer["inbound_nodes"].is_array(), "the model's configuration is wrong: 'inbound_nodes' of {} should be a list", where);
    for (const Json& node : layer["inbound_nodes"]) {
        Call call = node.is_object() ? call_of_keras_3(node, where) : call_of_keras_2(node, where);
        if (!call.reads.empty()) calls.push_back(std::move(call));
    }
    return calls;
}

// A node that calls a function and no layer, as settings of the layer "Operation" (layers/operation.cpp); nothing for layers.
std::optional<Dict> operation_of(const Json& layer, const std::string& class_name, const Json& config, const Call& call) {
    const std::string module = layer.contains("module") && layer["module"].is_string() ? layer["module"].get<std::string>() : "";
    if (class_name == "TFOpLambda" || class_name == "SlicingOpLambda")  // Keras 2: x + 3 is "math.add"
        return Dict{
            {"operation", text_of(config, "function", "a " + class_name)}, {"arguments", call.arguments}, {"keywords", call.keywords}};
    // Keras 3: the class is the function, and some of its arguments are settings. HDF5 files leave out the module, but only layers say
    // whether they are trainable.
    if (module.starts_with("keras.src.ops") || module.starts_with("keras.src.activations") ||
        (call.keras_3 && module.empty() && config.is_object() && !config.contains("trainable"))) {
        Dict keywords = call.keywords;
        for (const auto& [key, item] : config.items())
            if (!item.is_null()) keywords.emplace(key, to_value(item));
        return Dict{{"operation", class_name}, {"arguments", call.arguments}, {"keywords", keywords}};
    }
    if (class_name == "TensorFlowOpLayer") {  // TensorFlow 2.0 to 2.3: a node of its graph, and those of its inputs that are constants
        const Json &node = member(config, "node_def", "a TensorFlowOpLayer"), constants = config.value("constants", Json::object());
        List arguments;
        LIMN_CHECK(constants.is_object() && constants.size() < 16,
                   "the model's configuration is wrong: the constants of a TensorFlowOpLayer");
        for (std::size_t i = 0; i < call.reads.size() + constants.size(); i++) {
            const auto constant = constants.find(std::to_string(i));
            arguments.push_back(constant == constants.end() ? Value() : to_value(*constant));
        }
        Dict keywords;
        if (node.contains("attr") && node["attr"].is_object())
            for (const auto& [key, item] : node["attr"].items())
                if (item.is_object() && item.contains("b")) keywords[key] = to_value(item["b"]);
        return Dict{{"operation", text_of(node, "op", "a TensorFlowOpLayer")}, {"arguments", arguments}, {"keywords", keywords}};
    }
    return std::nullopt;
}

bool is_model(const std::string& class_name) { return class_name == "Sequential" || class_name == "Functional" || class_name == "Model"; }

// Of how many axes the tensors are that a layer of this kind takes with the channels first; 0: it says nothing about that.
int channels_first_axes(const Json& layer) {
    if (!layer.is_object() || !layer.contains("config") || !layer["config"].is_object()) return 0;
    if (layer["config"].value("data_format", Json()) != "channels_first") return 0;
    const std::string kind = layer.contains("class_name") && layer["class_name"].is_string() ? layer["class_name"].get<std::string>() : "";
    for (const auto& [part, axes] : {std::pair{"1D", 3}, {"2D", 4}, {"3D", 5}})
        if (kind.find(part) != std::string::npos) return axes;
    return kind == "Flatten" ? 0 : 4;
}

void find_channels_first(const Json& j, std::set<int>& found, int depth = 0) {
    if (depth > max_depth) return;
    if (const int axes = channels_first_axes(j)) found.insert(axes);
    if (j.is_object() || j.is_array())
        for (const Json& item : j)
            if (item.is_structured()) find_channels_first(item, found, depth + 1);
}

class Builder {
public:
    Builder(const Json& root, int keras_major) : keras_major_(keras_major) { find_channels_first(root, channels_first_); }

    Model build(const Json& root) {
        model_.name = member(root, "config", "the model").is_object() ? root["config"].value("name", std::string("model")) : "model";
        model_.outputs = instantiate(root, "", {}, std::nullopt);
        return std::move(model_);
    }

private:
    // Adds the nodes of a model. `prefix` names them ("base/"), `reads` are the nodes a nested model is called with.
    std::vector<int> instantiate(const Json& model, const std::string& prefix, const std::string& path,
                                 std::optional<std::vector<int>> reads) {
        LIMN_CHECK(std::count(path.begin(), path.end(), '/') < 16, "models are nested too deeply in the model's configuration");
        return text_of(model, "class_name", "the model") == "Sequential" ? sequential(model, prefix, path, reads)
                                                                         : functional(model, prefix, path, reads);
    }

    // The shape an input layer (or the first layer of a Sequential) declares, as NHWC; nothing if it declares none.
    std::optional<Shape> declared_shape(const Json& settings) const {
        for (const char* key : {"batch_shape", "batch_input_shape"}) {
            if (!settings.contains(key) || !settings[key].is_array()) continue;
            std::vector<Index> sizes;
            for (const Json& size : settings[key]) sizes.push_back(size.is_number_integer() ? size.get<Index>() : -1);
            LIMN_CHECK(!sizes.empty() && sizes.size() <= Shape::max_rank, "the model's configuration declares an input of {} axes",
                       sizes.size());
            sizes[0] = -1;
            for (Index size : sizes)
                LIMN_CHECK(size == -1 || (size > 0 && size < 1 << 24), "the model's configuration declares an input of size {}", size);
            if (channels_first_.contains(int(sizes.size()))) std::rotate(sizes.begin() + 1, sizes.begin() + 2, sizes.end());
            return Shape(std::span<const Index>(sizes));
        }
        return std::nullopt;
    }

    std::vector<int> sequential(const Json& model, const std::string& prefix, const std::string& path,
                                std::optional<std::vector<int>> reads) {
        const Json& config = member(model, "config", "the model");
        const Json& layers = config.is_array() ? config : member(config, "layers", "a Sequential model");
        LIMN_CHECK(layers.is_array() && !layers.empty(), "a Sequential model without layers cannot be run");
        std::vector<int> at = reads.value_or(std::vector<int>{});
        for (const Json& layer : layers) {
            const std::string class_name = text_of(layer, "class_name", "a layer");
            const Json& settings = member(layer, "config", "a layer");
            const std::string name = name_of(layer);
            if (class_name == "InputLayer") {
                if (at.empty()) at = {input(layer, prefix)};
                continue;
            }
            if (at.empty()) {
                std::optional<Shape> shape = settings.is_object() ? declared_shape(settings) : std::nullopt;
                if (!shape && is_model(class_name)) shape = input_of_nested(layer);
                if (!shape && config.is_object() && config.contains("build_input_shape"))
                    shape = declared_shape(Json{{"batch_shape", config["build_input_shape"]}});
                LIMN_CHECK(shape, "the configuration of Sequential model '{}' does not say what shape its input has",
                           path.empty() ? model_.name : path);
                at = {model_.add_input(unique(prefix + name + "_input"), *shape)};
            }
            at = call(layer, prefix, path, at, {});
        }
        return at;
    }

    // A Sequential that starts with a model takes that model's input.
    std::optional<Shape> input_of_nested(const Json& model) const {
        const Json& config = member(model, "config", "a model");
        const Json& layers = config.is_array() ? config : member(config, "layers", "a model");
        LIMN_CHECK(layers.is_array() && !layers.empty() && layers[0].is_object(), "a model without layers cannot be run");
        return declared_shape(member(layers[0], "config", "a layer"));
    }

    std::vector<int> functional(const Json& model, const std::string& prefix, const std::string& path,
                                std::optional<std::vector<int>> reads) {
        const Json& config = member(model, "config", "the model");
        const Json& layers = member(config, "layers", "a functional model");
        const std::string where = path.empty() ? "the model" : "model '" + path + "'";
        LIMN_CHECK(layers.is_array(), "the model's configuration is wrong: 'layers' of {} should be a list", where);
        std::map<std::string, std::vector<std::vector<int>>> results;  // layer -> call -> outputs

        const std::vector<Reference> input_refs = references_from(member(config, "input_layers", where), where);
        if (reads) {
            LIMN_CHECK(reads->size() == input_refs.size(), "{} takes {} inputs, it is called with {}", where, input_refs.size(),
                       reads->size());
            for (std::size_t i = 0; i < reads->size(); i++) results[input_refs[i].layer] = {{(*reads)[i]}};
        } else {
            for (const Reference& ref : input_refs) {
                const auto it = std::find_if(layers.begin(), layers.end(), [&](const Json& l) { return name_of(l) == ref.layer; });
                LIMN_CHECK(it != layers.end(), "{} names the input '{}', but has no such layer", where, ref.layer);
                results[ref.layer] = {{input(*it, prefix)}};
            }
        }
        const auto find = [&](const Reference& ref) -> std::optional<int> {
            const auto it = results.find(ref.layer);
            if (it == results.end() || it->second.empty()) return std::nullopt;
            const auto& calls = it->second;
            // Some versions count a nested model's own creation as its first call.
            const Index call = ref.call < Index(calls.size()) ? ref.call : ref.call - 1;
            if (call < 0 || call >= Index(calls.size()) || ref.output < 0 || ref.output >= Index(calls[std::size_t(call)].size()))
                return std::nullopt;
            return calls[std::size_t(call)][std::size_t(ref.output)];
        };

        // Layers usually stand in running order; calls that read what is not there yet wait for the next round.
        struct Waiting {
            const Json* layer;
            std::string name;
            std::vector<Call> calls;
            std::size_t done = 0;
        };
        std::vector<Waiting> waiting;
        for (const Json& layer : layers) {
            const std::string name = name_of(layer);
            if (!results.contains(name)) waiting.push_back({&layer, name, calls_of(layer, "layer '" + name + "'")});
        }
        for (bool progress = true; progress;) {
            progress = false;
            for (Waiting& w : waiting)
                while (w.done < w.calls.size()) {
                    std::vector<int> nodes;
                    for (const Reference& ref : w.calls[w.done].reads)
                        if (const auto node = find(ref)) nodes.push_back(*node);
                    if (nodes.size() != w.calls[w.done].reads.size()) break;
                    results[w.name].push_back(call(*w.layer, prefix, path, nodes, w.calls[w.done]));
                    w.done++;
                    progress = true;
                }
        }
        std::vector<int> outputs;
        for (const Reference& ref : references_from(member(config, "output_layers", where), where)) {
            const auto node = find(ref);
            if (!node) {
                for (const Waiting& w : waiting)
                    for (std::size_t i = w.done; i < w.calls.size(); i++)
                        for (const Reference& r : w.calls[i].reads)
                            LIMN_CHECK(find(r) || results.contains(r.layer) ||
                                           std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& o) { return o.name == r.layer; }),
                                       "layer '{}' reads from '{}', which is not in the model", w.name, r.layer);
                fail("the output '{}' of {} cannot be reached from its inputs", ref.layer, where);
            }
            outputs.push_back(*node);
        }
        return outputs;
    }

    // One call of a layer (or of a model as a layer) on the given nodes.
    std::vector<int> call(const Json& layer, const std::string& prefix, const std::string& path, const std::vector<int>& reads,
                          const Call& how) {
        const std::string class_name = text_of(layer, "class_name", "a layer"), name = name_of(layer);
        const std::string layer_path = path + name;
        if (is_model(class_name)) {
            const int count = ++calls_[layer_path];
            return instantiate(layer, prefix + name + (count > 1 ? fmt::format("#{}/", count) : "/"), layer_path + "/", reads);
        }
        const Json& config = member(layer, "config", "layer '" + name + "'");
        if (const auto operation = operation_of(layer, class_name, config, how)) {
            const LayerPtr made = make_layer({"Operation", layer_path, *operation, channels_first_, keras_major_});
            return {model_.add(unique(prefix + name), made, reads)};
        }
        LayerPtr& made = layers_[layer_path];
        if (!made) {
            const Value value = to_value(config);
            LIMN_CHECK(value.as<Dict>(), "layer '{}': its configuration should be a dictionary", name);
            Dict settings = *value.as<Dict>();
            if (!how.keywords.empty()) settings["call"] = Dict{{"arguments", how.arguments}, {"keywords", how.keywords}};
            made = make_layer({class_name, layer_path, settings, channels_first_, keras_major_});
            if (const std::string* named = how.tensor_by_keyword(); named && !made->takes_keywords())
                fail("layer '{}' ({}): it is called with the tensor '{}', which limn does not know", name, class_name, *named);
        }
        return {model_.add(unique(prefix + name), made, reads)};
    }

    int input(const Json& layer, const std::string& prefix) {
        const std::string name = name_of(layer);
        const std::optional<Shape> shape = declared_shape(member(layer, "config", "layer '" + name + "'"));
        LIMN_CHECK(shape, "the input '{}' does not say what shape it has", name);
        return model_.add_input(unique(prefix + name), *shape);
    }

    // Functional layers carry their name outside, too; Sequential ones only inside their config.
    static std::string name_of(const Json& layer) {
        if (layer.is_object() && layer.contains("name") && layer["name"].is_string()) return layer["name"].get<std::string>();
        const Json& config = member(layer, "config", "a layer");
        return config.is_object() && config.contains("name") ? text_of(config, "name", "a layer") : text_of(layer, "class_name", "a layer");
    }

    std::string unique(const std::string& name) const {
        const auto taken = [&](const std::string& n) {
            return std::any_of(model_.nodes().begin(), model_.nodes().end(), [&](const Node& node) { return node.name == n; });
        };
        std::string candidate = name;
        for (int i = 2; taken(candidate); i++) candidate = fmt::format("{}#{}", name, i);
        return candidate;
    }

    Model model_;
    std::set<int> channels_first_;
    int keras_major_;
    std::map<std::string, LayerPtr> layers_;
    std::map<std::string, int> calls_;
};

}  // namespace

Model model_from_config(const std::string& text, const std::string& keras_version) {
    const Json root = Json::parse(text, nullptr, false);
    LIMN_CHECK(!root.is_discarded() && root.is_object(), "the model's configuration is not valid JSON");
    const std::string class_name = text_of(root, "class_name", "the model");
    LIMN_CHECK(is_model(class_name),
               "the model is a {}: a subclassed model cannot be rebuilt from its file; Sequential and functional ones can", class_name);
    const int major = keras_version.empty() || keras_version[0] < '0' || keras_version[0] > '9' ? 2 : keras_version[0] - '0';
    try {
        return Builder(root, major).build(root);
    } catch (const Json::exception& e) {
        fail("the model's configuration is wrong: {}", e.what());
    }
}

}  // namespace limn
