// Normalisation of each image by itself: the same in training and in use. Written in differentiable functions.
#include "autograd/ops.h"
#include "layers/axis.h"
#include "layers/core.h"

namespace limn {

namespace {

// y / sqrt(mean of x^2 + epsilon) over the axes
Var over_root_mean_square(Tape& tape, const Var& y, const Var& x, const std::vector<int>& axes, double epsilon) {
    return divide(tape, y, sqrt(tape, shift(tape, mean(tape, multiply(tape, x, x), axes), epsilon)));
}

Var centred(Tape& tape, const Var& x, const std::vector<int>& axes) { return subtract(tape, x, mean(tape, x, axes)); }

// (x - mean) / sqrt(variance + epsilon) over the axes
Var standardized(Tape& tape, const Var& x, const std::vector<int>& axes, double epsilon) {
    const Var c = centred(tape, x, axes);
    return over_root_mean_square(tape, c, c, axes, epsilon);
}

// LayerNormalization (Ba et al. 2016): y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
// RMSNormalization (Zhang & Sennrich 2019): y = gamma * x / sqrt(mean of x^2 + epsilon)
// LayerNormalization(rms_scaling=True), of Keras alone and deprecated there: y = gamma * x / sqrt(variance + epsilon)
class LayerNormalization : public Layer {
public:
    explicit LayerNormalization(const Config& config) : Layer(config), gamma_("gamma") {
        const bool rms_layer = config.class_name == "RMSNormalization";
        kind_ = rms_layer ? Kind::root_mean_square : config.flag("rms_scaling", false) ? Kind::variance_only : Kind::standardized;
        if (rms_layer) gamma_ = "scale";
        epsilon_ = config.number("epsilon", rms_layer ? 1e-6 : 1e-3);
        with_gamma_ = kind_ != Kind::standardized || config.flag("scale", true);
        with_beta_ = kind_ == Kind::standardized && config.flag("center", true);
    }
    void build(const std::vector<Shape>& inputs) override {
        const int rank = inputs[0].rank();
        affine_ = inputs[0];
        for (int i = 0; i < rank; i++) affine_[i] = 1;
        std::vector<Index> sizes;
        for (Index axis : keras_config.integers("axis", {-1})) {
            axes_.push_back(keras_config.nhwc_axis(axis, rank));
            affine_[axes_.back()] = inputs[0][axes_.back()];
            sizes.push_back(affine_[axes_.back()]);
            if (sizes.back() < 1) reject("the size of a normalised axis is not known");
        }
        if (axes_.size() > 1 && keras_config.channels_first.contains(rank)) reject("with channels first only one axis can be normalised");
        const Shape shape{std::span<const Index>(sizes)};
        if (with_gamma_) weights.push_back({gamma_, shape, {}});
        if (with_beta_) weights.push_back({"beta", shape, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var& x = in[0];
        Var y = kind_ == Kind::standardized
                    ? standardized(tape, x, axes_, epsilon_)
                    : over_root_mean_square(tape, x, kind_ == Kind::variance_only ? centred(tape, x, axes_) : x, axes_, epsilon_);
        if (with_gamma_) y = multiply(tape, y, tape.parameter(weight(gamma_).reshaped(affine_)));
        if (with_beta_) y = add(tape, y, tape.parameter(weight("beta").reshaped(affine_)));
        return y;
    }

private:
    std::string gamma_;
    enum class Kind { standardized, root_mean_square, variance_only } kind_ = Kind::standardized;
    bool with_gamma_ = true, with_beta_ = true;
    double epsilon_ = 0;
    std::vector<int> axes_;
    Shape affine_;
};

// GroupNormalization (Wu & He 2018): the channels in groups, each standardised over its channels and all pixels
class GroupNormalization : public Layer {
public:
    explicit GroupNormalization(const Config& config)
        : Layer(config), groups_(config.integer("groups", 32)), epsilon_(config.number("epsilon", 1e-3)),
          with_gamma_(config.flag("scale", true)), with_beta_(config.flag("center", true)) {}
    void build(const std::vector<Shape>& inputs) override {
        axis_ = keras_config.nhwc_axis(keras_config.each("axis", 1, -1)[0], inputs[0].rank());
        const Index c = inputs[0][axis_];
        if (axis_ == 0 || c < 1) reject("the number of channels is not known");
        if (groups_ == -1) groups_ = c;
        if (groups_ < 1 || c % groups_) reject(fmt::format("{} channels cannot be cut into {} groups", c, groups_));
        if (with_gamma_) weights.push_back({"gamma", {c}, {}});
        if (with_beta_) weights.push_back({"beta", {c}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    // Keras 3 hands a mask on without looking at it.
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = keras_config.keras_major < 3 ? -1 : 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return with_axis_last(tape, in[0], axis_, [&](const Var& x) {
            const Index images = x.shape()[0], c = x.shape()[-1];
            const Shape grouped{images, x.value.size() / (images * c), groups_, c / groups_};
            Var y = reshape(tape, standardized(tape, reshape(tape, x, grouped), {1, 3}, epsilon_), x.shape());
            if (with_gamma_) y = multiply(tape, y, tape.parameter(weight("gamma")));
            if (with_beta_) y = add(tape, y, tape.parameter(weight("beta")));
            return y;
        });
    }

private:
    Index groups_;
    double epsilon_;
    bool with_gamma_, with_beta_;
    int axis_ = 0;
};

// y = x / its length along the axes
class UnitNormalization : public Layer {
public:
    using Layer::Layer;
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        std::vector<int> axes;
        for (Index axis : keras_config.integers("axis", {-1})) axes.push_back(keras_config.nhwc_axis(axis, in[0].shape().rank()));
        return unit_length(tape, in[0], axes, 1e-24);
    }
};

}  // namespace

LayerPtr make_layer_normalization(const Config& config) { return std::make_shared<LayerNormalization>(config); }
LayerPtr make_group_normalization(const Config& config) { return std::make_shared<GroupNormalization>(config); }
LayerPtr make_unit_normalization(const Config& config) { return std::make_shared<UnitNormalization>(config); }

}  // namespace limn
