// Batches of photos, made by threads of their own while the network computes.
//
// What a batch holds follows from the seed, the epoch and the photo alone, never from which thread made it when.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "train/augment.h"
#include "train/dataset.h"

namespace limn {

struct Batch {
    Tensor images;                     // (N,h,w,c)
    std::vector<int> labels;           // N
    std::vector<std::size_t> samples;  // N: which of the photos these are
};

struct LoaderSettings {
    PhotoInput input;
    Augmentation augmentation;
    Index batch = 32;
    std::uint64_t seed = 1;
    bool shuffle = false;
    bool drop_rest = false;                  // leave out a last batch that is not full (batch statistics of one photo mean nothing)
    int workers = 1;                         // threads
    const std::atomic<int>* stop = nullptr;  // not 0: no more batches

    // Each photo once, in order, as it is: to look at, not to learn from.
    LoaderSettings plain(const PhotoInput& how) const {
        LoaderSettings settings = *this;
        settings.input = how, settings.augmentation = {}, settings.shuffle = settings.drop_rest = false;
        return settings;
    }
};

// 0 to count-1 in an order of its own each epoch.
std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed, int epoch);

class Loader {
public:
    // samples must outlive the loader; epoch changes order and augmentation.
    Loader(const std::vector<Sample>& samples, const LoaderSettings& settings, int epoch);
    ~Loader();
    Loader(const Loader&) = delete;

    std::size_t batches() const { return batches_; }
    bool next(Batch& batch);  // in order; false at the end, or when asked to stop. An Error of a photo is thrown here.

private:
    Batch make(std::size_t number) const;
    void work();

    const std::vector<Sample>& samples_;
    const LoaderSettings settings_;
    const int epoch_;
    std::vector<std::size_t> order_;
    std::size_t batches_, taken_ = 0, begun_ = 0;
    std::map<std::size_t, Batch> ready_;
    std::exception_ptr error_;
    bool closing_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::thread> threads_;
};

}  // namespace limn
