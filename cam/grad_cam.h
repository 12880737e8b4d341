// Gradient-weighted maps, each in a file of its own. activations A: (N,h,w,c); gradients g = d score / d A: (T*N,h,w,c), target by target.
// The maps are raw, (T*N,h,w): signed, at the layer's resolution; ReLU and normalisation come later (cam/map.h).
#pragma once

#include "engine/backend.h"

namespace limn {

using GradientMap = Tensor(const Backend& backend, const Tensor& activations, const Tensor& gradients);

// Grad-CAM (Selvaraju et al. 2017, eqs. 1 and 2): alpha_k = mean over pixels of g_k;  map = sum_k alpha_k A_k
GradientMap grad_cam;

// HiResCAM (Draelos & Carin 2020): map = sum_k g_k * A_k, pixel by pixel
GradientMap hires_cam;

// Grad-CAM++ (Chattopadhay et al. 2018) as in its authors' code:
//     alpha_k = 1 / (2 + g_k * sum over pixels of A_k) where g_k > 0, else 0, then divided by its sum over the pixels;
//     w_k = sum over pixels of alpha_k * g_k;  map = sum_k w_k A_k
// The authors' code multiplies all w_k by the same e^score, which overflows and which the normalisation takes away again: left out here.
GradientMap grad_cam_plus_plus;

// XGrad-CAM (Fu et al. 2020): w_k = sum over pixels of g_k A_k / (sum over pixels of A_k + 1e-7);  map = sum_k w_k A_k
GradientMap xgrad_cam;

// LayerCAM (Jiang et al. 2021): map = sum_k max(g_k, 0) * A_k, pixel by pixel
GradientMap layer_cam;

// What they share. (T*N,h,w,c) -> (T,N,h,w,c), so that what belongs to the N images, (N,...), repeats for each target; and an Error if
// gradients do not belong to activations.
Tensor by_target(const Tensor& activations, const Tensor& gradients);
Tensor over_pixels(const Backend& backend, Reduction op, const Tensor& x);                      // (M,h,w,c) -> (M,1,1,c)
Tensor weighted_sum(const Backend& backend, const Tensor& activations, const Tensor& weights);  // sum over channels: the map

}  // namespace limn
