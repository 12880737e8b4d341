// The family: every method, what it needs and the formula's name. Formula and source stand at the declarations, here and in
// cam/grad_cam.h.
#pragma once

#include <span>
#include <string>

#include "cam/grad_cam.h"
#include "cam/question.h"

namespace limn {

// Asks its own questions; the answer is the raw maps (T,h,w) of one image.
using Study = Tensor(const Question& question);

struct Method {
    std::string name;
    std::string variant;             // the exact formula's name, for the records
    GradientMap* formula = nullptr;  // of activations and gradients of a layer. Neither formula nor study: CAM (cam/cam.h)
    Study* study = nullptr;
    bool of_input = false;  // its map lies over the network's input, whatever layer is asked for
    bool by_layer = true;   // it looks at a layer
    bool many = false;      // it runs the whole network many times
    bool walks = true;      // it is made of gradients
    bool needs_gradient() const { return formula != nullptr; }
};
std::span<const Method> methods();
const Method& method_named(std::string_view name);  // an unknown name is an Error that lists them

// ---- at a layer, from its activations alone, or with its gradients

// Eigen-CAM (Muhammad & Yeasin 2020): A as a matrix of pixels and channels = U S V^T;  map = A v_1, its first principal component. It does
// not depend on the target. EigenGrad-CAM (pytorch-grad-cam): the same of g_k * A_k. A component has no sign of its own: here it is the
// one that agrees with the sum over the channels. As in the paper nothing is subtracted first (pytorch-grad-cam centres each channel).
Study eigen_cam;
Study eigen_grad_cam;

// ---- at a layer, by trying things out there

// Score-CAM (Wang et al. 2020): H_k = A_k enlarged to the image, from 0 to 1; weights softmax over k of score(x * H_k); map = sum_k w_k A_k.
// Channels that are the same everywhere are left out. The paper's baseline, subtracted from every score, changes nothing in a softmax.
Study score_cam;

// Ablation-CAM (Desai & Ramaswamy 2020): w_k = score - score without channel k;  map = sum_k w_k A_k. The paper divides all weights by
// the score: left out, as normalisation takes it away again, and as it would turn the map's sign where the score is negative.
Study ablation_cam;

// Recipro-CAM (Byun & Lee 2022): map(i,j) = score of A where everything but the 3x3 around (i,j) is 0, weighted 1/4, 1/8 and 1/16; less the
// score of A = 0, so that 0 means: speaks for nothing.
Study recipro_cam;

// ---- at the input, by walking backward to it. Sums over the colours unless said otherwise.

Study saliency;                // Simonyan et al. 2013: max over the colours of |d score / d x|
Study gradient_x_input;        // Shrikumar et al. 2016: x * d score / d x
Study guided_backpropagation;  // Springenberg et al. 2014: backward, a ReLU passes what is positive where its input was
Study deconvnet;               // Zeiler & Fergus 2014: backward, a ReLU passes what is positive
Study guided_grad_cam;         // Selvaraju et al. 2017: guided backpropagation * relu(Grad-CAM), enlarged

// SmoothGrad (Smilkov et al. 2017): saliency of the mean gradient over 50 noisy images, deviation .15 of the image's range.
Study smooth_grad;

// Integrated gradients (Sundararajan et al. 2017): x * mean of d score / d x on the way from 0 to x, 50 Gauss-Legendre points.
// Its sum is the score minus the score of the image of zeros (completeness).
Study integrated_gradients;

// FullGrad (Srinivas & Fleuret 2019): psi(x * d score / d x) + sum over the layers' biases b and channels of psi(b * d score / d z), each
// enlarged to the image; psi takes the magnitude and brings a layer's to 0..1. Biases: those written in the file, and what normalisations
// and rescaling add; not the implicit ones of curved activations, so that its parts sum to the score where all between is piecewise linear.
Study full_grad;

// ---- at the input, by covering it

// Occlusion (Zeiler & Fergus 2014): how much the score drops where a window of the image is 0, averaged over the windows that cover a
// pixel. Along each side windows of `size` pixels move by `step`; the last one may be cut off. Usually a seventh of the side, by half.
struct Sliding {
    Index size, step;
};
Tensor occlusion_under(const Question& question, Sliding rows, Sliding columns);
Study occlusion;

// RISE (Petsiuk et al. 2018): random masks of 7x7 cells, half of them open, enlarged and shifted; map = mean score of the masks that
// show a pixel, less the mean of all: above 0 where seeing the pixel helps.
Study rise;

}  // namespace limn
