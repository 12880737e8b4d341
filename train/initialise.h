// Weights to start a training from, and the heads that are trained on a base.
#pragma once

#include <cstdint>
#include <string>

#include "layers/model.h"

namespace limn {

// Sets the weights of every layer that has none yet: kernels of convolutions He-normal (He et al. 2015), of dense layers
// Glorot-uniform (Glorot & Bengio 2010, Keras's default), gammas and variances 1, the rest 0. The same seed, the same weights.
void initialise_for_training(Model& model, std::uint64_t seed);

// Puts a head on the model's output, a map (N,h,w,c) (the article's three models and their relatives):
//     gap              global average pooling, Dense(1, sigmoid)                 CAM applies
//     gap-denseU       global average pooling, Dense(U, relu), Dense(1, sigmoid)
//     flatten-denseU   Flatten, Dense(U, relu), Dense(1, sigmoid)               needs a fixed image size
// With more than two classes the last layer is Dense(classes, softmax). dropout: before the last layer, if above 0.
void add_head(Model& model, const std::string& kind, Index classes, double dropout);

// Freezes every layer below the node (all of them for -1): training leaves them alone.
void freeze_below(Model& model, int node);

}  // namespace limn
