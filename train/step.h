// One step of training, and the weights it changes.
#pragma once

#include <vector>

#include "autograd/training.h"
#include "cam/target.h"
#include "train/optimizer.h"

namespace limn {

// The weights training changes: all of the layers that are not frozen. Each once, in the model's order.
std::vector<Weight*> trained_weights(const Model& model);

// Those among them that have gradients: without moving averages.
std::vector<Weight*> trainable_weights(const Model& model);

// a * share + b * (1 - share)
Tensor blended(const Backend& backend, const Tensor& a, const Tensor& b, double share);

struct StepResult {
    double loss;
    Tensor logits;                  // (N,K), before the step
    std::vector<Tensor> gradients;  // of trainable_weights()
};

// Forward in training mode, loss, backward; nothing is changed but moving averages. x: (N,...), targets: (N,K).
StepResult compute_gradients(const Backend& backend, Model& model, const Head& head, const Tensor& x, const Tensor& targets,
                             std::uint64_t seed);

// compute_gradients and the optimizer's step.
StepResult train_step(const Backend& backend, Model& model, const Head& head, Optimizer& optimizer, double learning_rate, const Tensor& x,
                      const Tensor& targets, std::uint64_t seed);

}  // namespace limn
