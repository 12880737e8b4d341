#include "train/training_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "engine/file.h"
#include "train/training_report_page.h"
#include "view/chart.h"
#include "view/html.h"

namespace limn {

using Json = nlohmann::ordered_json;

// What the page's script reads, and what a resumed run reads back.
struct TrainingReport::Data {
    Json epochs = Json::array();
    std::vector<std::string> images;
    std::unordered_map<std::string, std::size_t> places;  // of the images: the same picture is kept once

    std::size_t place_of(const std::string& image) {
        const auto [it, is_new] = places.emplace(image, images.size());
        if (is_new) images.push_back(image);
        return it->second;
    }
};

namespace {

constexpr Index longest_side = 192;  // of a picture in the page
constexpr int jpeg_quality = 75;     // a fifth fewer bytes than 85
constexpr std::string_view data_begin = "<script id=\"data\" type=\"application/json\">", data_end = "</script>";

std::string thumbnail(const Image& picture) {
    const double factor = std::min(1.0, double(longest_side) / double(std::max(picture.height, picture.width)));
    const auto side = [&](Index full) { return std::max<Index>(1, std::llround(double(full) * factor)); };
    const Image small = factor < 1 ? resize(picture, side(picture.height), side(picture.width), Resampling::bilinear) : picture;
    return data_uri("image/jpeg", encode_jpeg(small, jpeg_quality));
}

// The data of an earlier page; null if there is none, or if it is no such page.
Json data_of(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return {};
    const auto bytes = read_file(file, std::size_t(1) << 30);
    const std::string_view page(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t begin = page.find(data_begin), end = page.find(data_end, begin);
    if (begin == page.npos || end == page.npos) return {};
    const Json json = Json::parse(page.substr(begin + data_begin.size(), end - begin - data_begin.size()), nullptr, false);
    return json.is_object() ? json : Json();
}

// One scalar of all epochs; NaN where an epoch has none.
Curve curve_of(const Json& epochs, const char* name, const char* key) {
    Curve curve{name, {}};
    for (const Json& epoch : epochs) {
        const Json& scalars = epoch["scalars"];
        const bool known = scalars.contains(key) && scalars[key].is_number();
        curve.set(std::size_t(std::max(1, epoch["number"].get<int>())), known ? scalars[key].get<double>() : NAN);
    }
    return curve;
}

// As the trainer chooses its best weights. 0 if no epoch has an accuracy.
int best_epoch(const Curve& accuracy, const Curve& loss) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < accuracy.y.size(); i++) {
        const auto better = [&](std::size_t b) { return is_better(accuracy.y[i], loss.y[i], accuracy.y[b], loss.y[b]); };
        if (std::isfinite(accuracy.y[i]) && (best == 0 || better(best - 1))) best = i + 1;
    }
    return int(best);
}

std::string percent(double share, int digits) { return std::isfinite(share) ? fmt::format("{:.{}f} %", 100 * share, digits) : "-"; }

std::string duration(double seconds) {
    if (seconds < 120) return fmt::format("{:.1f} s", seconds);
    const auto minutes = std::llround(seconds / 60);
    return minutes < 120 ? fmt::format("{} min", minutes) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string state_of(const Run& run, int last, const Outcome* outcome) {
    if (!outcome) return fmt::format("epoch {} of {}, running: reload to see more", last, run.epochs);
    if (outcome->exit_code > 128)
        return fmt::format("stopped by signal {} after epoch {} of {}", outcome->exit_code - 128, last, run.epochs);
    if (last < run.epochs) return fmt::format("stopped after epoch {} of {}", last, run.epochs);
    return last == 1 ? "1 epoch" : fmt::format("{} epochs", last);
}

std::string figures_and_curves(const Json& epochs, const Outcome* outcome) {
    const Curve accuracy = curve_of(epochs, "validation", "val_accuracy"), loss = curve_of(epochs, "validation", "val_loss");
    const Curve speed = curve_of(epochs, "", "images_per_second");
    int best = best_epoch(accuracy, loss);
    if (outcome && outcome->best_epoch > 0 && std::size_t(outcome->best_epoch) <= accuracy.y.size()) best = outcome->best_epoch;
    const auto at_best = [&](const Curve& curve) { return best ? curve.y[std::size_t(best - 1)] : NAN; };
    double seconds = 0;
    for (double s : curve_of(epochs, "", "seconds").y)
        if (std::isfinite(s)) seconds += s;

    std::string html = "<ul class=\"figures\">\n";
    const auto figure = [&](double value, const std::string& text, const char* what) {
        html += fmt::format("<li><b>{}</b>{}</li>\n", std::isfinite(value) ? text : "-", what);
    };
    figure(at_best(accuracy), percent(at_best(accuracy), 2), "best validation accuracy");
    figure(at_best(loss), fmt::format("{:.4g}", at_best(loss)), "its validation loss");
    figure(best ? best : NAN, std::to_string(best), "best epoch");
    figure(speed.y.back(), fmt::format("{:.0f}", speed.y.back()), "photos a second");
    figure(seconds, duration(seconds), "in all");
    html += "</ul>\n<h2>Curves</h2>\n<div class=\"charts\">\n";
    html += line_chart("accuracy", {curve_of(epochs, "training", "accuracy"), accuracy}, best);
    html += line_chart("loss", {curve_of(epochs, "training", "loss"), loss}, best);
    html += line_chart("learning rate", {curve_of(epochs, "", "learning_rate")}, 0) + "</div>\n";
    if (best) html += "<p class=\"soft\">The dashed line marks the best epoch.</p>\n";
    return html;
}

std::string gallery(const std::vector<Mistake>& mistakes) {
    const auto cell = [](const std::string& title, const Image& image) {
        return fmt::format("<div>{0}<img alt=\"{0}\" src=\"{1}\"></div>", escaped(title), thumbnail(image));
    };
    std::string html = "<h2>Mistakes, the surest first</h2>\n<div class=\"photos\">\n";
    for (const Mistake& m : mistakes) {
        html += "<figure><div class=\"row\">" + cell("photo", m.photo);
        for (const Picture& map : m.maps)
            html += cell(map.caption == "cam" ? "CAM" : map.caption == "gradcam" ? "Grad-CAM" : map.caption, map.image);
        html += fmt::format("</div><figcaption>is {}, taken for {} {:.3f}<br><span>{}</span></figcaption></figure>\n", escaped(m.label),
                            escaped(m.predicted), m.score, escaped(m.path));
    }
    return html + "</div>\n";
}

std::string confusion_table(const std::vector<std::string>& labels, const std::vector<std::vector<std::int64_t>>& counts) {
    const auto label = [&](std::size_t i) { return i < labels.size() ? escaped(labels[i]) : std::to_string(i); };
    std::string html = "<h2>Confusion</h2>\n<div class=\"scroll\"><table class=\"confusion\">\n<tr><th>is \\ taken for</th>";
    for (std::size_t j = 0; j < counts.size(); j++) html += "<th>" + label(j) + "</th>";
    html += "<th>photos</th></tr>\n";
    for (std::size_t i = 0; i < counts.size(); i++) {
        std::int64_t sum = 0;
        for (std::int64_t n : counts[i]) sum += n;
        html += "<tr><th>" + label(i) + "</th>";
        for (std::size_t j = 0; j < counts[i].size(); j++) {
            const double share = sum ? double(counts[i][j]) / double(sum) : 0;
            // The root, so that a few per cent of mistakes can be seen.
            html += fmt::format("<td style=\"background: color-mix(in srgb, var({}) {:.0f}%, transparent)\">{}<small>{}</small></td>",
                                i == j ? "--good" : "--two", 55 * std::sqrt(share), counts[i][j], sum ? percent(share, 1) : "-");
        }
        html += fmt::format("<td>{}</td></tr>\n", sum);
    }
    return html + "</table></div>\n";
}

std::string settings(const Run& run) {
    std::string html = "<h2>Settings</h2>\n<table class=\"settings\">\n";
    for (const auto& [key, value] : run.config)
        if (!value.empty()) html += "<tr><td>" + escaped(key) + "</td><td>" + escaped(value) + "</td></tr>\n";
    return html + "</table>\n<h2>Command</h2>\n<code>" + escaped(run.command) + "</code>\n";
}

}  // namespace

TrainingReport::TrainingReport(std::filesystem::path file) : file_(std::move(file)), data_(std::make_unique<Data>()) {}
TrainingReport::~TrainingReport() = default;

void TrainingReport::on_train_begin(const Run& run) {
    run_ = run;
    *data_ = {};
    if (!run.resumed()) return;
    try {
        const Json earlier = data_of(file_);
        if (earlier.is_null()) return;
        for (Json epoch : earlier.at("epochs")) {
            if (epoch.at("number").get<int>() >= run.first_epoch || !epoch.at("scalars").is_object()) continue;
            for (Json& pictures : epoch.at("pictures"))
                for (Json& picture : pictures)
                    picture.at("image") =
                        data_->place_of(earlier.at("images").at(picture.at("image").get<std::size_t>()).get<std::string>());
            data_->epochs.push_back(std::move(epoch));
        }
    } catch (const Json::exception&) {
        *data_ = {};  // a page of another program
    }
}

void TrainingReport::on_epoch_end(Epoch& epoch) {
    Json json{{"number", epoch.number}, {"scalars", Json::object()}, {"pictures", Json::object()}};
    for (const auto& [key, value] : epoch.scalars) json["scalars"][key] = std::isfinite(value) ? Json(value) : Json();
    for (const auto& [key, pictures] : epoch.pictures)
        for (const Picture& picture : pictures)
            json["pictures"][key].push_back({{"caption", picture.caption}, {"image", data_->place_of(thumbnail(picture.image))}});
    data_->epochs.push_back(std::move(json));
    write(nullptr);
}

void TrainingReport::on_train_end(const Outcome& outcome) {
    if (!data_->epochs.empty()) write(&outcome);
}

void TrainingReport::write(const Outcome* outcome) const {
    const Json& epochs = data_->epochs;
    std::string body = fmt::format("<h1>{}</h1>\n<p class=\"soft\">{}</p>\n", escaped(run_.name),
                                   state_of(run_, epochs.back()["number"].get<int>(), outcome));
    body += figures_and_curves(epochs, outcome);
    if (std::any_of(epochs.begin(), epochs.end(), [](const Json& epoch) { return !epoch["pictures"].empty(); })) body += report_slider;
    if (outcome && !outcome->mistakes.empty()) body += gallery(outcome->mistakes);
    if (outcome && !outcome->confusion.empty()) body += confusion_table(run_.labels, outcome->confusion);
    body += settings(run_);

    // Inside a script "<" would be an end or a comment to the browser, whatever the quotes around it.
    std::string data = Json{{"epochs", epochs}, {"images", data_->images}}.dump(-1, ' ', false, Json::error_handler_t::replace);
    for (std::size_t i = 0; (i = data.find('<', i)) != data.npos;) data.replace(i, 1, "\\u003c");
    write_file(file_, fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                  "<meta name=\"viewport\" content=\"width=device-width\"><title>{}</title>\n"
                                  "<style>{}</style></head>\n<body>\n{}{}{}{}\n<script>{}</script>\n</body></html>\n",
                                  escaped(run_.name), report_style, body, data_begin, data, data_end, report_script));
}

}  // namespace limn
