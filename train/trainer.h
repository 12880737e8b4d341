// The loop: epochs of steps, validation, checkpoints, callbacks. Read step.h first: one step; here is what is around it.
//
// A run repeats exactly: order, augmentation and dropout follow from the seed. After each epoch FOLDER holds
//     checkpoint.h5  what `resume` needs; a resumed run ends with the same weights as one that was never stopped
//     best.h5        the network as it was in the epoch with the highest validation accuracy, as a Keras file
//     last.h5        the network as it is now, as a Keras file
// each replaced atomically; where epochs take less than a few seconds the Keras files come less often. Where nothing below some layer is
// trained (a frozen base) and photos are not augmented, the values there are computed once and kept. An Error or a signal in an epoch
// ends the run in order: best.h5 holds the best so far, and callbacks hear of the end.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "cam/target.h"
#include "train/callback.h"
#include "train/checkpoint.h"
#include "train/features.h"
#include "train/schedule.h"
#include "weights/keras_writer.h"

namespace limn {

// A network whose answers are mixed into the targets (Hinton et al. 2015), asked about the very picture the student sees.
struct Teacher {
    const Model* model;
    PhotoInput input;
    double weight = 0.5;  // its share of the targets
};

struct TrainSettings {
    int epochs = 20;
    std::uint64_t seed = 1;
    OptimizerSettings optimizer;
    Schedule schedule;
    LoaderSettings loader;  // photos, augmentation, batch size, threads
    // How validation photos are prepared, and so the photos of whoever uses the network. Crops enlarge what they show, so a
    // network that was trained on crops sees whole photos best at a larger size (Touvron et al. 2019).
    PhotoInput validation_input;
    Precision precision = Precision::f32;  // of the numbers in best.h5 and last.h5
    double label_smoothing = 0;
    double averaging = 0;  // above 0: validate and keep running averages of the weights, which follow by 1 - averaging a step
    int patience = 0;      // stop after so many epochs without a better validation accuracy; 0: never
    std::optional<Teacher> teacher;
    std::uint64_t feature_memory = std::uint64_t(2) << 30;  // bytes; larger features go to a file in the folder
    bool resume = false;
    const std::atomic<int>* signal = nullptr;  // not 0: stop as soon as possible
};

// What the photos of a data set are taken for.
struct Evaluation {
    double loss = 0, accuracy = 0;
    Tensor outputs;  // (N,K), after the sigmoid or softmax
};

class Trainer {
public:
    Trainer(const Backend& backend, Model& model, const Dataset& data, const TrainSettings& settings, const ModelNotes& notes, Run run);
    void add(std::unique_ptr<Callback> callback) { callbacks_.push_back(std::move(callback)); }

    std::vector<std::string> hints() const;  // how to look at what the callbacks wrote
    Outcome train();                         // ends with the best weights in the model
    Evaluation evaluate() const;             // of the validation photos, by the model as it is
    const Run& run() const { return run_; }

private:
    struct EpochResult {
        double loss, accuracy, learning_rate, images_per_second;
    };
    EpochResult train_epoch(int epoch);
    void add_teacher(const Tensor& images, Tensor& targets) const;
    void follow_average();
    void with_weights(const std::vector<Tensor>& weights, const std::function<void()>& body);
    void attempt(const std::function<void()>& save);
    void save_best();
    void save_models();
    void check_that_it_can_be_saved() const;
    void check_loss(double loss, int epoch) const;
    void open_run(const std::filesystem::path& checkpoint);
    void keep_features();
    void run_epochs(const std::filesystem::path& checkpoint);
    void tell(const std::function<void(Callback&)>& what);
    bool interrupted() const { return settings_.signal && *settings_.signal; }

    const Backend& backend_;
    Model& model_;
    const Dataset& data_;
    TrainSettings settings_;
    ModelNotes notes_;
    Run run_;
    Head head_, teacher_head_;
    Optimizer optimizer_;
    Checkpoint state_;
    std::vector<std::unique_ptr<Callback>> callbacks_;
    std::chrono::steady_clock::time_point saved_ = {};
    std::string unsaved_;  // why the newest state is not on the disk
    // the part above the frozen base, if its features are kept
    bool keeps_features_ = false;
    Model upper_;
    Head upper_head_;
    Tensor train_features_, validation_features_;
};

}  // namespace limn
