// Activations as layers of their own. The model asks an output for its activation to find the value before it.
#pragma once

#include "layers/layer.h"

namespace limn {

class Activation : public Layer {
public:
    Activation(const Config& config, const ActivationFn& activation) : Layer(config), activation_(activation) {}
    Shape output_shape(const std::vector<Shape>& in) const override;
    MaskUse mask_use(const std::vector<int>& masks) const override {
        if (class_name == "Softmax" && masks[0] >= 0) reject("a softmax over the steps that a mask leaves is not known");
        return {.passes = 0};
    }
    Var forward(Tape&, const std::vector<Var>& in) const override;

    Fusible fusible() const override {
        const UnaryFn& f = activation_.fn;
        if (!is_relu() || f.slope != 0 || f.threshold != 0) return {};
        if (f.max_value == 6) return {.kind = Fusible::Kind::relu6};
        return {.kind = f.is_plain_relu() ? Fusible::Kind::relu : Fusible::Kind::nothing};
    }
    bool is_softmax() const { return activation_.along == ActivationFn::Along::softmax; }
    bool is_sigmoid() const { return activation_.is(Unary::sigmoid); }
    bool is_relu() const { return activation_.is(Unary::relu); }

private:
    int axis_of(const Shape&) const;  // of the NHWC tensor
    ActivationFn activation_;
};

}  // namespace limn
