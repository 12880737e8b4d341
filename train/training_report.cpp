#include "train/training_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "train/training_report_page.h"
#include "view/chart.h"
#include "view/html.h"

namespace limn {

using Json = nlohmann::ordered_json;

namespace {

constexpr Index longest_side = 192;  // of a picture in the page
constexpr std::string_view data_begin = "<script id=\"data\" type=\"application/json\">", data_end = "</script>";

// The data of an earlier page; empty if there is none, or if it is no such page.
Json data_of(const std::filesystem::path& file) {
    if (!std::filesystem::exists(file)) return {};
    const auto bytes = read_file(file, std::size_t(1) << 30);
    const std::string_view page(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t begin = page.find(data_begin), end = page.find(data_end, begin);
    if (begin == page.npos || end == page.npos) return {};
    const Json json = Json::parse(page.substr(begin + data_begin.size(), end - begin - data_begin.size()), nullptr, false);
    return json.is_object() && json.contains("epochs") && json.contains("images") ? json : Json();
}

std::string figure_of(double value) { return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-"; }
std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string table(const std::vector<std::pair<std::string, std::string>>& rows) {
    std::string html = "<table class=\"settings\">";
    for (const auto& [key, value] : rows)
        if (!value.empty()) html += "<tr><td>" + escaped(key) + "</td><td>" + escaped(value) + "</td></tr>\n";
    return html + "</table>\n";
}

std::string confusion_table(const std::vector<std::string>& labels, const std::vector<std::vector<std::int64_t>>& counts) {
    std::string html = "<div class=\"scroll\"><table><tr><th>is \\ taken for</th>";
    for (const std::string& label : labels) html += "<th>" + escaped(label) + "</th>";
    html += "<th>right</th></tr>\n";
    for (std::size_t i = 0; i < counts.size(); i++) {
        std::int64_t sum = 0;
        for (std::int64_t n : counts[i]) sum += n;
        html += "<tr><th>" + escaped(labels[i]) + "</th>";
        for (std::size_t j = 0; j < counts[i].size(); j++) {
            const double share = sum ? double(counts[i][j]) / double(sum) : 0;
            html += fmt::format("<td style=\"background: color-mix(in srgb, var({}) {:.0f}%, transparent)\">{}</td>",
                                i == j ? "--good" : "--two", 55 * share, counts[i][j]);
        }
        html += "<td>" + (sum ? percent(double(counts[i][i]) / double(sum)) : "-") + "</td></tr>\n";
    }
    return html + "</table></div>\n";
}

}  // namespace

struct TrainingReport::Data {
    Json epochs = Json::array(), images = Json::array();
    std::map<std::string, std::size_t> places;  // the same picture is kept once
};

TrainingReport::TrainingReport(std::filesystem::path file) : file_(std::move(file)), data_(std::make_unique<Data>()) {}
TrainingReport::~TrainingReport() = default;

void TrainingReport::on_train_begin(const Run& run) {
    run_ = run;
    if (!run.resumed()) return;
    const Json earlier = data_of(file_);
    if (earlier.is_null()) return;
    data_->images = earlier["images"];
    for (std::size_t i = 0; i < data_->images.size(); i++) data_->places.emplace(data_->images[i].get<std::string>(), i);
    for (const Json& epoch : earlier["epochs"])
        if (epoch.value("number", 0) < run.first_epoch) data_->epochs.push_back(epoch);
}

std::size_t TrainingReport::embed(const Image& picture) {
    const double factor = std::min(1.0, double(longest_side) / double(std::max(picture.height, picture.width)));
    const auto side = [&](Index full) { return std::max<Index>(1, std::llround(double(full) * factor)); };
    const Image small = factor < 1 ? resize(picture, side(picture.height), side(picture.width), Resampling::bilinear) : picture;
    const std::string uri = data_uri("image/jpeg", encode_jpeg(small));
    const auto [it, is_new] = data_->places.emplace(uri, data_->images.size());
    if (is_new) data_->images.push_back(uri);
    return it->second;
}

void TrainingReport::on_epoch_end(Epoch& epoch) {
    Json json{{"number", epoch.number}, {"scalars", Json::object()}, {"pictures", Json::object()}};
    for (const auto& [key, value] : epoch.scalars) json["scalars"][key] = std::isfinite(value) ? Json(value) : Json();
    for (const auto& [key, pictures] : epoch.pictures)
        for (const Picture& picture : pictures)
            json["pictures"][key].push_back({{"caption", picture.caption}, {"image", embed(picture.image)}});
    data_->epochs.push_back(json);
    write(nullptr);
}

void TrainingReport::on_train_end(const Outcome& outcome) {
    if (!data_->epochs.empty()) write(&outcome);
}

void TrainingReport::write(const Outcome* outcome) {
    const auto curve = [&](const char* name, const char* key) {
        Curve c{name, {}};
        for (const Json& epoch : data_->epochs) {
            const auto n = std::size_t(std::max(1, epoch.value("number", 1)));
            const Json& scalars = epoch["scalars"];
            if (n > 1000000) continue;
            c.y.resize(std::max(c.y.size(), n), NAN);
            if (scalars.contains(key) && scalars[key].is_number()) c.y[n - 1] = scalars[key].get<double>();
        }
        return c;
    };
    const Curve accuracy = curve("validation", "val_accuracy"), loss = curve("validation", "val_loss");
    int best = 0;
    for (std::size_t i = 0; i < accuracy.y.size(); i++) {
        const auto better = [&](std::size_t b) {
            return accuracy.y[i] > accuracy.y[b] || (accuracy.y[i] == accuracy.y[b] && loss.y[i] < loss.y[b]);
        };
        if (std::isfinite(accuracy.y[i]) && (best == 0 || better(std::size_t(best - 1)))) best = int(i) + 1;
    }
    const int last = data_->epochs.back()["number"];
    const auto at_best = [&](const Curve& c) { return best ? c.y[std::size_t(best - 1)] : NAN; };
    double seconds = 0;
    for (double s : curve("", "seconds").y)
        if (std::isfinite(s)) seconds += s;

    std::string body =
        "<h1>" + escaped(run_.name) + "</h1>\n<div class=\"soft\">" +
        (outcome ? fmt::format("{} epochs", last) : fmt::format("epoch {} of {}, running: reload to see more", last, run_.epochs)) +
        "</div>\n<ul class=\"figures\">";
    const auto headline = [&](const std::string& value, const char* what) { body += "<li><b>" + value + "</b>" + what + "</li>\n"; };
    headline(std::isfinite(at_best(accuracy)) ? percent(at_best(accuracy)) : "-", "best validation accuracy");
    headline(figure_of(at_best(loss)), "its validation loss");
    headline(std::to_string(best), "best epoch");
    headline(fmt::format("{:.0f}", curve("", "images_per_second").y.back()), "photos a second");
    headline(seconds < 120 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} min", seconds / 60), "in all");
    body += "</ul>\n<h2>Curves</h2>\n<div class=\"charts\">\n" + line_chart("accuracy", {curve("training", "accuracy"), accuracy}, best) +
            line_chart("loss", {curve("training", "loss"), loss}, best) + line_chart("learning rate", {curve("", "learning_rate")}, 0) +
            "</div>\n";

    const bool pictures = std::any_of(data_->epochs.begin(), data_->epochs.end(),
                                      [](const Json& e) { return e.contains("pictures") && !e["pictures"].empty(); });
    if (pictures)
        body +=
            "<h2>What it sees</h2>\n<div class=\"slider\"><output id=\"epoch\"></output><input id=\"slider\" type=\"range\" min=\"0\" "
            "value=\"0\" "
            "aria-label=\"epoch\"></div>\n<div class=\"photos\" id=\"photos\"></div>\n";
    if (outcome && !outcome->confusion.empty()) body += "<h2>Confusion</h2>\n" + confusion_table(run_.labels, outcome->confusion);
    if (outcome && !outcome->mistakes.empty()) {
        body += "<h2>Mistakes, the surest first</h2>\n<div class=\"photos\">\n";
        const auto cell = [&](const std::string& title, const Image& image) {
            const std::string uri = data_->images[embed(image)];
            return "<label>" + escaped(title) + "<img alt=\"" + escaped(title) + "\" src=\"" + uri + "\"></label>";
        };
        for (const Mistake& m : outcome->mistakes) {
            body += "<figure><div>" + cell("photo", m.photo);
            for (const Picture& map : m.maps)
                body += cell(map.caption == "cam" ? "CAM" : map.caption == "gradcam" ? "Grad-CAM" : map.caption, map.image);
            body += fmt::format("</div><figcaption>is {}, taken for {} {:.3f}<br><span>{}</span></figcaption></figure>\n", escaped(m.label),
                                escaped(m.predicted), m.score, escaped(m.path));
        }
        body += "</div>\n";
    }
    body += "<h2>Settings</h2>\n" + table(run_.config) + "<h2>Command</h2>\n<code>" + escaped(run_.command) + "</code>\n";

    std::string data = Json{{"epochs", data_->epochs}, {"images", data_->images}}.dump(-1, ' ', false, Json::error_handler_t::replace);
    for (std::size_t i = 0; (i = data.find("</", i)) != data.npos; i += 2) data.replace(i, 2, "<\\/");
    write_file(
        file_,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>" +
            escaped(run_.name) + "</title>\n<style>" + report_style + "</style></head>\n<body>\n" + body + std::string(data_begin) + data +
            std::string(data_end) + "\n<script>" + report_script + "</script>\n</body></html>\n");
}

}  // namespace limn
