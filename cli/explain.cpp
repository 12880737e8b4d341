#include "cam/explain.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "engine/file.h"
#include "view/colormap.h"
#include "view/image.h"
#include "view/report.h"
#include "view/terminal.h"
#include "weights/npy.h"

namespace limn::cli {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

struct ExplainOptions : Options {
    std::vector<std::string> images;
    std::vector<std::string> methods{"grad-cam"}, layers{"auto"}, save{"png", "json"};
    std::string target = "auto", score = "logit", out = "limn-out", style = "article", colormap = "jet", normalize = "max";
    float threshold = 0.2f, alpha = 0.5f;
    Index top = 5;
    bool show = false;
};

bool wants(const ExplainOptions& o, const char* kind) { return std::find(o.save.begin(), o.save.end(), kind) != o.save.end(); }

std::vector<int> chosen_layers(const Model& model, const std::vector<std::string>& names) {
    std::vector<int> layers;
    for (const std::string& name : names) {
        if (name == "all") {
            for (int layer : convolutions(model)) layers.push_back(layer);
        } else {
            layers.push_back(name == "auto" ? default_layer(model) : model.find(name));
        }
    }
    LIMN_CHECK(!layers.empty(), "the model has no convolution to look at");
    return layers;
}

std::vector<Method> chosen_methods(const Model& model, const std::vector<std::string>& names) {
    std::vector<Method> chosen;
    for (const std::string& name : names) {
        if (name != "all") {
            chosen.push_back(method_named(name));
            continue;
        }
        std::string reason;
        const bool cam_applies = find_cam_head(model, find_head(model), reason).has_value();
        for (const Method& method : methods())
            if (method.name != "cam" || cam_applies) chosen.push_back(method);
        if (!cam_applies) std::fprintf(stderr, "limn: note: CAM is left out: %s\n", reason.c_str());
    }
    return chosen;
}

std::string file_part(std::string name) {
    for (char& c : name)
        if (c == '/' || c == '\\' || c == ' ' || c == ':' || static_cast<unsigned char>(c) < 32) c = '_';
    return name;
}

// A name of its own for each image of a call, also when two folders hold a cat.jpg.
std::string image_name(const std::string& path, std::map<std::string, int>& used) {
    const std::string stem = file_part(fs::path(path).stem().string());
    const int count = ++used[stem];
    return count == 1 ? stem : fmt::format("{}-{}", stem, count);
}

Json json_of(const Prediction& p) { return {{"index", p.index}, {"label", p.label}, {"score", p.score}, {"logit", p.logit}}; }

class ExplainCommand {
public:
    explicit ExplainCommand(const ExplainOptions& o) : o_(o), ready_(prepare(o)), model_(ready_.loaded.model) {
        print_notes(ready_.loaded);
        request_ = {chosen_methods(model_, o.methods), chosen_layers(model_, o.layers), o.target, Score::logit, ready_.loaded.labels};
        LIMN_CHECK(o.score == "logit" || o.score == "output", "--score {}: logit and output are known", o.score);
        request_.score = o.score == "output" ? Score::output : Score::logit;
        for (const std::string& kind : o.save)
            LIMN_CHECK(kind == "png" || kind == "npy" || kind == "json" || kind == "html", "--save {}: png, npy, json and html are known",
                       kind);
        LIMN_CHECK(o.style == "article" || o.style == "blend", "--style {}: article and blend are known", o.style);
        const Paint paint{o.style == "blend" ? Paint::Mode::blend : Paint::Mode::article, o.threshold, o.alpha};
        request_.drawing = {normalize_named(o.normalize), paint, colour_table(colormap_from_name(o.colormap))};
        if (o.layers == std::vector<std::string>{"auto"})
            std::fprintf(stderr, "limn: looking at layer %s\n", model_.node(request_.layers[0]).name.c_str());
    }

    void run() {
        make_folder(o_.out);
        Explaining explain(o_, ready_, request_, o_.top);
        const std::size_t batch = ready_.input.height ? 8 : 1;  // photos of their own sizes cannot share a tensor
        ProgressBar bar(o_.images.size() > 1 ? o_.images.size() : 0, "explaining", stderr);
        Json document{{"limn", LIMN_VERSION}, {"model", ready_.loaded.file.string()}, {"images", Json::array()}};
        for (std::size_t first = 0; first < o_.images.size(); first += batch) {
            std::vector<Photo> photos;
            std::vector<Tensor> pixels;
            for (std::size_t i = first; i < std::min(o_.images.size(), first + batch); i++) {
                photos.push_back(load_photo(o_.images[i], ready_));
                pixels.push_back(bytes_of(photos.back().image));
            }
            const std::int64_t start = now_ns();
            const std::vector<Explained> results = explain(stack(photos), pixels);
            const double ms = milliseconds_since(start) / double(photos.size());
            for (std::size_t i = 0; i < photos.size(); i++) document["images"].push_back(report(photos[i], results[i], ms));
            bar.update(first + photos.size());
        }
        bar.finish();
        if (o_.json) fmt::print("{}\n", document.dump(2));
    }

private:
    // Writes the files of one image, prints what is to be printed, and returns its JSON.
    Json report(const Photo& photo, const Explained& result, double ms) {
        const std::string name = image_name(photo.path, used_names_);
        const Image& image = photo.image;
        Json json{{"image", photo.path}, {"width", image.width}, {"height", image.height}, {"predictions", Json::array()}};
        for (const Prediction& p : result.predictions) json["predictions"].push_back(json_of(p));
        json["preprocess"] = name_of(ready_.preprocess.mode);
        json["input_size"] = {photo.input.shape()[1], photo.input.shape()[2]};
        json["score"] = o_.score;
        json["maps"] = Json::array();
        json["timings_ms"] = {{"load_model", ready_.load_ms}, {"explain", ms}};
        if (!o_.json) print(photo.path, result);

        std::vector<ReportPicture> pictures;
        for (const Map& map : result.maps) {
            std::string base = fmt::format("{}.{}.{}", name, map.method, file_part(model_.node(map.layer).name));
            if (o_.target != "auto") base += "." + file_part(map.target.label);
            json["maps"].push_back(write(map, base, pictures));
        }
        if (wants(o_, "html")) {
            const fs::path path = fs::path(o_.out) / (name + ".html");
            std::vector<std::string> lines;
            for (const Prediction& p : result.predictions) lines.push_back(fmt::format("{} {:.4f}", p.label, p.score));
            write_file(path, html_report(photo.path, model_.name, image, lines, pictures));
            json["files"].push_back(path.string());
        }
        if (wants(o_, "json")) {
            const fs::path path = fs::path(o_.out) / (name + ".json");
            write_file(path, json.dump(2) + "\n");
            if (!o_.json) fmt::print("  wrote {}\n", path.string());
        }
        return json;
    }

    Json write(const Map& map, const std::string& base, std::vector<ReportPicture>& pictures) {
        const MapStatistics& s = map.stats;
        Json json{{"method", map.method}, {"variant", map.variant}, {"layer", model_.node(map.layer).name}};
        json["target"] = {{"index", map.target.index}, {"label", map.target.label}, {"sign", map.target.sign}};
        json["shape"] = {map.raw.shape()[0], map.raw.shape()[1]};
        json["statistics"] = {
            {"min", s.min}, {"max", s.max}, {"mean", s.mean}, {"negative", s.negative}, {"peak", {s.peak_row, s.peak_column}}};
        json["conventions"] = {{"normalize", o_.normalize}, {"upsampling", "half-pixel bilinear"}, {"style", o_.style},
                               {"colormap", o_.colormap},   {"threshold", o_.threshold},           {"alpha", o_.alpha}};
        json["boxes"] = Json::array();
        for (const Box& box : bounding_boxes(map.drawn->heat, o_.threshold))
            json["boxes"].push_back(
                {{"left", box.left}, {"top", box.top}, {"right", box.right}, {"bottom", box.bottom}, {"peak", box.peak}});
        json["diagnostics"] = map.diagnostics;
        json["files"] = Json::array();

        const Image picture = image_of(map.drawn->picture);
        const auto keep = [&](const char* extension, auto write) {
            const fs::path path = fs::path(o_.out) / (base + extension);
            write(path);
            json["files"].push_back(path.string());
            if (!o_.json) fmt::print("  wrote {}\n", path.string());
        };
        if (wants(o_, "png")) keep(".png", [&](const fs::path& path) { write_png(path, picture); });
        if (wants(o_, "npy")) keep(".npy", [&](const fs::path& path) { write_npy(path, map.raw); });
        if (wants(o_, "html"))
            pictures.push_back(
                {fmt::format("{} at {}: {}", map.method, model_.node(map.layer).name, map.target.label), picture, map.diagnostics});
        if (o_.show && !o_.json) fmt::print("{}", terminal_picture(picture, 64));
        for (const std::string& d : map.diagnostics)
            std::fprintf(stderr, "limn: %s.%s: %s\n", map.method.c_str(), model_.node(map.layer).name.c_str(), d.c_str());
        return json;
    }

    void print(const std::string& path, const Explained& result) const {
        fmt::print("{}\n", path);
        for (const Prediction& p : result.predictions) fmt::print("  {:<24} {:.4f}\n", p.label, p.score);
    }

    const ExplainOptions& o_;
    Ready ready_;
    const Model& model_;
    Request request_;
    std::map<std::string, int> used_names_;
};

}  // namespace

void add_explain(CLI::App& app) {
    CLI::App* command = app.add_subcommand("explain", "Show where the network looked: CAM, Grad-CAM and their family");
    auto o = std::make_shared<ExplainOptions>();
    command->add_option("images", o->images, "photos (JPEG, PNG, BMP)")->required();
    add_image_options(*command, *o);
    command->add_option("--method", o->methods, "grad-cam, cam, hirescam, grad-cam++, xgrad-cam, layercam or all")->delimiter(',')->capture_default_str();
    command->add_option("--layer", o->layers, "auto (the last with a spatial map), all (every convolution) or names")
        ->delimiter(',')
        ->capture_default_str();
    command->add_option("--target", o->target, "auto (the winning class), an index, a label or top:K")->capture_default_str();
    command->add_option("--score", o->score, "explain the logit or the output (after softmax or sigmoid)")->capture_default_str();
    command->add_option("--top", o->top, "how many predictions to print")->capture_default_str();
    command->add_option("--save", o->save, "png, npy (the raw signed map), json, html")->delimiter(',')->capture_default_str();
    command->add_option("--out", o->out, "folder for the files")->capture_default_str();
    command->add_option("--style", o->style, "article (0.5*heat + photo, cold parts left out) or blend")->capture_default_str();
    command->add_option("--colormap", o->colormap, "jet, viridis, inferno, grey or diverging")->capture_default_str();
    command->add_option("--threshold", o->threshold, "below this share of the largest value nothing is coloured")->capture_default_str();
    command->add_option("--alpha", o->alpha, "strength of the colours")->capture_default_str();
    command->add_option("--normalize", o->normalize, "max, minmax or none")->capture_default_str();
    command->add_flag("--show", o->show, "show the picture in the terminal, too");
    command->footer(
        "Examples:\n"
        "  limn explain cat.jpg --model vgg16\n"
        "  limn explain cat.jpg --model vgg16 --layer all --target tabby --save png,npy\n"
        "  limn explain photos/*.jpg --model mobilenet.h5 --method cam,grad-cam --json > maps.json");
    command->callback([o] { ExplainCommand(*o).run(); });
}

}  // namespace limn::cli
