// The command `limn`: one file a subcommand, thin. It reads arguments, calls the library, prints.
// Results go to stdout, notes and progress to stderr. Exit status: 0, or 2 with one line that says what is wrong.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cam/explain.h"
#include "view/photo.h"
#include "weights/model_file.h"
#include "weights/preprocessing.h"

namespace CLI {
class App;
}

namespace limn::cli {

// Runs `limn ARGUMENTS...` (without the program's name); the exit status.
int run(const std::vector<std::string>& arguments);

// ---- what subcommands that run a model share (options.cpp)
struct DeviceOptions {
    std::string device = "auto", precision = "f32";
    bool autotune = false, exact = false;
    int threads = 0;
    const Backend& backend() const;  // auto: a GPU if there is one that works, else the cpu, with a note if there is one that does not
};
void add_device_options(CLI::App& command, DeviceOptions& options);

struct Options : DeviceOptions {
    ModelSource source{"paws", "", ""};
    std::string preprocess = "auto", size, resize = "auto", labels;
    std::vector<std::string> inputs;          // NAME=FILE.npy: what the model takes beside the photo
    std::string words, question, vocabulary;  // or a sentence for it, and the file with its words
    bool json = false;
};
void add_source_options(CLI::App& command, ModelSource& source);
void add_model_options(CLI::App& command, Options& options);  // and the device's
void add_image_options(CLI::App& command, Options& options);
std::string some_words(const std::string& text);  // for an option that takes a sentence: what is wrong with it

// The model, ready to look at photos.
struct Ready {
    LoadedModel loaded;  // its model with the photo as its only input
    Model whole;         // with all inputs; the same weights
    const Backend* backend;
    PreprocessChoice preprocess;
    PhotoInput input;  // how photos are made ready
    double load_ms = 0;
};
Ready prepare(const Options& options);

// The model with the photo as its only input: the others hold what the options say, the same for all photos (beside_photo.cpp).
// said: of a caption (--words), the words of which the network is to predict the next one; else all of them.
Model holding_other_inputs(const Model& model, const Options& options, const Backend& backend = cpu_backend(),
                           std::optional<std::size_t> said = {});

// The methods of these names, each once; all: those that apply to the model and to the rest of the request, with a note about the others.
void choose_methods(Request& request, const std::vector<std::string>& names, const Ready& ready);

// An Explainer of batches. With --device auto, a GPU with too little memory is given up for the cpu, with a note.
class Explaining {
public:
    Explaining(const Options& options, Ready& ready, Request request, Index top);
    std::vector<Explained> operator()(const Tensor& images, const std::vector<Tensor>& photos = {},
                                      const std::vector<std::string>& targets = {});
    std::function<void(const Method& method, Index done, Index of)> progress;  // Explainer::progress

private:
    const Options& options_;
    Ready& ready_;
    Request request_;
    Index top_;
    std::optional<Explainer> explainer_;
};
void print_notes(const LoadedModel& loaded);  // to stderr: what was inferred

struct Photo {
    std::string path;
    Image image;   // as it is
    Tensor input;  // as the model takes it: (1,h,w,c)
};
// Folders stand for the pictures in them, by name; but for those in folders inside that hold no photos (masks, what limn wrote).
std::vector<std::string> all_images(const std::vector<std::string>& given, const std::vector<std::string>& no_photos = {});
Photo load_photo(const std::string& path, const Ready& ready);
// To stderr, for more than one photo: how many a second, from the first one's reading, and of the computing alone.
void print_throughput(std::size_t photos, std::int64_t begin_ns, double computing_ms);
Tensor stack(const std::vector<Photo>& photos);  // (N,h,w,c)

std::vector<std::string> read_lines(const std::string& path);                                // of a text file
std::pair<Index, Index> parse_size(const std::string& text, const char* option = "--size");  // "128x96"
Resampling parse_resize(const std::string& text);                                            // "nearest", "bilinear"

double milliseconds_since(std::int64_t start_ns);
std::int64_t now_ns();

// ---- the subcommands: each adds itself with its options and what to call
void add_explain(CLI::App& app);
void add_predict(CLI::App& app);
void add_inspect(CLI::App& app);
void add_run(CLI::App& app);
void add_init(CLI::App& app);
void add_convert(CLI::App& app);
void add_fetch(CLI::App& app);
void add_train(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_bench(CLI::App& app);

void print_plan(const Options& options, LoadedModel& loaded);                    // inspect --plan (plan.cpp)
Tensor planned_image(const Options& options, const LoadedModel& loaded);         // what is run to see the plan
void print_gpu_plan(const Options& options, const LoadedModel& loaded, int sm);  // on a GPU that need not be there (gpu_plan.cpp)

// For stdout and files: names of files can be any bytes, JSON holds UTF-8; other bytes become U+FFFD.
std::string json_text(const nlohmann::ordered_json& json);

// What the user typed, for records: "limn train photos --base vgg16-notop"
const std::string& command_line();

}  // namespace limn::cli
