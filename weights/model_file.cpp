#include "weights/model_file.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/file.h"
#include "engine/memory.h"
#include "weights/architectures/architectures.h"
#include "weights/bundled.h"
#include "weights/fetch.h"
#include "weights/hdf5_file.h"
#include "weights/imagenet.h"
#include "weights/keras3_weights.h"
#include "weights/keras_config.h"
#include "weights/keras_legacy.h"
#include "weights/probe.h"
#include "weights/zip_file.h"

namespace limn {

namespace fs = std::filesystem;

constexpr std::size_t slowest_reading = 4 << 20;  // bytes a second: what is compressed takes longest

static fs::path find_file(const std::string& name) {
    std::error_code ignored;
    if (fs::exists(name, ignored) || name.find('/') != std::string::npos || name.find('.') != std::string::npos) return name;
    if (const fs::path bundled = bundled_model(name); !bundled.empty()) return bundled;
    if (const Published* published = find_published(name)) {
        const fs::path cached = cached_file(*published);
        LIMN_CHECK(fs::exists(cached, ignored), "the weights of {} are not on this machine yet: run `limn fetch {}`", name, name);
        return cached;
    }
    std::string known = "paws";
    for (const Published& p : published()) known += (known.empty() ? "" : ", ") + p.name;
    fail("model '{}' is neither a file nor a name limn knows ({})", name, known);
}

constexpr std::size_t longest_config = std::size_t(64) << 20;

// What a file of any form holds: its weights (if any), and its configuration (if any).
struct Opened {
    std::unique_ptr<Hdf5File> weights;
    std::string config, keras_version;
};

static Opened open_archive(const fs::path& path) {
    const ZipFile zip(path);
    const std::vector<std::string> members = zip.members();
    const auto has_tail = [&](const char* tail) {
        return std::any_of(members.begin(), members.end(), [&](const std::string& m) { return m.ends_with(tail); });
    };
    LIMN_CHECK(zip.has("config.json"), "{}: is a zip archive, but not one Keras wrote (no config.json){}", path.string(),
               has_tail("data.pkl") ? "; it looks like a PyTorch file" : "");
    Opened opened{nullptr, zip.text("config.json", longest_config), ""};
    if (zip.has("metadata.json")) opened.keras_version = keras_version_in(zip.text("metadata.json", longest_config));
    if (zip.has("model.weights.h5")) {
        opened.weights = std::make_unique<Hdf5File>(path / "model.weights.h5", zip.read("model.weights.h5", std::size_t(1) << 40));
    } else {
        LIMN_CHECK(!has_tail(".npz") && !has_tail(".weights.json"),
                   "{}: its weights are kept as {}: save the model again with the defaults", path.string(),
                   has_tail(".npz") ? ".npz" : "several files");
    }
    return opened;
}

static Opened open_file(const fs::path& path) {
    if (ZipFile::looks_like_one(path)) return open_archive(path);
    if (path.extension() == ".json") {
        const auto bytes = read_file(path, longest_config);
        Opened opened{nullptr, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), ""};
        opened.keras_version = keras_version_in(opened.config);
        return opened;
    }
    Opened opened{std::make_unique<Hdf5File>(path), "", ""};
    const Hdf5File& file = *opened.weights;
    for (const char* group : {"/model_weights", "/"})
        if (file.has(group) && file.has_attribute(group, "keras_version")) opened.keras_version = file.text(group, "keras_version");
    if (file.has_attribute("/", "model_config")) opened.config = file.text("/", "model_config");
    return opened;
}

// The network a file with weights only belongs to.
static Model known_network(const ModelSource& source, const fs::path& path, const std::vector<std::string>& names,
                           std::vector<std::string>& notes) {
    if (!source.architecture.empty()) {
        if (const Architecture* a = find_architecture(source.architecture)) return a->build();
        std::string known;
        for (const Architecture& a : architectures()) known += (known.empty() ? "" : ", ") + a.name;
        fail("architecture '{}' is not known; {} are", source.architecture, known);
    }
    const Architecture* a = recognise_architecture(names);
    LIMN_CHECK(a,
               "{}: the file holds weights only, and its layers ({}...) are of no network limn knows: give --config FILE with its "
               "model_config, or --arch NAME",
               path.string(), names.empty() ? "none" : names[0]);
    notes.push_back(fmt::format("the file holds weights only; its layers are those of {}", a->name));
    return a->build();
}

// Of a file that some other program wrote.
static std::string contents(const Hdf5File& file) {
    const std::vector<std::string> names = file.children("/");
    std::string list;
    for (const std::string& name : names)
        if (list.size() < 60) list += (list.empty() ? ": it holds '" : ", '") + name.substr(0, 60) + "'";
    return list;
}

static std::vector<std::string> weighted_names(const Hdf5File& file, const std::string& group, bool legacy) {
    if (!legacy) return keras3_layer_names(file);
    std::vector<std::string> names;
    for (const StoredLayer& layer : stored_layers(file, group))
        if (!layer.weights.empty()) names.push_back(layer.name);
    return names;
}

LoadedModel load_model_unprobed(const ModelSource& source) {
    LoadedModel loaded;
    loaded.file = find_file(source.model);
    Opened opened = open_file(loaded.file);
    LIMN_CHECK(opened.weights,
               "{}: holds a configuration, but no weights: give the file with the weights as the model, and this one as --config",
               loaded.file.string());
    const Hdf5File& file = *opened.weights;
    const std::string group = !has_legacy_weights(file, "/") && file.has("/model_weights") ? "/model_weights" : "/";
    const bool legacy = has_legacy_weights(file, group);
    LIMN_CHECK(legacy || has_keras3_weights(file), "{}: is an HDF5 file, but not one Keras wrote (neither 'layer_names' nor 'layers'){}",
               loaded.file.string(), contents(file));
    if (!source.config.empty()) {
        Opened other = open_file(source.config);
        LIMN_CHECK(!other.config.empty(), "{}: the file holds no model_config", source.config);
        opened.config = other.config;
        if (opened.keras_version.empty()) opened.keras_version = other.keras_version;
    }
    loaded.keras_version = !opened.keras_version.empty() ? opened.keras_version : legacy ? "1" : "3";

    try {
        if (!opened.config.empty()) {
            loaded.model = model_from_config(opened.config, loaded.keras_version, source.lambdas);
        } else {
            loaded.model = known_network(source, loaded.file, weighted_names(file, group, legacy), loaded.notes);
        }
    } catch (const Error& e) {
        const std::string what = e.what(), name = loaded.file.string();
        throw Error(what.find(name) == std::string::npos ? name + ": " + what : what);
    }
    if (legacy)
        load_legacy_weights(file, group, keras_major(loaded.keras_version), loaded.model, loaded.notes);
    else
        load_keras3_weights(file, opened.config.empty() ? StorePaths{} : store_paths(opened.config), loaded.model, loaded.notes);

    loaded.config = std::move(opened.config);
    const Shape& output = loaded.model.node(loaded.model.outputs.at(0)).shape;
    const std::pair<const char*, std::string*> attributes[] = {
        {"preprocess", &loaded.preprocess}, {"size", &loaded.size}, {"resize", &loaded.resize}};
    const auto read_own = [&](const char* name, auto read) {  // somebody else's attribute of this name may hold anything
        try {
            if (file.has_attribute("/", name)) read(name);
        } catch (const Error&) {
            loaded.notes.push_back(fmt::format("the file's attribute '{}' is no text: it is left alone", name));
        }
    };
    for (const auto& [name, value] : attributes) read_own(name, [&, value = value](const char* of) { *value = file.text("/", of); });
    read_own("labels", [&](const char* of) { loaded.labels = file.texts("/", of); });
    if (loaded.labels.empty() && output.rank() == 2 && output[1] == 1000) {
        loaded.labels.assign(imagenet_labels().begin(), imagenet_labels().end());
    }
    return loaded;
}

LoadedModel load_model(const ModelSource& source) {
    // Arrays stay in the file, so that loading twice costs milliseconds.
    std::error_code unknown;
    const std::uintmax_t found = fs::file_size(find_file(source.model), unknown), size = unknown ? 0 : found;
    ProbeLimits limits;
    limits.seconds += unsigned(size / slowest_reading);
    limits.memory += 8 * size;
    const Probed result = probe([&] { load_model_unprobed(source); }, limits);
    LIMN_CHECK(result != Probed::endless, "{}: is damaged: reading it has not come to an end after {} s", source.model, limits.seconds);
    LIMN_CHECK(result == Probed::fine, "{}: is damaged: reading it crashes", source.model);
    LoadedModel loaded = load_model_unprobed(source);
    const auto broken = source.any_numbers ? std::vector<std::string>() : broken_weights(loaded.model);
    LIMN_CHECK(broken.empty(), "{}: {}: its training went astray, or the file is damaged (`limn inspect` lists all)", loaded.file.string(),
               broken[0]);
    return loaded;
}

// Exponents of eight ones, without a branch: as fast as memory is (138 million numbers: 40 ms).
static bool all_finite(std::span<const float> values) {
    constexpr std::uint32_t exponent = 0x7f800000, one = 0x00800000;
    std::uint32_t overflow = 0;
    for (const float v : values) overflow |= (std::bit_cast<std::uint32_t>(v) & exponent) + one;
    return overflow >> 31 == 0;
}

std::vector<std::string> broken_weights(const Model& model) {
    std::vector<std::string> found;
    for (const Layer* layer : model.weighted_layers())
        for (const Weight& w : layer->weights) {
            const auto values = w.value.values();
            if (!all_finite(values))
                found.push_back(fmt::format("layer '{}': {} of the {} numbers of '{}' are NaN or infinite", layer->name,
                                            std::ranges::count_if(values, [](float v) { return !std::isfinite(v); }), values.size(),
                                            w.name));
            forget_mapped(values.data(), values.size_bytes());
        }
    return found;
}

PreprocessChoice preprocess_of(const LoadedModel& loaded) {
    if (!loaded.preprocess.empty()) return {preprocess_named(loaded.preprocess), "its file says so"};
    return choose_preprocess(loaded.model);
}

void save_weights(const fs::path& path, const Model& model) {
    Hdf5Writer file(path);
    std::vector<std::string> names;
    for (const Node& node : model.nodes()) {
        const Layer& layer = *node.layer;
        if (std::find(names.begin(), names.end(), layer.name) != names.end() || node.name.ends_with(":linear")) continue;
        names.push_back(layer.name);
    }
    for (const std::string& name : names) {
        const auto node = std::find_if(model.nodes().begin(), model.nodes().end(), [&](const Node& n) {
            return n.layer->name == name && (!n.layer->weights.empty() || n.name == name);
        });
        std::vector<std::string> weight_names;
        file.group("/" + name);
        for (const Weight& w : node->layer->weights) {
            weight_names.push_back(name + "/" + w.name + ":0");
            file.dataset("/" + name + "/" + weight_names.back(), w.value);
        }
        file.attribute("/" + name, "weight_names", weight_names);
    }
    file.attribute("/", "layer_names", names);
    file.attribute("/", "backend", std::string("tensorflow"));
    file.attribute("/", "keras_version", std::string("2.1.2"));
    file.commit();
}

}  // namespace limn
