#include "train/history.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "engine/file.h"
#include "view/chart.h"

namespace limn {

namespace {

using Row = std::vector<std::pair<std::string, double>>;

double value_of(const Row& row, const std::string& key) {
    for (const auto& [name, value] : row)
        if (name == key) return value;
    return NAN;
}

std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields;
    std::istringstream text(line);
    for (std::string field; std::getline(text, field, ',');) fields.push_back(field);
    return fields;
}

// All names, in the order in which they first appear: a resumed run may know more than the run before it.
std::vector<std::string> keys_of(const std::vector<Row>& rows) {
    std::vector<std::string> keys;
    for (const Row& row : rows)
        for (const auto& [key, value] : row)
            if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    return keys;
}

Curve curve_of(const std::vector<Row>& rows, const char* name, const char* key) {
    Curve curve{name, {}};
    for (const Row& row : rows) curve.set(std::size_t(value_of(row, "epoch")), value_of(row, key));
    return curve;
}

}  // namespace

std::vector<Row> read_history(const std::filesystem::path& path) {
    const auto bytes = read_file(path, std::size_t(1) << 28);
    std::istringstream lines(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    std::vector<std::string> keys;
    std::vector<Row> rows;
    for (std::string line; std::getline(lines, line);) {
        if (line.ends_with('\r')) line.pop_back();  // saved by a spreadsheet
        const std::vector<std::string> fields = fields_of(line);
        if (keys.empty()) {
            keys = fields;
        } else if (fields.size() == keys.size()) {
            rows.emplace_back();
            for (std::size_t i = 0; i < keys.size(); i++) rows.back().emplace_back(keys[i], std::strtod(fields[i].c_str(), nullptr));
        }
    }
    return rows;
}

void History::on_train_begin(const Run& run) {
    rows_.clear();
    std::error_code ignored;
    if (!run.resumed() || !std::filesystem::exists(folder_ / "history.csv", ignored)) return;
    rows_ = read_history(folder_ / "history.csv");
    std::erase_if(rows_, [&](const Row& row) {
        const double epoch = value_of(row, "epoch");
        return !(epoch >= 1 && epoch < run.first_epoch);
    });
}

void History::on_epoch_end(Epoch& epoch) {
    rows_.push_back({{"epoch", epoch.number}});
    rows_.back().insert(rows_.back().end(), epoch.scalars.begin(), epoch.scalars.end());

    const std::vector<std::string> keys = keys_of(rows_);
    std::string text = fmt::format("{}\n", fmt::join(keys, ","));
    for (const Row& row : rows_) {
        std::vector<double> values;
        for (const std::string& key : keys) values.push_back(value_of(row, key));
        text += fmt::format("{:.7g}\n", fmt::join(values, ","));
    }
    write_file(folder_ / "history.csv", text);
    write_file(
        folder_ / "history.svg",
        svg_file({line_chart("accuracy", {curve_of(rows_, "training", "accuracy"), curve_of(rows_, "validation", "val_accuracy")}, 0),
                  line_chart("loss", {curve_of(rows_, "training", "loss"), curve_of(rows_, "validation", "val_loss")}, 0)}));
}

}  // namespace limn
