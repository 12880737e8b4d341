// The command `limn`: one file a subcommand, thin. It reads arguments, calls the library, prints.
// Results go to stdout, notes and progress to stderr. Exit status: 0, or 2 with one line that says what is wrong.
#pragma once

#include <memory>
#include <string>
#include <vector>

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
struct Options {
    ModelSource source{"paws", "", ""};
    std::string device = "auto", preprocess = "auto", size, resize = "auto", labels;
    int threads = 0;
    bool json = false, exact = false;
    const Backend& backend() const;  // --device and --exact
};
void add_model_options(CLI::App& command, Options& options);
void add_image_options(CLI::App& command, Options& options);

// The model, ready to look at photos.
struct Ready {
    LoadedModel loaded;
    const Backend* backend;
    PreprocessChoice preprocess;
    PhotoInput input;  // how photos are made ready
    double load_ms = 0;
};
Ready prepare(const Options& options);
void print_notes(const LoadedModel& loaded);  // to stderr: what was inferred

struct Photo {
    std::string path;
    Image image;   // as it is
    Tensor input;  // as the model takes it: (1,h,w,c)
};
Photo load_photo(const std::string& path, const Ready& ready);
Tensor stack(const std::vector<Photo>& photos);  // (N,h,w,c)

std::pair<Index, Index> parse_size(const std::string& text);  // "128x96"
Resampling parse_resize(const std::string& text);             // "nearest", "bilinear"

double milliseconds_since(std::int64_t start_ns);
std::int64_t now_ns();

// ---- the subcommands: each adds itself with its options and what to call
void add_explain(CLI::App& app);
void add_predict(CLI::App& app);
void add_inspect(CLI::App& app);
void add_run(CLI::App& app);
void add_init(CLI::App& app);
void add_fetch(CLI::App& app);
void add_train(CLI::App& app);
void add_bench(CLI::App& app);

void print_plan(const Options& options, const LoadedModel& loaded);          // inspect --plan (plan.cpp)
Tensor planned_image(const Options& options, const LoadedModel& loaded);     // what is run to see the plan
void print_gpu_plan(const Options& options, const LoadedModel& loaded, int sm, const std::string& precision);  // gpu_plan.cpp

// What the user typed, for records: "limn train photos --base vgg16-notop"
const std::string& command_line();

}  // namespace limn::cli
