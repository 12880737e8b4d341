#include "engine/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>

namespace limn {

namespace {

#ifdef LIMN_SANITIZE
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

// Large blocks on huge pages where the system has them: a fault for 2 MB instead of 4 KB.
void* fresh(std::size_t size) {
    constexpr std::size_t huge = std::size_t(2) << 20;
    if (size < 2 * huge) return std::aligned_alloc(64, size);
    void* block = std::aligned_alloc(huge, (size + huge - 1) / huge * huge);
    if (block) madvise(block, size, MADV_HUGEPAGE);  // a wish; what it answers does not matter
    return block;
}

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
    if (!block) block = fresh(size);
    if (!block) {  // what is kept in other sizes may be what is missing
        release_kept_memory();
        block = fresh(size);
    }
    return block ? std::shared_ptr<void>(block, [size](void* b) { kept().give(b, size); }) : nullptr;
}

void release_kept_memory() {
    const std::lock_guard lock(kept().mutex);
    kept().release();
}

// ---- mapped files

namespace {

struct Mappings {
    std::mutex mutex;
    std::map<std::uintptr_t, std::size_t> sizes;  // by where they begin
};
Mappings& mappings() {
    static Mappings* const all = new Mappings;
    return *all;
}

}  // namespace

std::shared_ptr<const void> map_file(int descriptor, std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED) return nullptr;
    const std::lock_guard lock(mappings().mutex);
    mappings().sizes[reinterpret_cast<std::uintptr_t>(memory)] = bytes;
    return {memory, [bytes](const void* m) {
                const std::lock_guard closing(mappings().mutex);
                mappings().sizes.erase(reinterpret_cast<std::uintptr_t>(m));
                munmap(const_cast<void*>(m), bytes);
            }};
}

void forget_mapped(const void* begin, std::size_t bytes) {
    const auto page = std::uintptr_t(sysconf(_SC_PAGESIZE)), from = reinterpret_cast<std::uintptr_t>(begin);
    const std::lock_guard lock(mappings().mutex);
    const auto after = mappings().sizes.upper_bound(from);
    if (after == mappings().sizes.begin()) return;
    const auto& [start, size] = *std::prev(after);
    if (from + bytes > start + size) return;
    const std::uintptr_t first = (from + page - 1) / page * page,
                         last = (from + bytes) / page * page;  // whole pages: others share the rest
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace limn
