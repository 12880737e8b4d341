#include "layers/sequence.h"

#include <algorithm>

#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/mask.h"

namespace limn {

namespace {

Shape joined_axes(const Shape& shape) {  // (N,T,...) -> (N*T,...)
    Shape out = shape.without(1);
    out[0] = shape[0] < 0 || shape[1] < 0 ? -1 : shape[0] * shape[1];
    return out;
}

class Steps : public Layer {
public:
    Steps(const std::string& layer_name, Index first, std::optional<Index> last)
        : Layer(Config{"Steps", layer_name, {}}), first_(first), last_(last) {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        return last_ ? in[0].with(1, in[0][1] < 0 ? -1 : place(*last_, in[0]) - place(first_, in[0])) : in[0].without(1);
    }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = last_ ? 0 : -1}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Shape &x = in[0].shape(), y = output_shape({x});
        Shape from = x;
        for (int i = 0; i < x.rank(); i++) from[i] = i == 1 ? place(first_, x) : 0;
        return reshape(tape, crop(tape, in[0], from, x.with(1, last_ ? y[1] : 1)), y);
    }

private:
    static Index place(Index step, const Shape& x) { return step < 0 ? x[1] + step : step; }
    Index first_;
    std::optional<Index> last_;  // none: one step, and its axis goes
};

class Reversal : public Layer {
public:
    explicit Reversal(const std::string& layer_name) : Layer(Config{"Reversal", layer_name, {}}) {}
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    // Bidirectional's backward layer returns its steps in the order in which it made them, but with the mask of the sequence as it was.
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        std::vector<Var> steps = split(tape, in[0], 1, in[0].shape()[1]);
        std::ranges::reverse(steps);
        return concatenate(tape, steps, 1);
    }
};

class Fold : public Layer {
public:
    using Layer::Layer;
    void build(const std::vector<Shape>& inputs) override {
        if (inputs[0].rank() < 3) reject(fmt::format("its input should have at least 3 axes (batch included), not {}", inputs[0].str()));
        if (keras_config.channels_first.contains(4) && inputs[0].rank() == 5) reject("images in a sequence are not known with channels first");
        has_inner_steps_ = inputs[0].rank() > 3;
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return joined_axes(in[0]); }
    // Steps within steps keep their mask; whether the outer step counts does not concern what is done to each.
    MaskUse mask_use(const std::vector<int>& masks) const override {
        if (!has_inner_steps_ || masks[0] < 0) return {};
        const auto shape = [config = keras_config](const std::vector<Shape>& in) {
            if (in[1].rank() != in[0].rank()) config.reject(fmt::format("a mask {} of {} is not known", in[1].str(), in[0].str()));
            return joined_axes(in[1]);
        };
        const auto value = [](const Backend&, const std::vector<Var>& in) { return in[1].value.reshaped(joined_axes(in[1].shape())); };
        return {.makes = std::make_shared<Mask>(name, shape, value)};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return reshape(tape, in[0], joined_axes(in[0].shape())); }

private:
    bool has_inner_steps_ = false;
};

class Unfold : public Layer {
public:
    explicit Unfold(const std::string& layer_name) : Layer(Config{"Unfold", layer_name, {}}) {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        std::vector<Index> sizes{in[0][0], in[0][1]};
        sizes.insert(sizes.end(), in[1].begin() + 1, in[1].end());
        return Shape(std::span<const Index>(sizes));
    }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return reshape(tape, in[1], output_shape({in[0].shape(), in[1].shape()}));
    }
};

// y[n,t] = x[n] for t = 0 .. n-1
class RepeatVector : public Layer {
public:
    explicit RepeatVector(const Config& config) : Layer(config), count_(config.integer("n", 0)) {
        if (count_ < 1 || count_ > 1 << 24) reject(fmt::format("{} repetitions make no sense", count_));
    }
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 2); }
    Shape output_shape(const std::vector<Shape>& in) const override { return {in[0][0], count_, in[0][1]}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var step = reshape(tape, in[0], {in[0].shape()[0], 1, in[0].shape()[1]});
        return add(tape, step, in[0].value.zeros_like({count_, 1}));
    }

private:
    Index count_;
};

}  // namespace

LayerPtr make_steps(const std::string& name, Index first, Index last) { return std::make_shared<Steps>(name, first, last); }
LayerPtr make_step(const std::string& name, Index step) { return std::make_shared<Steps>(name, step, std::nullopt); }
LayerPtr make_reversal(const std::string& name) { return std::make_shared<Reversal>(name); }
LayerPtr make_fold(const Config& config) { return std::make_shared<Fold>(config); }
LayerPtr make_unfold(const std::string& name) { return std::make_shared<Unfold>(name); }
LayerPtr make_repeat_vector(const Config& config) { return std::make_shared<RepeatVector>(config); }

}  // namespace limn
