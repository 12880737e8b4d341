// One weight's step, for all backends: the formulas of Keras's optimisers.
#pragma once

#include <cmath>

#include "engine/host_device.h"
#include "engine/verbs.h"

namespace limn {

// The new value of a weight w with the gradient g; m and v are what the optimiser remembers of it.
LIMN_HOST_DEVICE inline float updated(const Update& u, float w, float g, float& m, float& v) {
    const float start = w - u.decay * w;
    switch (u.rule) {
        case Update::Rule::sgd: return start - u.rate * g;
        case Update::Rule::momentum: m = u.momentum * m - u.rate * g; return start + m;
        case Update::Rule::nesterov: m = u.momentum * m - u.rate * g; return start + (u.momentum * m - u.rate * g);
        case Update::Rule::adam: break;
    }
    m += (g - m) * u.rest_1;  // Kingma & Ba 2015
    v += (g * g - v) * u.rest_2;
    return start - u.rate * m / (std::sqrt(v) + u.epsilon);
}

}  // namespace limn
