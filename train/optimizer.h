// SGD, Adam and AdamW, with Keras's formulas: the same numbers step for step (tests/train/test_training_goldens.cpp).
//
// Weights are values: a step makes new tensors and leaves the old ones as they are, so that whatever was prepared from
// them (packed kernels) is not used for the new ones by mistake.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "layers/model.h"

namespace limn {

struct OptimizerSettings {
    std::string name = "adam";                            // sgd, adam, adamw
    double momentum = 0;                                  // sgd
    bool nesterov = false;                                // sgd
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;  // adam, adamw (Kingma & Ba 2015)
    // Decoupled (Loshchilov & Hutter 2019): before each step  w -= learning_rate * weight_decay * w
    double weight_decay = 0;
    bool decay_vectors = false;  // also biases, gammas and betas (as Keras does unless told otherwise)
};

class Optimizer {
public:
    explicit Optimizer(const OptimizerSettings& settings);

    // One step. weights[i]->value is replaced; gradients[i] has its shape.
    void step(const Backend& backend, double learning_rate, const std::vector<Weight*>& weights, const std::vector<Tensor>& gradients);

    // For checkpoints: how many steps were done, and what is remembered of each weight (momentum, m, v), by place.
    std::int64_t iterations = 0;
    std::map<std::string, std::vector<Tensor>> slots;

private:
    Tensor& slot(const char* name, std::size_t i, const Tensor& beside);
    OptimizerSettings settings_;
};

}  // namespace limn
