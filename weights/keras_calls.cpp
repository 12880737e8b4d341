#include "weights/keras_calls.h"

#include <algorithm>

#include "layers/core.h"
#include "weights/json_value.h"

namespace limn {

using Json = nlohmann::json;

const Json& json_member(const Json& j, const char* key, const std::string& where) {
    LIMN_CHECK(j.is_object() && j.contains(key), "the model's configuration is incomplete: {} has no '{}'", where, key);
    return j.at(key);
}

std::string json_text(const Json& j, const char* key, const std::string& where) {
    const Json& value = json_member(j, key, where);
    LIMN_CHECK(value.is_string(), "the model's configuration is wrong: '{}' of {} should be a text", key, where);
    return value.get<std::string>();
}

namespace {

Reference reference_from(const Json& j, const std::string& where) {
    LIMN_CHECK(j.is_array() && j.size() >= 3 && j[0].is_string() && j[1].is_number_integer() && j[2].is_number_integer(),
               "the model's configuration is wrong: {} reads something that is no [layer, call, output]", where);
    return {j[0].get<std::string>(), j[1].get<Index>(), j[2].get<Index>()};
}

// null, or a list of nothing else
bool is_nothing(const Json& j) {
    return j.is_null() || (j.is_array() && std::all_of(j.begin(), j.end(), [](const Json& item) { return item.is_null(); }));
}

bool is_reference(const Json& j) {  // Keras 2: ["a",0,0]
    return j.is_array() && j.size() == 3 && j[0].is_string() && j[1].is_number_integer() && j[2].is_number_integer();
}

// Keras 3: {"class_name": "__keras_tensor__", "config": {"keras_history": ["a",0,0]}}, {"class_name": "__numpy__", "config": {"value": ...}}
Value argument_from(const Json& j, std::vector<Reference>& reads, const std::string& where, int depth = 0) {
    LIMN_CHECK(depth < deepest_json, "the model's configuration is nested too deeply");
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
    if (!j.is_object()) return value_from(j);
    const Json kind = j.value("class_name", Json());
    if (kind == "__keras_tensor__") {
        reads.push_back(reference_from(json_member(json_member(j, "config", where), "keras_history", where), where));
        return {};
    }
    if (kind == "__numpy__" || kind == "__tensor__") return value_from(json_member(json_member(j, "config", where), "value", where));
    Dict dict;
    for (const auto& [key, item] : j.items()) dict.emplace(key, argument_from(item, reads, where, depth + 1));
    return dict;
}

void read_keywords(Call& call, const Json& keywords, const std::string& where) {
    if (!keywords.is_object()) return;
    call.given_mask = !is_nothing(keywords.value("mask", Json()));
    for (const auto& [key, item] : keywords.items()) {
        if (item.is_null() || key == "mask") continue;
        Value argument = argument_from(item, call.reads, where);
        if (key != "initial_state") call.keywords[key] = std::move(argument);
    }
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
            first.push_back(value_from(item[2]));
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
    read_keywords(call, keywords, where);
    return call;
}

// Keras 3: {"args": [...], "kwargs": {...}}
Call call_of_keras_3(const Json& node, const std::string& where) {
    Call call;
    call.keras_3 = true;
    const Json& args = json_member(node, "args", where);
    LIMN_CHECK(args.is_array(), "the model's configuration is wrong: 'args' of {} should be a list", where);
    std::size_t with_tensors = 0;
    const auto counted = [&](const auto& read) {
        const std::size_t before = call.reads.size();
        read();
        with_tensors += call.reads.size() > before;
    };
    for (const Json& item : args) counted([&] { call.arguments.push_back(argument_from(item, call.reads, where)); });
    counted([&] { read_keywords(call, node.value("kwargs", Json()), where); });
    call.with_mask = with_tensors <= 1 || call.given_mask;
    return call;
}

}  // namespace

bool is_function(const std::string& class_name, const Json& config) {
    if (!config.is_object() || config.contains("trainable")) return false;
    const std::vector<std::string> layers = known_layers();
    const bool layer_too = std::ranges::count(layers, class_name);
    return !layer_too || (!config.contains("dtype") && is_known_function(class_name));
}

static void collect_references(const Json& j, const std::string& where, std::vector<Reference>& list) {
    LIMN_CHECK(j.is_structured(), "the model's configuration is wrong: {} should list its inputs", where);
    if (j.is_array() && !j.empty() && j[0].is_string())
        list.push_back(reference_from(j, where));
    else
        for (const Json& item : j) collect_references(item, where, list);
}

std::vector<Reference> references_from(const Json& j, const std::string& where) {
    std::vector<Reference> list;
    collect_references(j, where, list);
    return list;
}

bool calls_count_from_1(const Json& model, int keras_major, Index calls, Index least, Index most) {
    const bool sequential = json_text(model, "class_name", "a model") == "Sequential";
    if (least <= 0) return false;
    if (most == calls) return true;
    if (keras_major >= 3 || !sequential) return !sequential;
    const Json& config = json_member(model, "config", "a model");
    const Json& layers = config.is_array() ? config : json_member(config, "layers", "a model");
    const Json first = layers.is_array() && !layers.empty() && layers[0].is_object() ? layers[0].value("config", Json()) : Json();
    return first.is_object() && (first.contains("batch_shape") || first.contains("batch_input_shape"));
}

const std::string* Call::tensor_by_keyword() const {
    for (const auto& [name, value] : keywords) {
        const List* list = value.as<List>();
        const bool in_list = list && std::any_of(list->begin(), list->end(), [](const Value& v) { return v.is_null(); });
        if (value.is_null() || in_list) return &name;
    }
    return nullptr;
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

// The attributes of a node of TensorFlow's graph as arguments: {"alpha": {"f": 0.1}}. Types and counts follow from the inputs.
static Dict graph_attributes(const Json& attributes) {
    static const std::map<std::string, std::string> texts = {
        {"VkFMSUQ=", "VALID"}, {"U0FNRQ==", "SAME"}, {"TkhXQw==", "NHWC"}, {"TkNIVw==", "NCHW"}};
    const auto number = [](const Json& j) {  // whole ones are written as texts
        LIMN_CHECK(j.is_string() || j.is_number(), "the model's configuration is wrong: an attribute of a TensorFlowOpLayer is no number");
        return j.is_string() ? std::strtod(j.get<std::string>().c_str(), nullptr) : j.get<double>();
    };
    Dict keywords;
    for (const auto& [name, item] : attributes.items()) {
        const std::string key = name == "squeeze_dims" ? "axis" : name == "DstT" ? "dtype" : name;
        const auto has = [&, &item = item](const char* kind) { return item.is_object() && item.contains(kind); };
        if (key == "dtype" && has("type")) {
            const std::string type = item["type"].is_string() ? item["type"].get<std::string>() : "";
            const bool real = type == "DT_FLOAT" || type == "DT_DOUBLE" || type == "DT_HALF" || type == "DT_BFLOAT16";
            keywords[key] = real ? std::string("float32") : type;
        } else if (has("type") || name == "N") {
            continue;
        } else if (has("b")) {
            keywords[key] = value_from(item["b"]);
        } else if (has("f") || has("i")) {
            keywords[key] = number(item[has("f") ? "f" : "i"]);
        } else if (has("s") && item["s"].is_string() && texts.contains(item["s"].get<std::string>())) {  // in base 64
            keywords[key] = texts.at(item["s"].get<std::string>());
        } else if (has("list")) {
            List numbers;
            if (const Json listed = item["list"].is_object() ? item["list"].value("i", Json::array()) : Json(); listed.is_array())
                for (const Json& size : listed) numbers.push_back(number(size));
            if (!numbers.empty()) keywords[key] = std::move(numbers);
        } else {
            fail("the model's configuration holds the attribute '{}' of a TensorFlowOpLayer, which limn does not know", name);
        }
    }
    return keywords;
}

std::optional<Dict> operation_of(const Json& layer, const std::string& class_name, const Json& config, const Call& call) {
    const std::string module = layer.contains("module") && layer["module"].is_string() ? layer["module"].get<std::string>() : "";
    if (class_name == "TFOpLambda" || class_name == "SlicingOpLambda")  // Keras 2: x + 3 is "math.add"
        return Dict{
            {"operation", json_text(config, "function", "a " + class_name)}, {"arguments", call.arguments}, {"keywords", call.keywords}};
    // Keras 3: the class is the function, and some of its arguments are settings.
    if (module.starts_with("keras.src.ops") || module.starts_with("keras.src.activations") ||
        (call.keras_3 && module.empty() && is_function(class_name, config))) {
        Dict keywords = call.keywords;
        for (const auto& [key, item] : config.items())
            if (!item.is_null()) keywords.emplace(key, value_from(item));
        return Dict{{"operation", class_name}, {"arguments", call.arguments}, {"keywords", keywords}};
    }
    if (class_name == "TensorFlowOpLayer") {  // TensorFlow 2.0 to 2.3: a node of its graph, and those of its inputs that are constants
        const Json &node = json_member(config, "node_def", "a TensorFlowOpLayer"), constants = config.value("constants", Json::object());
        List arguments;
        LIMN_CHECK(constants.is_object() && constants.size() < 16,
                   "the model's configuration is wrong: the constants of a TensorFlowOpLayer");
        for (std::size_t i = 0; i < call.reads.size() + constants.size(); i++) {
            const auto constant = constants.find(std::to_string(i));
            arguments.push_back(constant == constants.end() ? Value() : value_from(*constant));
        }
        const Json attributes = node.value("attr", Json::object());
        return Dict{{"operation", json_text(node, "op", "a TensorFlowOpLayer")},
                    {"arguments", arguments},
                    {"keywords", attributes.is_object() ? graph_attributes(attributes) : Dict{}}};
    }
    return std::nullopt;
}

}  // namespace limn
