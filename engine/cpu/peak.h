// What this machine can do at most, at this moment: the yardstick of every figure in bench/ and of `limn inspect --plan`.
#pragma once

namespace limn::cpu {

struct Peak {
    double gflops;  // multiply-adds of vectors in registers, all threads; two operations each
    double gbytes;  // a second, read from memory by all threads
};

// Takes about 0.3 s: the best of some short runs.
Peak measure_peak();

}  // namespace limn::cpu
