#include "evaluate/randomisation.h"

#include <algorithm>

#include "autograd/training.h"

namespace limn {

CascadingRandomisation::CascadingRandomisation(Model& model, std::uint64_t seed) : layers_(model.weighted_layers()), seed_(seed) {
    std::reverse(layers_.begin(), layers_.end());
    for (const Layer* layer : layers_) {
        weights_.emplace_back();
        for (const Weight& weight : layer->weights) weights_.back().push_back(weight.value);
    }
}

CascadingRandomisation::~CascadingRandomisation() {
    for (std::size_t i = 0; i < done_; i++)
        for (std::size_t k = 0; k < weights_[i].size(); k++) layers_[i]->weights[k].value = weights_[i][k];
}

bool CascadingRandomisation::next() {
    if (done_ == layers_.size()) return false;
    for (Weight& weight : layers_[done_]->weights) {
        Random random(seed_, layers_[done_]->name + "/" + weight.name);
        const Tensor trained = weight.value.host();
        std::vector<float> numbers(trained.values().begin(), trained.values().end());
        random.shuffle(numbers);
        weight.value = Tensor::from(trained.shape(), numbers).on(weight.value.device());
    }
    done_++;
    return true;
}

}  // namespace limn
