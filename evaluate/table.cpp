#include "evaluate/table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/threads.h"
#include "evaluate/baselines.h"

namespace limn {

static bool is_baseline(const std::string& name) {
    return std::any_of(baselines().begin(), baselines().end(), [&](const Baseline& b) { return b.name == name; });
}

// The number of a whole data set, over photos that may be drawn more than once.
static Estimate estimate_of_set(const std::string& metric, const std::vector<const Rating*>& ratings, const Bootstrap& options) {
    std::vector<const Rating*> known;
    const bool pixels = metric == "pxap";
    std::copy_if(ratings.begin(), ratings.end(), std::back_inserter(known),
                 [&](const Rating* r) { return pixels ? !r->pixels.object.empty() : !r->box_hits.empty(); });
    return bootstrap(
        Index(known.size()),
        [&](std::span<const Index> photos) {
            if (pixels) {
                PixelCounts sum;
                for (Index photo : photos) sum.add(known[std::size_t(photo)]->pixels);
                return pixel_average_precision(sum);
            }
            std::vector<const std::string*> hits;
            for (Index photo : photos) hits.push_back(&known[std::size_t(photo)]->box_hits);
            return metric == "maxboxacc" ? max_box_accuracy(hits) : max_box_accuracy_v2(hits);
        },
        options);
}

static Estimate estimate_of(const Metric& metric, const std::vector<const Rating*>& ratings, const Bootstrap& options) {
    if (metric.whole_set) return estimate_of_set(metric.id, ratings, options);
    std::vector<double> values;
    for (const Rating* rating : ratings)
        if (const auto found = rating->numbers.find(metric.id); found != rating->numbers.end()) values.push_back(found->second);
    return bootstrap_mean(values, options);
}

Table table_of(const std::vector<PhotoRecord>& records, const std::vector<Metric>& columns, const Bootstrap& options) {
    Table table;
    table.columns = columns;
    std::vector<std::string> names;
    std::map<std::string, std::vector<const Rating*>> ratings;
    const auto is_of_place = [](const Metric& m) { return m.needs == Needs::region || m.needs == Needs::mask || m.needs == Needs::box; };
    const bool asks_where = std::ranges::any_of(columns, is_of_place);
    for (const PhotoRecord& record : records) {
        if (!record.problem.empty()) {
            table.left_out.push_back(record.photo + ": " + record.problem);
            continue;
        }
        table.photos++;
        bool placed = false;
        for (const auto& [name, rating] : record.maps) {
            if (!ratings.contains(name)) names.push_back(name);
            ratings[name].push_back(&rating);
            placed |= !rating.box_hits.empty() || !rating.pixels.object.empty();
            for (const Metric& metric : columns) placed |= is_of_place(metric) && rating.numbers.contains(metric.id);
        }
        table.without_place += asks_where && !placed;
    }
    for (const std::string& name : names) table.rows.push_back({name, is_baseline(name), {}});
    parallel_for(Index(names.size()), [&](Index i) {
        Table::Row& row = table.rows[std::size_t(i)];
        for (const Metric& metric : columns) row.cells.push_back(estimate_of(metric, ratings.at(row.name), options));
    });
    return table;
}

bool is_best(const Table& table, std::size_t row, std::size_t column) {
    const Metric& metric = table.columns[column];
    const Table::Row& own = table.rows[row];
    if (own.baseline || own.cells[column].count == 0) return false;
    const double sign = metric.higher_is_better ? 1 : -1;
    double best = own.cells[column].value;
    for (const Table::Row& r : table.rows)
        if (!r.baseline && sign * r.cells[column].value > sign * best) best = r.cells[column].value;
    return number_text(metric, own.cells[column].value) == number_text(metric, best);  // equal as far as one can see
}

std::string number_text(const Metric& metric, double value) {
    return std::isnan(value) ? "-" : metric.percent ? fmt::format("{:.1f}", value) : fmt::format("{:.3f}", value);
}

std::string terminal_text(const Table& table, std::size_t columns) {
    constexpr std::size_t width = 21;  // "100.0 [100.0, 100.0]*"
    std::size_t first_width = 8;
    for (const Table::Row& row : table.rows) first_width = std::max(first_width, row.name.size());
    const std::size_t at_a_time = std::max<std::size_t>(1, (std::max(columns, first_width + 2) - first_width - 2) / (width + 1));
    std::string text;
    for (std::size_t first = 0; first < table.columns.size(); first += at_a_time) {
        const std::size_t last = std::min(table.columns.size(), first + at_a_time);
        text += fmt::format("{}{:<{}}", first ? "\n" : "", "", first_width);
        for (std::size_t c = first; c < last; c++) {
            const Metric& metric = table.columns[c];
            text += fmt::format(" {:>{}}", metric.id + (metric.percent ? " %" : "") + (metric.higher_is_better ? " (+)" : " (-)"), width);
        }
        text += "\n";
        for (std::size_t r = 0; r < table.rows.size(); r++) {
            const Table::Row& row = table.rows[r];
            text += fmt::format("{:<{}}", row.name, first_width);
            for (std::size_t c = first; c < last; c++) {
                const Estimate& e = row.cells[c];
                const Metric& metric = table.columns[c];
                const std::string cell = e.count == 0 ? "-"
                                                      : fmt::format("{} [{}, {}]", number_text(metric, e.value), number_text(metric, e.low),
                                                                    number_text(metric, e.high));
                text += fmt::format(" {:>{}}{}", cell, width - 1, is_best(table, r, c) ? "*" : " ");
            }
            while (text.ends_with(' ')) text.pop_back();
            text += "\n";
        }
    }
    return text;
}

std::string csv_text(const Table& table) {
    std::string text = "method,baseline";
    for (const Metric& m : table.columns) text += fmt::format(",{0},{0} low,{0} high,{0} photos", m.id);
    text += "\n";
    for (const Table::Row& row : table.rows) {
        text += fmt::format("{},{}", row.name, row.baseline ? "yes" : "no");
        for (const Estimate& e : row.cells)
            text += e.count == 0 ? std::string(",,,,0") : fmt::format(",{:.6g},{:.6g},{:.6g},{}", e.value, e.low, e.high, e.count);
        text += "\n";
    }
    return text;
}

std::string json_text(const Table& table, const NamedTexts& settings) {
    using Json = nlohmann::ordered_json;
    Json json{{"limn", LIMN_VERSION},       {"settings", Json::object()},           {"photos", table.photos},
              {"left_out", table.left_out}, {"without_place", table.without_place}, {"metrics", Json::array()},
              {"methods", Json::array()}};
    for (const auto& [name, value] : settings) json["settings"][name] = value;
    for (const Metric& m : table.columns)
        json["metrics"].push_back(
            {{"name", m.id}, {"what", m.what}, {"better", m.higher_is_better ? "higher" : "lower"}, {"unit", m.percent ? "%" : ""}});
    for (const Table::Row& row : table.rows) {
        Json numbers = Json::object();
        for (std::size_t c = 0; c < row.cells.size(); c++)
            if (const Estimate& e = row.cells[c]; e.count > 0)
                numbers[table.columns[c].id] = {{"value", e.value}, {"low", e.low}, {"high", e.high}, {"photos", e.count}};
        json["methods"].push_back({{"name", row.name}, {"baseline", row.baseline}, {"numbers", numbers}});
    }
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace limn
