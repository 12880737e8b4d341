// Activations as layers of their own. The model asks an output for its activation to find the value before it.
#pragma once

#include "layers/layer.h"

namespace limn {

class Activation : public Layer {
public:
    Activation(const Config& config, const ActivationFn& activation, int softmax_axis = -1)
        : Layer(config), activation_(activation), softmax_axis_(softmax_axis) {}
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>& masks) const override {
        if (class_name == "Softmax" && masks[0] >= 0) reject("a softmax over the steps that a mask leaves is not known");
        return {.passes = 0};
    }
    Var forward(Tape&, const std::vector<Var>& in) const override;

    Fusible fusible() const override {
        if (activation_.softmax || activation_.fn.slope != 0 || activation_.fn.threshold != 0 || !is_relu()) return {};
        if (activation_.fn.max_value == 6) return {.kind = Fusible::Kind::relu6};
        return {.kind = activation_.fn.is_plain_relu() ? Fusible::Kind::relu : Fusible::Kind::nothing};
    }
    bool is_softmax() const { return activation_.softmax; }
    bool is_sigmoid() const { return !activation_.softmax && activation_.fn.kind == Unary::sigmoid; }
    bool is_relu() const { return !activation_.softmax && activation_.fn.kind == Unary::relu; }

private:
    ActivationFn activation_;
    int softmax_axis_;  // of the NHWC tensor
};

}  // namespace limn
