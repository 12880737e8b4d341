#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

#include "autograd/training.h"
#include "cam/explain.h"
#include "cli/cli.h"
#include "engine/parcel.h"
#include "engine/repeated.h"
#include "engine/threads.h"
#include "view/colormap.h"
#include "view/terminal.h"
#include "weights/npy.h"

namespace limn::cli {

namespace {

struct BenchOptions : Options {
    std::string input, output, what = "forward", dtype = "f32", layer = "auto", target = "auto";
    Index batch = 0;
    int repeat = 20;
};

Tensor noise(const Model& model, const BenchOptions& o) {
    const Shape& shape = model.node(model.inputs[0]).shape;
    LIMN_CHECK(shape.rank() == 4, "model '{}' takes {}, not photos: give an array with --input", model.name, shape.str());
    const auto [h, w] = o.size.empty() ? std::pair<Index, Index>(224, 224) : parse_size(o.size);
    Tensor x(shape.with(0, std::max<Index>(1, o.batch)).with(1, shape[1] > 0 ? shape[1] : h).with(2, shape[2] > 0 ? shape[2] : w));
    Random random(1, "bench");
    for (float& v : x.values()) v = float(random.uniform(-110, 140));  // about what preprocessed photos hold
    return x;
}

// The most this process has held in memory so far. (getrusage would count what the caller held when it started us.)
double peak_memory_mb() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
    return 0;
}

void bench(const BenchOptions& o) {
    set_thread_count(o.threads);
    LIMN_CHECK(o.what == "forward" || o.what == "gradcam" || o.what == "explain", "--what {}: forward, gradcam and explain are known",
               o.what);
    LIMN_CHECK(o.dtype == "f32", "--dtype {}: only f32 is known", o.dtype);
    LIMN_CHECK(o.repeat >= 1, "--repeat {}: at least one run is needed", o.repeat);
    std::int64_t start = now_ns();
    LoadedModel loaded = load_model(o.source);
    const Backend& backend = o.backend();
    loaded.model.move_to(backend.device());
    const Model& model = loaded.model;
    const double load_ms = milliseconds_since(start);
    LIMN_CHECK(model.inputs.size() == 1, "model '{}' has {} inputs: bench runs models with one", model.name, model.inputs.size());
    const Tensor x = o.input.empty() ? noise(model, o) : read_npy(o.input);
    LIMN_CHECK(o.batch == 0 || x.shape()[0] == o.batch, "{}: holds {} images, --batch says {}", o.input, x.shape()[0], o.batch);

    Tensor y;
    std::function<void()> run;
    std::function<bool()> recorded;
    std::optional<Explainer> explainer;
    std::optional<Repeated> forward;
    Tensor input = backend.device() ? x.on(backend.device()) : x;
    Parcel result;
    if (o.what == "forward") {
        forward.emplace(backend, [&] {
            Tape tape(backend);
            result = Parcel({model.forward(tape, {input})[std::size_t(model.outputs[0])].value});
        });
        run = [&] {
            if (backend.device()) input.assign(x);  // as for a new photo
            forward->run();
            y = result.open()[0];
        };
        recorded = [&] { return forward->recorded(); };
    } else {
        Request request{
            {method_named("grad-cam")}, {o.layer == "auto" ? default_layer(model) : model.find(o.layer)}, o.target, Score::logit, {}};
        std::vector<Tensor> photos;
        if (o.what == "explain") {
            request.drawing = {Normalize::max, Paint{}, colour_table(Colormap::jet)};
            photos.assign(std::size_t(x.shape()[0]), Tensor::zeros({x.shape()[1], x.shape()[2], 3}, DType::u8));
        }
        explainer.emplace(backend, model, request);
        run = [&, photos] { y = (*explainer)(x, photos)[0].maps[0].raw; };
        recorded = [&] { return explainer->recorded(); };
    }
    start = now_ns();
    run();
    const double first = milliseconds_since(start);
    if (backend.device()) run();        // is recorded
    std::vector<double> times, on_gpu;  // on_gpu: without copies, by its own clock
    ProgressBar bar(std::size_t(o.repeat), o.what, stderr);
    for (int i = 0; i < o.repeat; i++) {
        start = now_ns();
        run();
        times.push_back(milliseconds_since(start));
        bar.update(std::uint64_t(i) + 1);
    }
    if (Device* gpu = backend.device())
        for (int i = 0; i < o.repeat; i++) on_gpu.push_back(gpu->milliseconds([&] { explainer ? explainer->again() : forward->run(); }));
    if (!o.output.empty()) write_npy(o.output, y);

    std::vector<double> sorted = times;
    std::sort(sorted.begin(), sorted.end());
    const double least = sorted[0], median = sorted[sorted.size() / 2], images = double(x.shape()[0]);
    const double peak_mb = peak_memory_mb();
    if (o.json) {
        nlohmann::ordered_json json{{"model", loaded.file.string()},
                                    {"device", backend.name()},
                                    {"threads", thread_count()},
                                    {"what", o.what},
                                    {"input", std::vector<Index>(x.shape().begin(), x.shape().end())},
                                    {"ms", times},
                                    {"median_ms", median},
                                    {"plan_ms", first - median},
                                    {"recorded", recorded()},
                                    {"load_ms", load_ms},
                                    {"peak_mb", peak_mb}};
        if (!on_gpu.empty()) json["gpu_ms"] = on_gpu;
        fmt::print("{}\n", json_text(json));
        return;
    }
    fmt::print("{} of {} on {}, {} threads, input {}\n", o.what, model.name, backend.name(), thread_count(), x.shape().str());
    fmt::print("least {:.2f} ms, median {:.2f} ms ({:.1f} images/s), {} runs\n", least, median, 1000 * images / median, o.repeat);
    fmt::print("before that: loading {:.0f} ms, planning {:.0f} ms; peak memory {:.0f} MB\n", load_ms, first - median, peak_mb);
}

}  // namespace

void add_bench(CLI::App& app) {
    CLI::App* command = app.add_subcommand("bench", "Time a network: forward, or a whole Grad-CAM");
    auto o = std::make_shared<BenchOptions>();
    command->add_option("model", o->source.model, "a Keras file or a name")->capture_default_str();
    add_model_options(*command, *o);
    command->add_option("--input", o->input, ".npy of float32, the batch first (default: seeded noise)");
    command->add_option("--batch", o->batch, "images at a time (default: as many as --input holds, else 1)")->check(CLI::PositiveNumber);
    command->add_option("--size", o->size, "HxW of the noise, where the network leaves it open (default: 224x224)");
    command->add_option("--dtype", o->dtype, "of the weights: f32")->capture_default_str();
    command->add_option("--what", o->what, "forward, gradcam, or explain: a Grad-CAM and its picture")->capture_default_str();
    command->add_option("--layer", o->layer, "for gradcam: the layer (default: the last with a map)")->capture_default_str();
    command->add_option("--target", o->target, "for gradcam: a class's index or label, top:K or auto")->capture_default_str();
    command->add_option("--repeat", o->repeat, "timed runs; the first run, which plans, is not among them")->capture_default_str();
    command->add_option("--output", o->output, "write the scores (forward) or the first map to this .npy");
    command->add_flag("--json", o->json, "print one JSON document");
    command->footer(
        "Examples:\n"
        "  limn bench vgg16 --threads 2\n"
        "  limn bench vgg16 --device cuda --precision tf32 --batch 64\n"
        "  limn bench model.h5 --input x.npy --what gradcam --layer block5_conv3 --target top:5 --json");
    command->callback([o] { bench(*o); });
}

}  // namespace limn::cli
