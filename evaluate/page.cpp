#include "evaluate/page.h"

#include <algorithm>

#include "view/html.h"

namespace limn {

const Metric* ranking_metric(const std::vector<Metric>& columns) {
    for (const char* id : {"ap", "energy", "iou-15", "drop", "road", "insertion"})  // numbers that differ from photo to photo
        for (const Metric& metric : columns)
            if (metric.id == id) return &metric;
    return nullptr;
}

Extremes extremes_of(const std::vector<PhotoRecord>& records, const std::string& method, const Metric& metric, std::size_t count) {
    std::vector<std::pair<std::string, double>> list;
    for (const PhotoRecord& record : records)
        for (const auto& [name, rating] : record.maps)
            if (const auto found = rating.numbers.find(metric.id); name == method && found != rating.numbers.end())
                list.emplace_back(record.photo, found->second);
    std::stable_sort(list.begin(), list.end(),
                     [&](const auto& a, const auto& b) { return metric.higher_is_better ? a.second > b.second : a.second < b.second; });
    const std::size_t best = std::min(count, (list.size() + 1) / 2), worst = std::min(count, list.size() - best);
    return {{list.begin(), list.begin() + std::ptrdiff_t(best)}, {list.rbegin(), list.rbegin() + std::ptrdiff_t(worst)}};
}

static constexpr const char* style = R"css(
:root { color-scheme: light dark; --ink: #1c2026; --soft: #626a76; --line: #e3e6ea; --page: #fff; --card: #f6f7f9; --good: #1a7f4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #9aa3ae; --line: #343a42; --page: #15181c; --card: #1d2126; --good: #5fd699; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.7rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 3rem 0 1rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; font-weight: 500; color: var(--soft); }
.soft, small { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .9rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; position: sticky; left: 0; background: var(--page); }
small { display: block; font-size: .75rem; }
.best { color: var(--good); font-weight: 600; }
tr.baseline { color: var(--soft); }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.photos { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); }
figure { margin: 0; background: var(--card); border-radius: .6rem; padding: .6rem; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; display: block; }
figcaption { margin-top: .4rem; font-size: .85rem; overflow-wrap: anywhere; }
)css";

static std::string figures(const std::string& heading, const std::vector<Exhibit>& list) {
    if (list.empty()) return "";
    std::string text = "<h3>" + heading + "</h3>\n<div class=\"photos\">\n";
    for (const Exhibit& e : list)
        text += fmt::format("<figure><img alt=\"{0}\" src=\"{1}\"><figcaption>{0}</figcaption></figure>\n", escaped(e.caption),
                            data_uri("image/jpeg", encode_jpeg(e.picture)));
    return text + "</div>\n";
}

static std::string table_html(const Table& table) {
    std::string text = "<div class=\"scroll\"><table>\n<tr><th></th>";
    for (const Metric& m : table.columns)
        text += fmt::format("<th title=\"{}\">{}{}<small>{} is better</small></th>", escaped(m.what), m.id, m.percent ? " %" : "",
                            m.higher_is_better ? "higher" : "lower");
    text += "</tr>\n";
    for (std::size_t r = 0; r < table.rows.size(); r++) {
        const Table::Row& row = table.rows[r];
        text += fmt::format("<tr{}><td>{}</td>", row.baseline ? " class=\"baseline\"" : "", escaped(row.name));
        for (std::size_t c = 0; c < row.cells.size(); c++) {
            const Estimate& e = row.cells[c];
            const Metric& m = table.columns[c];
            text += e.count == 0 ? std::string("<td>-</td>")
                                 : fmt::format("<td{} title=\"{} photos\">{}<small>{} to {}</small></td>",
                                               is_best(table, r, c) ? " class=\"best\"" : "", e.count, number_text(m, e.value),
                                               number_text(m, e.low), number_text(m, e.high));
        }
        text += "</tr>\n";
    }
    return text + "</table></div>\n";
}

std::string html_page(const std::string& title, const Table& table, const NamedTexts& settings, const Metric* ranked_by,
                      const std::vector<Exhibition>& exhibitions) {
    std::string body = fmt::format(
        "<h1>{}</h1>\n<p class=\"soft\">{} photos; small: 95 % intervals over photos (bootstrap); grey rows: maps that know nothing of the "
        "network</p>\n",
        escaped(title), table.photos);
    body += table_html(table);
    for (const Exhibition& e : exhibitions) {
        if (e.best.empty()) continue;
        body += fmt::format("<h2>{}</h2>\n", escaped(e.method));
        body += figures("best by " + ranked_by->id, e.best) + figures("worst by " + ranked_by->id, e.worst);
    }
    body += "<h2>What was measured</h2>\n<table class=\"facts\">\n";
    for (const Metric& m : table.columns) body += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", m.id, escaped(m.what));
    body += "</table>\n<h2>With what</h2>\n<table class=\"facts\">\n";
    for (const auto& [name, value] : settings) body += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value));
    body += "</table>\n";
    if (!table.left_out.empty()) {
        body += "<h2>Left out</h2>\n<ul>\n";
        for (const std::string& line : table.left_out) body += "<li>" + escaped(line) + "</li>\n";
        body += "</ul>\n";
    }
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
           "content=\"width=device-width\"><title>" +
           escaped(title) + "</title>\n<style>" + style + "</style></head>\n<body>\n" + body + "</body></html>\n";
}

}  // namespace limn
