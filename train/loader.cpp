#include "train/loader.h"

#include <cstring>
#include <numeric>

namespace limn {

std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed, int epoch) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t(0));
    Random random(seed + std::uint64_t(epoch) * 0x9e3779b97f4a7c15, "order");
    random.shuffle(order);
    return order;
}

Loader::Loader(const std::vector<Sample>& samples, const LoaderSettings& settings, int epoch)
    : samples_(samples), settings_(settings), epoch_(epoch), order_(samples.size()) {
    if (settings_.shuffle)
        order_ = shuffled(samples.size(), settings_.seed, epoch);
    else
        std::iota(order_.begin(), order_.end(), std::size_t(0));
    const std::size_t batch = std::size_t(settings_.batch);
    batches_ = settings_.drop_rest && samples.size() >= batch ? samples.size() / batch : (samples.size() + batch - 1) / batch;
    for (int i = 0; i < std::max(1, settings_.workers); i++) threads_.emplace_back([this] { work(); });
}

Loader::~Loader() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

Batch Loader::make(std::size_t number) const {
    const std::size_t first = number * std::size_t(settings_.batch), last = std::min(samples_.size(), first + std::size_t(settings_.batch));
    Batch batch;
    for (std::size_t i = first; i < last; i++) {
        const std::size_t which = order_[i];
        const Sample& sample = samples_[which];
        Random random(settings_.seed ^ (std::uint64_t(epoch_) << 32 | which), "augment");
        const Tensor x = augmented(sample.decoded(), settings_.input, settings_.augmentation, random);
        if (batch.images.empty()) batch.images = Tensor(x.shape().with(0, Index(last - first)));
        LIMN_CHECK(x.shape().with(0, Index(last - first)) == batch.images.shape(),
                   "{}: photos of different sizes cannot share a batch: give --size", sample.path.string());
        std::memcpy(batch.images.data() + Index(i - first) * x.size(), x.data(), std::size_t(x.size()) * sizeof(float));
        batch.labels.push_back(sample.label);
        batch.samples.push_back(which);
    }
    return batch;
}

void Loader::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        const std::size_t ahead = std::size_t(settings_.workers) + 2;  // batches made before they are asked for
        wake_.wait(lock, [&] { return closing_ || error_ || begun_ == batches_ || begun_ < taken_ + ahead; });
        if (closing_ || error_ || begun_ == batches_) return;
        const std::size_t number = begun_++;
        lock.unlock();
        Batch batch;
        std::exception_ptr error;
        try {
            batch = make(number);
        } catch (...) {
            error = std::current_exception();
        }
        lock.lock();
        if (error)
            error_ = error;
        else
            ready_[number] = std::move(batch);
        wake_.notify_all();
    }
}

bool Loader::next(Batch& batch) {
    std::unique_lock lock(mutex_);
    if (taken_ == batches_ || (settings_.stop && *settings_.stop)) return false;
    wake_.wait(lock, [&] { return error_ || ready_.contains(taken_); });
    if (error_) std::rethrow_exception(error_);
    batch = std::move(ready_.extract(taken_).mapped());
    taken_++;
    wake_.notify_all();
    return true;
}

}  // namespace limn
