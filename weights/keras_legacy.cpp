#include "weights/keras_legacy.h"

#include <algorithm>
#include <map>

#include "weights/older_layouts.h"

namespace limn {

namespace {

constexpr std::size_t most_weights = 1 << 16;  // the same layer can be listed many times

std::string joined(const std::string& group, const std::string& name) { return group == "/" ? "/" + name : group + "/" + name; }

// "conv1_3/kernel:0" -> "kernel". Older versions wrote W, b, running_mean, running_std and appended counters: "block1_conv1_W_1:0".
std::string role_of(const std::string& path) {
    std::string name = last_of(path);
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
                                                                          {"_U", "recurrent_kernel"},
                                                                          {"_b", "bias"}};
    for (const auto& [suffix, role] : roles)
        if (name.ends_with(suffix)) return std::string(role);
    return name == "W" ? "kernel" : name == "b" ? "bias" : name;
}

struct StoredWeight {
    std::vector<std::string> parts;  // datasets; several: gates, to be joined along the last axis
    std::string owner, role;
    bool used = false;
};

// "lstm_1/lstm_1_W_i:0" belongs to lstm_1, as "lstm_1/kernel:0" does: Keras 1 put the layer's name before the role.
std::string owner_of(const std::string& path) {
    std::string name = last_of(path);
    if (const auto colon = name.rfind(':'); colon != std::string::npos) name.resize(colon);
    if (const GateName gate = gate_name(name); gate.gate) name = gate.array;
    if (name.size() > 2 && (name.ends_with("_W") || name.ends_with("_U") || name.ends_with("_b")))
        return parent_of(path) + "/" + name.substr(0, name.size() - 2);
    return parent_of(path);
}

std::vector<StoredWeight> weights_of(const StoredLayer& layer) {
    std::vector<StoredWeight> list;
    std::map<std::string, std::size_t> joined;  // array of gates -> its place in the list
    std::vector<std::map<Index, std::string>> gates;
    for (const std::string& dataset : layer.weights) {
        std::string name = last_of(dataset);
        if (const auto colon = name.rfind(':'); colon != std::string::npos) name.resize(colon);
        const GateName gate = gate_name(name);
        const std::string array = parent_of(dataset) + "/" + (gate.gate ? gate.array : name);
        const auto [at, fresh] = joined.emplace(gate.gate ? array : dataset, list.size());
        if (fresh) {
            list.push_back({{}, owner_of(dataset), role_of(array)});
            gates.push_back({});
        }
        gates[at->second].emplace(gate.gate ? gate_place(gate.gate) : Index(gates[at->second].size()), dataset);
    }
    for (std::size_t i = 0; i < list.size(); i++)
        for (const auto& [place, dataset] : gates[i]) list[i].parts.push_back(dataset);
    return list;
}

enum class NameMatch { exact, counted, any };  // how names in the file are compared with the layers'

// Does `owner` ("tower/tower_conv", "ca", "conv1_3") name this layer ("tower/tower_conv")?
bool names_layer(const std::string& owner, const std::string& layer, NameMatch how) {
    const std::string stored = last_of(owner), wanted = last_of(layer);
    if (how == NameMatch::any || stored == wanted) return true;
    if (last_of(parent_of(owner)) == wanted) return true;  // "bi/forward_lstm/lstm_cell": the weights of a cell
    if (how == NameMatch::exact) return false;
    // a counter that Keras 2 appended when a name had been used before in the same process
    return stored.size() > wanted.size() && stored.starts_with(wanted) && stored[wanted.size()] == '_' &&
           stored.find_first_not_of("0123456789", wanted.size() + 1) == std::string::npos;
}

bool same_role(const std::string& stored, const std::string& wanted) {
    if (stored == "variable" || stored == "Variable") return true;  // made without a name
    // Keras 3 calls a depthwise kernel "kernel", Keras 1 the table of an Embedding "W"
    return stored == wanted || (stored == "kernel" && (wanted == "depthwise_kernel" || wanted == "embeddings"));
}

// Is this the stored array of that weight, as far as names tell? A layer of several parts names them, too: "query/kernel".
bool names_weight(const StoredWeight& stored, const Layer& layer, const Weight& weight, NameMatch how) {
    const std::string part = parent_of(weight.name);
    if (!part.empty() && last_of(stored.owner) != part) return false;
    const std::string owner = part.empty() ? stored.owner : parent_of(stored.owner);
    return same_role(stored.role, last_of(weight.name)) && names_layer(owner, layer.name, how);
}

Tensor read_joined(const Hdf5File& file, const std::vector<std::string>& parts) {
    if (parts.size() == 1) return file.read(parts[0]);
    Shape shape = file.shape(parts[0]);
    const Index each = shape.rank() ? shape[-1] : 1, rows = shape.size() / std::max<Index>(each, 1);
    LIMN_CHECK(shape.rank() >= 1, "{}: '{}' is a single number, gates were expected", file.path().string(), parts[0]);
    shape[-1] = each * Index(parts.size());
    Tensor out(shape);
    for (std::size_t i = 0; i < parts.size(); i++) {
        LIMN_CHECK(file.shape(parts[i]) == shape.with(-1, each), "{}: '{}' is {}, the gate beside it {}", file.path().string(), parts[i],
                   file.shape(parts[i]).str(), shape.with(-1, each).str());
        const Tensor part = file.read(parts[i]);
        for (Index row = 0; row < rows; row++) std::copy_n(part.data() + row * each, each, out.data() + row * shape[-1] + Index(i) * each);
    }
    return out;
}

void assign(const Hdf5File& file, const Layer& layer, Weight& weight, const StoredWeight& stored, const WrittenBy& by) {
    const Tensor value = todays_layout(layer, weight, read_joined(file, stored.parts), by);
    LIMN_CHECK(value.shape() == weight.shape, "{}: layer '{}' ({}): '{}' is {} in the file, {} was expected", file.path().string(),
               layer.name, layer.class_name, weight.name, value.shape().str(), weight.shape.str());
    weight.value = value;
}

using Matches = std::vector<std::pair<Weight*, const StoredWeight*>>;

// Each weight and the only stored array of its role (and, in a nested model, of its layer); nothing if names do not tell of all.
Matches matched_by_name(const std::vector<Layer*>& layers, std::vector<StoredWeight>& stored, NameMatch how) {
    Matches matches;
    for (StoredWeight& s : stored) s.used = false;
    for (Layer* layer : layers)
        for (Weight& weight : layer->weights) {
            std::vector<StoredWeight*> candidates;
            for (StoredWeight& s : stored)
                if (!s.used && names_weight(s, *layer, weight, how)) candidates.push_back(&s);
            if (candidates.size() != 1) return {};
            candidates[0]->used = true;
            matches.emplace_back(&weight, candidates[0]);
        }
    return matches;
}

// The weights of one top-level layer (one limn layer, or all layers of a nested model) from one stored group.
void load_group(const Hdf5File& file, const std::string& group_name, const std::vector<Layer*>& layers, std::vector<StoredWeight> stored,
                const WrittenBy& by, std::vector<std::string>& notes) {
    std::size_t wanted = 0;
    for (const Layer* layer : layers) wanted += layer->weights.size();
    LIMN_CHECK(stored.size() == wanted, "{}: layer '{}' has {} arrays in the file, {} were expected", file.path().string(), group_name,
               stored.size(), wanted);

    Matches matches;
    for (const NameMatch how : layers.size() == 1 ? std::vector{NameMatch::any} : std::vector{NameMatch::exact, NameMatch::counted})
        if (matches.empty()) matches = matched_by_name(layers, stored, how);
    if (matches.empty()) {
        // By Keras's own order: trainable weights of all layers, then the others.
        std::size_t next = 0;
        for (bool trainable : {true, false})
            for (Layer* layer : layers)
                for (Weight& weight : layer->weights)
                    if ((layer->trainable && weight.trainable) == trainable) matches.emplace_back(&weight, &stored[next++]);
        notes.push_back(fmt::format("weights of '{}' were matched by their order: their names in the file fit no layer", group_name));
    }
    for (const auto& [weight, from] : matches) {
        const Layer* owner = *std::find_if(layers.begin(), layers.end(), [&, w = weight](const Layer* l) {
            return w >= l->weights.data() && w < l->weights.data() + l->weights.size();
        });
        assign(file, *owner, *weight, *from, by);
    }
}

}  // namespace

std::vector<StoredLayer> stored_layers(const Hdf5File& file, const std::string& group) {
    std::vector<StoredLayer> layers;
    std::size_t listed = 0;
    const auto add = [&](StoredLayer& layer, const std::string& array) {
        LIMN_CHECK(++listed <= most_weights, "{}: lists more than {} arrays: refused", file.path().string(), most_weights);
        layer.weights.push_back(array);
    };
    const auto count = [&](const std::string& at, const char* name) {
        const auto numbers = file.numbers(at, name);
        LIMN_CHECK(numbers && numbers->size() == 1 && (*numbers)[0] >= 0 && (*numbers)[0] < 1 << 16, "{}: '{}' of '{}' should be a count",
                   file.path().string(), name, at);
        return Index((*numbers)[0]);
    };
    if (!file.has_attribute(group, "layer_names")) {  // before Keras 1.1: layer_0, layer_1... with param_0, param_1...
        for (Index i = 0; i < count(group, "nb_layers"); i++) {
            StoredLayer layer{fmt::format("layer_{}", i), {}};
            const std::string path = joined(group, layer.name);
            LIMN_CHECK(file.is_group(path), "{}: the file should hold '{}'", file.path().string(), path);
            for (Index p = 0; p < count(path, "nb_params"); p++) add(layer, fmt::format("{}/param_{}", path, p));
            layers.push_back(std::move(layer));
        }
        return layers;
    }
    for (const std::string& name : file.texts(group, "layer_names")) {
        const std::string path = joined(group, name);
        LIMN_CHECK(file.is_group(path), "{}: the file lists the layer '{}' but does not hold it", file.path().string(), name);
        StoredLayer layer{name, {}};
        for (const std::string& weight : file.texts(path, "weight_names")) {
            add(layer, joined(path, weight));
            LIMN_CHECK(file.has(layer.weights.back()), "{}: layer '{}' lists the array '{}' but the file does not hold it",
                       file.path().string(), name, weight);
        }
        layers.push_back(std::move(layer));
    }
    return layers;
}

// Keras 1 does not say which backend it ran on, but TensorFlow's names end in ":0" and Theano's do not.
static WrittenBy written_by(const Hdf5File& file, const std::string& group, const std::vector<StoredLayer>& stored, int keras_major,
                            const Model& model, std::vector<std::string>& notes) {
    std::string backend;
    for (const std::string& at : {std::string("/"), group})
        if (file.has_attribute(at, "backend")) backend = file.text(at, "backend");
    WrittenBy by{keras_major, backend == "theano"};
    const auto is_theanos = [](const std::string& dataset) { return dataset.find(':') == std::string::npos; };
    if (backend.empty() && keras_major < 2)
        by.theano = std::any_of(stored.begin(), stored.end(),
                                [&](const StoredLayer& s) { return std::any_of(s.weights.begin(), s.weights.end(), is_theanos); });
    if (by.theano && std::ranges::any_of(model.nodes(), [](const Node& n) { return convolves(*n.layer); }))
        notes.push_back(backend.empty() ? "the arrays' names are as Theano's, so kernels of convolutions were turned by 180 degrees"
                                        : "the file was written by Keras on Theano, so kernels of convolutions were turned by 180 degrees");
    return by;
}

bool has_legacy_weights(const Hdf5File& file, const std::string& group) {
    return file.has_attribute(group, "layer_names") || file.has_attribute(group, "nb_layers");
}

void load_legacy_weights(const Hdf5File& file, const std::string& group, int keras_major, Model& model, std::vector<std::string>& notes) {
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
    const auto stored_as = [&](const std::string& name) {
        return std::find_if(stored.begin(), stored.end(), [&](const StoredLayer& s) { return s.name == name; });
    };
    const WrittenBy by = written_by(file, group, stored, keras_major, model, notes);
    std::vector<std::string> missing;
    for (const auto& [top, layers] : groups)
        if (stored_as(top) == stored.end()) missing.push_back(top);

    if (missing.empty()) {
        for (const auto& [top, layers] : groups) load_group(file, top, layers, weights_of(*stored_as(top)), by, notes);
        LIMN_CHECK(stored.size() == groups.size(), "{}: the file has weights for {} layers, the model has {}", file.path().string(),
                   stored.size(), groups.size());
        return;
    }
    // Names differ (renamed layers, other counters): the k-th stored layer belongs to the k-th layer with weights, if all shapes agree.
    LIMN_CHECK(stored.size() == groups.size(), "{}: the file has no weights for layer '{}' (it has {} layers with weights, the model {})",
               file.path().string(), missing[0], stored.size(), groups.size());
    for (std::size_t i = 0; i < groups.size(); i++) load_group(file, groups[i].first, groups[i].second, weights_of(stored[i]), by, notes);
    notes.push_back(fmt::format("layers were matched by their order: the file has no '{}'", missing[0]));
}

}  // namespace limn
