// A layer that lets another one work for it: it owns the weights, as the file has them, and hands them down before each run.
#pragma once

#include "layers/layer.h"

namespace limn {

class Wrapper : public Layer {
public:
    using Layer::Layer;
    const ConvPlan* plan() const override { return inner_->plan(); }
    bool random_in_training() const override { return inner_->random_in_training(); }

protected:
    // After inner_ has been built. stored(weight) is the shape the file has: the same numbers.
    template <class Stored> void adopt(Stored stored) {
        for (const Weight& w : inner_->weights) weights.push_back({w.name, stored(w), {}, w.trainable});
        activation_after = inner_->activation_after;
        fused_relu = inner_->fused_relu;
    }
    const Layer& inner() const {
        for (std::size_t i = 0; i < inner_->weights.size(); i++)
            if (!weights[i].value.empty()) inner_->weights[i].value = weights[i].value.reshaped(inner_->weights[i].shape);
        inner_->trainable = trainable;
        return *inner_;
    }
    LayerPtr inner_;
};

}  // namespace limn
