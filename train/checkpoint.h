// Everything a stopped run needs to go on as if nothing had happened, in one file that is replaced atomically each epoch.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/optimizer.h"

namespace limn {

struct Checkpoint {
    int epoch = 0;          // done
    bool finished = false;  // stopped early: nothing is left to do
    int best_epoch = 0;
    double best_accuracy = -1, best_loss = 0;
    std::uint64_t data = 0;                                     // Dataset::fingerprint
    std::vector<std::pair<std::string, std::string>> settings;  // of the run
    // of trained_weights() (train/step.h), each as many or none
    std::vector<Tensor> averaged;  // their running averages
    std::vector<Tensor> best;      // as they were in the best epoch
};

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& state, const Model& model, const Optimizer& optimizer);

// Fills model and optimizer. An Error if the file belongs to another network.
Checkpoint load_checkpoint(const std::filesystem::path& path, Model& model, Optimizer& optimizer);

}  // namespace limn
