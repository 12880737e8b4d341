#include "engine/cpu/backend.h"
#include "engine/cuda/cuda.h"

namespace limn {

const Backend& backend_named(std::string_view name) {
    if (name == "auto") return cuda::problem().empty() ? cuda::backend() : cpu_backend();
    if (name == "cpu") return cpu_backend();
    if (name == "cpu-exact") {
        static const CpuBackend exact(cpu::best_kernels(), true);
        return exact;
    }
    if (name == "reference") return reference_backend();
    if (name == "cuda") return cuda::backend();
    fail("device '{}' is not known; auto, cpu, cpu-exact, cuda and reference are", name);
}

}  // namespace limn
