#include "layers/layer.h"

namespace limn {

const Tensor& Layer::weight(std::string_view weight_name) const {
    static const Tensor none;
    for (const Weight& w : weights)
        if (w.name == weight_name) return w.value;
    return none;
}

void Layer::reject(const std::string& what) const { fail("layer '{}' ({}): {}", name, class_name, what); }

void Layer::expect_rank(const Shape& input, int rank) const {
    if (input.rank() != rank) reject(fmt::format("its input should have {} axes (batch included), not {}", rank, input.str()));
}

void Layer::split_activation(const ActivationFn& activation) {
    fused_relu = activation.is(Unary::relu) && activation.fn.is_plain_relu();
    if (!fused_relu && !activation.is_linear()) activation_after = activation;
}

}  // namespace limn
