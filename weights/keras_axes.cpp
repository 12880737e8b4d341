#include "weights/keras_axes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "weights/json_value.h"

namespace limn {

using Json = nlohmann::json;
constexpr int max_depth = deepest_json;

// Of how many axes the tensors are that a layer of this kind takes with the channels first; 0: it says nothing about that.
static int channels_first_axes(const Json& layer) {
    if (!layer.is_object() || !layer.contains("config") || !layer["config"].is_object()) return 0;
    const Json& config = layer["config"];
    if (config.value("data_format", Json()) != "channels_first" && config.value("dim_ordering", Json()) != "th") return 0;
    const std::string kind = layer.contains("class_name") && layer["class_name"].is_string() ? layer["class_name"].get<std::string>() : "";
    for (const auto& [part, axes] : {std::pair{"1D", 3}, {"2D", 4}, {"3D", 5}})
        if (kind.find(part) != std::string::npos) return axes;
    return kind == "Flatten" ? 0 : 4;
}

void find_channels_first(const Json& j, std::set<int>& found, int depth) {
    if (depth > max_depth) return;
    if (const int axes = channels_first_axes(j)) found.insert(axes);
    if (j.is_object() || j.is_array())
        for (const Json& item : j)
            if (item.is_structured()) find_channels_first(item, found, depth + 1);
}

bool uses_channels_last(const Json& j, int depth) {
    if (depth > max_depth || !j.is_structured()) return false;
    if (j.is_object() && j.contains("config") && j["config"].is_object()) {
        const std::string class_name = j.value("class_name", Json()).is_string() ? j["class_name"].get<std::string>() : "";
        const bool of_images = class_name.find("2D") != std::string::npos;
        const Json &format = j["config"].value("data_format", Json()), &ordering = j["config"].value("dim_ordering", Json());
        if (of_images && (format == "channels_last" || ordering == "tf")) return true;
    }
    return std::any_of(j.begin(), j.end(), [&](const Json& item) { return uses_channels_last(item, depth + 1); });
}

bool works_on_last_axis(const std::string& class_name) {
    for (const char* kind : {"Dense", "LSTM", "GRU", "RNN", "Attention"})
        if (class_name.ends_with(kind)) return true;
    return false;
}

}  // namespace limn
