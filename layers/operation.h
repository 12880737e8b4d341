// Inside of operation.cpp: how a function that is called without a layer becomes one.
#pragma once

#include <algorithm>
#include <functional>

#include "autograd/ops.h"
#include "layers/core.h"

namespace limn::operations {

// A call with its arguments by name, as settings; tensors have none. Its class is the function.
struct Call : Config {
    Config stored;  // as the builder found it

    LayerPtr layer(const std::string& kind, Dict with) const {
        return make_layer({kind, name, std::move(with), channels_first, keras_major});
    }
    LayerPtr activation(const std::string& kind) const { return layer("Activation", {{"activation", kind}}); }
};

// Shapes and values are those of the file: in a channels-first model they are turned around for it.
class Operation : public Layer {
public:
    using Shapes = std::function<Shape(const std::vector<Shape>&)>;
    using Values = std::function<Var(Tape&, const std::vector<Var>&)>;
    Operation(const Call& call, Shapes shapes, Values values)
        : Layer(call.stored), shapes_(std::move(shapes)), values_(std::move(values)) {}

    Shape output_shape(const std::vector<Shape>& in) const override {
        std::vector<Shape> stored;
        for (const Shape& shape : in) stored.push_back(moved(shape, keras_config.file_order(shape.rank())));
        const Shape out = shapes_(stored);
        return moved(out, keras_config.nhwc_order(out.rank()));
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        std::vector<Var> stored = in;
        for (Var& x : stored) x = moved(tape, x, keras_config.file_order(x.shape().rank()));
        const Var y = values_(tape, stored);
        return moved(tape, y, keras_config.nhwc_order(y.shape().rank()));
    }

private:
    static Shape moved(const Shape& shape, const std::vector<int>& order) {
        Shape out = shape;
        for (std::size_t i = 0; i < order.size(); i++) out[int(i)] = shape[order[i]];
        return out;
    }
    static Var moved(Tape& tape, const Var& x, const std::vector<int>& order) {
        return std::is_sorted(order.begin(), order.end()) ? x : transpose(tape, x, order);
    }
    Shapes shapes_;
    Values values_;
};

inline LayerPtr operation(const Call& call, Operation::Shapes shapes, Operation::Values values) {
    return std::make_shared<Operation>(call, std::move(shapes), std::move(values));
}
inline LayerPtr element_wise(const Call& call, std::function<Var(Tape&, const Var&)> f) {
    return operation(
        call, [](const std::vector<Shape>& in) { return in[0]; }, [f](Tape& tape, const std::vector<Var>& in) { return f(tape, in[0]); });
}

inline int axis_of(const Config& call, Index axis, int rank) {
    if (axis < 0) axis += rank;
    if (axis < 1 || axis >= rank) call.reject(fmt::format("there is no axis {} (from 1 on) among {}", axis, rank));
    return int(axis);
}

// operation_shapes.cpp
LayerPtr make_reshape_to(const Call& call);
LayerPtr make_transpose_to(const Call& call);
LayerPtr make_expand_dims(const Call& call);
LayerPtr make_squeeze(const Call& call);
LayerPtr make_stack(const Call& call);
LayerPtr make_pad(const Call& call);
LayerPtr make_get_item(const Call& call);

}  // namespace limn::operations
