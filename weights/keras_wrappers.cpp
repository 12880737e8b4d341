#include "weights/keras_wrappers.h"

#include <nlohmann/json.hpp>

#include "layers/sequence.h"

namespace limn {

namespace {

using Json = nlohmann::json;

const Json& layer_inside(const Json& settings, const std::string& name) {
    const bool there = settings.is_object() && settings.contains("layer") && settings["layer"].is_object() &&
                       settings["layer"].contains("class_name") && settings["layer"].contains("config") &&
                       settings["layer"]["config"].is_object();
    LIMN_CHECK(there, "layer '{}': its configuration does not say what layer it is around", name);
    return settings["layer"];
}

Json named(Json layer, const std::string& name) {
    layer["config"]["name"] = name;
    layer.erase("name");
    return layer;
}

// "lstm", "forward_lstm" -> "forward_lstm", as Keras calls them
Json in_direction(const Json& layer, const std::string& direction) {
    std::string name = layer["config"].value("name", std::string("layer"));
    if (name.starts_with(direction)) name = name.substr(direction.size());
    return named(layer, direction + name);
}

}  // namespace

std::vector<int> call_bidirectional(const WrapperCall& w) {
    const std::string& name = w.config.name;
    const Json& inside = layer_inside(w.settings, name)["config"];
    if (inside.contains("layer") || inside.contains("layers")) w.config.reject("it should be around a recurrent layer");
    Json forward = in_direction(w.settings["layer"], "forward_"), backward;
    if (const Json own = w.settings.value("backward_layer", Json()); own.is_object()) {
        backward = layer_inside({{"layer", own}}, name);
    } else {
        backward = in_direction(w.settings["layer"], "backward_");
        backward["config"]["go_backwards"] = !forward["config"].value("go_backwards", false);
    }
    const bool sequences = forward["config"].value("return_sequences", false);
    for (Json* layer : {&forward, &backward}) (*layer)["config"]["zero_output_for_mask"] = sequences;

    // States to begin with: those of the layer forward, then those of the other.
    const auto half = w.reads.begin() + 1 + std::ptrdiff_t(w.reads.size() - 1) / 2;
    std::vector<int> for_forward{w.reads[0]}, for_backward{w.reads[0]};
    for_forward.insert(for_forward.end(), w.reads.begin() + 1, half);
    for_backward.insert(for_backward.end(), half, w.reads.end());
    const std::vector<int> there = w.call(forward, for_forward), back = w.call(backward, for_backward);
    const int reversed = sequences ? w.model.add(name + "/reversed", make_reversal(name), {back[0]}) : back[0];

    static const std::map<std::string, std::string> merges = {
        {"concat", "Concatenate"}, {"sum", "Add"}, {"mul", "Multiply"}, {"ave", "Average"}};
    const Json mode = w.settings.value("merge_mode", Json("concat"));
    std::vector<int> outputs{there[0], reversed};
    if (!mode.is_null()) {
        const auto merge = mode.is_string() ? merges.find(mode.get<std::string>()) : merges.end();
        if (merge == merges.end()) w.config.reject("merge_mode should be concat, sum, mul, ave or null");
        Config config = w.config;
        config.class_name = merge->second;
        outputs = {w.model.add(name, make_layer(config), outputs)};
    }
    outputs.insert(outputs.end(), there.begin() + 1, there.end());
    outputs.insert(outputs.end(), back.begin() + 1, back.end());
    return outputs;
}

std::optional<Json> without_wrapper(const Json& settings, const std::string& name) {
    const Json& inside = layer_inside(settings, name);
    if (inside["class_name"] != "Dense") return std::nullopt;
    return named(inside, name);
}

std::vector<int> call_time_distributed(const WrapperCall& w) {
    if (w.reads.size() != 1) w.config.reject(fmt::format("it takes one sequence, {} were given", w.reads.size()));
    Config fold = w.config;
    fold.class_name = "Fold";
    const int folded = w.model.add(w.config.name + "/folded", make_fold(fold), w.reads);
    const std::vector<int> made = w.call(layer_inside(w.settings, w.config.name), {folded});
    if (made.size() != 1) w.config.reject(fmt::format("the layer inside gives {} tensors, one was expected", made.size()));
    return {w.model.add(w.config.name, make_unfold(w.config.name), {w.reads[0], made[0]})};
}

}  // namespace limn
