#include "train/history.h"

#include <sstream>

#include "engine/file.h"

namespace limn {

void History::on_train_begin(const Run& run) {
    text_.clear();
    if (!run.resumed() || !std::filesystem::exists(file_)) return;
    const auto bytes = read_file(file_, std::size_t(1) << 28);
    std::istringstream lines(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    std::string line;
    for (bool header = true; std::getline(lines, line); header = false)
        if (header || std::atoi(line.c_str()) < run.first_epoch) text_ += line + "\n";
}

void History::on_epoch_end(Epoch& epoch) {
    if (text_.empty()) {
        text_ = "epoch";
        for (const auto& [key, value] : epoch.scalars) text_ += "," + key;
        text_ += "\n";
    }
    text_ += std::to_string(epoch.number);
    for (const auto& [key, value] : epoch.scalars) text_ += fmt::format(",{:.7g}", value);
    text_ += "\n";
    write_file(file_, text_);
}

}  // namespace limn
