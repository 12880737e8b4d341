// Between JSON and the plain values of layers/config.h.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "layers/config.h"

namespace limn {

constexpr int deepest_json = 64;  // nesting of a model's configuration; deeper is an Error

// Discarded (is_discarded()) if the text is no JSON; an Error if it is nested absurdly.
nlohmann::json parse_json(const std::string& text);
Value value_from(const nlohmann::json& json);
nlohmann::ordered_json json_from(const Value& value);  // whole numbers without a point

}  // namespace limn
