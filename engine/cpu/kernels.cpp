#include "engine/cpu/kernels.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace limn::cpu {

std::vector<const Kernels*> runnable_kernels() {
    std::vector<const Kernels*> tables{&baseline::kernels};
#if defined(__x86_64__)
    // These also ask whether the operating system saves the wide registers.
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables.push_back(&avx2::kernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        tables.push_back(&avx512::kernels);
#endif
    return tables;
}

const Kernels& best_kernels() {
    static const Kernels& chosen = []() -> const Kernels& {
        const auto tables = runnable_kernels();
        const char* wanted = std::getenv("LIMN_ISA");
        if (!wanted || !*wanted) return *tables.back();
        for (const Kernels* k : tables)
            if (std::string(wanted) == k->isa) return *k;
        fail("LIMN_ISA={}: this processor cannot run it (baseline always works; unset it for the best)", wanted);
    }();
    return chosen;
}

}  // namespace limn::cpu
