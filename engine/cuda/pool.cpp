#include "engine/cuda/pool.h"

#include <algorithm>

namespace limn::cuda {

// Sizes are rounded so that photos of slightly different sizes share blocks: to 256 bytes, from 1 MB on to an eighth.
static std::size_t rounded(std::size_t bytes) {
    std::size_t step = 256;
    while (step * 8 < bytes) step *= 2;
    step = bytes < (std::size_t(1) << 20) ? 256 : step;
    return std::max<std::size_t>(step, (bytes + step - 1) / step * step);
}

void* Pool::take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    if (const auto it = kept_.find(size); it != kept_.end()) {
        void* block = it->second;
        kept_.erase(it), kept_bytes_ -= size;
        return block;
    }
    if (kept_bytes_ > most_kept_) free_kept();
    void* block = source_.fresh(size);
    if (block) blocks_[block] = size;
    return block;
}

void Pool::give(void* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    kept_.emplace(size, block), kept_bytes_ += size;
}

std::shared_ptr<void> Pool::allocate(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    void* block = take(size);
    if (!block) return nullptr;
    return {block, [pool = shared_from_this(), size](void* b) { pool->give(b, size); }};
}

void Pool::free_kept() {
    for (const auto& [size, block] : kept_) source_.free(block), blocks_.erase(block);
    kept_.clear(), kept_bytes_ = 0;
}

void Pool::release() {
    const std::lock_guard lock(mutex_);
    free_kept();
}

bool Pool::owns(const void* at) const {
    const std::lock_guard lock(mutex_);
    auto after = blocks_.upper_bound(at);
    if (after == blocks_.begin()) return false;
    const auto& [begin, size] = *std::prev(after);
    return at < static_cast<const char*>(begin) + size;
}

}  // namespace limn::cuda
