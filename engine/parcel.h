// Tensors that leave a device together, in one copy.
#pragma once

#include <vector>

#include "engine/tensor.h"

namespace limn {

class Parcel {
public:
    // The device's part: brings them side by side. Tensors of the host just stay what they are.
    explicit Parcel(std::vector<Tensor> tensors);
    Parcel() = default;
    // The host's part: waits for the copy. In the order in which they were given.
    std::vector<Tensor> open() const;

private:
    std::vector<Tensor> tensors_;
    Tensor together_;  // bytes
};

}  // namespace limn
