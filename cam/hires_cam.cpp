#include "cam/grad_cam.h"

namespace limn {

Tensor hires_cam(const Backend& backend, const Tensor& activations, const Tensor& gradients) {
    by_target(activations, gradients);
    return weighted_sum(backend, activations, gradients);
}

}  // namespace limn
