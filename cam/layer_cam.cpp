#include "cam/grad_cam.h"

namespace limn {

Tensor layer_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    by_target(activations, gradients);
    Tensor positive = gradients.like();
    backend.unary({.kind = Unary::relu}, gradients, positive);
    return weighted_sum(backend, activations, positive);
}

}  // namespace limn
