// What a frozen base makes of each photo, computed once: an epoch of the head above it then costs next to nothing.
#pragma once

#include <filesystem>

#include "train/loader.h"

namespace limn {

// (N, ...): the value of `node` for every sample, in order. In memory up to `memory` bytes, else in a file that is removed
// when the last tensor that looks into it is gone. Shows a progress bar with `label`.
Tensor compute_features(const Backend& backend, const Model& model, int node, const std::vector<Sample>& samples,
                        const LoaderSettings& settings, std::uint64_t memory, const std::filesystem::path& folder,
                        const std::string& label);

Tensor gathered(const Tensor& rows, const std::vector<std::size_t>& order, std::size_t first, std::size_t count);

}  // namespace limn
