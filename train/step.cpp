#include "train/step.h"

#include "train/loss.h"

namespace limn {

std::vector<Weight*> trained_weights(const Model& model) {
    std::vector<Weight*> list;
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights)
            if (layer->trainable) list.push_back(&w);
    return list;
}

std::vector<Weight*> trainable_weights(const Model& model) {
    std::vector<Weight*> list = trained_weights(model);
    std::erase_if(list, [](const Weight* w) { return !w->trainable; });
    return list;
}

Tensor blended(const Backend& backend, const Tensor& a, const Tensor& b, double share) {
    Tensor of_a = a.like(), of_b = a.like(), sum = a.like();
    backend.binary(Binary::multiply, a, Tensor::full({1}, share, a.dtype()), of_a);
    backend.binary(Binary::multiply, b, Tensor::full({1}, 1 - share, a.dtype()), of_b);
    backend.binary(Binary::add, of_a, of_b, sum);
    return sum;
}

// Keras: moving = moving * momentum + batch * (1 - momentum)
static void follow(const Backend& backend, const Model& model, const TrainingStep& training) {
    for (const TrainingStep::MovingAverage& average : training.moving_averages)
        for (Layer* layer : model.weighted_layers())
            for (Weight& w : layer->weights)
                if (w.value.id() == average.moving.id()) w.value = blended(backend, average.moving, average.batch, average.momentum);
}

StepResult compute_gradients(const Backend& backend, Model& model, const Head& head, const Tensor& x, const Tensor& targets,
                             std::uint64_t seed) {
    Tape tape(backend);
    TrainingStep training{seed, {}};
    tape.training = &training;
    const std::vector<Weight*> weights = trainable_weights(model);
    for (const Weight* w : weights) tape.watch_parameter(w->value);

    const int keep[] = {head.logits};
    const std::vector<Var> values = model.forward(tape, {x}, {}, keep);
    const Var& logits = values[std::size_t(head.logits)];
    const Var loss = loss_of(head, tape, logits, targets);

    std::vector<Var> parameters;
    for (const Weight* w : weights) parameters.push_back(tape.parameter(w->value));
    StepResult result{loss.value.at_flat(0), logits.value.host(), tape.gradients(loss, Tensor::full({1}, 1, x.dtype()), parameters)};
    for (std::size_t i = 0; i < weights.size(); i++) result.gradients[i] = result.gradients[i].reshaped(weights[i]->shape);
    follow(backend, model, training);
    return result;
}

StepResult train_step(const Backend& backend, Model& model, const Head& head, Optimizer& optimizer, double learning_rate, const Tensor& x,
                      const Tensor& targets, std::uint64_t seed) {
    StepResult result = compute_gradients(backend, model, head, x, targets, seed);
    optimizer.step(backend, learning_rate, trainable_weights(model), result.gradients);
    return result;
}

}  // namespace limn
