// What the NVIDIA driver says, asked before any of NVIDIA's libraries is loaded: is there a GPU that this limn can use, and if not, why not?
#pragma once

#include <span>
#include <string>

namespace limn::cuda {

// In one line that says what to do; empty if there is a GPU. needed: the CUDA version (13000 is 13.0) the libraries were built with;
// built_for: compute capabilities (90 is 9.0) there is machine code for, lowest first.
std::string driver_problem(int needed, std::span<const int> built_for);

bool driver_installed();  // libcuda.so.1, whether it works or not

}  // namespace limn::cuda
