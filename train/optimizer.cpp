#include "train/optimizer.h"

#include <cmath>

namespace limn {

Optimizer::Optimizer(const OptimizerSettings& settings) : settings_(settings) {
    const std::string& n = settings.name;
    LIMN_CHECK(n == "sgd" || n == "adam" || n == "adamw", "optimizer '{}' is not known; sgd, adam and adamw are", n);
    LIMN_CHECK(settings.momentum >= 0 && settings.momentum < 1, "a momentum of {} makes no sense: 0 to below 1", settings.momentum);
    LIMN_CHECK(settings.weight_decay >= 0, "a weight decay of {} makes no sense", settings.weight_decay);
}

Tensor& Optimizer::slot(const char* name, std::size_t i, const Tensor& beside) {
    std::vector<Tensor>& list = slots[name];
    if (list.size() <= i) list.resize(i + 1);
    list[i] = list[i].empty() ? beside.zeros_like(beside.shape()) : list[i].on(beside.device());
    return list[i];
}

void Optimizer::step(const Backend& backend, double learning_rate, const std::vector<Weight*>& weights,
                     const std::vector<Tensor>& gradients) {
    iterations++;
    const bool adam = settings_.name != "sgd", remembers = adam || settings_.momentum > 0;
    Update update{adam                 ? Update::Rule::adam
                  : !remembers         ? Update::Rule::sgd
                  : settings_.nesterov ? Update::Rule::nesterov
                                       : Update::Rule::momentum,
                  float(learning_rate),
                  0,
                  float(settings_.momentum),
                  float(1 - settings_.beta_1),
                  float(1 - settings_.beta_2),
                  float(settings_.epsilon)};
    if (adam)  // corrects the first steps, when m and v still lean toward zero
        update.rate = float(learning_rate * std::sqrt(1 - std::pow(settings_.beta_2, double(iterations))) /
                            (1 - std::pow(settings_.beta_1, double(iterations))));
    for (std::size_t i = 0; i < weights.size(); i++) {
        const Tensor& old = weights[i]->value;
        const std::string& name = weights[i]->name;
        const bool decays = settings_.decay_vectors || name.ends_with("kernel") || name.ends_with("embeddings");
        update.decay = decays ? float(learning_rate * settings_.weight_decay) : 0;
        Tensor value = old.like(), none;
        Tensor& m = remembers ? slot(adam ? "m" : "momentum", i, old) : none;
        Tensor& v = adam ? slot("v", i, old) : none;
        backend.update(update, gradients[i], old, m, v, value);
        weights[i]->value = value;
    }
}

}  // namespace limn
