#include "weights/keras_legacy.h"

#include <algorithm>
#include <map>

namespace limn {

namespace {

std::string joined(const std::string& group, const std::string& name) { return group == "/" ? "/" + name : group + "/" + name; }

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string without_last_part(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

// "conv1_3/kernel:0" -> "kernel". Older versions wrote W, b, running_mean, running_std and appended counters: "block1_conv1_W_1:0".
std::string role_of(const std::string& path) {
    std::string name = last_part(path);
    if (const auto colon = name.rfind(':'); colon != std::string::npos) name.resize(colon);
    while (name.size() > 2 && std::isdigit(static_cast<unsigned char>(name.back()))) {
        const auto digits = name.find_last_not_of("0123456789");
        if (digits == std::string::npos || name[digits] != '_') break;
        name.resize(digits);
    }
    static const std::pair<std::string_view, std::string_view> roles[] = {{"recurrent_kernel", "recurrent_kernel"},
                                                                          {"depthwise_kernel", "depthwise_kernel"},
                                                                          {"pointwise_kernel", "pointwise_kernel"},
                                                                          {"moving_mean", "moving_mean"},
                                                                          {"moving_variance", "moving_variance"},
                                                                          {"running_mean", "moving_mean"},
                                                                          {"running_std", "moving_variance"},
                                                                          {"kernel", "kernel"},
                                                                          {"bias", "bias"},
                                                                          {"gamma", "gamma"},
                                                                          {"beta", "beta"},
                                                                          {"alpha", "alpha"},
                                                                          {"_W", "kernel"},
                                                                          {"_b", "bias"}};
    for (const auto& [suffix, role] : roles)
        if (name.ends_with(suffix)) return std::string(role);
    return name == "W" ? "kernel" : name == "b" ? "bias" : name;
}

struct StoredWeight {
    std::string dataset, owner, role;
    bool used = false;
};

// Does `owner` ("tower/tower_conv", "ca", "conv1_3") name this layer ("tower/tower_conv")?
bool names_layer(const std::string& owner, const std::string& layer) {
    const std::string stored = last_part(owner), wanted = last_part(layer);
    if (stored == wanted) return true;
    if (last_part(without_last_part(owner)) == wanted) return true;  // "bi/forward_lstm/lstm_cell": the weights of a cell
    // a counter that Keras 2 appended when a name had been used before in the same process
    return stored.size() > wanted.size() && stored.starts_with(wanted) && stored[wanted.size()] == '_' &&
           stored.find_first_not_of("0123456789", wanted.size() + 1) == std::string::npos;
}

bool same_role(const std::string& stored, const std::string& wanted) {
    return stored == wanted || (stored == "kernel" && wanted == "depthwise_kernel");  // Keras 3 calls both "kernel"
}

void assign(const Hdf5File& file, const Layer& layer, Weight& weight, const StoredWeight& stored) {
    const Shape found = file.shape(stored.dataset);
    LIMN_CHECK(found == weight.shape, "{}: layer '{}' ({}): '{}' is {} in the file, {} was expected", file.path().string(), layer.name,
               layer.class_name, weight.name, found.str(), weight.shape.str());
    weight.value = file.read(stored.dataset);
}

// The weights of one top-level layer (one limn layer, or all layers of a nested model) from one stored group.
void load_group(const Hdf5File& file, const std::string& group_name, const std::vector<Layer*>& layers, std::vector<StoredWeight> stored,
                std::vector<std::string>& notes) {
    std::size_t wanted = 0;
    for (const Layer* layer : layers) wanted += layer->weights.size();
    LIMN_CHECK(stored.size() == wanted, "{}: layer '{}' has {} arrays in the file, {} were expected", file.path().string(), group_name,
               stored.size(), wanted);

    // By name: each weight finds exactly one stored array of its role (and, in a nested model, of its layer).
    std::vector<std::pair<Weight*, const StoredWeight*>> matches;
    bool by_name = true;
    for (Layer* layer : layers)
        for (Weight& weight : layer->weights) {
            std::vector<StoredWeight*> candidates;
            for (StoredWeight& s : stored)
                if (!s.used && same_role(s.role, weight.name) && (layers.size() == 1 || names_layer(s.owner, layer->name)))
                    candidates.push_back(&s);
            if (candidates.size() != 1) {
                by_name = false;
                continue;
            }
            candidates[0]->used = true;
            matches.emplace_back(&weight, candidates[0]);
        }
    if (!by_name) {
        // By Keras's own order: trainable weights of all layers, then the others.
        matches.clear();
        std::size_t next = 0;
        for (bool trainable : {true, false})
            for (Layer* layer : layers)
                for (Weight& weight : layer->weights)
                    if (weight.trainable == trainable) matches.emplace_back(&weight, &stored[next++]);
        notes.push_back(fmt::format("weights of '{}' were matched by their order: their names in the file fit no layer", group_name));
    }
    for (const auto& [weight, from] : matches) {
        const Layer* owner = *std::find_if(layers.begin(), layers.end(), [&, w = weight](const Layer* l) {
            return w >= l->weights.data() && w < l->weights.data() + l->weights.size();
        });
        assign(file, *owner, *weight, *from);
    }
}

}  // namespace

std::vector<StoredLayer> stored_layers(const Hdf5File& file, const std::string& group) {
    std::vector<StoredLayer> layers;
    for (const std::string& name : file.texts(group, "layer_names")) {
        const std::string path = joined(group, name);
        LIMN_CHECK(file.is_group(path), "{}: the file lists the layer '{}' but does not hold it", file.path().string(), name);
        StoredLayer layer{name, {}};
        for (const std::string& weight : file.texts(path, "weight_names")) {
            layer.weights.push_back(joined(path, weight));
            LIMN_CHECK(file.has(layer.weights.back()), "{}: layer '{}' lists the array '{}' but the file does not hold it",
                       file.path().string(), name, weight);
        }
        layers.push_back(std::move(layer));
    }
    return layers;
}

void load_legacy_weights(const Hdf5File& file, const std::string& group, Model& model, std::vector<std::string>& notes) {
    // Layers of the model by the top-level layer they belong to: "features" for "features/base/ca".
    std::vector<std::pair<std::string, std::vector<Layer*>>> groups;
    std::vector<StoredLayer> stored = stored_layers(file, group);
    for (Layer* layer : model.weighted_layers()) {
        // A stored name may itself hold a slash ("fire2/squeeze1x1"): the longest stored name that leads to the layer is its group.
        std::string top = layer->name.substr(0, layer->name.find('/'));
        for (const StoredLayer& s : stored)
            if (s.name.size() > top.size() && (layer->name == s.name || layer->name.starts_with(s.name + "/"))) top = s.name;
        const auto it = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == top; });
        if (it == groups.end())
            groups.push_back({top, {layer}});
        else
            it->second.push_back(layer);
    }

    stored.erase(std::remove_if(stored.begin(), stored.end(), [](const StoredLayer& s) { return s.weights.empty(); }), stored.end());
    const auto weights_of = [&](const StoredLayer& s) {
        std::vector<StoredWeight> list;
        for (const std::string& dataset : s.weights) list.push_back({dataset, without_last_part(dataset), role_of(dataset)});
        return list;
    };
    std::vector<std::string> missing;
    for (const auto& [top, layers] : groups)
        if (std::none_of(stored.begin(), stored.end(), [&](const StoredLayer& s) { return s.name == top; })) missing.push_back(top);

    if (missing.empty()) {
        for (const auto& [top, layers] : groups)
            load_group(file, top, layers,
                       weights_of(*std::find_if(stored.begin(), stored.end(), [&](const StoredLayer& s) { return s.name == top; })), notes);
        LIMN_CHECK(stored.size() == groups.size(), "{}: the file has weights for {} layers, the model has {}", file.path().string(),
                   stored.size(), groups.size());
        return;
    }
    // Names differ (renamed layers, other counters): the k-th stored layer belongs to the k-th layer with weights, if all shapes agree.
    LIMN_CHECK(stored.size() == groups.size(), "{}: the file has no weights for layer '{}' (it has {} layers with weights, the model {})",
               file.path().string(), missing[0], stored.size(), groups.size());
    for (std::size_t i = 0; i < groups.size(); i++) load_group(file, groups[i].first, groups[i].second, weights_of(stored[i]), notes);
    notes.push_back(fmt::format("layers were matched by their order: the file has no '{}'", missing[0]));
}

}  // namespace limn
