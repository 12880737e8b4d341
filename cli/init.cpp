#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "engine/threads.h"
#include "weights/architectures/architectures.h"

namespace limn::cli {

namespace {

struct InitOptions {
    std::string architecture, out;
    bool no_top = false;
    std::uint64_t seed = 1;
    int threads = 0;
};

void init(const InitOptions& o) {
    set_thread_count(o.threads);
    const std::string name = o.architecture + (o.no_top ? "-notop" : "");
    const Architecture* architecture = find_architecture(name);
    LIMN_CHECK(architecture, "architecture '{}' is not known; vgg16, vgg19 and squeezenet are (with or without --no-top)", name);
    Model model = architecture->build();
    initialise(model, o.seed);
    save_weights(o.out, model);
    fmt::print("wrote {}: {}, {} parameters, seed {}\n", o.out, architecture->about, model.parameters(), o.seed);
}

}  // namespace

void add_init(CLI::App& app) {
    CLI::App* command = app.add_subcommand("init", "Write a network with seeded random weights, in the layout of the published files");
    auto o = std::make_shared<InitOptions>();
    command->add_option("architecture", o->architecture, "vgg16, vgg19 or squeezenet")->required();
    command->add_flag("--no-top", o->no_top, "without the classifier");
    command->add_option("--seed", o->seed, "the same seed gives the same file")->capture_default_str();
    command->add_option("-o,--out", o->out, "the file to write")->required();
    command->add_option("--threads", o->threads, "default: the cores this process may use");
    command->footer("Example:\n  limn init vgg16 --seed 1 -o vgg16.h5");
    command->callback([o] { init(*o); });
}

}  // namespace limn::cli
