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
    std::vector<std::string> keys_;
    std::vector<std::pair<int, std::vector<double>>> rows_;  // epoch and its values
};

}  // namespace limn
