#include "engine/memory.h"

#include <cstdlib>
#include <map>
#include <mutex>

namespace limn {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t most_kept = 0;  // so that the sanitizer sees every use after the end
#else
constexpr std::size_t most_kept = std::size_t(1) << 30;
#endif
constexpr std::size_t worth_keeping = std::size_t(1) << 16;

struct Kept {
    std::mutex mutex;
    std::multimap<std::size_t, void*> blocks;
    std::size_t bytes = 0;

    void* take(std::size_t size) {
        const std::lock_guard lock(mutex);
        const auto it = blocks.find(size);
        if (it == blocks.end()) return nullptr;
        void* block = it->second;
        blocks.erase(it);
        bytes -= size;
        return block;
    }
    void give(void* block, std::size_t size) {
        const std::lock_guard lock(mutex);
        if (bytes + size > most_kept) release();  // sizes have changed: start collecting anew
        if (size > most_kept) return std::free(block);
        blocks.emplace(size, block);
        bytes += size;
    }
    void release() {
        for (const auto& [size, block] : blocks) std::free(block);
        blocks.clear();
        bytes = 0;
    }
};

// Never destroyed: tensors of static lifetime may come back after it.
Kept& kept() {
    static Kept* const all = new Kept;
    return *all;
}

}  // namespace

std::shared_ptr<void> allocate(std::size_t bytes) {
    const std::size_t size = bytes < 64 ? 64 : (bytes + 63) / 64 * 64;
    if (size < worth_keeping) {
        void* block = std::aligned_alloc(64, size);
        return block ? std::shared_ptr<void>(block, std::free) : nullptr;
    }
    void* block = kept().take(size);
    if (!block) block = std::aligned_alloc(64, size);
    if (!block) {  // what is kept in other sizes may be what is missing
        release_kept_memory();
        block = std::aligned_alloc(64, size);
    }
    return block ? std::shared_ptr<void>(block, [size](void* b) { kept().give(b, size); }) : nullptr;
}

void release_kept_memory() {
    const std::lock_guard lock(kept().mutex);
    kept().release();
}

}  // namespace limn
