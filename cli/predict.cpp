#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cam/explain.h"
#include "cli/cli.h"
#include "view/terminal.h"

namespace limn::cli {

namespace {

struct PredictOptions : Options {
    std::vector<std::string> images;
    Index top = 5;
};

void predict(const PredictOptions& o) {
    const std::vector<std::string> images = all_images(o.images);
    Ready ready = prepare(o);
    print_notes(ready.loaded);
    using Json = nlohmann::ordered_json;
    Json document{{"limn", LIMN_VERSION},
                  {"model", ready.loaded.file.string()},
                  {"preprocess", name_of(ready.preprocess.mode)},
                  {"images", Json::array()}};
    const std::size_t batch = ready.input.fixed() ? 8 : 1;
    ProgressBar bar(images.size() > 8 ? images.size() : 0, "predicting", stderr);
    Explaining explain(o, ready, {{}, {}, "auto", Score::logit, ready.loaded.labels}, o.top);  // scores only
    const std::int64_t begin = now_ns();
    double predicting_ms = 0;
    for (std::size_t first = 0; first < images.size(); first += batch) {
        std::vector<Photo> photos;
        for (std::size_t i = first; i < std::min(images.size(), first + batch); i++) photos.push_back(load_photo(images[i], ready));
        const std::int64_t start = now_ns();
        const std::vector<Explained> results = explain(stack(photos));
        predicting_ms += milliseconds_since(start);
        for (std::size_t i = 0; i < photos.size(); i++) {
            Json scores = Json::array();
            if (!o.json) fmt::print("{}\n", photos[i].path);
            for (const Prediction& p : results[i].predictions) {
                if (!o.json) fmt::print("  {:<24} {:.6f}\n", p.label, p.score);
                scores.push_back({{"index", p.index}, {"label", p.label}, {"score", p.score}, {"logit", p.logit}});
            }
            document["images"].push_back({{"image", photos[i].path}, {"predictions", scores}});
        }
        bar.update(first + photos.size());
    }
    bar.finish();
    print_throughput(images.size(), begin, predicting_ms);
    if (o.json) fmt::print("{}\n", json_text(document));
}

}  // namespace

void add_predict(CLI::App& app) {
    CLI::App* command = app.add_subcommand("predict", "What does the network see? The likeliest classes of each photo");
    auto o = std::make_shared<PredictOptions>();
    command->add_option("images", o->images, "photos (JPEG, PNG, BMP), or folders of them")->required();
    add_image_options(*command, *o);
    command->add_option("--top", o->top, "how many classes")->capture_default_str();
    command->footer("Example:\n  limn predict cat.jpg --model vgg16 --top 3");
    command->callback([o] { predict(*o); });
}

}  // namespace limn::cli
