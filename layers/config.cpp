#include "layers/config.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

std::vector<Index> Config::each(const std::string& key, std::size_t axes, Index otherwise) const {
    std::vector<Index> v = integers(key, {otherwise});
    if (v.size() == 1) v.resize(axes, v[0]);
    if (v.size() != axes) reject(fmt::format("'{}' should be one number or {}", key, axes));
    return v;
}

// The numbers in nested lists, in order, and the sizes of the lists.
static bool collect(const Value& value, std::vector<double>& numbers, std::vector<Index>& sizes, std::size_t depth = 0) {
    if (const List* list = value.as<List>()) {
        if (depth == sizes.size() && numbers.empty()) sizes.push_back(Index(list->size()));
        return depth < sizes.size() && sizes.size() <= Shape::max_rank && sizes[depth] == Index(list->size()) && !list->empty() &&
               std::all_of(list->begin(), list->end(), [&](const Value& item) { return collect(item, numbers, sizes, depth + 1); });
    }
    if (const bool* flag = value.as<bool>()) numbers.push_back(*flag);
    if (const double* number = value.as<double>()) numbers.push_back(*number);
    return depth == sizes.size() && (value.as<bool>() || value.as<double>());
}

Tensor Config::array(const std::string& key) const {
    const Value* v = find(key);
    if (!v) return {};
    std::vector<double> numbers;
    std::vector<Index> sizes;
    if (!collect(*v, numbers, sizes)) reject(fmt::format("'{}' should be a number or lists of numbers of one length", key));
    Tensor t(Shape(std::span<const Index>(sizes)), DType::f64);
    std::copy(numbers.begin(), numbers.end(), t.data<double>());
    return t;
}

int Config::nhwc_axis(Index axis, int rank) const {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) reject(fmt::format("there is no axis {} among {}", axis, rank));
    return file_order(rank)[std::size_t(axis)];
}

std::vector<int> Config::file_order(int rank) const {
    std::vector<int> order(static_cast<std::size_t>(rank));
    std::iota(order.begin(), order.end(), 0);
    if (channels_first.contains(rank)) std::rotate(order.begin() + 1, order.end() - 1, order.end());
    return order;
}

std::vector<int> Config::nhwc_order(int rank) const {
    std::vector<int> order(static_cast<std::size_t>(rank));
    std::iota(order.begin(), order.end(), 0);
    if (channels_first.contains(rank)) std::rotate(order.begin() + 1, order.begin() + 2, order.end());
    return order;
}

ActivationFn activation_named(const std::string& name, int keras_major) {
    using Along = ActivationFn::Along;
    static const std::map<std::string, ActivationFn> known = {
        {"linear", {.fn = {.kind = Unary::linear}}},
        {"relu", {.fn = {.kind = Unary::relu}}},
        {"relu6", {.fn = {.kind = Unary::relu, .max_value = 6}}},
        {"leaky_relu", {.fn = {.kind = Unary::relu, .slope = 0.2}}},
        {"elu", {.fn = {.kind = Unary::elu, .slope = 1}}},
        {"celu", {.fn = {.kind = Unary::celu, .slope = 1}}},
        {"selu", {.fn = {.kind = Unary::selu}}},
        {"softplus", {.fn = {.kind = Unary::softplus}}},
        {"softsign", {.fn = {.kind = Unary::softsign}}},
        {"tanh", {.fn = {.kind = Unary::tanh}}},
        {"hard_tanh", {.fn = {.kind = Unary::clip, .threshold = -1, .max_value = 1}}},
        {"tanh_shrink", {.fn = {.kind = Unary::tanh_shrink}}},
        {"soft_shrink", {.fn = {.kind = Unary::soft_shrink, .threshold = 0.5}}},
        {"hard_shrink", {.fn = {.kind = Unary::hard_shrink, .threshold = 0.5}}},
        {"sigmoid", {.fn = {.kind = Unary::sigmoid}}},
        {"log_sigmoid", {.fn = {.kind = Unary::log_sigmoid}}},
        {"hard_sigmoid", {.fn = {.kind = Unary::hard_sigmoid, .slope = 1.0 / 6}}},
        {"sparse_sigmoid", {.fn = {.kind = Unary::hard_sigmoid, .slope = 0.5}}},
        {"silu", {.fn = {.kind = Unary::silu}}},
        {"swish", {.fn = {.kind = Unary::silu}}},
        {"hard_silu", {.fn = {.kind = Unary::hard_silu}}},
        {"hard_swish", {.fn = {.kind = Unary::hard_silu}}},
        {"gelu", {.fn = {.kind = Unary::gelu}}},
        {"mish", {.fn = {.kind = Unary::mish}}},
        {"sparse_plus", {.fn = {.kind = Unary::sparse_plus}}},
        {"squareplus", {.fn = {.kind = Unary::squareplus, .slope = 4}}},
        {"exponential", {.fn = {.kind = Unary::exponential}}},
        {"softmax", {.along = Along::softmax}},
        {"log_softmax", {.along = Along::log_softmax}},
        {"sparsemax", {.along = Along::sparsemax}},
        {"glu", {.along = Along::glu}},
    };
    if (name == "hard_sigmoid" && keras_major < 3) return {.fn = {.kind = Unary::hard_sigmoid, .slope = 0.2}};
    if (const auto it = known.find(name); it != known.end()) return it->second;
    std::string list;
    for (const auto& [known_name, fn] : known) list += (list.empty() ? "" : ", ") + known_name;
    fail("the activation '{}' is not known; known are {}", name, list);
}

std::optional<ActivationFn> activation_of(const Config& layer) {
    const std::string& kind = layer.class_name;
    if (kind == "Activation") return layer.activation("activation");
    if (kind == "Softmax") return ActivationFn{.along = ActivationFn::Along::softmax, .axis = layer.integer("axis", -1)};
    if (kind == "LeakyReLU")
        return ActivationFn{.fn = {.kind = Unary::relu, .slope = layer.number("negative_slope", layer.number("alpha", 0.3))}};
    if (kind == "ELU") return ActivationFn{.fn = {.kind = Unary::elu, .slope = layer.number("alpha", 1)}};
    if (kind == "ThresholdedReLU") return ActivationFn{.fn = {.kind = Unary::relu, .threshold = layer.number("theta", 1)}};
    if (kind == "ReLU")
        return ActivationFn{.fn = {.kind = Unary::relu,
                                   .slope = layer.number("negative_slope", 0),
                                   .threshold = layer.number("threshold", 0),
                                   .max_value = layer.number("max_value", HUGE_VAL)}};
    return std::nullopt;
}

ActivationFn Config::activation(const std::string& key, const std::string& otherwise) const {
    const Value* v = find(key);
    try {
        if (!v) return activation_named(otherwise, keras_major);
        if (const std::string* s = v->as<std::string>()) return activation_named(*s, keras_major);
        // Keras 3 may write {"class_name": "function", "config": "relu"}; a layer as an activation carries its own config
        const Value *cls = v->find("class_name"), *inner = v->find("config");
        if (cls && cls->as<std::string>() && inner) {
            if (inner->as<std::string>()) return activation_named(*inner->as<std::string>(), keras_major);
            const Dict* of_layer = inner->as<Dict>();
            if (const auto found =
                    activation_of({*cls->as<std::string>(), name, of_layer ? *of_layer : Dict{}, channels_first, keras_major}))
                return *found;
        }
    } catch (const Error& e) {
        reject(e.what());
    }
    reject(fmt::format("'{}' is not an activation that limn knows", key));
}

}  // namespace limn
