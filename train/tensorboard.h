// A training as TensorBoard shows it: event files in FOLDER/train and FOLDER/validation, named and numbered as those of
// Keras's TensorBoard callback, so that runs of both lie over each other. Writes files only.
//
//     train/       epoch_loss, epoch_accuracy, epoch_learning_rate...; configuration (a table)
//     validation/  epoch_loss, epoch_accuracy; images, cam, gradcam, and their captions as texts: cam/captions...
//
// The step is the epoch, counted from 0. A resumed run adds a file to each folder; of steps that are in both TensorBoard
// shows the later file's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "train/callback.h"
#include "train/protobuf.h"
#include "train/record_file.h"

namespace limn {

class TensorBoard : public Callback {
public:
    explicit TensorBoard(std::filesystem::path folder, Clock clock = system_clock_seconds);

    std::string name() const override { return "TensorBoard"; }
    void on_train_begin(const Run& run) override;
    void on_epoch_end(Epoch& epoch) override;

    std::string hint() const override;  // what to type to see it

private:
    void begin(std::optional<RecordFile>& file, const std::string& part);
    void write(RecordFile& file, int step, const Message& summary);

    std::filesystem::path folder_;
    Clock clock_;
    std::optional<RecordFile> train_, validation_;
};

}  // namespace limn
