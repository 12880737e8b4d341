// Evidence that a map is what it says: its gradient against finite differences, its sum against the score, the fast kernels against the
// loops of the definitions, the same bits again.
#pragma once

#include "cam/explain.h"

namespace limn {

struct Evidence {
    std::string check;  // gradient, rounding, completeness, agreement, repeats
    bool passed;
    double found, limit;  // found should be at most the limit
    std::string text;     // what was compared, in words
};

// For each of an image's maps, in their order. exact: the same network with weights of its own, which are made double.
//   gradient      in double precision, a little beside the photo: the backward walk against central differences of the score along three
//                 random directions at the layer (or the input); relative to the part of the gradient along such a direction
//   rounding      limn's gradient against the same walk in double precision: |difference| / |gradient|. Where rounding decides ReLUs or
//                 pools the other way (flat areas of a photo: several equal winners), up to 0.1 is let pass, and the text says how many
//   completeness  where the head is linear, sum over the map (CAM: its mean) + bias = score; integrated gradients: sum = score - score of zeros
//   agreement     the other backend's map (cpu: reference; cuda: cpu): |difference| / |map|, with the same limit as rounding; not of methods
//                 that run the network many times
//   repeats       the share of cells that differ when the map is computed again, with one thread and with all
// Of a fused map: the worst gradient and rounding of its layers. Checks that do not apply to a map are left out. told: what is being done, for people who wait.
std::vector<std::vector<Evidence>> verify(const Backend& backend, Model model, Model exact, const Tensor& image, const Request& request,
                                          const Explained& result, const std::function<void(const std::string&)>& told = {});

}  // namespace limn
