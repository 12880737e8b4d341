#include "weights/keras_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "layers/core.h"
#include "weights/json_value.h"
#include "weights/keras1.h"
#include "weights/keras_axes.h"
#include "weights/keras_calls.h"
#include "weights/keras_wrappers.h"

namespace limn {

namespace {

using Json = nlohmann::json;
constexpr int max_depth = deepest_json;
constexpr std::size_t most_nodes = 1 << 14;  // models that call each other several times multiply

bool is_model(const std::string& class_name) { return class_name == "Sequential" || class_name == "Functional" || class_name == "Model"; }

// Does a layer, or one inside it, normalise by the statistics of a batch when it is trained?
bool normalizes_by_batch(const Json& j, int depth = 0) {
    if (depth > max_depth || !j.is_structured()) return false;
    if (j.is_object() && j.value("class_name", Json()) == "BatchNormalization" && j.contains("config") && j["config"].is_object())
        return j["config"].value("trainable", Json(true)) != false;
    return std::any_of(j.begin(), j.end(), [&](const Json& item) { return normalizes_by_batch(item, depth + 1); });
}

class Builder {
public:
    Builder(const Json& root, int keras_major, const Lambdas& lambdas) : keras_major_(keras_major), lambdas_(lambdas) {
        find_channels_first(root, channels_first_);
        mixed_formats_ = channels_first_.contains(4) && uses_channels_last(root);
        if (mixed_formats_) channels_first_.clear();
    }

    Model build(const Json& root) {
        model_.name = json_member(root, "config", "the model").is_object() ? root["config"].value("name", std::string("model")) : "model";
        model_.outputs = instantiate(root, "", {}, std::nullopt);
        return std::move(model_);
    }

private:
    // Adds the nodes of a model. `prefix` names them ("base/"), `reads` are the nodes a nested model is called with.
    std::vector<int> instantiate(const Json& model, const std::string& prefix, const std::string& path,
                                 std::optional<std::vector<int>> reads) {
        LIMN_CHECK(std::count(path.begin(), path.end(), '/') < 16, "models are nested too deeply in the model's configuration");
        return json_text(model, "class_name", "the model") == "Sequential" ? sequential(model, prefix, path, reads)
                                                                           : functional(model, prefix, path, reads);
    }

    // The shape an input layer (or the first layer of a Sequential) declares, as NHWC; nothing if it declares none.
    std::optional<Shape> declared_shape(const Json& settings) const {
        for (const char* key : {"batch_shape", "batch_input_shape"}) {
            if (!settings.contains(key) || !settings[key].is_array()) continue;
            std::vector<Index> sizes;
            for (const Json& size : settings[key]) sizes.push_back(size.is_number_integer() ? size.get<Index>() : -1);
            LIMN_CHECK(!sizes.empty() && sizes.size() <= Shape::max_rank, "the model's configuration declares an input of {} axes",
                       sizes.size());
            sizes[0] = -1;
            for (Index size : sizes)
                LIMN_CHECK(size == -1 || (size > 0 && size < 1 << 24), "the model's configuration declares an input of size {}", size);
            if (channels_first_.contains(int(sizes.size()))) std::rotate(sizes.begin() + 1, sizes.begin() + 2, sizes.end());
            return Shape(std::span<const Index>(sizes));
        }
        return std::nullopt;
    }

    std::vector<int> sequential(const Json& model, const std::string& prefix, const std::string& path,
                                std::optional<std::vector<int>> reads) {
        const Json& config = json_member(model, "config", "the model");
        const Json& layers = config.is_array() ? config : json_member(config, "layers", "a Sequential model");
        LIMN_CHECK(layers.is_array() && !layers.empty(), "a Sequential model without layers cannot be run");
        std::vector<int> at = reads.value_or(std::vector<int>{});
        for (const Json& layer : layers) {
            const std::string class_name = json_text(layer, "class_name", "a layer");
            const Json& settings = json_member(layer, "config", "a layer");
            const std::string name = name_of(layer);
            if (class_name == "InputLayer") {
                if (at.empty()) at = {input(layer, prefix)};
                continue;
            }
            if (at.empty()) {
                std::optional<Shape> shape = settings.is_object() ? declared_shape(settings) : std::nullopt;
                if (!shape && is_model(class_name)) shape = input_of_nested(layer);
                if (!shape && config.is_object() && config.contains("build_input_shape"))
                    shape = declared_shape(Json{{"batch_shape", config["build_input_shape"]}});
                LIMN_CHECK(shape, "the configuration of Sequential model '{}' does not say what shape its input has",
                           path.empty() ? model_.name : path);
                at = {model_.add_input(unique(prefix + name + "_input"), *shape)};
            }
            at = call(layer, prefix, path, at, {});
        }
        return at;
    }

    // A Sequential that starts with a model takes that model's input.
    std::optional<Shape> input_of_nested(const Json& model) const {
        const Json& config = json_member(model, "config", "a model");
        const Json& layers = config.is_array() ? config : json_member(config, "layers", "a model");
        LIMN_CHECK(layers.is_array() && !layers.empty() && layers[0].is_object(), "a model without layers cannot be run");
        return declared_shape(json_member(layers[0], "config", "a layer"));
    }

    std::vector<int> functional(const Json& model, const std::string& prefix, const std::string& path,
                                std::optional<std::vector<int>> reads) {
        const Json& config = json_member(model, "config", "the model");
        const Json& layers = json_member(config, "layers", "a functional model");
        const std::string where = path.empty() ? "the model" : "model '" + path + "'";
        LIMN_CHECK(layers.is_array() && layers.size() <= most_nodes,
                   "the model's configuration is wrong: 'layers' of {} should be a list (of at most {})", where, most_nodes);
        std::map<std::string, std::vector<std::vector<int>>> results;  // layer -> call -> outputs

        const std::vector<Reference> input_refs = references_from(json_member(config, "input_layers", where), where);
        if (reads) {
            LIMN_CHECK(reads->size() == input_refs.size(), "{} takes {} inputs, it is called with {}", where, input_refs.size(),
                       reads->size());
            for (std::size_t i = 0; i < reads->size(); i++) results[input_refs[i].layer] = {{(*reads)[i]}};
        } else {
            for (const Reference& ref : input_refs) {
                const auto it = std::find_if(layers.begin(), layers.end(), [&](const Json& l) { return name_of(l) == ref.layer; });
                LIMN_CHECK(it != layers.end(), "{} names the input '{}', but has no such layer", where, ref.layer);
                results[ref.layer] = {{input(*it, prefix)}};
            }
        }
        const auto find = [&](const Reference& ref) -> std::optional<int> {
            const auto it = results.find(ref.layer);
            if (it == results.end()) return std::nullopt;
            const auto& calls = it->second;
            if (ref.call < 0 || ref.call >= Index(calls.size()) || ref.output < 0 ||
                ref.output >= Index(calls[std::size_t(ref.call)].size()))
                return std::nullopt;
            return calls[std::size_t(ref.call)][std::size_t(ref.output)];
        };

        // Layers usually stand in running order; calls that read what is not there yet wait for the next round.
        struct Waiting {
            const Json* layer;
            std::string name;
            std::vector<Call> calls;
            std::size_t done = 0;
        };
        std::vector<Waiting> waiting;
        for (const Json& layer : layers) {
            const std::string name = name_of(layer);
            if (!results.contains(name)) waiting.push_back({&layer, name, calls_of(layer, "layer '" + name + "'")});
        }
        // Keras 3 lists the operations that compute masks, which nothing else reads: limn hands masks on by itself (Model::add).
        std::vector<Reference> output_refs = references_from(json_member(config, "output_layers", where), where);
        for (const Waiting& w : waiting) {
            if (!is_model(json_text(*w.layer, "class_name", "a layer"))) continue;
            std::vector<Reference*> inside, outputs;
            for (Waiting& reader : waiting)
                for (Call& c : reader.calls)
                    for (Reference& ref : c.reads)
                        if (ref.layer == w.name) inside.push_back(&ref);
            for (Reference& ref : output_refs)
                if (ref.layer == w.name) outputs.push_back(&ref);
            count_from_0(*w.layer, Index(w.calls.size()), inside, outputs);
        }
        std::set<std::string> needed;
        std::vector<Reference> open = output_refs;
        while (!open.empty()) {
            const std::string layer = open.back().layer;
            open.pop_back();
            if (!needed.insert(layer).second) continue;
            for (const Waiting& w : waiting)
                if (w.name == layer)
                    for (const Call& c : w.calls) open.insert(open.end(), c.reads.begin(), c.reads.end());
        }
        std::erase_if(waiting, [&](const Waiting& w) { return !needed.contains(w.name); });

        for (bool progress = true; progress;) {
            progress = false;
            for (Waiting& w : waiting)
                while (w.done < w.calls.size()) {
                    const Call& c = w.calls[w.done];
                    std::vector<int> nodes;
                    for (const Reference& ref : c.reads)
                        if (const auto node = find(ref)) nodes.push_back(*node);
                    if (nodes.size() != c.reads.size()) break;
                    const bool attends = json_text(*w.layer, "class_name", "a layer").ends_with("Attention");  // its masks are its inputs'
                    LIMN_CHECK(!c.given_mask || (model_.node(nodes[0]).mask >= 0 && !attends),
                               "layer '{}' is given a mask of the model's own; limn knows those of Embedding (mask_zero) and Masking",
                               w.name);
                    results[w.name].push_back(call(*w.layer, prefix, path, nodes, c));
                    w.done++;
                    progress = true;
                }
        }
        std::vector<int> outputs;
        for (const Reference& ref : output_refs) {
            const auto node = find(ref);
            if (!node) {
                for (const Waiting& w : waiting)
                    for (std::size_t i = w.done; i < w.calls.size(); i++)
                        for (const Reference& r : w.calls[i].reads)
                            LIMN_CHECK(find(r) || results.contains(r.layer) ||
                                           std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& o) { return o.name == r.layer; }),
                                       "layer '{}' reads from '{}', which is not in the model", w.name, r.layer);
                fail("the output '{}' of {} cannot be reached from its inputs", ref.layer, where);
            }
            outputs.push_back(*node);
        }
        return outputs;
    }

    void count_from_0(const Json& model, Index calls, std::vector<Reference*> inside, const std::vector<Reference*>& outputs) const {
        if (keras_major_ < 3) inside.insert(inside.end(), outputs.begin(), outputs.end());
        const std::vector<Reference*>& refs = keras_major_ < 3 ? inside : outputs;
        if (refs.empty()) return;
        const auto [least, most] = std::ranges::minmax(refs, {}, &Reference::call);
        const bool from_1 = calls_count_from_1(model, keras_major_, calls, least->call, most->call);
        for (Reference* ref : refs) ref->call -= from_1;
    }

    // One call of a layer (or of a model as a layer) on the given nodes.
    std::vector<int> call(const Json& layer, const std::string& prefix, const std::string& path, const std::vector<int>& reads,
                          const Call& how) {
        const std::string class_name = json_text(layer, "class_name", "a layer"), name = name_of(layer);
        const std::string layer_path = path + name;
        const auto training = how.keywords.find("training");
        const bool trains = keras_major_ < 3 && training != how.keywords.end() && training->second == Value(true);  // Keras 3 decides anew
        LIMN_CHECK(!trains || !normalizes_by_batch(layer),
                   "layer '{}' is called with training=True: batch normalisation by the photos at hand, which limn does in training only",
                   name);
        if (is_model(class_name)) {
            const int count = ++calls_[layer_path];
            return instantiate(layer, prefix + name + (count > 1 ? fmt::format("#{}/", count) : "/"), layer_path + "/", reads);
        }
        const Json& settings = json_member(layer, "config", "layer '" + name + "'");
        const auto plain = class_name == "TimeDistributed" ? without_wrapper(settings, name) : std::nullopt;
        if (plain) return call(*plain, prefix, path, reads, how);
        if (class_name == "Bidirectional" || class_name == "TimeDistributed") {
            LIMN_CHECK(std::count(path.begin(), path.end(), '/') < 16, "layers are nested too deeply in the model's configuration");
            const auto inside = [&](const Json& inner, const std::vector<int>& nodes) {
                return call(inner, prefix + name + "/", layer_path + "/", nodes, how);
            };
            const Json inner = settings.is_object() ? settings.value("layer", Json()) : Json();
            const Json kind = inner.is_object() ? inner.value("class_name", Json()) : Json();
            LIMN_CHECK(!has_channels_first(reads.at(0)) || !kind.is_string() || !works_on_last_axis(kind.get<std::string>()),
                       "layer '{}' ({}): its sequences come from layers with channels first, which limn does not know", name, class_name);
            const WrapperCall wrapper{
                model_, settings, {class_name, unique(prefix + name), {}, channels_first_, keras_major_}, reads, inside};
            return class_name == "Bidirectional" ? call_bidirectional(wrapper) : call_time_distributed(wrapper);
        }
        if (const auto operation = operation_of(layer, class_name, settings, how)) {
            const LayerPtr made = make_layer({"Operation", layer_path, *operation, channels_first_, keras_major_});
            return {model_.add(unique(prefix + name), made, reads, Masks::dropped)};  // functions know nothing of masks
        }
        const Dict spoken{{"arguments", how.arguments}, {"keywords", how.keywords}};
        LayerPtr& made = layers_[layer_path];
        if (!made) {
            const Value value = value_from(settings);
            LIMN_CHECK(value.as<Dict>(), "layer '{}': its configuration should be a dictionary", name);
            Config config{class_name, layer_path, *value.as<Dict>(), works_on_last_axis(class_name) ? std::set<int>{} : channels_first_,
                          keras_major_};
            translate_keras1(config.class_name, config.settings);
            if (class_name == "Lambda") config.settings = expression_of(name);
            config.settings.erase("call");  // the builder's own word
            if (!how.keywords.empty()) config.settings["call"] = spoken;
            made = make_layer(config);
            LIMN_CHECK(!how.tensor_by_keyword() || made->takes_keywords(),
                       "layer '{}' ({}): it is called with the tensor '{}', which limn does not know", name, class_name,
                       *how.tensor_by_keyword());
        }
        if (made->takes_keywords()) {
            const std::string text = json_from(Value(spoken)).dump();
            LIMN_CHECK(first_calls_.emplace(layer_path, text).first->second == text,
                       "layer '{}' ({}): it is called in several ways, which limn does not know", name, class_name);
        }
        if (mixed_formats_ && made->keras_config.text("data_format", "") == "channels_first" && model_.node(reads.at(0)).shape.rank() == 4)
            return {call_channels_first(made, prefix + name, reads)};
        // Among channels-first layers, one that works on the file's last axis gets it, whatever lies there.
        const bool on_last_axis = works_on_last_axis(class_name);
        std::vector<int> from = reads;
        for (int& node : from)
            if (on_last_axis && has_channels_first(node)) node = with_channels(true, node, prefix + name);
        std::vector<int> nodes{model_.add(unique(prefix + name), made, from, how.with_mask ? Masks::handed_on : Masks::untold)};
        for (std::size_t i = 1; i < made->parts().size(); i++) nodes.push_back(nodes[0] + int(i));
        for (int& node : nodes)
            if (on_last_axis && has_channels_first(node)) node = with_channels(false, node, prefix + name);
        return nodes;
    }

    // The node with its channels moved: first, or last.
    int with_channels(bool first, int node, const std::string& name) {
        const int rank = model_.node(node).shape.rank();
        List dims;
        for (int i = 1; i < rank; i++) dims.push_back(double(first ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1)));
        const std::string moved_name = unique(name + (first ? ":channels_first" : ":channels_last"));
        return model_.add(moved_name, make_layer({"Permute", moved_name, {{"dims", std::move(dims)}}, {}, keras_major_}), {node});
    }

    // A layer with channels first in a model where others have them last: between two moves of the axes.
    int call_channels_first(const LayerPtr& layer, const std::string& name, std::vector<int> reads) {
        for (int& node : reads) node = with_channels(false, node, name);
        const int value = model_.add(unique(name), layer, reads);
        return model_.node(value).shape.rank() == 4 ? with_channels(true, value, name) : value;
    }

    bool has_channels_first(int node) const { return channels_first_.contains(model_.node(node).shape.rank()); }

    Dict expression_of(const std::string& lambda) const {
        const auto it = lambdas_.find(lambda);
        return it == lambdas_.end() ? Dict{} : Dict{{"expression", it->second}};
    }

    int input(const Json& layer, const std::string& prefix) {
        const std::string name = name_of(layer);
        const std::optional<Shape> shape = declared_shape(json_member(layer, "config", "layer '" + name + "'"));
        LIMN_CHECK(shape, "the input '{}' does not say what shape it has", name);
        return model_.add_input(unique(prefix + name), *shape);
    }

    // Functional layers carry their name outside, too; Sequential ones only inside their config.
    static std::string name_of(const Json& layer) {
        if (layer.is_object() && layer.contains("name") && layer["name"].is_string()) return layer["name"].get<std::string>();
        const Json& config = json_member(layer, "config", "a layer");
        return config.is_object() && config.contains("name") ? json_text(config, "name", "a layer")
                                                             : json_text(layer, "class_name", "a layer");
    }

    std::string unique(const std::string& name) {
        LIMN_CHECK(model_.nodes().size() < most_nodes, "the model has more than {} layers: refused", most_nodes);
        std::string candidate = name;
        for (int& uses = uses_[name]; !names_.insert(candidate).second;) candidate = fmt::format("{}#{}", name, ++uses + 1);
        return candidate;
    }

    Model model_;
    std::set<int> channels_first_;  // ranks of the tensors whose axes are renumbered
    bool mixed_formats_;
    int keras_major_;
    const Lambdas& lambdas_;
    std::map<std::string, LayerPtr> layers_;
    std::map<std::string, std::string> first_calls_;  // what each that takes keywords was called with
    std::map<std::string, int> calls_, uses_;
    std::set<std::string> names_;  // of nodes
};

}  // namespace

int keras_major(const std::string& version) { return version.empty() || version[0] < '0' || version[0] > '9' ? 2 : version[0] - '0'; }

std::string keras_version_in(const std::string& json) {
    const Json root = parsed_json(json);
    return root.is_object() && root.contains("keras_version") && root["keras_version"].is_string()
               ? root["keras_version"].get<std::string>()
               : "";
}

Model model_from_config(const std::string& text, const std::string& keras_version, const Lambdas& lambdas) {
    const Json root = parsed_json(text);
    LIMN_CHECK(!root.is_discarded() && root.is_object(), "the model's configuration is not valid JSON");
    const std::string class_name = json_text(root, "class_name", "the model");
    LIMN_CHECK(is_model(class_name),
               "the model is a {}: a subclassed model cannot be rebuilt from its file; Sequential and functional ones can", class_name);
    try {
        return Builder(root, keras_major(keras_version), lambdas).build(root);
    } catch (const Json::exception& e) {
        fail("the model's configuration is wrong: {}", e.what());
    }
}

}  // namespace limn
