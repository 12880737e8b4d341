#include "layers/config.h"

#include <cmath>

namespace limn {

const Value* Value::find(const std::string& key) const {
    const Dict* dict = as<Dict>();
    if (!dict) return nullptr;
    const auto it = dict->find(key);
    return it == dict->end() ? nullptr : &it->second;
}

const Value* Config::find(const std::string& key) const {
    const auto it = settings.find(key);
    return it == settings.end() || it->second.is_null() ? nullptr : &it->second;
}

bool Config::has(const std::string& key) const { return find(key) != nullptr; }

void Config::reject(const std::string& what) const { fail("layer '{}' ({}): {}", name, class_name, what); }

double Config::number(const std::string& key, double otherwise) const {
    const Value* v = find(key);
    if (!v) return otherwise;
    if (const bool* b = v->as<bool>()) return *b ? 1 : 0;
    const double* d = v->as<double>();
    if (!d) reject(fmt::format("'{}' should be a number", key));
    return *d;
}

Index Config::integer(const std::string& key, Index otherwise) const {
    const double d = number(key, double(otherwise));
    if (d != std::floor(d) || std::abs(d) > 1e15) reject(fmt::format("'{}' should be a whole number, not {}", key, d));
    return static_cast<Index>(d);
}

bool Config::flag(const std::string& key, bool otherwise) const { return number(key, otherwise ? 1 : 0) != 0; }

std::string Config::text(const std::string& key, const std::string& otherwise) const {
    const Value* v = find(key);
    if (!v) return otherwise;
    const std::string* s = v->as<std::string>();
    if (!s) reject(fmt::format("'{}' should be a text", key));
    return *s;
}

std::vector<double> Config::numbers(const std::string& key, std::vector<double> otherwise) const {
    const Value* v = find(key);
    if (!v) return otherwise;
    if (v->as<double>()) return {*v->as<double>()};
    const List* list = v->as<List>();
    if (!list) reject(fmt::format("'{}' should be a number or a list of numbers", key));
    std::vector<double> out;
    for (const Value& item : *list) {
        if (!item.as<double>()) reject(fmt::format("'{}' should hold numbers only", key));
        out.push_back(*item.as<double>());
    }
    return out;
}

std::vector<Index> Config::integers(const std::string& key, std::vector<Index> otherwise) const {
    if (!has(key)) return otherwise;
    std::vector<Index> out;
    for (double d : numbers(key, {})) {
        if (d != std::floor(d) || std::abs(d) > 1e15) reject(fmt::format("'{}' should hold whole numbers", key));
        out.push_back(static_cast<Index>(d));
    }
    return out;
}

std::pair<Index, Index> Config::pair(const std::string& key, Index otherwise) const {
    const std::vector<Index> v = integers(key, {otherwise});
    if (v.size() != 1 && v.size() != 2) reject(fmt::format("'{}' should be one number or two", key));
    return {v.front(), v.back()};
}

int Config::nhwc_axis(Index axis, int rank) const {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) reject(fmt::format("there is no axis {} among {}", axis, rank));
    if (!channels_first || rank != 4) return static_cast<int>(axis);
    constexpr int from_nchw[] = {0, 3, 1, 2};
    return from_nchw[axis];
}

ActivationFn activation_named(const std::string& name, int keras_major) {
    static const std::map<std::string, UnaryFn> known = {{"linear", {.kind = Unary::linear}},
                                                         {"relu", {.kind = Unary::relu}},
                                                         {"relu6", {.kind = Unary::relu, .max_value = 6}},
                                                         {"elu", {.kind = Unary::elu, .slope = 1}},
                                                         {"selu", {.kind = Unary::selu}},
                                                         {"softplus", {.kind = Unary::softplus}},
                                                         {"softsign", {.kind = Unary::softsign}},
                                                         {"tanh", {.kind = Unary::tanh}},
                                                         {"sigmoid", {.kind = Unary::sigmoid}},
                                                         {"hard_sigmoid", {.kind = Unary::hard_sigmoid, .slope = 1.0 / 6}},
                                                         {"silu", {.kind = Unary::silu}},
                                                         {"swish", {.kind = Unary::silu}},
                                                         {"hard_silu", {.kind = Unary::hard_silu}},
                                                         {"hard_swish", {.kind = Unary::hard_silu}},
                                                         {"gelu", {.kind = Unary::gelu}},
                                                         {"exponential", {.kind = Unary::exponential}},
                                                         {"mish", {.kind = Unary::mish}},
                                                         {"leaky_relu", {.kind = Unary::relu, .slope = 0.2}}};
    if (name == "softmax") return {.softmax = true, .fn = {}};
    if (name == "hard_sigmoid" && keras_major < 3) return {.softmax = false, .fn = {.kind = Unary::hard_sigmoid, .slope = 0.2}};
    const auto it = known.find(name);
    if (it != known.end()) return {.softmax = false, .fn = it->second};
    std::string list = "softmax";
    for (const auto& [known_name, fn] : known) list += ", " + known_name;
    fail("the activation '{}' is not known; known are {}", name, list);
}

ActivationFn Config::activation(const std::string& key, const std::string& otherwise) const {
    const Value* v = find(key);
    if (!v) return activation_named(otherwise, keras_major);
    try {
        if (const std::string* s = v->as<std::string>()) return activation_named(*s, keras_major);
        // Keras 3 may write {"class_name": "function", "config": "relu"}; a layer as an activation carries its own config
        const Value *cls = v->find("class_name"), *inner = v->find("config");
        if (cls && cls->as<std::string>() && inner) {
            if (inner->as<std::string>()) return activation_named(*inner->as<std::string>(), keras_major);
            const std::string layer = *cls->as<std::string>();
            const Config sub{layer, name, inner->as<Dict>() ? *inner->as<Dict>() : Dict{}, channels_first, keras_major};
            if (layer == "Softmax") return {.softmax = true, .fn = {}};
            if (layer == "LeakyReLU")
                return {.softmax = false, .fn = {.kind = Unary::relu, .slope = sub.number("negative_slope", sub.number("alpha", 0.3))}};
            if (layer == "ELU") return {.softmax = false, .fn = {.kind = Unary::elu, .slope = sub.number("alpha", 1)}};
            if (layer == "ReLU") {
                return {.softmax = false,
                        .fn = {.kind = Unary::relu,
                               .slope = sub.number("negative_slope", 0),
                               .threshold = sub.number("threshold", 0),
                               .max_value = sub.number("max_value", HUGE_VAL)}};
            }
        }
    } catch (const Error& e) {
        reject(e.what());
    }
    reject(fmt::format("'{}' is not an activation that limn knows", key));
}

}  // namespace limn
