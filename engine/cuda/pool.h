// A device's memory. Blocks that are given back are kept for the next tensor of about that size: asking the driver costs far more than
// a kernel, and waits for all that runs. All work is done in order, so a block may be handed on while a kernel still uses it.
//
// A recording has a pool of its own: what it computes must lie where it lay when it was recorded, each time it is run, and nobody
// else's numbers may lie there meanwhile.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace limn::cuda {

class Pool : public std::enable_shared_from_this<Pool> {
public:
    struct Source {
        std::function<void*(std::size_t)> fresh;  // null if there is no memory
        std::function<void(void*)> free;
    };
    // most_kept: bytes; beyond that, what is kept is given back before more is asked for (photos of many sizes leave blocks of many sizes)
    explicit Pool(Source source, std::size_t most_kept = std::size_t(-1)) : source_(std::move(source)), most_kept_(most_kept) {}
    Pool(const Pool&) = delete;
    ~Pool() { release(); }

    // Null if there is no memory: release() may help, or that of another pool. The pool lives as long as its blocks.
    std::shared_ptr<void> allocate(std::size_t bytes);
    void release();                      // gives back what is kept; not while a recording is made of work that used it
    bool owns(const void* begin) const;  // does a block begin there or span it?

private:
    void* take(std::size_t size);
    void give(void* block, std::size_t size);
    void free_kept();
    Source source_;
    const std::size_t most_kept_;
    mutable std::mutex mutex_;
    std::multimap<std::size_t, void*> kept_;
    std::map<const void*, std::size_t> blocks_;  // all there are
    std::size_t kept_bytes_ = 0;
};

}  // namespace limn::cuda
