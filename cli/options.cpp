#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "cam/target.h"
#include "cli/cli.h"
#include "engine/cuda/cuda.h"
#include "engine/file.h"
#include "engine/threads.h"
#include "view/image.h"

namespace limn::cli {

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }
double milliseconds_since(std::int64_t start) { return double(now_ns() - start) / 1e6; }

static void note_that_cpu_is_used(const std::string& why) { std::fprintf(stderr, "limn: note: the cpu is used: %s\n", why.c_str()); }

const Backend& DeviceOptions::backend() const {
    const cuda::Settings settings{cuda::precision_named(precision), autotune};
    const bool gpu_may_be_used = (device == "auto" && !exact) || device == "cuda";
    LIMN_CHECK(!exact || device == "auto" || device == "cpu", "--exact is for --device cpu; '{}' has no choice of algorithms", device);
    LIMN_CHECK(gpu_may_be_used || settings == cuda::Settings{},
               "--precision and --autotune are for a GPU (--device cuda); '{}' computes in f32", device);
    if (exact) return backend_named("cpu-exact");
    if (device == "cuda") return cuda::backend(settings);
    if (device != "auto") return backend_named(device);
    std::string why = cuda::problem();
    try {
        if (why.empty()) return cuda::backend(settings);
    } catch (const Error& e) {  // it is there, but does not work
        why = e.what();
    }
    if (cuda::worth_a_word() || settings != cuda::Settings{}) note_that_cpu_is_used(why);
    return cpu_backend();
}

void add_device_options(CLI::App& command, DeviceOptions& o) {
    command.add_option("--device", o.device, "auto (a GPU if there is one), cpu, cuda or reference")->capture_default_str();
    command
        .add_option("--precision", o.precision,
                    "on a GPU: f32; tf32 (10 bits of mantissa in products, much faster); bf16 or fp16 (convolutions of 16-bit numbers)")
        ->capture_default_str();
    command.add_flag("--autotune", o.autotune, "on a GPU: time cuDNN's candidates for each convolution and keep the fastest");
    command.add_flag("--exact", o.exact, "on the cpu: only the definition's sums, no Winograd (slower)");
    command.add_option("--threads", o.threads, "default: the cores this process may use");
}

void add_source_options(CLI::App& command, ModelSource& source) {
    command.add_option("--config", source.config,
                       "for files with weights only: a .json, .h5 or .keras that holds the model's configuration");
    command
        .add_option_function<std::vector<std::string>>(
            "--lambda",
            [&source](const std::vector<std::string>& given) {
                for (const std::string& text : given) {
                    const auto colon = text.find(':');
                    LIMN_CHECK(colon != std::string::npos && colon > 0, "--lambda '{}': it should be like 'lambda_1: x/127.5 - 1'", text);
                    const auto formula = std::min(text.find_first_not_of(' ', colon + 1), text.size());
                    source.lambdas[text.substr(0, colon)] = text.substr(formula);
                }
            },
            "what a Lambda layer computes, since limn never runs the Python code in a file: 'lambda_1: x/127.5 - 1'")
        ->allow_extra_args(false);
    command.add_option("--arch", source.architecture, "for files with weights only: vgg16, vgg16-notop, vgg19, squeezenet...");
}

void add_model_options(CLI::App& command, Options& o) {
    add_source_options(command, o.source);
    add_device_options(command, o);
}

void add_image_options(CLI::App& command, Options& o) {
    command
        .add_option("-m,--model", o.source.model,
                    "a Keras file (.h5, .keras, .weights.h5) or a name: paws comes with limn, vgg16 after `limn fetch vgg16`")
        ->capture_default_str();
    add_model_options(command, o);
    command.add_option("--preprocess", o.preprocess, "auto, caffe, tf, torch, unit or raw (see `limn inspect`)")->capture_default_str();
    command.add_option("--size", o.size, "HxW, or native for networks of any size (default: the model's, else 224x224)");
    command
        .add_option("--resize", o.resize,
                    "nearest (as Keras's load_img), bilinear (as Pillow's) or auto: what the model's file says, else nearest")
        ->capture_default_str();
    command.add_option("--labels", o.labels, "a file with one class name a line");
    command
        .add_option("--input", o.inputs,
                    "NAME=FILE.npy, what the model's input NAME takes beside the photo: (1,...), or without the 1; the same for all photos")
        ->allow_extra_args(false);
    command.add_option("--question", o.question, "the words for the model's other input, with --vocabulary")->check(some_words);
    command.add_option("--vocabulary", o.vocabulary, "a file with one word a line; the first line is the word with the number 0");
    command.add_flag("--json", o.json, "print one JSON document on stdout and nothing else there");
}

std::vector<std::string> read_lines(const std::string& path) {
    const auto bytes = read_file(path, std::size_t(16) << 20);
    std::vector<std::string> lines(1);
    for (std::byte b : bytes) {
        const char c = static_cast<char>(b);
        if (c == '\n')
            lines.emplace_back();
        else if (c != '\r')
            lines.back() += c;
    }
    if (lines.back().empty()) lines.pop_back();
    return lines;
}

static std::vector<std::string> read_labels(const std::string& path) {
    const std::vector<std::string> lines = read_lines(path);
    LIMN_CHECK(!lines.empty(), "{}: holds no class names", path);
    return lines;
}

std::pair<Index, Index> parse_size(const std::string& text, const char* option) {
    Index h = 0, w = 0;
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, h);
    const bool separated = first.ec == std::errc() && first.ptr < end && *first.ptr == 'x';
    const auto second = separated ? std::from_chars(first.ptr + 1, end, w) : first;
    LIMN_CHECK(separated && second.ec == std::errc() && second.ptr == end && h >= 1 && w >= 1 && h <= 16384 && w <= 16384,
               "{} {}: should be HxW with sizes up to 16384, such as 224x224", option, text);
    return {h, w};
}

Resampling parse_resize(const std::string& text) {
    LIMN_CHECK(text == "nearest" || text == "bilinear", "--resize {}: nearest and bilinear are known", text);
    return text == "nearest" ? Resampling::nearest : Resampling::bilinear;
}

// Goes on with the cpu, if the user did not ask for anything else.
static void fall_back(Ready& ready, const Options& o, const OutOfMemory& problem) {
    if (o.device != "auto" || !ready.backend->device()) throw problem;
    note_that_cpu_is_used(problem.what());
    ready.loaded.model.move_to(nullptr);
    ready.backend = &cpu_backend();
}

void choose_methods(Request& request, const std::vector<std::string>& names, const Ready& ready) {
    const auto add = [&](const Method& method) {
        if (std::ranges::find(request.methods, method.name, &Method::name) == request.methods.end()) request.methods.push_back(method);
    };
    for (const std::string& name : names) {
        if (name != "all") {
            add(method_named(name));
            continue;
        }
        for (const Method& method : methods()) {
            Request alone = request;
            alone.methods = {method};
            try {
                Explainer(*ready.backend, ready.loaded.model, alone);
                add(method);
            } catch (const Error& e) {
                std::fprintf(stderr, "limn: note: %s is left out: %s\n", method.name.c_str(), e.what());
            }
        }
    }
    LIMN_CHECK(!request.methods.empty(), "no method applies to this model");
}

Explaining::Explaining(const Options& options, Ready& ready, Request request, Index top)
    : options_(options), ready_(ready), request_(std::move(request)), top_(top) {
    explainer_.emplace(*ready.backend, ready.loaded.model, request_, top);
}

std::vector<Explained> Explaining::operator()(const Tensor& images, const std::vector<Tensor>& photos,
                                              const std::vector<std::string>& targets) {
    explainer_->progress = progress;
    try {
        return (*explainer_)(images, photos, targets);
    } catch (const OutOfMemory& e) {
        fall_back(ready_, options_, e);
    }
    explainer_.emplace(*ready_.backend, ready_.loaded.model, request_, top_);
    explainer_->progress = progress;
    return (*explainer_)(images, photos, targets);
}

Ready prepare(const Options& o) {
    const std::int64_t start = now_ns();
    set_thread_count(o.threads);
    Ready ready;
    ready.loaded = load_model(o.source);  // tried in a child process first, which a GPU's driver would not like to be copied into
    ready.whole = ready.loaded.model;
    ready.loaded.model = holding_other_inputs(ready.whole, o);
    ready.backend = &o.backend();
    try {
        ready.loaded.model.move_to(ready.backend->device());
    } catch (const OutOfMemory& e) {
        fall_back(ready, o, e);
    }
    const Model& model = ready.loaded.model;
    if (!o.labels.empty()) ready.loaded.labels = read_labels(o.labels);
    const auto asked = [](const std::string& option, const std::string& stored) {
        return option == "auto" || option.empty() ? stored : option;
    };
    ready.preprocess = preprocess_of(ready.loaded);
    if (o.preprocess != "auto") {
        const Preprocess asked_for = preprocess_named(o.preprocess);
        if (asked_for != ready.preprocess.mode)
            std::fprintf(
                stderr,
                "limn: note: --preprocess %s was asked for; the model looks as if it wants %s (%s): wrong colours or scales spoil maps\n",
                o.preprocess.c_str(), std::string(name_of(ready.preprocess.mode)).c_str(), ready.preprocess.reason.c_str());
        ready.preprocess = {asked_for, "asked for"};
    }
    const Resampling resampling = parse_resize(asked(o.resize, ready.loaded.resize.empty() ? "nearest" : ready.loaded.resize));

    const Shape& input = model.node(model.inputs[0]).shape;
    LIMN_CHECK(input.rank() == 4 && (input[3] == 3 || input[3] == 1),
               "model '{}' takes {}, not photos with 1 or 3 channels: give arrays to `limn run`", model.name, input.str());
    PhotoInput& photo = ready.input;
    photo = {ready.preprocess.mode, std::max<Index>(0, input[1]), std::max<Index>(0, input[2]), resampling, int(input[3])};
    const auto side = [](Index v) { return v < 0 ? "any" : std::to_string(v); };
    const std::string size = asked(o.size, photo.fixed() ? "" : ready.loaded.size);
    if (size == "native") {
        LIMN_CHECK(!photo.fixed(), "--size native: model '{}' takes only {}x{}", model.name, input[1], input[2]);
    } else if (!size.empty()) {
        const auto [h, w] = parse_size(size);
        LIMN_CHECK((input[1] < 0 || input[1] == h) && (input[2] < 0 || input[2] == w), "--size {}: model '{}' takes only {}x{}", size,
                   model.name, side(input[1]), side(input[2]));
        photo.height = h, photo.width = w;
    } else {  // an open side
        photo.height = photo.height ? photo.height : 224, photo.width = photo.width ? photo.width : 224;
    }
    ready.load_ms = milliseconds_since(start);
    return ready;
}

void print_notes(const LoadedModel& loaded) {
    for (const std::string& note : loaded.notes) std::fprintf(stderr, "limn: note: %s\n", note.c_str());
}

Photo load_photo(const std::string& path, const Ready& ready) {
    Image image = read_image(path);
    Tensor input = ready.input(image);
    return {path, std::move(image), std::move(input)};
}

std::vector<std::string> all_images(const std::vector<std::string>& given, const std::vector<std::string>& no_photos) {
    std::vector<std::string> images;
    for (const std::string& path : given) {
        std::error_code ignored;
        if (!std::filesystem::is_directory(path, ignored)) {
            images.push_back(path);
            continue;
        }
        const std::size_t before = images.size();
        std::filesystem::recursive_directory_iterator entries(path, std::filesystem::directory_options::skip_permission_denied);
        for (auto it = begin(entries); it != end(entries); ++it) {
            const std::filesystem::directory_entry& entry = *it;
            const auto is_entry = [&](const std::string& folder) { return std::filesystem::equivalent(entry, folder, ignored); };
            if (entry.is_directory(ignored) && std::ranges::any_of(no_photos, is_entry)) it.disable_recursion_pending();
            std::string extension = entry.path().extension().string();
            std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return char(std::tolower(c)); });
            const bool picture = extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".bmp";
            if (picture && entry.is_regular_file(ignored)) images.push_back(entry.path().string());
        }
        LIMN_CHECK(images.size() > before, "{}: is a directory without pictures (.jpg, .jpeg, .png, .bmp)", path);
        std::sort(images.begin() + std::ptrdiff_t(before), images.end());
    }
    return images;
}

void print_throughput(std::size_t photos, std::int64_t begin_ns, double computing_ms) {
    if (photos < 2) return;
    const double seconds = milliseconds_since(begin_ns) / 1e3, count = double(photos);
    std::fprintf(stderr, "limn: %zu photos in %.2f s: %.1f photos/s; computing alone %.1f photos/s\n", photos, seconds, count / seconds,
                 count / computing_ms * 1e3);
}

Tensor stack(const std::vector<Photo>& photos) {
    const Shape shape = photos.at(0).input.shape();
    Tensor batch(shape.with(0, Index(photos.size())));
    for (std::size_t i = 0; i < photos.size(); i++)
        std::memcpy(batch.data() + Index(i) * shape.size(), photos[i].input.data(), std::size_t(shape.size()) * sizeof(float));
    return batch;
}

}  // namespace limn::cli
