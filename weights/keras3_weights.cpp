#include "weights/keras3_weights.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "layers/core.h"
#include "weights/json_value.h"

namespace limn {

namespace {

using Json = nlohmann::json;
const std::string containers[] = {"layers", "_layer_checkpoint_dependencies"};
const std::string wrapped[] = {"layer", "forward_layer", "backward_layer"};  // what TimeDistributed and Bidirectional hold

bool is_one_of(const std::string& name, const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// "conv2d_10" -> ("conv2d", 10): HDF5 lists names by letters, where conv2d_10 comes before conv2d_2.
std::pair<std::string, int> counted(const std::string& name) {
    const auto digits = name.find_last_not_of("0123456789") + 1;
    if (digits == name.size() || digits < 2 || name[digits - 1] != '_' || name.size() - digits > 8) return {name, 0};
    return {name.substr(0, digits - 1), std::stoi(name.substr(digits))};
}

// The arrays of one layer: its own, then those of the objects it is made of (an LSTM's "cell", an attention's "query_dense").
std::vector<std::string> arrays_below(const Hdf5File& file, const std::string& group, int depth = 0) {
    std::vector<std::string> arrays;
    std::vector<std::string> children = file.children(group);
    std::sort(children.begin(), children.end(), [](const std::string& a, const std::string& b) {
        const bool numbers =
            a.find_first_not_of("0123456789") == std::string::npos && b.find_first_not_of("0123456789") == std::string::npos;
        return numbers && a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    std::stable_partition(children.begin(), children.end(), [](const std::string& name) { return name == "vars"; });
    for (const std::string& child : children) {
        const std::string path = group + "/" + child;
        if (!file.is_group(path)) {
            if (last_of(group) == "vars") arrays.push_back(path);
        } else if (depth < 8 && !is_one_of(child, containers) && !is_one_of(child, wrapped) && child != "seed_generator") {
            const std::vector<std::string> more = arrays_below(file, path, depth + 1);
            arrays.insert(arrays.end(), more.begin(), more.end());
        }
    }
    return arrays;
}

struct StoredGroup {
    std::string path, name;  // name: the layer's real one, empty if the file does not say
    std::vector<std::string> arrays;
    bool used = false;
};

// All layers at and below a group that have arrays, models and wrappers inside included.
// of_wrapper: what the wrapper at this place has itself, which limn counts to the layer in it.
void collect_groups(const Hdf5File& file, const std::string& at, std::vector<StoredGroup>& groups,
                    const std::vector<std::string>& of_wrapper = {}, int depth = 0) {
    LIMN_CHECK(depth < 16, "{}: models are nested too deeply", file.path().string());
    const auto add = [&](const std::string& group, const std::vector<std::string>& besides = {}) {
        if (!file.is_group(group)) return;
        const std::string vars = group + "/vars";
        StoredGroup stored{group, file.is_group(vars) && file.has_attribute(vars, "name") ? file.text(vars, "name") : "",
                           arrays_below(file, group)};
        stored.arrays.insert(stored.arrays.end(), besides.begin(), besides.end());
        if (file.is_group(group + "/layer") && stored.arrays.size() == 2) {
            // SpectralNormalization: the kernel of the layer in it once more, and a vector
            collect_groups(file, group, groups, {stored.arrays.back()}, depth + 1);
        } else {
            if (!stored.arrays.empty()) groups.push_back(std::move(stored));
            collect_groups(file, group, groups, {}, depth + 1);
        }
    };
    for (const std::string& container : containers)
        if (file.is_group(at + "/" + container))
            for (const std::string& child : file.children(at + "/" + container)) add(at + "/" + container + "/" + child);
    for (const std::string& inner : wrapped) add(at + "/" + inner, of_wrapper);
}

// Does an array of this path hold this weight? Weights of a part lie below it ("_query_dense" in tf.keras), plain ones anywhere.
bool belongs(const std::string& array, const Layer& layer, const Weight& weight) {
    if (weight.name.find('/') == std::string::npos) return true;
    const std::string part = last_of(place_in_layer(layer, weight)), owner = last_of(parent_of(parent_of(array)));
    return owner == part || "_" + owner == part || owner == "_" + part;
}

void fill(const Hdf5File& file, Layer& layer, StoredGroup& stored) {
    LIMN_CHECK(stored.arrays.size() == layer.weights.size(), "{}: layer '{}' ({}) has {} arrays in the file ({}), {} were expected",
               file.path().string(), layer.name, layer.class_name, stored.arrays.size(), stored.path, layer.weights.size());
    std::vector<std::string> arrays = stored.arrays;
    for (Weight& weight : layer.weights) {
        const auto at = std::find_if(arrays.begin(), arrays.end(), [&](const std::string& array) { return belongs(array, layer, weight); });
        LIMN_CHECK(at != arrays.end(), "{}: layer '{}' ({}): the file holds no '{}'", file.path().string(), layer.name, layer.class_name,
                   weight.name);
        const Shape found = file.shape(*at);
        LIMN_CHECK(found == weight.shape, "{}: layer '{}' ({}): '{}' is {} in the file, {} was expected", file.path().string(), layer.name,
                   layer.class_name, weight.name, found.str(), weight.shape.str());
        weight.value = file.read(*at);
        arrays.erase(at);
    }
    stored.used = true;
}

// "dense", "dense_1", "conv2d": Keras counts within a class.
std::string next_of_class(const std::string& class_name, std::map<std::string, int>& used) {
    const std::string snake = snake_case(class_name);
    const int count = used[snake]++;
    return count ? fmt::format("{}_{}", snake, count) : snake;
}

void walk_config(const Json& model, const std::string& path, const std::string& store, StorePaths& out, int depth);

void walk_layer(const Json& layer, const std::string& path, const std::string& store, StorePaths& out, int depth) {
    const Json config = layer.value("config", Json());
    const Json name = layer.contains("name") ? layer["name"] : config.is_object() ? config.value("name", Json()) : Json();
    const std::string here = path + (name.is_string() ? name.get<std::string>() : layer.value("class_name", std::string()));
    out[here] = store;
    const std::string class_name = layer.value("class_name", std::string());
    if (config.is_array() || (config.is_object() && config.contains("layers"))) walk_config(layer, here + "/", store, out, depth + 1);
    if (!config.is_object() || !config.contains("layer") || !config["layer"].is_object()) return;
    if (class_name != "Bidirectional") {
        out[here] = store + "/layer";  // a wrapper holds nothing itself; limn calls a TimeDistributed Dense by the wrapper's name
        return walk_layer(config["layer"], here + "/", store + "/layer", out, depth + 1);
    }
    // Keras 3 keeps the forward layer, called "forward_lstm"; before, the layer was kept as it had been given
    const Json inner = config["layer"].value("config", Json());
    std::string plain = inner.is_object() ? inner.value("name", std::string()) : "";
    if (plain.starts_with("forward_")) plain.erase(0, std::string_view("forward_").size());
    const Json own = config.value("backward_layer", Json());
    if (own.is_object() && own.contains("config") && own["config"].is_object())
        out[here + "/" + own["config"].value("name", std::string())] = store + "/backward_layer";
    for (const char* direction : {"forward", "backward"}) out[here + "/" + direction + "_" + plain] = store + "/" + direction + "_layer";
}

void walk_config(const Json& model, const std::string& path, const std::string& store, StorePaths& out, int depth) {
    LIMN_CHECK(depth < 32, "models are nested too deeply in the model's configuration");
    const Json& config = model.at("config");
    const Json& layers = config.is_array() ? config : config.at("layers");
    std::map<std::string, int> used;
    for (const Json& layer : layers) {
        const std::string class_name = layer.at("class_name").get<std::string>();
        if (class_name == "InputLayer" && model.value("class_name", std::string()) == "Sequential") continue;
        const std::string real = class_name == "GroupQueryAttention" ? "GroupedQueryAttention" : class_name;  // its own name
        walk_layer(layer, path, store + "/layers/" + next_of_class(real, used), out, depth);
    }
}

}  // namespace

bool has_keras3_weights(const Hdf5File& file) {
    return std::any_of(std::begin(containers), std::end(containers), [&](const std::string& c) { return file.is_group("/" + c); });
}

std::string snake_case(const std::string& class_name) {
    std::string out;
    for (std::size_t i = 0; i < class_name.size(); i++) {
        const auto lower = [&](std::size_t at) {
            return at < class_name.size() && std::islower(static_cast<unsigned char>(class_name[at]));
        };
        const unsigned char c = static_cast<unsigned char>(class_name[i]);
        if (!std::isalnum(c) && c != '_') continue;
        if (i > 0 && std::isupper(c) && (lower(i - 1) || lower(i + 1))) out += '_';
        out += char(std::tolower(c));
    }
    return out;
}

// Where the cell of this name lies among those of an RNN. (A weight's name has a part only where there are several.)
static std::string place_of_cell(const Config& rnn, const std::string& name) {
    std::map<std::string, int> used;
    for (const Config& cell : cells_of(rnn)) {
        const std::string group = next_of_class(cell.class_name, used);
        if (cell.name == name) return "/cell/cells/" + group;
    }
    return "/cell";
}

std::string place_in_layer(const Layer& layer, const Weight& weight) {
    const std::string& kind = layer.class_name;
    const std::string part = parent_of(weight.name);
    if (kind == "RNN" && !part.empty()) return place_of_cell(layer.keras_config, part);
    if (kind.ends_with("LSTM") || kind.ends_with("GRU") || kind == "SimpleRNN" || kind == "RNN") return "/cell";
    if (part.empty()) return "";
    const bool hidden = part == "gate" || kind != "MultiHeadAttention";
    return (hidden ? "/_" : "/") + (part == "attention_output" ? "output" : part) + "_dense";
}

StorePaths store_paths(const std::string& config) {
    StorePaths paths;
    try {
        walk_config(parsed_json(config), "", "", paths, 0);
    } catch (const Json::exception& e) {
        fail("the model's configuration is wrong: {}", e.what());
    }
    return paths;
}

std::vector<std::string> keras3_layer_names(const Hdf5File& file) {
    std::vector<StoredGroup> groups;
    collect_groups(file, "", groups);
    std::vector<std::string> names;
    for (const StoredGroup& group : groups) names.push_back(group.name.empty() ? last_of(group.path) : group.name);
    return names;
}

void load_keras3_weights(const Hdf5File& file, const StorePaths& paths, Model& model, std::vector<std::string>& notes) {
    std::vector<StoredGroup> groups;
    collect_groups(file, "", groups);
    const auto path_of = [&](const Layer* layer) {
        const auto at = paths.find(layer->name);
        return at == paths.end() ? std::string() : at->second;
    };
    // Names decide in a model where they are all the same here and there. Else the path does, as in Keras: names may be counted on from
    // what the process had made before, so that "dense_1" is another layer here than there.
    std::map<std::string, std::pair<std::multiset<std::string>, std::multiset<std::string>>> names;  // by model: here, there
    for (const Layer* layer : model.weighted_layers()) names[parent_of(path_of(layer))].first.insert(last_of(layer->name));
    for (const StoredGroup& g : groups) names[parent_of(g.path)].second.insert(g.name);

    std::vector<Layer*> open, renamed;
    for (Layer* layer : model.weighted_layers()) {
        if (layer->class_name.starts_with("CuDNN")) layer->reject("its arrays in a file of this layout are not known");
        const std::string expected = path_of(layer), name = last_of(layer->name);
        const auto& of_model = names[parent_of(expected)];
        const bool by_name = expected.empty() || of_model.first == of_model.second;
        const auto found = std::find_if(groups.begin(), groups.end(), [&](const StoredGroup& g) {
            if (g.used) return false;
            return by_name ? g.name == name && (expected.empty() || parent_of(g.path) == parent_of(expected)) : g.path == expected;
        });
        if (found != groups.end() && !found->name.empty() && found->name != name && last_of(expected) != "layer") renamed.push_back(layer);
        if (found == groups.end())
            open.push_back(layer);
        else
            fill(file, *layer, *found);
    }

    // The rest: other names (counters of another process), or counted with gaps: the k-th of a class, in the same model.
    const auto class_of = [&](const Layer* layer) {
        const std::string path = path_of(layer);
        return path.empty() ? path : parent_of(path) + "/" + counted(last_of(path)).first;
    };
    const auto stored_class = [](const StoredGroup& g) {
        std::string container = parent_of(g.path);
        for (std::size_t p; (p = container.find(containers[1])) != std::string::npos;)
            container.replace(p, containers[1].size(), containers[0]);
        return container + "/" + counted(last_of(g.path)).first;
    };
    std::stable_sort(groups.begin(), groups.end(), [](const StoredGroup& a, const StoredGroup& b) {
        return counted(last_of(a.path)).second < counted(last_of(b.path)).second;
    });
    for (Layer* layer : open) {
        const auto found =
            std::find_if(groups.begin(), groups.end(), [&](const StoredGroup& g) { return !g.used && stored_class(g) == class_of(layer); });
        LIMN_CHECK(found != groups.end(), "{}: the file has no weights for layer '{}' ({})", file.path().string(), layer->name,
                   layer->class_name);
        fill(file, *layer, *found);
    }
    if (!renamed.empty())
        notes.push_back(fmt::format("{} layers have other names in the file and were matched by their places, as Keras does ('{}')",
                                    renamed.size(), renamed[0]->name));
    if (!open.empty())
        notes.push_back(fmt::format("{} layers were matched by their class and order: the file does not hold the name '{}'", open.size(),
                                    open[0]->name));
    const auto surplus = std::find_if(groups.begin(), groups.end(), [](const StoredGroup& g) { return !g.used; });
    LIMN_CHECK(surplus == groups.end(), "{}: the file has weights ({}) for which the model has no layer", file.path().string(),
               surplus->path);
}

}  // namespace limn
