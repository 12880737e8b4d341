// One loop, shared among threads. Results must not depend on how many there are: each block writes its own output.
//
// OpenMP does the work. Measured on 2 cores for a loop of 8 blocks: 1-3 us a fork and join, also after a pause of
// 0.5 ms, against 2-6 us (TBB) and 160-320 us (a pool of our own that sleeps after 20 us of spinning).
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "engine/tensor.h"

namespace limn {

int available_cores();  // that this process may use (affinity)
int thread_count();
void set_thread_count(int threads);  // 0 = available_cores()

namespace detail {
void parallel_for(Index blocks, void (*run)(void*, Index), void* body);
}

// Calls body(i) for i in 0..blocks-1, in any order and on any thread. The first exception is thrown to the caller.
template <class F> void parallel_for(Index blocks, F&& body) {
    if (blocks == 1) return body(Index(0));
    using Body = std::remove_reference_t<F>;
    detail::parallel_for(
        blocks, [](void* b, Index i) { (*static_cast<Body*>(b))(i); }, const_cast<std::remove_const_t<Body>*>(std::addressof(body)));
}

// The same where there may be little to do: below some 30,000 multiply-adds in all a fork costs more than it saves (and, where
// other programs want the cores too, waits for its turn).
template <class F> void parallel_for(Index blocks, Index multiply_adds, F&& body) {
    if (multiply_adds >= 30000) return parallel_for(blocks, std::forward<F>(body));
    for (Index i = 0; i < blocks; i++) body(i);
}

// The same for ranges: body(first, last) on pieces of 0..size of at most `grain` items.
template <class F> void parallel_ranges(Index size, Index grain, F&& body) {
    parallel_for((size + grain - 1) / grain, [&](Index i) { body(i * grain, std::min(size, (i + 1) * grain)); });
}

}  // namespace limn
