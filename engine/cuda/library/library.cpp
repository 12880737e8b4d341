// What liblimn_cuda.so offers to the program that opens it (engine/cuda/cuda.cpp).
#include "engine/cuda/cuda.h"
#include "engine/cuda/library/cudnn_plans.h"
#include "engine/cuda/library/gpu.h"

namespace limn::cuda {

namespace {

class CudaLibrary : public Library {
public:
    std::string cudnn_version() const override { return cuda::cudnn_version(); }
    std::unique_ptr<ConvGraphPlan> plan(const ConvGraph& graph, const DeviceDescription& device) const override {
        return plan_conv(graph, device);
    }
    std::unique_ptr<Backend> backend(const Settings& settings) const override { return gpu_backend(settings); }
};

}  // namespace

}  // namespace limn::cuda

extern "C" __attribute__((visibility("default"))) const limn::cuda::Library* limn_cuda_library() {
    static const limn::cuda::CudaLibrary library;
    return &library;
}
