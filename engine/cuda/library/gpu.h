#pragma once

#include "engine/cuda/cuda.h"

namespace limn::cuda {

std::unique_ptr<Backend> gpu_backend(const Settings& settings);  // on the first GPU; an Error says why it cannot be used

}  // namespace limn::cuda
