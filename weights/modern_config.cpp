#include "weights/modern_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "weights/json_value.h"
#include "weights/keras1.h"
#include "weights/keras_calls.h"

namespace limn {

namespace {

using OrderedJson = nlohmann::ordered_json;

// Keras 3 refuses settings it does not know. These were Keras 1's and 2's, or say how a layer was computed or drawn at random.
const char* const dropped[] = {"W_regularizer",
                               "b_regularizer",
                               "U_regularizer",
                               "W_constraint",
                               "b_constraint",
                               "input_dtype",
                               "dim_ordering",
                               "dropout_W",
                               "dropout_U",
                               "consume_less",
                               "forget_bias_init",
                               "input_length",
                               "mode",
                               "renorm",
                               "renorm_clipping",
                               "renorm_momentum",
                               "virtual_batch_size",
                               "fused",
                               "adjustment",
                               "experimental_autocast",
                               "time_major",
                               "implementation",
                               "unroll",
                               "ragged",
                               "batch_input_shape",
                               "batch_shape",
                               "dtype",
                               "rng_type",
                               "lora_rank",
                               "lora_alpha",
                               "query_shape",
                               "key_shape",
                               "value_shape",
                               "softmax_robust_masking",
                               "quantization_config"};

class Moderniser {
public:
    explicit Moderniser(const Model& model) : model_(model) {
        for (const Node& node : model.nodes()) keras_major_ = std::min(keras_major_, node.layer->keras_config.keras_major);
    }

    OrderedJson model(OrderedJson j, const std::string& path) {
        forget_module(j);  // first: what is erased moves the members behind it
        if (j["class_name"] == "Model") j["class_name"] = "Functional";
        OrderedJson& config = j["config"];
        if (config.is_array())
            config = OrderedJson{{"name", path.empty() ? model_.name : path.substr(0, path.size() - 1)}, {"layers", config}};
        const OrderedJson built = config.value("build_input_shape", OrderedJson());  // of a Sequential that was built late
        for (const char* of_one_version : {"build_input_shape", "dtype"}) config.erase(of_one_version);
        // a list of one would make Keras 3 hand over a list instead of a tensor
        for (const char* ends : {"input_layers", "output_layers"})
            if (config.contains(ends) && config[ends].size() == 1 && config[ends][0].is_array())
                config[ends] = OrderedJson(config[ends][0]);
        OrderedJson layers = OrderedJson::array();
        for (const OrderedJson& layer : config["layers"]) {
            const OrderedJson& settings = layer["config"];
            const bool opens =
                j["class_name"] == "Sequential" && layers.empty() && layer["class_name"] != "InputLayer" && settings.is_object();
            if (const OrderedJson shape = opens ? settings.value("batch_input_shape", built) : OrderedJson(); shape.is_array())
                layers.push_back(input(shape, settings, settings.value("name", std::string()) + "_input"));
            layers.push_back(this->layer(layer, path));
        }
        config["layers"] = layers;
        if (keras_major_ < 3 && j["class_name"] == "Functional") renumber(config);
        return j;
    }

private:
    // Where the class was defined, in a Keras that is no more.
    void forget_module(OrderedJson& j) const {
        if (keras_major_ < 3) j.erase("module"), j.erase("registered_name"), j.erase("build_config");
    }

    // The calls of models inside as Keras 3 counts them.
    static void renumber(OrderedJson& config) {
        for (const OrderedJson& inner : config["layers"]) {
            if (inner["class_name"] != "Functional" && inner["class_name"] != "Sequential") continue;
            std::vector<OrderedJson*> inside, outputs;  // [layer, call, output]
            for (OrderedJson& layer : config["layers"]) references_to(inner["name"], layer["inbound_nodes"], inside);
            references_to(inner["name"], config["output_layers"], outputs);
            std::vector<OrderedJson*> all = inside;
            all.insert(all.end(), outputs.begin(), outputs.end());
            if (all.empty()) continue;
            const auto call = [](const OrderedJson* reference) { return (*reference)[1].get<Index>(); };
            const auto [least, most] = std::ranges::minmax(all, {}, call);
            const Index from = calls_count_from_1(nlohmann::json(inner), 2, Index(inner["inbound_nodes"].size()), call(least), call(most));
            for (OrderedJson* reference : inside) (*reference)[1] = call(reference) - from;
            for (OrderedJson* reference : outputs) (*reference)[1] = call(reference) - from + (inner["class_name"] == "Functional");
        }
    }
    static void references_to(const OrderedJson& layer, OrderedJson& j, std::vector<OrderedJson*>& found) {  // of Keras 2 and 3
        if (j.is_array() && j.size() >= 3 && j[0] == layer && j[1].is_number_integer()) return found.push_back(&j);
        if (j.is_structured())
            for (OrderedJson& item : j) references_to(layer, item, found);
    }

    // Keras 3 reads Keras 2's lists of tensors, but not tensors among the keywords: such calls are said in its own way.
    static OrderedJson tensor(const OrderedJson& reference) {
        return {{"class_name", "__keras_tensor__"},
                {"config", {{"shape", {nullptr}}, {"dtype", "float32"}, {"keras_history", {reference[0], reference[1], reference[2]}}}}};
    }
    static bool is_reference(const OrderedJson& j) {
        return j.is_array() && j.size() == 3 && j[0].is_string() && j[1].is_number_integer() && j[2].is_number_integer();
    }
    static OrderedJson with_tensors(const OrderedJson& argument) {
        if (is_reference(argument)) return tensor(argument);
        if (!argument.is_array()) return argument;
        OrderedJson list = OrderedJson::array();
        for (const OrderedJson& item : argument) list.push_back(with_tensors(item));
        return list;
    }
    static OrderedJson modern_call(const OrderedJson& node, bool recurrent) {
        if (!node.is_array() || node.empty()) return node;
        const OrderedJson reads = node[0].is_string() ? OrderedJson::array({node}) : node;
        OrderedJson tensors = OrderedJson::array(), keywords = OrderedJson::object();
        bool by_keyword = false;
        for (const OrderedJson& read : reads) {
            if (!read.is_array() || read.size() < 3) return node;
            tensors.push_back(tensor(read));
            if (read.size() < 4 || !read[3].is_object()) continue;
            for (const auto& [key, value] : read[3].items())
                if (!value.is_null() && value != OrderedJson::array()) {
                    keywords[key] = with_tensors(value);
                    by_keyword |= keywords[key] != value;
                }
        }
        const bool states = recurrent && tensors.size() > 1;  // Keras 2 wrote a sequence and the states it begins with as one list
        if (!by_keyword && !states) return node;
        if (states) {
            keywords["initial_state"] = OrderedJson(tensors.begin() + 1, tensors.end());
            tensors.erase(tensors.begin() + 1, tensors.end());
        }
        return {{"args", tensors.size() == 1 ? tensors : OrderedJson::array({tensors})}, {"kwargs", keywords}};
    }

    // A function that was called without a layer: as the layer that limn found it to be.
    void say_as_layer(OrderedJson& j, const std::string& path, const std::string& name) const {
        const auto node = std::ranges::find_if(model_.nodes(), [&](const Node& n) { return n.layer->name == path + name; });
        LIMN_CHECK(node != model_.nodes().end() && node->layer->class_name != "Operation",
                   "layer '{}' calls a function ({}) that limn cannot say to Keras 3", name, j["config"].value("function", std::string()));
        LIMN_CHECK(std::ranges::all_of(node->inputs, [&](int in) { return model_.node(in).mask < 0; }),
                   "layer '{}' calls a function on masked steps, which limn cannot say to Keras 3", name);
        OrderedJson calls = OrderedJson::array();
        for (const Call& call : calls_of(nlohmann::json(j), name)) {
            OrderedJson reads = OrderedJson::array();
            for (const Reference& ref : call.reads) reads.push_back({ref.layer, ref.call, ref.output, OrderedJson::object()});
            calls.push_back(reads);
        }
        j = {{"class_name", node->layer->class_name},
             {"name", name},
             {"config", OrderedJson(json_from(Value(node->layer->keras_config.settings)))},
             {"inbound_nodes", calls}};
    }

    static OrderedJson input(const OrderedJson& shape, const OrderedJson& settings, const std::string& name) {
        OrderedJson config = {{"batch_shape", shape}, {"name", name}};
        const OrderedJson dtype = settings.value("dtype", OrderedJson());
        config["dtype"] = dtype.is_string() && dtype.get<std::string>().find("int") != std::string::npos ? dtype : OrderedJson("float32");
        return {{"class_name", "InputLayer"}, {"config", config}};
    }

    static OrderedJson with_module(OrderedJson j, const char* module) {
        if (!j.contains("module")) j["module"] = module;
        return j;
    }

    // HDF5 files leave out where a function that is called without a layer comes from.
    static const char* module_of(const std::string& operation) {
        static const std::set<std::string> nn = {"Relu", "Relu6", "Sigmoid", "Silu", "Softplus", "Softsign",   "HardSigmoid", "HardSilu",
                                                 "Elu",  "Selu",  "Celu",    "Gelu", "Softmax",  "LogSoftmax", "LeakyRelu",   "LogSigmoid"};
        return nn.contains(operation) ? "keras.src.ops.nn" : operation == "Resize" ? "keras.src.ops.image" : "keras.src.ops.numpy";
    }

    OrderedJson layer(OrderedJson j, const std::string& path) {
        const std::string name = name_of(j);
        if (j["class_name"] == "TFOpLambda" || j["class_name"] == "SlicingOpLambda" || j["class_name"] == "TensorFlowOpLayer")
            say_as_layer(j, path, name);
        forget_module(j);
        const std::string class_name = j["class_name"].get<std::string>();
        OrderedJson& config = j["config"];
        const bool recurrent =
            class_name.ends_with("LSTM") || class_name.ends_with("GRU") || class_name.ends_with("RNN") || class_name == "Bidirectional";
        if (keras_major_ < 3 && j.contains("inbound_nodes") && j["inbound_nodes"].is_array())
            for (OrderedJson& node : j["inbound_nodes"]) node = modern_call(node, recurrent);
        if (config.is_array() || (config.is_object() && config.contains("layers"))) return model(j, path + name + "/");
        if (class_name == "InputLayer") {
            const OrderedJson shape =
                config.contains("batch_shape") ? config["batch_shape"] : config.value("batch_input_shape", OrderedJson());
            j["config"] = input(shape, config, name)["config"];
            return j;
        }
        const auto modernised = [&](OrderedJson& inner) {
            if (!inner.is_object() || !inner.contains("class_name")) return;
            inner = layer(inner, path + name + "/");
            const OrderedJson& kind = inner["class_name"];
            inner = with_module(inner, kind == "Sequential"   ? "keras"
                                       : kind == "Functional" ? "keras.src.models.functional"
                                                              : "keras.layers");
        };
        for (const char* inner : {"layer", "backward_layer", "cell"})
            if (config.is_object() && config.contains(inner)) modernised(config[inner]);
        if (config.is_object() && config.contains("cells") && config["cells"].is_array())
            for (OrderedJson& cell : config["cells"]) modernised(cell);
        std::string modern_class = class_name;
        Dict settings = *value_from(nlohmann::json(config)).as<Dict>();
        translate_keras1(modern_class, settings);
        if (keras_major_ < 3) say_for_keras3(modern_class, settings);
        if (class_name == "Lambda") {
            modern_class = "Rescaling";
            settings = rescaling(path + name);
        }
        const bool function = j.contains("inbound_nodes") && !j["inbound_nodes"].empty() && j["inbound_nodes"][0].is_object() &&
                              is_function(class_name, nlohmann::json(config));
        std::erase_if(settings, [&](const auto& setting) { return is_left_out(setting.first, modern_class); });
        // BatchNormalization's axis was a list in some versions
        if (const auto axis = settings.find("axis"); axis != settings.end() && modern_class == "BatchNormalization")
            if (const List* list = axis->second.as<List>(); list && list->size() == 1) axis->second = Value(list->front());
        if (!function && !settings.contains("trainable")) settings["dtype"] = "float32";  // one of the two tells a layer from a function
        settings["name"] = name;
        j["class_name"] = modern_class;
        j["config"] = json_from(Value(settings));
        if (function || keras_major_ < 3) j = with_module(j, function ? module_of(modern_class) : "keras.layers");
        return j;
    }

    // x * scale + offset, found by trying: at 0 and 1, and checked elsewhere.
    Dict rescaling(const std::string& path) const {
        const auto node = std::find_if(model_.nodes().begin(), model_.nodes().end(), [&](const Node& n) { return n.layer->name == path; });
        LIMN_CHECK(node != model_.nodes().end(), "layer '{}' (Lambda) is not in the network", path);
        const Shape in = model_.node(node->inputs.at(0)).shape;
        const auto at = [&](double x) {
            Shape one = in;
            for (int axis = 0; axis + 1 < one.rank(); axis++) one[axis] = 1;
            Tape tape(reference_backend());
            return node->layer->forward(tape, {Var(Tensor::full(one, x))}).value;
        };
        const Tensor zero = at(0), one = at(1), far = at(200), near = at(-3);
        bool affine = zero.size() == in[-1] && node->shape == in;
        List scales, offsets;
        for (Index c = 0; affine && c < zero.size(); c++) {
            const double offset = zero.at_flat(c), scale = one.at_flat(c) - offset;
            affine = std::abs(far.at_flat(c) - (200 * scale + offset)) <= 1e-3 * (1 + std::abs(200 * scale)) &&
                     std::abs(near.at_flat(c) - (offset - 3 * scale)) <= 1e-3 * (1 + std::abs(scale));
            // far from 0 the slope keeps more digits
            scales.push_back((far.at_flat(c) - offset) / 200), offsets.push_back(offset);
        }
        LIMN_CHECK(affine, "layer '{}' (Lambda): what it computes cannot be written as a layer of Keras; only x * scale + offset can",
                   path);
        const auto same = [](const List& list) {
            return std::all_of(list.begin(), list.end(), [&](const Value& v) { return *v.as<double>() == *list[0].as<double>(); });
        };
        if (same(scales)) scales.resize(1);
        if (same(offsets)) offsets.resize(1);
        return {{"scale", scales.size() == 1 ? scales[0] : Value(scales)}, {"offset", offsets.size() == 1 ? offsets[0] : Value(offsets)}};
    }

    const Model& model_;
    int keras_major_ = 3;  // of the file; inputs that stand in no configuration say nothing
};

}  // namespace

// The same in the cells of an RNN: one, or a list.
static void say_in_cells(Value& cell) {
    if (List* cells = std::get_if<List>(&cell))
        for (Value& one : *cells) say_in_cells(one);
    Dict* part = std::get_if<Dict>(&cell);
    if (!part || !part->contains("class_name") || !part->contains("config")) return;
    std::string* class_name = std::get_if<std::string>(&part->at("class_name"));
    Dict* settings = std::get_if<Dict>(&part->at("config"));
    if (class_name && settings) say_for_keras3(*class_name, *settings);
}

bool is_left_out(const std::string& key, const std::string& class_name) {
    if (key == "groups")
        return class_name != "Conv1D" && class_name != "Conv2D" && class_name != "Conv3D" && class_name != "GroupNormalization";
    if (key == "kernel_regularizer") return class_name.starts_with("Separable") || class_name.starts_with("Depthwise");
    if (key == "noise_shape" || key == "trainable") return class_name.starts_with("Spatial");
    if (key == "input_dim") return class_name != "Embedding";
    if (key == "dropout") return class_name == "Embedding";
    return key.ends_with("_initializer") || key.ends_with("_constraint") ||
           std::any_of(std::begin(dropped), std::end(dropped), [&](const char* d) { return key == d; });
}

void say_for_keras3(std::string& class_name, Dict& settings) {
    const bool cudnn = class_name.starts_with("CuDNN");
    if (cudnn) class_name.erase(0, std::string_view("CuDNN").size());
    if (class_name.starts_with("LSTM") || class_name.starts_with("GRU"))  // or a cell of an RNN
        settings.emplace("recurrent_activation", std::string(cudnn ? "sigmoid" : "hard_sigmoid"));
    if (class_name.starts_with("GRU")) settings.emplace("reset_after", cudnn);
    if (class_name == "ThresholdedReLU") {
        class_name = "ReLU";
        const auto theta = settings.extract("theta");
        settings["threshold"] = theta.empty() ? Value(1.0) : theta.mapped();
    }
    for (const char* cells : {"cell", "cells"})
        if (const auto at = settings.find(cells); at != settings.end()) say_in_cells(at->second);
}

std::string name_of(const nlohmann::ordered_json& layer) {
    const auto text = [](const OrderedJson& j, const char* key) {
        return j.is_object() && j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : "";
    };
    if (!layer.is_object()) return "";
    const std::string own = text(layer, "name"), configured = layer.contains("config") ? text(layer["config"], "name") : "";
    return !own.empty() ? own : !configured.empty() ? configured : text(layer, "class_name");
}

std::string modern_config(const std::string& json, const Model& model) {
    OrderedJson root = OrderedJson::parse(json);
    for (const char* of_one_version : {"keras_version", "backend", "compile_config", "build_config"}) root.erase(of_one_version);
    return Moderniser(model).model(root, "").dump();
}

}  // namespace limn
