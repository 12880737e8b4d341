// Networks limn knows by heart: published weights files hold no description of the network they belong to.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "layers/model.h"

namespace limn {

struct Architecture {
    std::string name;              // vgg16, vgg16-notop...
    std::function<Model()> build;  // without weights
    std::string about;
};

std::span<const Architecture> architectures();
const Architecture* find_architecture(std::string_view name);
// The architecture whose layers with weights are exactly these, by name and in order.
const Architecture* recognise_architecture(const std::vector<std::string>& layers_with_weights);

// vgg.cpp (Simonyan & Zisserman 2015, as keras.applications builds it)
Model build_vgg(int depth, bool top);
// squeezenet.cpp (Iandola et al. 2016, version 1.1, as github.com/rcmalli/keras-squeezenet builds it)
Model build_squeezenet(bool top);
// paws.cpp: limn's own, for cats and dogs
Model build_paws();

// Sets every weight: kernels He-normal (He et al. 2015: standard deviation sqrt(2 / inputs of one output)), biases small
// and seeded, too, so that a test would notice if they were lost.
void initialise(Model& model, std::uint64_t seed);

}  // namespace limn
