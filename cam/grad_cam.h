// Gradient-weighted maps. activations A: (N,h,w,c); gradients d score / d A: (T*N,h,w,c), target by target.
// The maps are raw, (T*N,h,w): signed, at the layer's resolution; ReLU and normalisation come later (cam/map.h).
#pragma once

#include "engine/backend.h"

namespace limn {

// Grad-CAM (Selvaraju et al. 2017, eqs. 1 and 2): alpha_k = mean over pixels of d score / d A_k;  map = sum_k alpha_k A_k
Tensor grad_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients);

// HiResCAM (Draelos & Carin 2020): map = sum_k (d score / d A_k) * A_k, pixel by pixel
Tensor hires_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients);

}  // namespace limn
