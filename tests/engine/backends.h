// The backends that are compared with the definitions: the cpu's, with every instruction set that runs here, and the cuda backend on a
// machine that the host plays.
#pragma once

#include "engine/cpu/backend.h"
#include "engine/cuda/cuda.h"
#include "engine/reference/backend.h"
#include "tests/engine/host_machine.h"

namespace limn {

inline std::vector<CpuBackend> backends() {
    std::vector<CpuBackend> list;
    for (const cpu::Kernels* k : cpu::runnable_kernels()) list.emplace_back(*k);
    return list;
}

// Those, the cuda backend on the played machine (also where cuDNN has no plan for anything), and on a GPU where there is one.
inline const std::vector<const Backend*>& all_backends() {
    static const std::vector<CpuBackend> cpu = backends();
    static const HostBackend without_plans(cuda::Precision::f32, " ");  // every key holds a space
    static const std::vector<const Backend*> list = [] {
        std::vector<const Backend*> all;
        for (const CpuBackend& backend : cpu) all.push_back(&backend);
        all.insert(all.end(), {&played_gpu(), &without_plans});
        if (cuda::problem().empty()) all.push_back(&backend_named("cuda"));
        return all;
    }();
    return list;
}

// The backends that whole networks are compared on.
inline std::vector<const Backend*> network_backends() {
    std::vector<const Backend*> list{&reference_backend(), &cpu_backend(), &played_gpu()};
    if (cuda::problem().empty()) list.push_back(&backend_named("cuda"));
    return list;
}

// Rounding of a sum of `terms` products: eps * sqrt(terms) of the largest value, with room for unlucky sums.
inline double rounding(Index terms) { return 8 * 6e-8 * std::sqrt(double(terms)); }

}  // namespace limn
