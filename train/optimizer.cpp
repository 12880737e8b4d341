#include "train/optimizer.h"

#include <cmath>

#include "engine/threads.h"

namespace limn {

Optimizer::Optimizer(const OptimizerSettings& settings) : settings_(settings) {
    const std::string& n = settings.name;
    LIMN_CHECK(n == "sgd" || n == "adam" || n == "adamw", "optimizer '{}' is not known; sgd, adam and adamw are", n);
    LIMN_CHECK(settings.momentum >= 0 && settings.momentum < 1, "a momentum of {} makes no sense: 0 to below 1", settings.momentum);
    LIMN_CHECK(settings.weight_decay >= 0, "a weight decay of {} makes no sense", settings.weight_decay);
}

Tensor& Optimizer::slot(const char* name, std::size_t i, const Shape& shape) {
    std::vector<Tensor>& list = slots[name];
    if (list.size() <= i) list.resize(i + 1);
    if (list[i].empty()) list[i] = Tensor::zeros(shape);
    return list[i];
}

void Optimizer::step(double learning_rate, const std::vector<Weight*>& weights, const std::vector<Tensor>& gradients) {
    iterations++;
    const bool adam = settings_.name != "sgd";
    const float rest_1 = float(1 - settings_.beta_1), rest_2 = float(1 - settings_.beta_2), epsilon = float(settings_.epsilon),
                momentum = float(settings_.momentum), lr = float(learning_rate);
    // Adam's correction of the first steps, when m and v still lean toward zero
    const float alpha = float(learning_rate * std::sqrt(1 - std::pow(settings_.beta_2, double(iterations))) /
                              (1 - std::pow(settings_.beta_1, double(iterations))));
    for (std::size_t i = 0; i < weights.size(); i++) {
        const Tensor old = weights[i]->value;
        Tensor value(old.shape());
        const float decay = settings_.decay_vectors || old.shape().rank() >= 2 ? float(learning_rate * settings_.weight_decay) : 0;
        const float *g = gradients[i].data(), *from = old.data();
        float* w = value.data();
        float* m = adam ? slot("m", i, old.shape()).data() : momentum > 0 ? slot("momentum", i, old.shape()).data() : nullptr;
        float* v = adam ? slot("v", i, old.shape()).data() : nullptr;
        parallel_ranges(value.size(), 1 << 15, [&](Index first, Index last) {
            for (Index j = first; j < last; j++) {
                const float start = from[j] - decay * from[j];
                if (adam) {  // w -= alpha * m / (sqrt(v) + epsilon)
                    m[j] += (g[j] - m[j]) * rest_1;
                    v[j] += (g[j] * g[j] - v[j]) * rest_2;
                    w[j] = start - alpha * m[j] / (std::sqrt(v[j]) + epsilon);
                } else if (m) {  // m = momentum * m - lr * g;  w += m, or (Nesterov) momentum * m - lr * g
                    m[j] = momentum * m[j] - lr * g[j];
                    w[j] = start + (settings_.nesterov ? momentum * m[j] - lr * g[j] : m[j]);
                } else {
                    w[j] = start - lr * g[j];
                }
            }
        });
        weights[i]->value = value;
    }
}

}  // namespace limn
