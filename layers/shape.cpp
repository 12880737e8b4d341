#include <algorithm>
#include <numeric>

#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

// In a channels-first model a file counts elements as (c,h,w), limn as (h,w,c): Config::file_order leads there, nhwc_order back.
Shape permuted(const Shape& shape, const std::vector<int>& order) {
    Shape out = shape;
    for (std::size_t i = 0; i < order.size(); i++) out[int(i)] = shape[order[i]];
    return out;
}

class Identity : public Layer {
public:
    using Layer::Layer;
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape&, const std::vector<Var>& in) const override { return in[0]; }
};

class Flatten : public Layer {
public:
    // Keras moves the channels last before it flattens if told that they are first; else it takes the elements as they lie.
    explicit Flatten(const Config& config) : Layer(config), as_stored_(config.text("data_format", "channels_last") != "channels_first") {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        Index size = 1;
        for (int i = 1; i < in[0].rank(); i++) size = size < 0 || in[0][i] < 0 ? -1 : size * in[0][i];
        return {in[0][0], size};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const int rank = in[0].shape().rank();
        const bool renumbered = keras_config.channels_first.contains(rank);  // then the channels are last already
        Var x = in[0];
        if (as_stored_ && renumbered) x = transpose(tape, x, keras_config.file_order(rank));
        if (!as_stored_ && !renumbered && rank > 2) {
            std::vector<int> order(std::size_t(rank), 0);  // 0, 2, 3..., 1
            for (int axis = 1; axis < rank; axis++) order[std::size_t(axis)] = axis + 1 < rank ? axis + 1 : 1;
            x = transpose(tape, x, order);
        }
        return reshape(tape, x, output_shape({in[0].shape()}));
    }

private:
    bool as_stored_;
};

class Reshape : public Layer {
public:
    explicit Reshape(const Config& config) : Layer(config), target_(config.integers("target_shape", {})) {
        if (target_.empty() || target_.size() + 1 > Shape::max_rank) reject("'target_shape' should have 1 to 5 sizes");
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        const Shape out = target(in[0]);
        return permuted(out, keras_config.nhwc_order(out.rank()));
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const std::set<int>& renumbered = keras_config.channels_first;
        Var x = in[0];
        if (const int rank = x.shape().rank(); renumbered.contains(rank)) x = transpose(tape, x, keras_config.file_order(rank));
        x = reshape(tape, x, target(x.shape()));
        if (const int rank = x.shape().rank(); renumbered.contains(rank)) x = transpose(tape, x, keras_config.nhwc_order(rank));
        return x;
    }

private:
    Shape target(const Shape& in) const {  // one size may be -1: what is left
        Index total = 1, known = 1;
        for (int i = 1; i < in.rank(); i++) total = total < 0 || in[i] < 0 ? -1 : total * in[i];
        std::vector<Index> sizes{in[0]};
        for (Index size : target_) {
            if (size != -1) known *= size;
            sizes.push_back(size);
        }
        if (known < 1) reject("'target_shape' makes no sense");
        for (Index& size : std::span(sizes).subspan(1))
            if (size == -1) size = total < 0 ? -1 : total / known, known = total;
        if (total >= 0 && known != total)
            reject(fmt::format("{} cannot be reshaped to {}", in.str(), Shape(std::span<const Index>(sizes)).str()));
        return Shape(std::span<const Index>(sizes));
    }
    std::vector<Index> target_;
};

class Permute : public Layer {
public:
    explicit Permute(const Config& config) : Layer(config) {
        order_.push_back(0);
        for (Index axis : config.integers("dims", {})) order_.push_back(int(axis));
        std::vector<int> sorted = order_, expected(order_.size());
        std::sort(sorted.begin(), sorted.end());
        std::iota(expected.begin(), expected.end(), 0);
        if (sorted != expected) reject("'dims' should name every axis from 1 once");
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], int(order_.size()));
        // The same move seen in NHWC: axis i of our result is axis nhwc_order[i] of the file's, which is axis order_[...] of
        // the file's input, which is axis file_order[...] of ours.
        const std::vector<int> to_nhwc = keras_config.nhwc_order(int(order_.size())), to_file = keras_config.file_order(int(order_.size()));
        std::vector<int> order(order_.size());
        for (std::size_t i = 0; i < order.size(); i++) order[i] = to_file[std::size_t(order_[std::size_t(to_nhwc[i])])];
        order_ = order;
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return permuted(in[0], order_); }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return transpose(tape, in[0], order_); }

private:
    std::vector<int> order_;
};

}  // namespace

LayerPtr make_identity(const Config& config) { return std::make_shared<Identity>(config); }
LayerPtr make_flatten(const Config& config) { return std::make_shared<Flatten>(config); }
LayerPtr make_reshape(const Config& config) { return std::make_shared<Reshape>(config); }
LayerPtr make_permute(const Config& config) { return std::make_shared<Permute>(config); }

}  // namespace limn
