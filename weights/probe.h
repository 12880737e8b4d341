// Trying something in a child process first.
//
// libhdf5 1.10.8 itself crashes on some damaged files (about one in a hundred with random bytes in its headers), and others make it
// loop or ask for memory without end. A model file is therefore loaded once in a child of limited time and memory, which can write no
// file: whatever happens to it, this process lives on and says in one line what is wrong.
#pragma once

#include <cstddef>
#include <functional>

namespace limn {

struct ProbeLimits {
    unsigned seconds = 60;                      // of computing; ten times as long in all, for slow disks
    std::size_t memory = std::size_t(6) << 30;  // more than the child takes over from this process
};

enum class Probed {
    fine,
    crashed,
    endless,  // time is up
};

// Runs f in a child process. An Error of f, or a lack of memory there, is thrown here as an Error with the same text: f need not be run
// again to hear it. Where no child is to be had, the answer is fine. f must not use threads (engine/threads.h), and nothing it changes is
// seen here.
Probed probe(const std::function<void()>& f, const ProbeLimits& limits = {});

}  // namespace limn
