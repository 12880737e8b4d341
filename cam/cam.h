// CAM (Zhou et al. 2016): where a network ends in global average pooling and one linear layer,
//     score_k = b_k + sum_c w[c,k] * mean over pixels of A_c,   so   map_k = sum_c w[c,k] * A_c
// is the score laid out over the plane: mean over pixels of map_k = score_k - b_k. No gradient is needed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cam/target.h"

namespace limn {

// The linear end of such a network.
struct CamHead {
    int layer;       // the node whose output A is averaged
    Tensor weights;  // (c,K); empty: the averages themselves are the scores (NiN, SqueezeNet)
    Tensor bias;     // (K), or empty
};

// Follows the scores back to the averaged layer, through layers that change nothing (dropout, flatten, reshape).
// If the head is of another kind, says why and which method does instead.
std::optional<CamHead> find_cam_head(const Model& model, const Head& head, std::string& reason);

// maps (T*N,h,w) of activations (N,h,w,c): signed, for the scores that the seed (T*N,K) picks (seed_of, cam/target.h).
Tensor cam(const Backend& backend, const CamHead& head, const Tensor& activations, const Tensor& seed);

}  // namespace limn
