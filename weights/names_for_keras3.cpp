#include "weights/names_for_keras3.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "weights/modern_config.h"

namespace limn {

namespace {

using OrderedJson = nlohmann::ordered_json;
using NewNames = std::map<std::string, std::string>;

// [layer, call, output...], as Keras 2 and 3 both write where a value comes from.
void point_to(const NewNames& names, OrderedJson& j) {
    if (j.is_array() && j.size() >= 3 && j[0].is_string() && j[1].is_number_integer())
        if (const auto name = names.find(j[0].get<std::string>()); name != names.end()) j[0] = name->second;
    if (j.is_structured())
        for (OrderedJson& item : j) point_to(names, item);
}

class Renaming {
public:
    explicit Renaming(MovedPaths& moved) : moved_(moved) {}

    // What lies within a layer or model that was at `before` and is at `after`, each with a '/' behind it; empty for the whole.
    void within(OrderedJson& layer, const std::string& before, const std::string& after) {
        if (!layer.is_object() || !layer.contains("config") || !layer["config"].is_object()) return;
        OrderedJson& config = layer["config"];
        if (config.contains("layers") && config["layers"].is_array()) return model(config, before, after);
        for (const char* part : {"layer", "backward_layer", "cell"})
            if (config.contains(part)) rename(config[part], without_slashes(name_of(config[part])), before, after);
        if (config.contains("cells") && config["cells"].is_array())
            for (OrderedJson& cell : config["cells"]) rename(cell, without_slashes(name_of(cell)), before, after);
    }

private:
    void model(OrderedJson& config, const std::string& before, const std::string& after) {
        std::set<std::string> taken;
        for (const OrderedJson& layer : config["layers"]) taken.insert(name_of(layer));
        NewNames names;
        for (OrderedJson& layer : config["layers"]) {
            const std::string old = name_of(layer);
            std::string name = without_slashes(old);
            if (name != old) {
                const std::string wanted = name;
                for (int n = 2; !taken.insert(name).second; n++) name = wanted + "_" + std::to_string(n);
                names[old] = name;
            }
            rename(layer, name, before, after);
        }
        for (OrderedJson& layer : config["layers"])
            if (layer.is_object() && layer.contains("inbound_nodes")) point_to(names, layer["inbound_nodes"]);
        for (const char* ends : {"input_layers", "output_layers"})
            if (config.contains(ends)) point_to(names, config[ends]);
    }

    void rename(OrderedJson& layer, const std::string& name, const std::string& before, const std::string& after) {
        const std::string old = name_of(layer);
        if (old.empty()) return;
        if (layer.contains("name")) layer["name"] = name;
        if (layer["config"].is_object() && layer["config"].contains("name")) layer["config"]["name"] = name;
        if (before + old != after + name) moved_[before + old] = after + name;
        within(layer, before + old + "/", after + name + "/");
    }

    MovedPaths& moved_;
};

}  // namespace

std::string without_slashes(std::string name) {
    std::replace(name.begin(), name.end(), '/', '_');
    return name;
}

std::string names_for_keras3(const std::string& config, MovedPaths& moved) {
    OrderedJson root = OrderedJson::parse(config);
    if (root["config"].contains("name") && root["config"]["name"].is_string())
        root["config"]["name"] = without_slashes(root["config"]["name"].get<std::string>());
    Renaming(moved).within(root, "", "");
    return root.dump();
}

std::string path_after(const MovedPaths& moved, const std::string& path) {
    // the layer itself, else the nearest one around it
    for (std::size_t end = path.size(); end != std::string::npos && end > 0; end = path.rfind('/', end - 1))
        if (const auto layer = moved.find(path.substr(0, end)); layer != moved.end()) return layer->second + path.substr(end);
    return path;
}

}  // namespace limn
