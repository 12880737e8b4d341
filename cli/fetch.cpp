#include "weights/fetch.h"

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "view/terminal.h"

namespace limn::cli {

namespace {

struct FetchCommand {
    std::string name, mirror;
};

void fetch_named(const FetchCommand& o) {
    const Published* weights = find_published(o.name);
    if (!weights) {
        std::string known;
        for (const Published& p : published()) known += (known.empty() ? "" : ", ") + p.name;
        fail("'{}' is not published under a name limn knows; {} are", o.name, known);
    }
    std::unique_ptr<ProgressBar> bar;
    std::uint64_t expected = 0;
    FetchOptions options;
    options.mirror = o.mirror;
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
        if (!bar || total != expected) {  // a redirect's own few bytes come first
            bar = std::make_unique<ProgressBar>(total >> 20, "MB", stderr);
            expected = total;
        }
        bar->update(done >> 20);
    };
    const auto path = fetch(*weights, options);
    bar.reset();
    fmt::print("{}\n", path.string());
}

}  // namespace

void add_fetch(CLI::App& app) {
    CLI::App* command = app.add_subcommand("fetch", "Download published weights into the cache, verified");
    auto o = std::make_shared<FetchCommand>();
    command->add_option("name", o->name, "vgg16, vgg16-notop, vgg19 or vgg19-notop")->required();
    command->add_option("--mirror", o->mirror, "another address to get the file from (also LIMN_MIRROR)");
    command->footer(
        "The cache is $LIMN_CACHE, else ~/.cache/limn. A download that stopped goes on where it was.\nExample:\n  limn fetch vgg16");
    command->callback([o] { fetch_named(*o); });
}

}  // namespace limn::cli
