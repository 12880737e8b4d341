// The backends that are compared with the definitions: the cpu's, with every instruction set that runs here, and the cuda backend's own
// kernels on the host: the same text in a loop, in the order in which a GPU's lanes add up.
#pragma once

#include "engine/cpu/backend.h"
#include "engine/cuda/kernel_verbs.h"
#include "engine/reference/backend.h"

namespace limn {

struct HostMachine {
    template <class Kernel> void each(int count, const Kernel& kernel) const {
        for (int i = count - 1; i >= 0; i--) kernel(i);  // backward: no kernel may depend on the order
    }
    template <class T> void totals(int outputs, const T& total) const {
        constexpr int lanes = 256;
        for (int output = 0; output < outputs; output++) {
            typename T::Total sums[lanes];
            for (int lane = 0; lane < lanes; lane++)
                for (int term = lane; term < total.terms; term += lanes) total.add(sums[lane], output, term);
            for (int half = lanes / 2; half > 0; half /= 2)
                for (int lane = 0; lane < half; lane++) sums[lane].merge(sums[lane + half]);
            total.finish(output, sums[0]);
        }
    }
    const float* read(const Tensor& tensor) const { return tensor.data(); }
    Tensor tensor(const Shape& shape, DType dtype) const { return Tensor(shape, dtype); }
};

class HostKernels : public cuda::KernelVerbs<HostMachine, ReferenceBackend> {
public:
    HostKernels() : KernelVerbs(HostMachine()) {}
    std::string name() const override { return "cuda's kernels on the host"; }
};

inline std::vector<CpuBackend> backends() {
    std::vector<CpuBackend> list;
    for (const cpu::Kernels* k : cpu::runnable_kernels()) list.emplace_back(*k);
    return list;
}

inline std::vector<std::unique_ptr<Backend>> backends_and_kernels() {
    std::vector<std::unique_ptr<Backend>> list;
    for (const CpuBackend& backend : backends()) list.push_back(std::make_unique<CpuBackend>(backend));
    list.push_back(std::make_unique<HostKernels>());
    return list;
}

// Rounding of a sum of `terms` products: eps * sqrt(terms) of the largest value, with room for unlucky sums.
inline double rounding(Index terms) { return 8 * 6e-8 * std::sqrt(double(terms)); }

}  // namespace limn
