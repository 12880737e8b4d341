// One map from the maps of several layers.
#pragma once

#include "cam/map.h"

namespace limn {

// mean: pytorch-grad-cam's way for several layers. max: of LayerCAM (Jiang et al. 2021, eq. 8), where the map of each layer is first
// brightened by tanh(2 * map / largest).
enum class Fusion { mean, max };
Fusion fusion_named(std::string_view name);

// raws: (h_i,w_i), signed. Each is normalised by ReLU and its largest value, enlarged to the largest of them, then fused: (h,w), 0 to 1.
Tensor fused(const Backend& backend, const std::vector<Tensor>& raws, Fusion how);

}  // namespace limn
