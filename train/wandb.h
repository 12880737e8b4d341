// A training as Weights & Biases shows it, written as an offline run: nothing goes to the network and no key is read. The
// user looks at it with `wandb leet` or uploads it with `wandb sync`, whenever.
//
//     FOLDER/wandb/run-id                            so that a resumed run stays the same run
//     FOLDER/wandb/latest-run                        a link to the newest folder below
//     FOLDER/wandb/offline-run-DATE_TIME-ID/
//         run-ID.wandb                               all numbers and texts: a record is one write
//         files/media/images/KEY_STEP_HASH.png       the pictures
//
// One line of history an epoch: its scalars under their plain names (loss, val_accuracy...), epoch, and the lists images,
// cam and gradcam with captions. A resumed run is a folder of its own with steps from 0; wandb puts it behind the first.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "train/callback.h"
#include "train/protobuf.h"
#include "train/record_file.h"

namespace limn {

// An object is for one training.
class WandbOffline : public Callback {
public:
    // run_id: letters, digits, - and _. Empty: that of the run in the folder if it is resumed, otherwise 8 random characters.
    WandbOffline(std::filesystem::path folder, std::string project, std::string run_id = "", Clock clock = system_clock_seconds);

    std::string name() const override { return "W&B"; }
    void on_train_begin(const Run& run) override;
    void on_epoch_end(Epoch& epoch) override;
    void on_train_end(const Outcome& outcome) override;

    std::string hint() const override;  // what to type to upload it

private:
    void choose_run_id(bool resumed);
    Message run_record(const Run& run) const;
    void write(int kind, const Message& content);

    std::filesystem::path folder_;
    std::string project_, run_id_;
    Clock clock_;

    std::filesystem::path run_folder_;
    std::optional<RecordFile> file_;
    std::int64_t records_ = 0, started_ = 0;
    bool resumed_ = false;
    int first_epoch_ = 1, last_step_ = -1, best_epoch_ = 0;
    double best_val_accuracy_ = -HUGE_VAL, best_val_loss_ = 0;
};

}  // namespace limn
