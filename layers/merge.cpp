#include <algorithm>

#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/mask.h"

namespace limn {

namespace {

// The mask of several sequences that become one, step by step. Keras 3: a step counts if it does in any of them, and all of them do
// where one has no mask. Before: if it does in all that have one.
MaskUse merged_mask(const Layer& layer, const std::vector<int>& masks) {
    const bool any = layer.keras_config.keras_major >= 3;
    if (any && std::ranges::count(masks, -1)) return {};
    const auto first = std::ranges::find_if(masks, [](int m) { return m >= 0; });
    if (first == masks.end()) return {};
    if (std::ranges::all_of(masks, [&](int m) { return m == *first || m < 0; })) return {.passes = int(first - masks.begin())};

    const std::size_t inputs = masks.size();  // the masks stand behind them
    const auto shape = [inputs, config = layer.keras_config](const std::vector<Shape>& in) {
        Shape out = in[inputs];
        for (std::size_t i = inputs; i < in.size(); i++) {
            if (in[i].rank() != out.rank()) config.reject(fmt::format("masks {} and {} do not fit together", out.str(), in[i].str()));
            if (out[1] == 1) out[1] = in[i][1];
        }
        return out;
    };
    const auto value = [=](const Backend& backend, const std::vector<Var>& in) {
        Tensor mask = in[inputs].value;
        for (std::size_t i = inputs + 1; i < in.size(); i++) {
            const Tensor &a = mask, &b = in[i].value;
            Tensor both = a.like(a.shape()[1] == 1 ? b.shape() : a.shape());
            backend.binary(any ? Binary::maximum : Binary::minimum, a, b, both);
            mask = both;
        }
        return mask;
    };
    return {.makes = std::make_shared<Mask>(layer.name, shape, value)};
}

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
    MaskUse mask_use(const std::vector<int>& masks) const override { return merged_mask(*this, masks); }
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
    void build(const std::vector<Shape>& inputs) override { one_by_one_ = axis_of(inputs[0]) == 1 && inputs[0].rank() > 2; }
    MaskUse mask_use(const std::vector<int>& masks) const override {
        if (!one_by_one_) return merged_mask(*this, masks);
        return std::ranges::all_of(masks, [](int m) { return m < 0; }) ? MaskUse{} : MaskUse{.makes = joined_mask(masks)};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return concatenate(tape, in, axis_of(in[0].shape())); }

private:
    int axis_of(const Shape& shape) const { return keras_config.nhwc_axis(keras_config.integer("axis", -1), shape.rank()); }

    // One sequence after the other, and so their masks; all steps of one without a mask count.
    LayerPtr joined_mask(const std::vector<int>& masks) const {
        const auto shape = [masks](const std::vector<Shape>& in) {
            Shape out = in[0].with(-1, 1);
            for (std::size_t i = 1; i < masks.size(); i++) out[1] = out[1] < 0 || in[i][1] < 0 ? -1 : out[1] + in[i][1];
            return out;
        };
        const auto value = [masks](const Backend& backend, const std::vector<Var>& in) {
            std::vector<Var> parts;
            std::size_t next = masks.size();
            for (std::size_t i = 0; i < masks.size(); i++)
                parts.push_back(masks[i] >= 0 ? in[next++] : Var(Tensor::full(in[i].shape().with(-1, 1), 1).on(backend.device())));
            Tape tape(backend);
            return concatenate(tape, parts, 1).value;
        };
        return std::make_shared<Mask>(name, shape, value);
    }
    bool one_by_one_ = false;  // along the axis of the steps
};

}  // namespace

LayerPtr make_merge(const Config& config) { return std::make_shared<Merge>(config); }
LayerPtr make_concatenate(const Config& config) { return std::make_shared<Concatenate>(config); }

}  // namespace limn
