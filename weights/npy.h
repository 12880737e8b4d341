// NumPy's .npy files (format 1.0 to 3.0; NEP 1): how arrays enter and leave `limn run`.
#pragma once

#include <filesystem>

#include "engine/tensor.h"

namespace limn {

// float32, float64, int32, int64 or uint8, little-endian, C order; as a float32 tensor. Anything else is a clear Error.
Tensor read_npy(const std::filesystem::path& path);
// float32 or float64, as the tensor is.
void write_npy(const std::filesystem::path& path, const Tensor& values);

}  // namespace limn
