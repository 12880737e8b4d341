// A folder of photos in class folders, looked through before anything is trained.
//
//     DIR/cat/*.jpg  DIR/dog/*.jpg                    a seeded share of each class is kept for validation
//     DIR/train/cat/... DIR/val/cat/...               as it is (val, valid, validation or test, if it holds class folders; without one,
//                                                     train is split)
//
// Every photo is decoded once at the start: what cannot be used is named with its reason, and decoded photos stay in
// memory as long as they fit. Classes are numbered in alphabetical order, as Keras does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "view/image.h"

namespace limn {

struct Sample {
    std::filesystem::path path;
    int label;
    Image photo;  // empty if it is not kept in memory
    Image decoded() const { return photo.rgb.empty() ? read_image(path) : photo; }
};

struct Dataset {
    std::vector<std::string> labels;
    std::vector<Sample> train, validation;
    std::vector<std::string> problems;  // "PATH: what is wrong", one a file that is left out
    std::uint64_t fingerprint = 0;      // of the file names and labels: a resumed run must find the same
};

struct DatasetOptions {
    std::filesystem::path validation = {};          // a folder of its own, instead of DIR/val or a split
    double validation_share = 0.2;                  // of each class, where there is no validation folder
    std::filesystem::path out = {};                 // where the run writes: no class, wherever it lies
    std::uint64_t seed = 1;                         // of the split
    std::uint64_t memory = std::uint64_t(2) << 30;  // bytes of decoded photos to keep
};

// An Error if there is nothing to train on: no class folders, a class without photos, a validation class unknown to training.
Dataset open_dataset(const std::filesystem::path& folder, const DatasetOptions& options);

}  // namespace limn
