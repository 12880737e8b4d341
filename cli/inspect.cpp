#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cam/explain.h"
#include "cli/cli.h"
#include "engine/threads.h"
#include "weights/keras_writer.h"

namespace limn::cli {

namespace {

struct InspectOptions : Options {
    bool keras_config = false, plan = false;
    int sm = 0;
};

Index parameters_of(const Layer& layer) {
    Index sum = 0;
    for (const Weight& w : layer.weights) sum += w.shape.size();
    return sum;
}

void inspect(const InspectOptions& o) {
    set_thread_count(o.threads);
    ModelSource source = o.source;
    source.any_numbers = true;  // what is wrong with them is shown
    LoadedModel loaded = load_model(source);
    const Model& model = loaded.model;
    if (o.keras_config) {
        fmt::print("{}\n", keras_config_of(model));
        return;
    }
    LIMN_CHECK(o.plan || o.size.empty(), "--size is for --plan");
    LIMN_CHECK(o.plan || (o.device == "auto" && o.precision == "f32" && !o.autotune && !o.exact),
               "--device, --precision, --autotune and --exact are for --plan");
    LIMN_CHECK(!o.sm || (o.plan && (o.device == "cuda" || o.device == "auto")), "--sm is for --plan --device cuda");
    if (o.sm) return print_gpu_plan(o, loaded, o.sm);
    if (o.plan) return print_plan(o, loaded);
    const PreprocessChoice choice = preprocess_of(loaded);
    const std::vector<std::string> broken = broken_weights(model);

    std::string cam_note;
    std::optional<CamHead> cam_head;
    int last = -1;
    try {
        const Head head = find_head(model);
        cam_head = find_cam_head(model, head, cam_note);
        last = default_layer(model);
    } catch (const Error& e) {
        cam_note = e.what();
    }
    const auto applies = [&](int i) -> std::string {
        if (!has_map(model, i) || model.node(i).inputs.empty()) return "";
        std::string text = "grad-cam";
        if (cam_head && cam_head->layer == i) text += ", cam";
        if (i == last) text += "  <- auto";
        return text;
    };

    if (o.json) {
        using Json = nlohmann::ordered_json;
        Json document{{"model", model.name},
                      {"file", loaded.file.string()},
                      {"keras_version", loaded.keras_version},
                      {"parameters", model.parameters()}};
        document["preprocess"] = {{"mode", name_of(choice.mode)}, {"reason", choice.reason}};
        document["cam"] = cam_head.has_value();
        if (!cam_head) document["cam_refused"] = cam_note;
        document["notes"] = loaded.notes;
        document["broken_weights"] = broken;
        document["layers"] = Json::array();
        for (int i = 0; i < int(model.nodes().size()); i++) {
            const Node& node = model.node(i);
            Json reads = Json::array();
            for (int in : node.inputs) reads.push_back(model.node(in).name);
            document["layers"].push_back({{"name", node.name},
                                          {"class", node.layer->class_name},
                                          {"shape", std::vector<Index>(node.shape.begin(), node.shape.end())},
                                          {"parameters", parameters_of(*node.layer)},
                                          {"reads", reads},
                                          {"grad_cam", !applies(i).empty()}});
        }
        fmt::print("{}\n", json_text(document));
        return;
    }

    std::size_t name_width = 10, class_width = 10;
    for (const Node& node : model.nodes()) {
        name_width = std::max(name_width, node.name.size());
        class_width = std::max(class_width, node.layer->class_name.size());
    }
    fmt::print("model '{}' in {} (Keras {})\n\n", model.name, loaded.file.string(), loaded.keras_version);
    fmt::print("{:<{}}  {:<{}}  {:<20}  {:>12}  {}\n", "layer", name_width, "class", class_width, "output", "parameters", "explained by");
    for (int i = 0; i < int(model.nodes().size()); i++) {
        const Node& node = model.node(i);
        fmt::print("{:<{}}  {:<{}}  {:<20}  {:>12}  {}\n", node.name, name_width, node.layer->class_name, class_width, node.shape.str(),
                   parameters_of(*node.layer), applies(i));
    }
    fmt::print("\nparameters: {}\npreprocessing: {} ({})\n", model.parameters(), name_of(choice.mode), choice.reason);
    fmt::print("CAM: {}\n", cam_head ? fmt::format("applies at '{}'", model.node(cam_head->layer).name) : "does not apply: " + cam_note);
    if (!loaded.size.empty()) fmt::print("photos: {}, {}\n", loaded.size, loaded.resize);
    if (!loaded.labels.empty()) {
        const std::size_t shown = std::min<std::size_t>(3, loaded.labels.size());
        fmt::print("class names: {} ({}{})\n", loaded.labels.size(),
                   fmt::join(loaded.labels.begin(), loaded.labels.begin() + std::ptrdiff_t(shown), ", "),
                   shown < loaded.labels.size() ? ", ..." : "");
    }
    for (const std::string& note : loaded.notes) fmt::print("note: {}\n", note);
    for (const std::string& line : broken) fmt::print("broken: {}\n", line);
}

}  // namespace

void add_inspect(CLI::App& app) {
    CLI::App* command = app.add_subcommand("inspect", "The layers of a model, their shapes, and which methods apply where");
    auto o = std::make_shared<InspectOptions>();
    command->add_option("model", o->source.model, "a Keras file or a name")->capture_default_str();
    add_model_options(*command, *o);
    command->add_flag("--json", o->json, "print one JSON document");
    command->add_flag("--keras-config", o->keras_config, "print the model_config that Keras builds the network from");
    command->add_flag("--plan", o->plan,
                      "how each layer is computed: algorithm, why no better one, time, share of what the machine can do");
    command->add_option("--sm", o->sm,
                        "with --plan --device cuda: what would run on a GPU of this compute capability, such as 90 (none is needed)");
    command->add_option("--size", o->size, "for --plan: HxW of the image, where the network leaves it open (default: 224x224)");
    command->footer(
        "Examples:\n  limn inspect my_model.h5\n  limn inspect vgg16 --plan --threads 2\n"
        "  limn inspect vgg16 --plan --device cuda --sm 90 --precision tf32");
    command->callback([o] { inspect(*o); });
}

}  // namespace limn::cli
