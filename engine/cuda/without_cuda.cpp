// In place of cuda.cpp where limn is built without CUDA.
#include "engine/cuda/cuda.h"

namespace limn::cuda {

bool built_with_cuda() { return false; }

const std::string& problem() {
    static const std::string what = "this limn was built without CUDA (configure with -DLIMN_CUDA=ON)";
    return what;
}

bool worth_a_word() { return false; }

const Library& library() { fail("{}", problem()); }
const Backend& backend(const Settings&) { fail("--device cuda: {}; or use --device cpu", problem()); }
std::unique_ptr<Backend> described_backend(int, Precision) { fail("{}", problem()); }

}  // namespace limn::cuda
