// A training as one HTML page that needs nothing else: curves, the sample photos over the epochs, what the network takes
// for something else and why, the confusion matrix, and every setting. It is rewritten after each epoch, so that it can be
// watched; the epochs of a stopped run are read back from the page itself.
#pragma once

#include <memory>

#include "train/callback.h"

namespace limn {

class TrainingReport : public Callback {
public:
    explicit TrainingReport(std::filesystem::path file);
    ~TrainingReport() override;
    std::string name() const override { return file_.filename().string(); }
    void on_train_begin(const Run& run) override;
    void on_epoch_end(Epoch& epoch) override;
    void on_train_end(const Outcome& outcome) override;
    std::string hint() const override { return file_.string(); }

private:
    struct Data;
    void write(const Outcome* outcome) const;  // none while the run goes on

    std::filesystem::path file_;
    Run run_;
    std::unique_ptr<Data> data_;
};

}  // namespace limn
