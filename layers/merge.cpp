#include <algorithm>

#include "autograd/ops.h"
#include "layers/axis.h"
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

Shape with_rank(const Shape& shape, int rank) {  // (N,c) -> (N,1,c)
    std::vector<Index> sizes(std::size_t(rank), 1);
    std::copy_backward(shape.begin() + 1, shape.end(), sizes.end());
    sizes[0] = shape[0];
    return Shape(std::span<const Index>(sizes));
}

// Two or more inputs, element by element; axes of size 1 repeat, and axes that are missing after the batch.
class Merge : public Layer {
public:
    using Layer::Layer;
    Shape output_shape(const std::vector<Shape>& in) const override {
        if (in.size() < 2) reject("it needs at least two inputs");
        if (class_name == "Subtract" && in.size() != 2) reject("it needs two inputs");
        const int rank = std::ranges::max(in, {}, &Shape::rank).rank();
        Shape out = with_rank(in[0], rank);
        for (const Shape& input : in) {
            const Shape shape = with_rank(input, rank);
            for (int i = 0; i < rank; i++) {
                if (shape[i] != out[i] && shape[i] != 1 && out[i] != 1 && shape[i] >= 0 && out[i] >= 0)
                    reject(fmt::format("inputs {} and {} do not fit together", in[0].str(), input.str()));
                if (out[i] == 1) out[i] = shape[i];
            }
        }
        return out;
    }
    MaskUse mask_use(const std::vector<int>& masks) const override;
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const int rank = std::ranges::max(in, {}, [](const Var& x) { return x.shape().rank(); }).shape().rank();
        Var y;
        for (const Var& input : in) {
            const Var x = input.shape().rank() == rank ? input : reshape(tape, input, with_rank(input.shape(), rank));
            y = y.value.empty() ? x : merged(tape, y, x);
        }
        return class_name == "Average" ? scale(tape, y, 1.0 / double(in.size())) : y;
    }

protected:
    Var merged(Tape& tape, const Var& a, const Var& b) const {
        const auto f = class_name == "Add" || class_name == "Average" ? add
                       : class_name == "Subtract"                     ? subtract
                       : class_name == "Multiply"                     ? multiply
                       : class_name == "Maximum"                      ? maximum
                                                                      : minimum;
        return f(tape, a, b);
    }
};

// Multiply, Maximum and Minimum of Keras 3, where an input has a mask: its steps that do not count leave the others as they are.
class MaskedMerge : public Merge {
public:
    MaskedMerge(const Config& config, const std::vector<int>& masks) : Merge(config), masks_(masks) {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        const std::vector<Shape> inputs(in.begin(), in.begin() + std::ptrdiff_t(masks_.size()));
        if (std::ranges::any_of(in, [&](const Shape& s) { return s.rank() != in[0].rank(); }))
            reject("inputs of different ranks are not known where one has a mask");
        return Merge::output_shape(inputs);
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        Var y, counts;  // counts: the steps that do in any input so far; empty: all
        std::size_t next = masks_.size();
        for (std::size_t i = 0; i < masks_.size(); i++) {
            Var x = in[i];
            const Var mask = masks_[i] >= 0 ? Var(in[next++].value.to(x.value.dtype())) : Var();
            const Var one = Tensor::full({1}, 1, x.value.dtype());
            if (class_name == "Multiply" && !mask.value.empty()) x = select(tape, mask, x, one);
            if (i == 0) {
                y = x, counts = mask;
                continue;
            }
            if (class_name != "Multiply") {
                if (!mask.value.empty()) x = select(tape, mask, x, y);
                if (!counts.value.empty()) y = select(tape, counts, y, x);
            }
            counts = mask.value.empty() || counts.value.empty() ? Var() : maximum(tape, counts, mask);
            y = merged(tape, y, x);
        }
        return class_name == "Multiply" && !counts.value.empty() ? multiply(tape, y, counts) : y;
    }

private:
    static Var select(Tape& tape, const Var& m, const Var& a, const Var& b) {  // a where m is 1, b where it is 0
        return add(tape, multiply(tape, a, m), multiply(tape, b, shift(tape, scale(tape, m, -1), 1)));
    }
    std::vector<int> masks_;
};

MaskUse Merge::mask_use(const std::vector<int>& masks) const {
    MaskUse use = merged_mask(*this, masks);
    const bool known_to_values = class_name == "Multiply" || class_name == "Maximum" || class_name == "Minimum";
    if (known_to_values && keras_config.keras_major >= 3 && std::ranges::any_of(masks, [](int m) { return m >= 0; }))
        use.instead = std::make_shared<MaskedMerge>(keras_config, masks);
    return use;
}

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
    void build(const std::vector<Shape>& inputs) override {
        takes_any_rank = true;
        one_by_one_ = axis_of(inputs[0]) == 1 && inputs[0].rank() > 2;
    }
    MaskUse mask_use(const std::vector<int>& masks) const override {
        const auto without = std::size_t(std::ranges::count(masks, -1));
        if (without == masks.size()) return {};
        if (one_by_one_) return {.makes = joined_mask(masks)};
        // Here Keras 3 takes an input without a mask as one whose steps all count.
        if (without && keras_config.keras_major >= 3) return {.makes = std::make_shared<Mask>(name, mask_shape, all_steps)};
        return merged_mask(*this, masks);
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return concatenate(tape, in, axis_of(in[0].shape())); }

private:
    int axis_of(const Shape& shape) const { return keras_config.nhwc_axis(keras_config.integer("axis", -1), shape.rank()); }

    static Shape mask_shape(const std::vector<Shape>& in) { return in[0].with(-1, 1); }
    static Tensor all_steps(const Backend& backend, const std::vector<Var>& in) {
        return Tensor::full(mask_shape({in[0].shape()}), 1).on(backend.device());
    }
    // One sequence after the other, and so their masks; all steps of one without a mask count.
    LayerPtr joined_mask(const std::vector<int>& masks) const {
        const auto shape = [masks](const std::vector<Shape>& in) {
            Shape out = mask_shape(in);
            for (std::size_t i = 1; i < masks.size(); i++) out[1] = out[1] < 0 || in[i][1] < 0 ? -1 : out[1] + in[i][1];
            return out;
        };
        const auto value = [masks](const Backend& backend, const std::vector<Var>& in) {
            std::vector<Var> parts;
            std::size_t next = masks.size();
            for (std::size_t i = 0; i < masks.size(); i++) parts.push_back(masks[i] >= 0 ? in[next++] : Var(all_steps(backend, {in[i]})));
            Tape tape(backend);
            return concatenate(tape, parts, 1).value;
        };
        return std::make_shared<Mask>(name, shape, value);
    }
    bool one_by_one_ = false;  // along the axis of the steps
};

// Products of two inputs along an axis of each: what is left of the first input, then what is left of the second.
class Dot : public Layer {
public:
    explicit Dot(const Config& config) : Layer(config), normalized_(config.flag("normalize", false)) {}
    void build(const std::vector<Shape>& inputs) override {
        if (inputs.size() != 2 || inputs[0].rank() < 2 || inputs[1].rank() < 2 || inputs[0].rank() + inputs[1].rank() > 8)
            reject("it needs two inputs of at least two axes");
        const std::vector<Index> axes = keras_config.each("axes", 2, -1);
        for (std::size_t i = 0; i < 2; i++) {
            axes_[i] = keras_config.nhwc_axis(axes[i], inputs[i].rank());
            if (axes_[i] == 0) reject("it cannot join the images of a batch");
        }
        std::string letters[] = {std::string("bpqrst").substr(0, std::size_t(inputs[0].rank())),
                                 std::string("buvwxy").substr(0, std::size_t(inputs[1].rank()))};
        for (std::size_t i = 0; i < 2; i++) letters[i][std::size_t(axes_[i])] = 'i';
        std::string out = letters[0] + letters[1].substr(1);
        std::erase(out, 'i');
        equation_ = letters[0] + "," + letters[1] + "->" + out;
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        if (in.size() != 2) reject("it needs two inputs");
        const Index a = in[0][axes_[0]], b = in[1][axes_[1]];
        if (a != b && a >= 0 && b >= 0) reject(fmt::format("inputs {} and {} do not fit together", in[0].str(), in[1].str()));
        const Shape left = in[0].without(axes_[0]), right = in[1].without(axes_[1]).without(0);
        std::vector<Index> sizes(left.begin(), left.end());
        sizes.insert(sizes.end(), right.begin(), right.end());
        if (sizes.size() == 1) sizes.push_back(1);
        return Shape(std::span<const Index>(sizes));
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const auto operand = [&](std::size_t i) { return normalized_ ? unit_length(tape, in[i], {axes_[i]}, 1e-12) : in[i]; };
        return reshape(tape, einsum(tape, equation_, operand(0), operand(1)), output_shape({in[0].shape(), in[1].shape()}));
    }

private:
    bool normalized_;
    std::array<int, 2> axes_{};
    std::string equation_;
};

}  // namespace

LayerPtr make_dot(const Config& config) { return std::make_shared<Dot>(config); }
LayerPtr make_merge(const Config& config) { return std::make_shared<Merge>(config); }
LayerPtr make_concatenate(const Config& config) { return std::make_shared<Concatenate>(config); }

}  // namespace limn
