// history.csv, a line an epoch, for spreadsheets and scripts; and history.svg, its curves, for documents.
#pragma once

#include "train/callback.h"

namespace limn {

class History : public Callback {
public:
    explicit History(std::filesystem::path folder) : folder_(std::move(folder)) {}
    std::string name() const override { return "history.csv"; }
    void on_train_begin(const Run& run) override;  // a resumed run keeps the lines of the epochs before it
    void on_epoch_end(Epoch& epoch) override;

private:
    std::filesystem::path folder_;
    std::vector<std::vector<std::pair<std::string, double>>> rows_;  // as read_history gives them
};

// The lines of a history.csv, each with its values by name, "epoch" among them. Lines of another length than the header are left out.
std::vector<std::vector<std::pair<std::string, double>>> read_history(const std::filesystem::path& path);

}  // namespace limn
