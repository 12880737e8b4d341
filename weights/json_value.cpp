#include "weights/json_value.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace limn {

nlohmann::json parsed_json(const std::string& text) {
    constexpr int deepest_text = 512;  // models within models; Keras's own files are 20 deep
    const auto check_depth = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
        LIMN_CHECK(depth <= deepest_text, "the model's configuration is nested too deeply");
        return true;
    };
    return nlohmann::json::parse(text, check_depth, false);
}

static Value value_at(const nlohmann::json& j, int depth) {
    using Kind = nlohmann::json::value_t;
    LIMN_CHECK(depth < deepest_json, "the model's configuration is nested too deeply");
    switch (j.type()) {
        case Kind::boolean: return j.get<bool>();
        case Kind::number_integer:
        case Kind::number_unsigned:
        case Kind::number_float: return j.get<double>();
        case Kind::string: return j.get<std::string>();
        case Kind::array: {
            List list;
            for (const auto& item : j) list.push_back(value_at(item, depth + 1));
            return list;
        }
        case Kind::object: {
            Dict dict;
            for (const auto& [key, item] : j.items()) dict.emplace(key, value_at(item, depth + 1));
            return dict;
        }
        default: return {};
    }
}

Value value_from(const nlohmann::json& json) { return value_at(json, 0); }

nlohmann::ordered_json json_from(const Value& value) {
    using Json = nlohmann::ordered_json;
    if (const bool* flag = value.as<bool>()) return *flag;
    if (const double* number = value.as<double>()) {
        const bool whole = *number == std::floor(*number) && std::abs(*number) < 1e15;
        return whole ? Json(std::int64_t(*number)) : Json(*number);
    }
    if (const std::string* text = value.as<std::string>()) return *text;
    if (const List* list = value.as<List>()) {
        Json array = Json::array();
        for (const Value& item : *list) array.push_back(json_from(item));
        return array;
    }
    if (const Dict* dict = value.as<Dict>()) {
        Json object = Json::object();
        for (const auto& [key, item] : *dict) object[key] = json_from(item);
        return object;
    }
    return {};
}

}  // namespace limn
