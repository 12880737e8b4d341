#include "train/history.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "engine/file.h"
#include "view/chart.h"

namespace limn {

static std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields;
    std::istringstream text(line);
    for (std::string field; std::getline(text, field, ',');) fields.push_back(field);
    return fields;
}

void History::on_train_begin(const Run& run) {
    keys_.clear(), rows_.clear();
    const std::filesystem::path file = folder_ / "history.csv";
    if (!run.resumed() || !std::filesystem::exists(file)) return;
    const auto bytes = read_file(file, std::size_t(1) << 28);
    std::istringstream lines(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    std::string line;
    std::getline(lines, line);
    keys_ = fields_of(line);
    if (!keys_.empty()) keys_.erase(keys_.begin());  // "epoch"
    while (std::getline(lines, line)) {
        const std::vector<std::string> fields = fields_of(line);
        if (fields.size() != keys_.size() + 1 || std::atoi(fields[0].c_str()) >= run.first_epoch) continue;
        rows_.push_back({std::atoi(fields[0].c_str()), {}});
        for (std::size_t i = 1; i < fields.size(); i++) rows_.back().second.push_back(std::strtod(fields[i].c_str(), nullptr));
    }
}

void History::on_epoch_end(Epoch& epoch) {
    if (rows_.empty()) {
        keys_.clear();
        for (const auto& [key, value] : epoch.scalars) keys_.push_back(key);
    }
    rows_.push_back({epoch.number, {}});
    for (const std::string& key : keys_) rows_.back().second.push_back(epoch.scalar(key).value_or(NAN));

    std::string text = fmt::format("epoch,{}\n", fmt::join(keys_, ","));
    for (const auto& [number, values] : rows_) text += fmt::format("{},{:.7g}\n", number, fmt::join(values, ","));
    write_file(folder_ / "history.csv", text);

    const auto curve = [&](const char* name, const char* key) {
        Curve c{name, {}};
        const auto place = std::find(keys_.begin(), keys_.end(), key) - keys_.begin();
        for (const auto& [number, values] : rows_) {
            c.y.resize(std::max(c.y.size(), std::size_t(std::clamp(number, 1, 1000000))), NAN);
            if (place < std::ptrdiff_t(values.size())) c.y.back() = values[std::size_t(place)];
        }
        return c;
    };
    write_file(folder_ / "history.svg",
               svg_file({line_chart("accuracy", {curve("training", "accuracy"), curve("validation", "val_accuracy")}, 0),
                         line_chart("loss", {curve("training", "loss"), curve("validation", "val_loss")}, 0)}));
}

}  // namespace limn
