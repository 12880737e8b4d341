#pragma once

#include "engine/cuda/conv_graph.h"
#include "engine/cuda/device_description.h"

namespace limn::cuda {

// cuDNN's choice for a GPU that is only described; such a plan cannot run. An Error says what cuDNN has no plan for, in its words.
std::unique_ptr<ConvGraphPlan> plan_conv(const ConvGraph& graph, const DeviceDescription& device);

std::string cudnn_version();  // "9.19.0"

}  // namespace limn::cuda
