#include "engine/threads.h"

#include <omp.h>

#include <atomic>
#include <exception>

// ThreadSanitizer cannot look into the OpenMP runtime: tell it about the fork and the join, and leave out the runtime's
// own handing over of arguments. What the blocks themselves do is watched.
#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#define LIMN_UNWATCHED __attribute__((no_sanitize_thread))
#else
static void __tsan_acquire(void*) {}
static void __tsan_release(void*) {}
#define LIMN_UNWATCHED
#endif

namespace limn {

static int& configured_threads() {
    static int threads = 0;
    return threads;
}

int available_cores() { return omp_get_num_procs(); }
int thread_count() { return configured_threads() > 0 ? configured_threads() : available_cores(); }
void set_thread_count(int threads) {
    LIMN_CHECK(threads >= 0 && threads <= 1024, "{} threads cannot be used: give 1 to 1024, or 0 for all cores", threads);
    configured_threads() = threads;
}

LIMN_UNWATCHED void detail::parallel_for(Index blocks, void (*run)(void*, Index), void* body) {
    std::exception_ptr error;
    std::atomic<bool> failed{false};
    char fork, join;
    __tsan_release(&fork);
#pragma omp parallel for schedule(dynamic) num_threads(thread_count()) if (blocks > 1)
    for (Index i = 0; i < blocks; i++) {
        __tsan_acquire(&fork);
        try {
            if (!failed) run(body, i);
        } catch (...) {
            if (!failed.exchange(true)) error = std::current_exception();
        }
        __tsan_release(&join);
    }
    __tsan_acquire(&join);
    if (error) std::rethrow_exception(error);
}

}  // namespace limn
