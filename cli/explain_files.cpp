#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/explain.h"
#include "engine/digest.h"
#include "engine/file.h"
#include "engine/threads.h"
#include "view/compat.h"
#include "view/contact_sheet.h"
#include "view/image.h"
#include "view/overlay.h"
#include "view/report.h"
#include "view/terminal.h"
#include "weights/npy.h"

namespace limn::cli {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::string file_part(std::string name) {
    for (char& c : name)
        if (c == '/' || c == '\\' || c == ' ' || c == ':' || static_cast<unsigned char>(c) < 32) c = '_';
    return name;
}

// A name of its own for each image of a call, also when two folders hold a cat.jpg.
std::string image_name(const std::string& path, std::map<std::string, int>& used) {
    const std::string stem = file_part(fs::path(path).stem().string());
    int& count = used[stem];
    std::string name = stem;
    if (count++ > 0)  // a photo may be called cat-2 already
        for (; used.contains(name); count++) name = fmt::format("{}-{}", stem, count);
    used.try_emplace(name, 1);
    return name;
}

Json json_of(const Prediction& p) { return {{"index", p.index}, {"label", p.label}, {"score", p.score}, {"logit", p.logit}}; }

Json json_of(const SaidWord& w) {
    return {{"word", w.word},
            {"index", w.index},
            {"probability", w.probability},
            {"likeliest", w.likeliest},
            {"its_probability", w.its_probability}};
}

Json json_of(const Target& target) {
    Json json{{"index", target.index}, {"label", target.label}, {"sign", target.sign}};
    for (const Term& term : target.terms) {
        Json element = Json::array();  // 4, or [4,9] for 4 to 8, or [4,-1] for all from 4 on
        for (const Slice& at : term.at) element.push_back(at.single() ? Json(at.first) : Json{at.first, at.last});
        json["terms"].push_back({{"element", element}, {"weight", term.weight}});
    }
    return json;
}

// What was said about the model beside its file, and what it takes beside the photo.
Json given_beside(const Options& o) {
    const auto file = [](const std::string& path) { return Json{{"file", path}, {"sha256", digest_of_file("sha256", path)}}; };
    Json json = Json::object();
    if (!o.source.config.empty()) json["config"] = file(o.source.config);
    if (!o.source.architecture.empty()) json["arch"] = o.source.architecture;
    for (const auto& [layer, formula] : o.source.lambdas) json["lambda"][layer] = formula;
    for (const std::string& input : o.inputs) json["inputs"][input.substr(0, input.find('='))] = file(input.substr(input.find('=') + 1));
    if (!o.question.empty()) json["question"] = o.question;
    if (!o.words.empty()) json["words"] = o.words;
    if (!o.vocabulary.empty()) json["vocabulary"] = file(o.vocabulary);
    return json;
}

std::string digest_of_numbers(const Tensor& map) { return digest_of("sha256", std::as_bytes(map.values())); }

}  // namespace

// What goes onto one photo's page and contact sheet.
struct ExplainFiles::Page {
    std::vector<ReportPicture> pictures;
    std::vector<Labelled> sheet;
};

ExplainFiles::ExplainFiles(const ExplainOptions& options, const Ready& ready) : o_(options), ready_(ready) {
    make_folder(o_.out);
    if (!o_.wants("json") && !o_.json) return;
    model_digest_ = std::async(std::launch::async, [file = ready.loaded.file] { return digest_of_file("sha256", file); });
    given_ = given_beside(o_);
}

std::string ExplainFiles::layer_name(const Map& map) const {
    return map.layer == fused_layers ? "fused" : ready_.loaded.model.node(map.layer).name;
}

// How a map becomes a picture.
Json ExplainFiles::conventions() const {
    if (!o_.compat.empty()) return {{"compat", o_.compat}};
    return {{"normalize", o_.normalize},
            {"order", "normalize, then enlarge"},
            {"upsampling", "half-pixel bilinear"},
            {"style", o_.style},
            {"colormap", o_.colormap},
            {"threshold", o_.threshold},
            {"alpha", o_.alpha},
            {"fusion", o_.fuse.empty() ? "none" : o_.fuse}};
}

// Everything that the maps depend on.
Json ExplainFiles::manifest(const Photo& photo) const {
    Json json{
        {"limn", LIMN_VERSION},
        {"backend", ready_.backend->name()},
        {"threads", thread_count()},
        {"model", {{"file", ready_.loaded.file.string()}, {"sha256", model_digest_.get()}, {"keras_version", ready_.loaded.keras_version}}},
        {"image", {{"file", photo.path}, {"sha256", digest_of("sha256", std::as_bytes(std::span(photo.image.rgb)))}, {"of", "RGB pixels"}}},
        {"input",
         {{"preprocess", name_of(ready_.preprocess.mode)},
          {"because", ready_.preprocess.reason},
          {"size", {photo.input.shape()[1], photo.input.shape()[2]}},
          {"resize", ready_.input.resampling == Resampling::nearest ? "nearest" : "bilinear"},
          {"sha256", digest_of_numbers(photo.input)}}},
        {"score", o_.score},
        {"seed", o_.seed},
        {"samples", o_.samples ? Json(o_.samples) : Json("each method's own")},
        {"maps", "raw: signed float32 at the layer's resolution, before ReLU and normalisation; sha256 of the numbers in the .npy"},
        {"picture", conventions()}};
    if (!given_.empty()) json["given"] = given_;
    return json;
}

Json ExplainFiles::write(const Photo& photo, const Explained& result, const std::vector<std::vector<Evidence>>& evidence, double ms,
                         const std::vector<SaidWord>& words) {
    const std::string name = image_name(photo.path, used_names_);
    const Image& image = photo.image;
    Json json{{"image", photo.path}, {"width", image.width}, {"height", image.height}, {"predictions", Json::array()}};
    for (const Prediction& p : result.predictions) json["predictions"].push_back(json_of(p));
    json["preprocess"] = name_of(ready_.preprocess.mode);
    json["input_size"] = {photo.input.shape()[1], photo.input.shape()[2]};
    json["score"] = o_.score;
    json["maps"] = Json::array();
    json["files"] = Json::array();
    json["timings_ms"] = {{"load_model", ready_.load_ms}, {"explain", ms}};
    if (!o_.json) {
        fmt::print("{}\n", photo.path);
        for (const SaidWord& w : words)
            fmt::print("  {:<24} {:.4f}{}\n", w.word, w.probability,
                       w.word == w.likeliest ? "" : fmt::format("  (likeliest: {} {:.4f})", w.likeliest, w.its_probability));
        if (words.empty())
            for (const Prediction& p : result.predictions) fmt::print("  {:<24} {:.4f}\n", p.label, p.score);
    }
    for (const SaidWord& w : words) json["words"].push_back(json_of(w));

    Page page;
    for (std::size_t i = 0; i < result.maps.size(); i++) {
        const Map& map = result.maps[i];
        std::string base = fmt::format("{}.{}.{}", name, map.method, file_part(layer_name(map)));
        if (o_.target != "auto" || !words.empty() || result.targets.size() > 1) base += "." + file_part(map.target.label);
        const auto of_this_name = std::ranges::count(result.targets, map.target.label, &Target::label);
        if (of_this_name > 1) base += fmt::format("-{}", map.target.index);  // ImageNet has two kinds of crane
        json["maps"].push_back(write(photo, map, evidence.empty() ? std::vector<Evidence>{} : evidence[i], base, page));
    }
    const auto keep = [&](const std::string& extension, auto write_to) {
        const fs::path path = fs::path(o_.out) / (name + extension);
        write_to(path);
        json["files"].push_back(path.string());
        if (!o_.json) fmt::print("  wrote {}\n", path.string());
    };
    for (std::size_t first = 0; o_.wants("png") && !words.empty() && first < page.sheet.size(); first += words.size()) {
        std::vector<Labelled> strip{{"photo", image}};
        for (std::size_t i = 0; i < words.size(); i++)
            strip.push_back({fmt::format("{} {:.2f}", words[i].word, words[i].probability), page.sheet[first + i].picture});
        const Index count = Index(strip.size());
        keep(fmt::format(".{}.{}.words.png", result.maps[first].method, file_part(layer_name(result.maps[first]))),
             [&](const fs::path& path) {
                 write_png(path, contact_sheet(strip, count <= 8 ? count : (count + 1) / 2, 128, LabelPlace::below));
             });
    }
    if (o_.wants("png") && words.empty() && page.sheet.size() >= 4) {
        page.sheet.insert(page.sheet.begin(), {result.predictions.empty() ? "photo" : "photo: " + result.predictions[0].label, image});
        keep(".sheet.png", [&](const fs::path& path) { write_png(path, contact_sheet(page.sheet)); });
    }
    if (o_.wants("html")) {
        std::vector<std::string> lines;
        for (const Prediction& p : result.predictions) lines.push_back(fmt::format("{} {:.4f}", p.label, p.score));
        keep(".html", [&](const fs::path& path) {
            write_file(path, html_report(photo.path, ready_.loaded.model.name, image, lines, page.pictures));
        });
    }
    if (model_digest_.valid()) json["manifest"] = manifest(photo);
    if (o_.wants("json")) {
        const fs::path path = fs::path(o_.out) / (name + ".json");
        json["files"].push_back(path.string());
        write_file(path, json_text(json) + "\n");
        if (!o_.json) fmt::print("  wrote {}\n", path.string());
    }
    return json;
}

Json ExplainFiles::write(const Photo& photo, const Map& map, const std::vector<Evidence>& evidence, const std::string& base, Page& page) {
    const MapStatistics& s = map.stats;
    Json json{{"method", map.method}, {"variant", map.variant}, {"layer", layer_name(map)}};
    json["target"] = json_of(map.target);
    json["shape"] = {map.raw.shape()[0], map.raw.shape()[1]};
    json["statistics"] = {
        {"min", s.min}, {"max", s.max}, {"mean", s.mean}, {"negative", s.negative}, {"peak", {s.peak_row, s.peak_column}}};
    json["sha256"] = digest_of_numbers(map.raw);
    json["conventions"] = conventions();
    // in the signed view 0.5 is nothing
    const float threshold = o_.normalize == "signed" ? 0.5f + o_.threshold / 2 : o_.threshold;
    const std::vector<Box> boxes = bounding_boxes(map.drawn->heat, threshold, o_.boxes == "all");
    json["boxes"] = Json::array();
    for (const Box& box : boxes)
        json["boxes"].push_back({{"left", box.left}, {"top", box.top}, {"right", box.right}, {"bottom", box.bottom}, {"peak", box.peak}});
    json["diagnostics"] = map.diagnostics;
    json["files"] = Json::array();
    std::string verdict;
    for (const Evidence& e : evidence) {
        json["verification"].push_back(
            {{"check", e.check}, {"passed", e.passed}, {"found", e.found}, {"limit", e.limit}, {"compared", e.text}});
        verdict +=
            fmt::format("{}{} {:.2g} (<= {:.2g}){}", verdict.empty() ? "" : ", ", e.check, e.found, e.limit, e.passed ? "" : " FAILED");
    }
    if (!verdict.empty())
        std::fprintf(o_.json ? stderr : stdout, "  %s %s at %s: %s\n", std::ranges::all_of(evidence, &Evidence::passed) ? "PASS" : "FAIL",
                     map.method.c_str(), layer_name(map).c_str(), verdict.c_str());

    Image picture = o_.compat.empty() ? image_of(map.drawn->picture) : compat_picture(compat_named(o_.compat), map.raw, photo.image);
    if (o_.boxes != "none")
        for (const Box& box : boxes) draw_box(picture, box.top, box.left, box.bottom, box.right, {255, 255, 255});
    const auto keep = [&](const char* extension, auto write_to) {
        const fs::path path = fs::path(o_.out) / (base + extension);
        write_to(path);
        json["files"].push_back(path.string());
        if (!o_.json) fmt::print("  wrote {}\n", path.string());
    };
    if (o_.wants("png")) keep(".png", [&](const fs::path& path) { write_png(path, picture); });
    if (o_.wants("npy")) keep(".npy", [&](const fs::path& path) { write_npy(path, map.raw); });
    const std::string caption = fmt::format("{} at {}: {}", map.method, layer_name(map), map.target.label);
    if (o_.wants("html")) page.pictures.push_back({caption, picture, map.diagnostics});
    if (o_.show && !o_.json) fmt::print("{}", terminal_picture(picture, 64));
    page.sheet.push_back({caption, std::move(picture)});
    for (const std::string& d : map.diagnostics)
        std::fprintf(stderr, "limn: %s.%s: %s\n", map.method.c_str(), layer_name(map).c_str(), d.c_str());
    return json;
}

}  // namespace limn::cli
