// The randomisation sanity check (Adebayo et al. 2018, "Sanity checks for saliency maps", section 3.1): the network forgets, one layer
// after another from the scores downward. A map that explains the network changes with it; one that does not shows edges at best.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "layers/model.h"

namespace limn {

// While it lives, the topmost layers of a model hold other weights: those it had, in a random order (so that each layer keeps its scale).
// Then the model is as it was.
class CascadingRandomisation {
public:
    CascadingRandomisation(Model& model, std::uint64_t seed);
    ~CascadingRandomisation();
    CascadingRandomisation(const CascadingRandomisation&) = delete;

    bool next();  // one layer more, from the top; false if there is none left
    const std::string& layer() const { return layers_[done_ - 1]->name; }

private:
    std::vector<Layer*> layers_;  // with weights, the topmost first
    std::vector<std::vector<Tensor>> weights_;
    std::size_t done_ = 0;
    std::uint64_t seed_;
};

}  // namespace limn
