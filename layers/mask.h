// Computes a mask (layers/layer.h, MaskUse). Masks are constants: nothing flows backward through them.
#pragma once

#include <functional>

#include "layers/layer.h"

namespace limn {

class Mask : public Layer {
public:
    using ShapeOf = std::function<Shape(const std::vector<Shape>&)>;
    using ValueOf = std::function<Tensor(const Backend&, const std::vector<Var>&)>;  // float

    Mask(const std::string& of_layer, ShapeOf shape, ValueOf value)
        : Layer(Config{"Mask", of_layer + ":mask", {}}), shape_(std::move(shape)), value_(std::move(value)) {}
    Shape output_shape(const std::vector<Shape>& in) const override { return shape_(in); }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return value_(tape.backend(), in); }

private:
    ShapeOf shape_;
    ValueOf value_;
};

}  // namespace limn
