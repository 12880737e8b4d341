#include <cmath>

#include "autograd/ops.h"
#include "autograd/training.h"
#include "layers/core.h"
#include "layers/derived.h"

namespace limn {

namespace {

// y[...,c] = (x[...,c] - mean[c]) * scale[c] + shift[c];  dx = dy * scale
Var affine(Tape& tape, const Var& x, const Tensor& mean, const Tensor& scale, const Tensor& shift) {
    Tensor y = x.value.like();
    tape.backend().affine(x.value, mean, scale, shift, y);
    return tape.record("affine", {x}, y, [scale](const Tensor& dy, Walk& walk) {
        Tensor dx = dy.like();
        walk.backend.affine(dy, {}, scale, {}, dx);
        walk.give(0, dx);
    });
}

// y = (x - mean) * gamma / sqrt(variance + epsilon) + beta  for each channel (Ioffe & Szegedy 2015): in use with the moving
// averages, in training with the batch's own statistics, which the averages follow.
class BatchNormalization : public Layer {
public:
    explicit BatchNormalization(const Config& config)
        : Layer(config), epsilon_(config.number("epsilon", 1e-3)), momentum_(config.number("momentum", 0.99)),
          with_gamma_(config.flag("scale", true)), with_beta_(config.flag("center", true)) {}
    void build(const std::vector<Shape>& inputs) override {
        const Index axis = keras_config.integers("axis", {-1}).at(0);
        if (keras_config.nhwc_axis(axis, inputs[0].rank()) != inputs[0].rank() - 1)
            reject(fmt::format("only the axis of the channels can be normalised, not axis {}", axis));
        const Index c = inputs[0][-1];
        if (c < 1) reject("the number of channels is not known");
        if (with_gamma_) weights.push_back({"gamma", {c}, {}});
        if (with_beta_) weights.push_back({"beta", {c}, {}});
        weights.push_back({"moving_mean", {c}, {}, false});
        weights.push_back({"moving_variance", {c}, {}, false});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    // In training Keras leaves steps that do not count out of the statistics.
    MaskUse mask_use(const std::vector<int>&) const override { return {.reads = true, .passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor &mean = weight("moving_mean"), &variance = weight("moving_variance");
        if (tape.training && trainable) {
            if (in.size() > 1) reject("statistics of the steps that a mask leaves are not known in training: freeze the layer");
            return in_training(tape, in[0], mean, variance);
        }
        const Tensor& scale = scale_.of({variance, weight("gamma")}, in[0].value, [&] { return scale_of(variance); });
        return affine(tape, in[0], mean, scale, weight("beta"));
    }
    Fusible fusible() const override {
        return {.kind = Fusible::Kind::affine,
                .mean = weight("moving_mean"),
                .scale = scale_of(weight("moving_variance")),
                .shift = weight("beta")};
    }

private:
    // gamma / sqrt(variance + epsilon), on the host
    Tensor scale_of(const Tensor& any_variance) const {
        const Tensor gamma = weight("gamma").host(), variance = any_variance.host();
        Tensor scale = variance.like();
        with_type(variance.dtype(), [&](auto zero) {
            using T = decltype(zero);
            for (Index c = 0; c < variance.size(); c++)
                scale.data<T>()[c] = T((gamma.empty() ? 1 : gamma.at_flat(c)) / std::sqrt(variance.at_flat(c) + epsilon_));
        });
        return scale;
    }

    // The same where the statistics lie.
    static Tensor batch_scale(const Backend& backend, const Backend::Normalised& n) {
        const DType dtype = n.variance.dtype();
        Tensor shifted = n.variance.like(), root = n.variance.like(), scale = n.variance.like();
        backend.binary(Binary::add, n.variance, Tensor::full({1}, n.epsilon, dtype), shifted);
        backend.unary({.kind = Unary::sqrt}, shifted, root);
        backend.binary(Binary::divide, n.gamma.empty() ? Tensor::full({1}, 1, dtype) : n.gamma, root, scale);
        return scale;
    }

    Var in_training(Tape& tape, const Var& x, const Tensor& moving_mean, const Tensor& moving_variance) const {
        const Tensor &gamma = weight("gamma"), &beta = weight("beta");
        Backend::Normalised saved{x.value, x.value.like(moving_mean.shape()), x.value.like(moving_mean.shape()), gamma, epsilon_};
        tape.backend().moments(x.value, saved.mean, saved.variance);
        tape.training->moving_averages.push_back({moving_mean, saved.mean, momentum_});
        tape.training->moving_averages.push_back({moving_variance, saved.variance, momentum_});
        Tensor y = x.value.like();
        tape.backend().affine(x.value, saved.mean, batch_scale(tape.backend(), saved), beta, y);

        // dx, dgamma, dbeta: engine/backend.h, batch_norm_grad
        return tape.record("batch_norm", {x, tape.parameter(gamma), tape.parameter(beta)}, y, [saved](const Tensor& dy, Walk& walk) {
            LIMN_CHECK(walk.targets() == 1, "batch statistics are differentiated for one target at a time");
            Tensor dx = dy.like(), dgamma = dy.like(saved.mean.shape()), dbeta = dy.like(saved.mean.shape());
            walk.backend.batch_norm_grad(saved, dy, dx, dgamma, dbeta);
            if (walk.wants(0)) walk.give(0, dx);
            if (walk.wants(1)) walk.give(1, dgamma);
            if (walk.wants(2)) walk.give(2, dbeta);
        });
    }

    double epsilon_, momentum_;
    bool with_gamma_, with_beta_;
    Derived scale_;  // in use
};

// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean and variance of each image (Ba et al. 2016).
// Written in differentiable functions: its backward pass follows by itself.
class LayerNormalization : public Layer {
public:
    explicit LayerNormalization(const Config& config)
        : Layer(config), epsilon_(config.number("epsilon", 1e-3)), with_gamma_(config.flag("scale", true)),
          with_beta_(config.flag("center", true)) {
        if (config.flag("rms_scaling", false)) reject("rms_scaling is not known");
    }
    void build(const std::vector<Shape>& inputs) override {
        const int rank = inputs[0].rank();
        Shape affine = inputs[0];
        for (int i = 0; i < rank; i++) affine[i] = 1;
        std::vector<Index> sizes;
        for (Index axis : keras_config.integers("axis", {-1})) {
            axes_.push_back(keras_config.nhwc_axis(axis, rank));
            affine[axes_.back()] = inputs[0][axes_.back()];
            sizes.push_back(affine[axes_.back()]);
            if (sizes.back() < 1) reject("the size of a normalised axis is not known");
        }
        affine_ = affine;
        const Shape shape{std::span<const Index>(sizes)};
        if (with_gamma_) weights.push_back({"gamma", shape, {}});
        if (with_beta_) weights.push_back({"beta", shape, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var centred = subtract(tape, in[0], mean(tape, in[0], axes_));
        const Var variance = mean(tape, multiply(tape, centred, centred), axes_);
        Var y = divide(tape, centred, sqrt(tape, shift(tape, variance, epsilon_)));
        if (with_gamma_) y = multiply(tape, y, tape.parameter(weight("gamma").reshaped(affine_)));
        if (with_beta_) y = add(tape, y, tape.parameter(weight("beta").reshaped(affine_)));
        return y;
    }

private:
    double epsilon_;
    bool with_gamma_, with_beta_;
    std::vector<int> axes_;
    Shape affine_;
};

// y = x * scale + offset, one number or one a channel
class Rescaling : public Layer {
public:
    explicit Rescaling(const Config& config)
        : Layer(config), scale_(config.numbers("scale", {1})), offset_(config.numbers("offset", {0})) {}
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor& x = in[0].value;
        const Index c = x.shape()[-1];
        return affine(tape, in[0], {}, scales_.of({}, x, [&] { return by_channel(scale_, c); }),
                      offsets_.of({}, x, [&] { return by_channel(offset_, c); }));
    }

private:
    Tensor by_channel(const std::vector<double>& values, Index c) const {
        if (values.size() != 1 && Index(values.size()) != c) reject(fmt::format("{} numbers for {} channels", values.size(), c));
        Tensor t({c}, DType::f64);
        for (Index i = 0; i < c; i++) t.data<double>()[i] = values[values.size() == 1 ? 0 : std::size_t(i)];
        return t;
    }
    std::vector<double> scale_, offset_;
    Derived scales_, offsets_;
};

// y = (x - mean) / max(sqrt(variance), 1e-7), with statistics from the config or adapted to data and saved as weights
class Normalization : public Layer {
public:
    explicit Normalization(const Config& config)
        : Layer(config), mean_(config.numbers("mean", {})), variance_(config.numbers("variance", {})) {
        if (config.flag("invert", false)) reject("'invert' is not known");
    }
    void build(const std::vector<Shape>& inputs) override {
        if (!mean_.empty()) return;
        weights.push_back({"mean", {inputs[0][-1]}, {}, false});
        weights.push_back({"variance", {inputs[0][-1]}, {}, false});
        weights.push_back({"count", {}, {}, false});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor& x = in[0].value;
        const Index c = x.shape()[-1];
        std::vector<Tensor> sources;
        if (mean_.empty()) sources = {weights[0].value, weights[1].value};
        const auto numbers = [&](const std::vector<double>& from_config, std::size_t source, auto f) {
            Tensor out({c}, DType::f64);
            const Tensor stored = from_config.empty() ? sources[source].host() : Tensor();
            for (Index i = 0; i < c; i++)
                out.data<double>()[i] =
                    f(from_config.empty() ? stored.at_flat(i) : from_config.at(from_config.size() == 1 ? 0 : std::size_t(i)));
            return out;
        };
        const Tensor& mean = means_.of(sources, x, [&] { return numbers(mean_, 0, [](double m) { return m; }); });
        const Tensor& scale =
            scales_.of(sources, x, [&] { return numbers(variance_, 1, [](double v) { return 1 / std::max(std::sqrt(v), 1e-7); }); });
        return affine(tape, in[0], mean, scale, {});
    }

private:
    std::vector<double> mean_, variance_;
    Derived means_, scales_;
};

}  // namespace

LayerPtr make_batch_normalization(const Config& config) { return std::make_shared<BatchNormalization>(config); }
LayerPtr make_layer_normalization(const Config& config) { return std::make_shared<LayerNormalization>(config); }
LayerPtr make_rescaling(const Config& config) { return std::make_shared<Rescaling>(config); }
LayerPtr make_normalization(const Config& config) { return std::make_shared<Normalization>(config); }

}  // namespace limn
