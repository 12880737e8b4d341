#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "weights/keras_writer.h"

namespace limn::cli {

namespace {

struct ConvertOptions {
    ModelSource source;
    std::string out;
    bool float16 = false;
};

void convert(const ConvertOptions& o) {
    const LoadedModel loaded = load_model(o.source);
    const auto say = [](const std::vector<std::string>& notes) {
        for (const std::string& note : notes) std::fprintf(stderr, "limn: note: %s\n", note.c_str());
    };
    say(loaded.notes);
    say(convert_model(o.out, loaded, o.float16 ? Precision::f16 : Precision::f32));
    fmt::print("wrote {}: {} layers, {} parameters, for Keras 3\n", o.out, loaded.model.nodes().size(), loaded.model.parameters());
}

}  // namespace

void add_convert(CLI::App& app) {
    CLI::App* command = app.add_subcommand("convert", "Write a model of any Keras as a file that today's Keras opens");
    auto o = std::make_shared<ConvertOptions>();
    command->add_option("model", o->source.model, "a Keras file or a name")->required();
    command->add_option("out", o->out, "the file to write: .h5 or .keras")->required();
    command->add_flag("--float16", o->float16, "in .h5: half the size; Keras and limn widen the numbers as they read");
    add_source_options(*command, o->source);
    command->footer(
        "Examples:\n"
        "  limn convert old.h5 new.keras\n"
        "  limn convert weights.h5 whole.h5 --config architecture.json\n"
        "  limn convert car.h5 car.keras --lambda 'lambda_1: x/127.5 - 1'");
    command->callback([o] { convert(*o); });
}

}  // namespace limn::cli
