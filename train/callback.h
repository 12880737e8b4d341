// What happens beside the training: a Callback is told about the run, each epoch and the end, and may draw, write, or
// ask to stop. Names and order are those of Keras's callbacks. Your own takes about ten lines:
//
//     class Bell : public Callback {
//         std::string name() const override { return "bell"; }
//         void on_epoch_end(Epoch& epoch) override {
//             if (epoch.scalar("val_accuracy") > 0.95) std::fputs("\a", stderr);
//         }
//     };
//
// Callbacks are called in the order in which they were added: those that make pictures (train/cam_logger.h) before those
// that write them down (train/tensorboard.h, train/wandb.h, train/training_report.h). One that throws is left out from
// then on, with one warning: a full disk in a log must not end a training.
#pragma once

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layers/model.h"
#include "view/image.h"

namespace limn {

struct Picture {
    std::string caption;  // "cat 0.913"
    Image image;
};

// What does not change while a run goes on.
struct Run {
    std::string name;                                         // of the run, for logs: letters, digits, - and _
    std::filesystem::path folder;                             // where its files go; exists
    std::vector<std::string> labels;                          // of the classes, by index
    std::vector<std::pair<std::string, std::string>> config;  // every setting, in order: ("learning_rate", "0.001")
    std::string command;                                      // the command line
    int epochs = 0;                                           // how many there will be, counted from the very first
    int first_epoch = 1;                                      // above 1 where a stopped run is resumed
    std::int64_t started = 0;                                 // seconds since 1970
    int best_epoch = 0;                                       // of a resumed run, so far
    double best_accuracy = -HUGE_VAL, best_loss = 0;          // ... in validation
    bool resumed() const { return first_epoch > 1; }
};

// One epoch, after its validation.
struct Epoch {
    int number = 1;
    const Model& model;
    // loss, accuracy, val_loss, val_accuracy, learning_rate, images_per_second, seconds
    std::vector<std::pair<std::string, double>> scalars;
    // "images" (the photos with their scores), "cam", "gradcam": the same photos in the same order, each epoch
    std::vector<std::pair<std::string, std::vector<Picture>>> pictures;
    bool stop = false;  // set it to end the training here

    std::optional<double> scalar(const std::string& name) const {
        for (const auto& [key, value] : scalars)
            if (key == name) return value;
        return std::nullopt;
    }
};

// Which epoch is the best: that of the higher validation accuracy, then of the lower loss.
inline bool is_better(double accuracy, double loss, double best_accuracy, double best_loss) {
    return accuracy > best_accuracy || (accuracy == best_accuracy && loss < best_loss);
}

// A validation photo that the network takes for something else, the surest mistakes first.
struct Mistake {
    std::string path, label, predicted;
    double score;  // of the predicted class
    Image photo;
    std::vector<Picture> maps;  // "cam", "gradcam": captions say which
};

// The end of a run: of the best weights.
struct Outcome {
    int best_epoch = 0;
    std::vector<std::pair<std::string, double>> scalars;  // best_val_accuracy...
    std::vector<std::vector<std::int64_t>> confusion;     // [true class][predicted class], photos
    std::vector<Mistake> mistakes;
    int exit_code = 0;  // 0 as planned or stopped early; 2 after an Error; 128 + n after signal n
};

class Callback {
public:
    virtual ~Callback() = default;
    virtual std::string name() const = 0;  // for warnings: "TensorBoard"
    virtual void on_train_begin(const Run&) {}
    virtual void on_epoch_end(Epoch&) {}
    virtual void on_train_end(const Outcome&) {}
    virtual std::string hint() const { return ""; }  // how to look at what it wrote: "tensorboard --logdir DIR"
};

}  // namespace limn
