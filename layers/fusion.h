// Running a network in fewer steps: a chain of layers that only feed each other, and at which nobody looks, becomes one step that
// does all their work in passing. A convolution takes over the zero padding before it and the batch normalisation, ReLU and 2x2 max
// pool after it. The same numbers but for rounding: normalisation is folded into the kernel.
#pragma once

#include "layers/model.h"

namespace limn {

// Runs `layer` on the values of the nodes `inputs`; the result is the value of `node`.
struct Step {
    LayerPtr layer;
    std::vector<int> inputs;
    int node;
};

// readers[i]: how many read node i's value (0: it is not run); seen[i]: somebody looks at it, or it is recorded.
std::vector<Step> plain_steps(const std::vector<Node>& nodes, const std::vector<int>& readers);
std::vector<Step> fused_steps(const std::vector<Node>& nodes, const std::vector<int>& readers, const std::vector<bool>& seen);

}  // namespace limn
