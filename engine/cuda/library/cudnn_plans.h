#pragma once

#include "engine/cuda/conv_graph.h"
#include "engine/cuda/device_description.h"
#include "engine/cuda/library/gpu_device.h"

struct cudnnContext;

namespace limn::cuda {

// cuDNN's choice for a GPU that is only described; such a plan cannot run. An Error says what cuDNN has no plan for, in its words.
std::unique_ptr<ConvGraphPlan> plan_conv(const ConvGraph& graph, const DeviceDescription& device);

std::string cudnn_version();  // "9.19.0"

// cuDNN on the GPU there is.
class Cudnn {
public:
    explicit Cudnn(GpuDevice& gpu);
    ~Cudnn();
    Cudnn(const Cudnn&) = delete;
    // By cuDNN's heuristics, or by timing all it has (autotune).
    std::unique_ptr<ConvGraphPlan> plan(const ConvGraph& graph, bool autotune) const;

private:
    GpuDevice& gpu_;
    cudnnContext* handle_ = nullptr;
};

}  // namespace limn::cuda
