// history.csv: a line an epoch, for spreadsheets and scripts.
#pragma once

#include "train/callback.h"

namespace limn {

class History : public Callback {
public:
    explicit History(std::filesystem::path file) : file_(std::move(file)) {}
    std::string name() const override { return file_.filename().string(); }
    void on_train_begin(const Run& run) override;  // a resumed run keeps the lines of the epochs before it
    void on_epoch_end(Epoch& epoch) override;

private:
    std::filesystem::path file_;
    std::string text_;
};

}  // namespace limn
