#include "engine/cpu/backend.h"
#include "engine/cuda/cuda.h"

namespace limn {

const Backend& backend_named(std::string_view name) {
    if (name == "auto" || name == "cpu") return cpu_backend();
    if (name == "cpu-exact") {
        static const CpuBackend exact(cpu::best_kernels(), true);
        return exact;
    }
    if (name == "reference") return reference_backend();
    if (name == "cuda") {
        LIMN_CHECK(cuda::built_with_cuda(), "this limn was built without CUDA: use --device cpu, or configure with -DLIMN_CUDA=ON");
        LIMN_CHECK(cuda::driver_problem().empty(), "--device cuda: {}; use --device cpu", cuda::driver_problem());
        fail("--device cuda: this limn plans for GPUs (limn inspect --plan --sm) but does not run on them yet; use --device cpu");
    }
    fail("device '{}' is not known; auto, cpu, cpu-exact, cuda and reference are", name);
}

}  // namespace limn
