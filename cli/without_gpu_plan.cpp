// In place of gpu_plan.cpp where limn is built without CUDA.
#include "cli/cli.h"
#include "engine/cuda/cuda.h"

namespace limn::cli {

void print_gpu_plan(const Options&, const LoadedModel&, int) { fail("--sm: {}", cuda::problem()); }

}  // namespace limn::cli
