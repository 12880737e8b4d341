#include <CLI/CLI.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "autograd/ops.h"
#include "cam/grad_cam.h"
#include "cli/cli.h"
#include "engine/file.h"
#include "engine/threads.h"
#include "weights/npy.h"

namespace limn::cli {

namespace {

struct RunOptions : Options {
    std::vector<std::string> inputs, layers;
    std::string out = "limn-out", target;
};

std::pair<std::size_t, Index> parse_target(const std::string& text) {
    std::size_t output = 0;
    Index element = 0;
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, output);
    const bool separated = first.ec == std::errc() && first.ptr < end && *first.ptr == ':';
    const auto second = separated ? std::from_chars(first.ptr + 1, end, element) : first;
    LIMN_CHECK(separated && second.ec == std::errc() && second.ptr == end, "--target {}: should be OUT:INDEX, such as 0:281", text);
    return {output, element};
}

void run_arrays(const RunOptions& o) {
    set_thread_count(o.threads);
    LoadedModel loaded = load_model(o.source);
    const Backend& backend = o.backend();
    Model& model = loaded.model;
    model.move_to(backend.device());
    for (const std::string& note : loaded.notes) std::fprintf(stderr, "limn: note: %s\n", note.c_str());
    std::vector<Tensor> inputs;
    for (const std::string& file : o.inputs) inputs.push_back(read_npy(file));
    std::vector<int> layers;
    for (const std::string& name : o.layers) layers.push_back(model.find(name));

    // Without a target nothing is watched, so nothing is recorded.
    std::vector<int> watch;
    if (!o.target.empty()) {
        watch = layers;
        watch.insert(watch.end(), model.inputs.begin(), model.inputs.end());
    }
    std::pair<std::size_t, Index> asked;
    if (!o.target.empty()) {
        asked = parse_target(o.target);
        LIMN_CHECK(asked.first < model.outputs.size(), "--target {}: the model has {} outputs", o.target, model.outputs.size());
    }
    Tape tape(backend);
    const std::vector<Var> values = model.forward(tape, inputs, watch, layers);
    const auto value = [&](int node) -> const Var& { return values[std::size_t(node)]; };

    std::vector<Var> wanted;  // before anything is written: an element that is not there is an Error
    Var target;
    if (!o.target.empty()) target = index(tape, value(model.outputs[asked.first]), asked.second);
    for (int node : watch) wanted.push_back(value(node));

    make_folder(o.out);
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    const auto save = [&](std::string name, const Tensor& t) {
        std::replace(name.begin(), name.end(), '/', '_');
        const std::string path = (std::filesystem::path(o.out) / (name + ".npy")).string();
        write_npy(path, t);
        files.push_back(path);
        if (!o.json) fmt::print("wrote {} {}\n", path, t.shape().str());
    };
    for (std::size_t i = 0; i < model.outputs.size(); i++) save(fmt::format("output{}", i), value(model.outputs[i]).value);
    for (std::size_t i = 0; i < layers.size(); i++) save(o.layers[i] + ".activation", value(layers[i]).value);
    if (!o.target.empty()) {
        save("target", target.value);
        const std::vector<Tensor> gradients = tape.gradients(target, Tensor::full(target.shape(), 1, target.value.dtype()), wanted);
        for (std::size_t i = 0; i < layers.size(); i++) {
            save(o.layers[i] + ".gradient", gradients[i]);
            if (gradients[i].shape().rank() == 4) save(o.layers[i] + ".gradcam", grad_cam(backend, value(layers[i]).value, gradients[i]));
        }
        for (std::size_t i = 0; i < model.inputs.size(); i++) save(fmt::format("input{}.gradient", i), gradients[layers.size() + i]);
    }
    if (o.json) fmt::print("{}\n", json_text({{"model", loaded.file.string()}, {"device", backend.name()}, {"files", files}}));
}

}  // namespace

void add_run(CLI::App& app) {
    CLI::App* command = app.add_subcommand("run", "Feed arrays, get arrays: outputs, activations, gradients, raw maps");
    auto o = std::make_shared<RunOptions>();
    command->add_option("model", o->source.model, "a Keras file or a name")->required();
    add_model_options(*command, *o);
    command->add_option("--input", o->inputs, ".npy of float32 or int32, the batch first; once for each input of the model")
        ->required()
        ->allow_extra_args(false);
    command->add_option("--layer", o->layers, "also write this layer's activation (and gradient and Grad-CAM); once for each")
        ->allow_extra_args(false);
    command->add_option("--target", o->target, "OUT:INDEX, the element of each image's output whose gradient is taken");
    command->add_option("--out", o->out, "folder for the arrays")->capture_default_str();
    command->add_flag("--json", o->json, "print one JSON document");
    command->footer("Example:\n  limn run model.h5 --input x.npy --layer block5_conv3 --target 0:281 --out arrays");
    command->callback([o] { run_arrays(*o); });
}

}  // namespace limn::cli
