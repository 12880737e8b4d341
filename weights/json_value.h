// Between JSON and the plain values of layers/config.h.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "layers/config.h"

namespace limn {

constexpr int deepest_json = 64;  // nesting of a model's configuration; deeper is an Error

// Not JSON: a discarded value. Nested absurdly deep: an Error, before memory is taken for all of it.
nlohmann::json parsed_json(const std::string& text);

Value value_from(const nlohmann::json& json);
nlohmann::ordered_json json_from(const Value& value);  // whole numbers without a point

}  // namespace limn
