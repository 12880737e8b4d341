#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/error.h"

namespace limn::cli {

// One line that can be read, whatever a file's name or what stands in it.
static int complain(std::string text) {
    constexpr std::size_t longest = 1000;
    if (text.size() > longest) text.replace(longest, text.npos, "...");
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 32) c = ' ';
    std::fprintf(stderr, "limn: %s\n", text.c_str());
    return 2;
}

std::string json_text(const nlohmann::ordered_json& json) {
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

static std::string typed;
const std::string& command_line() { return typed; }

int run(const std::vector<std::string>& arguments) {
    CLI::App app{"limn opens a Keras CNN, runs it, and shows where it looked.", "limn"};
    app.set_version_flag("--version", "limn " LIMN_VERSION);
    app.require_subcommand(1);
    app.footer(
        "Examples:\n"
        "  limn fetch vgg16                                  download the published weights once\n"
        "  limn explain cat.jpg --model vgg16 --show         where did VGG16 look? (picture, JSON, terminal)\n"
        "  limn explain *.jpg --model my_model.h5 --method all --target top:3\n"
        "  limn inspect my_model.h5                          its layers, and where CAM and Grad-CAM apply\n"
        "Each command has its own --help.");
    add_explain(app);
    add_predict(app);
    add_inspect(app);
    add_run(app);
    add_init(app);
    add_convert(app);
    add_fetch(app);
    add_train(app);
    add_evaluate(app);
    add_bench(app);
    typed = "limn";
    for (const std::string& argument : arguments) typed += " " + argument;
    try {
        app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::Success& e) {  // --help, --version
        return app.exit(e);
    } catch (const CLI::ParseError& e) {
        return complain(std::string(e.what()) + " (see `limn --help`)");
    } catch (const Error& e) {
        return complain(e.what());
    } catch (const std::bad_alloc&) {
        return complain("out of memory");
    } catch (const std::system_error& e) {  // stdout on a full disk
        return complain(e.what());
    } catch (const std::exception& e) {
        return complain(std::string("something unforeseen: ") + e.what());
    }
    // A full disk may show only when the last of stdout is written.
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) return complain("the output cannot be written");
    return 0;
}

}  // namespace limn::cli
