#include "engine/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/cpu/kernels.h"
#include "engine/threads.h"

namespace limn::cpu {

template <class Work> static double best_seconds(int runs, Work work) {
    double best = 1e9;
    for (int i = 0; i < runs; i++) {
        const auto start = std::chrono::steady_clock::now();
        work();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

Peak measure_peak() {
    const Kernels& kernels = best_kernels();
    const Index threads = thread_count(), rounds = 4000000;
    std::vector<float> results(std::size_t(threads * 16));
    const double arithmetic = best_seconds(
        8, [&] { parallel_for(threads, [&](Index t) { results[std::size_t(t * 16)] = kernels.multiply_adds_only(rounds); }); });
    const Index floats = Index(24) << 20, pieces = threads * 8;  // 96 MB: more than any cache keeps
    const Tensor memory = Tensor::zeros({floats});
    std::vector<float> sums(1024);
    const double reading = best_seconds(5, [&] {
        parallel_for(pieces, [&](Index i) {
            std::vector<float> sum(1024);
            kernels.sum_rows(memory.data() + floats / pieces * i, floats / pieces / 1024, 1024, sum.data());
        });
    });
    return {double(threads * rounds) * kernels.multiply_adds_each * 2 / arithmetic / 1e9, double(floats) * sizeof(float) / reading / 1e9};
}

}  // namespace limn::cpu
