#include <cmath>

#include "autograd/ops.h"
#include "autograd/training.h"
#include "layers/axis.h"
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
        if (keras_config.number("mode", 0) != 0) reject("Keras 1's modes 1 and 2, by the photo or batch at hand, are not known");
        axis_ = keras_config.nhwc_axis(keras_config.each("axis", 1, -1)[0], inputs[0].rank());
        if (axis_ == 0) reject("it cannot keep apart the images of a batch");
        last_ = axis_ == inputs[0].rank() - 1;
        const Index c = inputs[0][axis_];
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
        return with_axis_last(tape, in[0], axis_, [&](const Var& x) {
            const Tensor &mean = weight("moving_mean"), &variance = weight("moving_variance");
            if (tape.training && trainable) {
                if (in.size() > 1) reject("statistics of the steps that a mask leaves are not known in training: freeze the layer");
                return in_training(tape, x, mean, variance);
            }
            const Tensor& scale = scale_.of({variance, weight("gamma")}, x.value, [&] { return scale_of(variance); });
            return affine(tape, x, mean, scale, weight("beta"));
        });
    }
    Fusible fusible() const override {
        if (!last_) return {};
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
    int axis_ = 0;
    bool last_ = true;  // is that the last axis?
    Derived scale_;     // in use
};

// y = x * scale + offset, one number or one a channel
class Rescaling : public Layer {
public:
    explicit Rescaling(const Config& config)
        : Layer(config), scale_(config.numbers("scale", {1})), offset_(config.numbers("offset", {0})) {}
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = keras_config.keras_major < 3 ? -1 : 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor& x = in[0].value;
        const Index c = x.shape()[-1];
        if (channels_ != c) channels_ = c, scales_ = {}, offsets_ = {};  // a layer may be called with photos and with masks
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
    mutable Index channels_ = -1;
    mutable Derived scales_, offsets_;  // for so many channels
};

// y = (x - mean) / max(sqrt(variance), 1e-7), or that backward, with statistics from the config or adapted to data and saved as weights:
// of each place along the axes it keeps, joined over all others
class Normalization : public Layer {
public:
    explicit Normalization(const Config& config)
        : Layer(config), mean_(config.array("mean")), variance_(config.array("variance")), inverted_(config.flag("invert", false)) {}
    void build(const std::vector<Shape>& inputs) override {
        const int rank = inputs[0].rank();
        const bool none = keras_config.settings.contains("axis") && !keras_config.has("axis");
        std::vector<int> axes;
        for (Index axis : none ? std::vector<Index>{} : keras_config.integers("axis", {-1}))
            axes.push_back(keras_config.nhwc_axis(axis, rank));
        std::sort(axes.begin(), axes.end());
        if (axes.size() > 1 && keras_config.channels_first.contains(rank)) reject("with channels first only one axis can be kept");
        shape_ = inputs[0];
        for (int i = 0; i < rank; i++) shape_[i] = 1;
        std::vector<Index> sizes;
        for (int axis : axes) {
            sizes.push_back(shape_[axis] = inputs[0][axis]);
            if (sizes.back() < 1) reject("the size of an axis that it keeps is not known");
        }
        const Shape stored{std::span<const Index>(sizes)};
        if (mean_.empty() != variance_.empty()) reject("it needs both 'mean' and 'variance', or neither");
        for (const Tensor& t : {mean_, variance_})
            if (!t.empty() && t.size() != 1 && t.size() != shape_.size())
                reject(fmt::format("{} numbers do not fit {}", t.size(), inputs[0].str()));
        if (!mean_.empty()) return;
        weights.push_back({"mean", stored, {}, false});
        weights.push_back({"variance", stored, {}, false});
        weights.push_back({"count", {}, {}, false});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var& x = in[0];
        const bool adapted = mean_.empty();
        const std::vector<Tensor> sources = adapted ? std::vector<Tensor>{weights[0].value, weights[1].value} : std::vector<Tensor>{};
        const auto shaped = [&](const Tensor& t) { return t.reshaped(t.size() == 1 ? Shape{1} : shape_); };
        const Tensor& mean = means_.of(sources, x.value, [&] { return shaped((adapted ? weights[0].value : mean_).host()); });
        const Tensor& deviation = deviations_.of(sources, x.value, [&] {
            Tensor d = (adapted ? weights[1].value : variance_).host().to(DType::f64).clone();
            for (double& v : d.values<double>()) v = std::max(std::sqrt(v), 1e-7);
            return shaped(d);
        });
        return inverted_ ? add(tape, multiply(tape, x, deviation), mean) : divide(tape, subtract(tape, x, mean), deviation);
    }

private:
    Tensor mean_, variance_;
    bool inverted_;
    Shape shape_;  // of the statistics, beside an image
    Derived means_, deviations_;
};

}  // namespace

LayerPtr make_batch_normalization(const Config& config) { return std::make_shared<BatchNormalization>(config); }
LayerPtr make_rescaling(const Config& config) { return std::make_shared<Rescaling>(config); }
LayerPtr make_normalization(const Config& config) { return std::make_shared<Normalization>(config); }

}  // namespace limn
