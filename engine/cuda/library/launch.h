// Runs the kernels of engine/cuda/ on a GPU. Defined in launch.cu, for each kernel that is listed there.
#pragma once

#include <driver_types.h>

namespace limn::cuda {

template <class Kernel> void launch_each(cudaStream_t stream, int count, const Kernel& kernel);  // kernel(i) for all i < count
template <class T> void launch_totals(cudaStream_t stream, int outputs, const T& total);         // a total for each output

}  // namespace limn::cuda
