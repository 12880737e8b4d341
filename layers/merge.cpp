#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

// Two or more inputs, element by element; axes of size 1 repeat.
class Merge : public Layer {
public:
    using Layer::Layer;
    Shape output_shape(const std::vector<Shape>& in) const override {
        if (in.size() < 2) reject("it needs at least two inputs");
        if (class_name == "Subtract" && in.size() != 2) reject("it needs two inputs");
        Shape out = in[0];
        for (const Shape& shape : in) {
            if (shape.rank() > out.rank()) out = shape;
        }
        for (const Shape& shape : in)
            for (int i = 1; i <= shape.rank(); i++) {
                if (shape[-i] != out[-i] && shape[-i] != 1 && out[-i] != 1 && shape[-i] >= 0 && out[-i] >= 0)
                    reject(fmt::format("inputs {} and {} do not fit together", in[0].str(), shape.str()));
                if (out[-i] == 1) out[-i] = shape[-i];
            }
        return out;
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const auto f = class_name == "Add" || class_name == "Average" ? add
                       : class_name == "Subtract"                     ? subtract
                       : class_name == "Multiply"                     ? multiply
                       : class_name == "Maximum"                      ? maximum
                                                                      : minimum;
        Var y = in[0];
        for (std::size_t i = 1; i < in.size(); i++) y = f(tape, y, in[i]);
        return class_name == "Average" ? scale(tape, y, 1.0 / double(in.size())) : y;
    }
};

class Concatenate : public Layer {
public:
    explicit Concatenate(const Config& config) : Layer(config) {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        const int axis = axis_of(in[0]);
        Shape out = in[0].with(axis, 0);
        for (const Shape& shape : in) {
            if (shape.rank() != out.rank()) reject(fmt::format("inputs {} and {} do not fit together", in[0].str(), shape.str()));
            for (int i = 1; i < out.rank(); i++)
                if (i != axis && shape[i] != out[i] && shape[i] >= 0 && out[i] >= 0)
                    reject(fmt::format("inputs {} and {} do not fit together", in[0].str(), shape.str()));
            out[axis] = shape[axis] < 0 || out[axis] < 0 ? -1 : out[axis] + shape[axis];
        }
        return out;
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return concatenate(tape, in, axis_of(in[0].shape())); }

private:
    int axis_of(const Shape& shape) const { return keras_config.nhwc_axis(keras_config.integer("axis", -1), shape.rank()); }
};

}  // namespace

LayerPtr make_merge(const Config& config) { return std::make_shared<Merge>(config); }
LayerPtr make_concatenate(const Config& config) { return std::make_shared<Concatenate>(config); }

}  // namespace limn
