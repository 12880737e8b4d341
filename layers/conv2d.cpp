#include "layers/conv2d.h"

#include "autograd/ops.h"

namespace limn {

const ConvPlan& Convolution::plan(const Backend& backend, const ConvShape& shape, Direction direction, Fused fused, const Tensor& kernel,
                                  const Tensor& bias) const {
    if (weights_.kernel.id() != kernel.id()) weights_ = {kernel, {}, {}}, plans_.clear();
    for (const Planned& p : plans_)
        if (p.backend == &backend && p.direction == direction && p.fused == fused && p.bias.id() == bias.id() && p.shape == shape)
            return *p.plan;
    weights_.bias = bias;
    if (plans_.size() >= 32) plans_.erase(plans_.begin());  // photos of many sizes: the oldest plan goes, packed weights stay
    plans_.push_back({&backend, direction, fused, bias, shape, backend.plan_conv2d(shape, weights_, direction, fused)});
    return *plans_.back().plan;
}

// The backward half that both directions share: bias and kernel gradients, for training.
static void give_weight_gradients(Walk& walk, const ConvShape& shape, const Tensor& x, const Tensor& dy, const Tensor& bias_dy) {
    if (!walk.wants(1) && !walk.wants(2)) return;
    LIMN_CHECK(walk.targets() == 1, "the gradient of a weight is taken for one target at a time");
    if (walk.wants(1)) {  // dkernel[r,s,c,k] = sum_{n,p,q} x[n,h,w,c] dy[n,p,q,k]
        Tensor dkernel = walk.gradient_for(1, dy);
        walk.backend.conv2d_grad_kernel(shape, x, dy, dkernel);
        walk.give(1, dkernel);
    }
    if (walk.wants(2)) {  // dbias[k] = sum_{n,p,q} dy[n,p,q,k]
        Tensor dbias = bias_dy.like({1, 1, 1, bias_dy.shape()[3]});
        walk.backend.reduce(Reduction::sum, bias_dy, dbias);
        walk.give(2, dbias.reshaped({dbias.size()}));
    }
}

// dz = dy where the fused ReLU let y through
static Tensor through_fused(Fused fused, const Tensor& y, const Tensor& dy, const Walk& walk) {
    if (fused == Fused::none) return dy;
    Tensor dz = dy.like();
    walk.backend.unary_grad({.kind = Unary::relu}, walk.relu_rule, y, y, dy, dz);
    return dz;
}

Var Convolution::forward(Tape& tape, const WindowConfig& window, Index groups, Fused fused, const Var& x, const Var& weight,
                         const Var& bias) const {
    // y[n,p,q,k] = relu(b[k] + sum_{r,s,c} x[n, p*stride+r, q*stride+s, c] * kernel[r,s,c,k])
    const Index h = x.shape()[1], w = x.shape()[2];
    const Tensor& kernel = weight.value;
    const ConvShape shape{window.on(h, w), h, w, x.shape()[3], window.rows(h), window.columns(w), kernel.shape()[3], groups};
    const ConvPlan& todo = plan(tape.backend(), shape, Direction::forward, fused, kernel, bias.value);
    const bool pooled = fused == Fused::relu_max_pool;
    Tensor y = x.value.like(Shape{x.shape()[0], pooled ? shape.p / 2 : shape.p, pooled ? shape.q / 2 : shape.q, shape.k});
    if (!pooled || todo.pools()) {
        todo.run(x.value, y);
    } else {
        Tensor all = x.value.like({x.shape()[0], shape.p, shape.q, shape.k});
        todo.run(x.value, all);
        tape.backend().max_pool({2, 2, 2, 2}, all, y, nullptr);
    }
    if (pooled) return y;  // made by followed_by: nothing is recorded here

    // backward: the same taps the other way, dx[n,h,w,c] = sum_{r,s,k} dz[n,p,q,k] * kernel[r,s,c,k]
    const Tensor saved_x = weight.recorded() ? x.value : Tensor();  // only the kernel's gradient needs it
    return tape.record("conv2d", {x, weight, bias}, y, [=, this](const Tensor& dy, Walk& walk) {
        const Tensor dz = through_fused(fused, y, dy, walk);
        if (walk.wants(0)) {
            Tensor dx = walk.gradient_for(0, dy);
            plan(walk.backend, shape, Direction::grad_input, Fused::none, kernel, {}).run(dz, dx);
            walk.give(0, dx);
        }
        give_weight_gradients(walk, shape, saved_x, dz, dz);
    });
}

Var Convolution::transposed(Tape& tape, const Window& window, Index h, Index w, Fused fused, const Var& x, const Var& weight,
                            const Var& bias) const {
    // A transposed convolution is the gradient of a convolution with respect to its input: y[n,h,w,c] = b[c] + sum_{r,s,k} x[n,p,q,k] * kernel[r,s,c,k]
    const Tensor& kernel = weight.value;
    const ConvShape shape{window, h, w, kernel.shape()[2], x.shape()[1], x.shape()[2], kernel.shape()[3]};
    Tensor y = x.value.like({x.shape()[0], h, w, shape.c});
    plan(tape.backend(), shape, Direction::grad_input, fused, kernel, bias.value).run(x.value, y);

    // backward: the convolution itself
    const Tensor saved_x = weight.recorded() ? x.value : Tensor();
    return tape.record("conv2d_transpose", {x, weight, bias}, y, [=, this](const Tensor& dy, Walk& walk) {
        const Tensor dz = through_fused(fused, y, dy, walk);
        if (walk.wants(0)) {
            Tensor dx = walk.gradient_for(0, dy);
            plan(walk.backend, shape, Direction::forward, Fused::none, kernel, {}).run(dz, dx);
            walk.give(0, dx);
        }
        give_weight_gradients(walk, shape, dz, saved_x, dz);
    });
}

namespace {

class Conv2D : public Layer {
public:
    explicit Conv2D(const Config& config, bool depthwise)
        : Layer(config), window_(WindowConfig::read(config, "kernel_size", false)), depthwise_(depthwise),
          filters_(depthwise ? config.integer("depth_multiplier", 1) : config.integer("filters", 0)), groups_(config.integer("groups", 1)),
          with_bias_(config.flag("use_bias", true)), convolution_(std::make_shared<Convolution>()) {
        split_activation(config.activation("activation"));
        fused_ = fused();
        if (filters_ < 1 || filters_ > 1 << 20) reject(fmt::format("{} filters make no sense", filters_));
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], 4);
        const Index c = inputs[0][3];
        if (c < 1) reject("the number of input channels is not known");
        if (depthwise_) groups_ = c, filters_ *= c;
        if (groups_ < 1 || c % groups_ || filters_ % groups_)
            reject(fmt::format("{} channels and {} filters cannot be cut into {} groups", c, filters_, groups_));
        const char* kernel = depthwise_ ? "depthwise_kernel" : "kernel";
        // Keras stores a depthwise kernel as (r,s,c,multiplier): the same numbers in the same order as (r,s,1,c*multiplier)
        const Shape stored = depthwise_ ? Shape{window_.r, window_.s, c, filters_ / c} : Shape{window_.r, window_.s, c / groups_, filters_};
        weights.push_back({kernel, stored, {}});
        if (with_bias_) weights.push_back({"bias", {filters_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], window_.rows(in[0][1]), window_.columns(in[0][2]), filters_};
    }
    Var forward(Tape& tape, const std::vector<Var>& x) const override {
        const Tensor kernel =
            weights[0].value.reshaped({window_.r, window_.s, weights[0].shape.size() / (window_.r * window_.s * filters_), filters_});
        return convolution_->forward(tape, window_, groups_, fused_, x[0], tape.parameter(kernel), tape.parameter(weight("bias")));
    }
    const ConvPlan* plan() const override { return convolution_->newest_plan(); }
    LayerPtr followed_by(const Layer& next) const override {
        using Kind = Fusible::Kind;
        const Fusible then = next.fusible();
        const auto conv = std::make_shared<Conv2D>(*this);
        if (then.kind == Kind::affine && fused_ == Fused::none)
            conv->fold(then);
        else if (then.kind == Kind::relu && fused_ == Fused::none)
            conv->fused_ = Fused::relu;
        else if (then.kind == Kind::relu6 && fused_ == Fused::none)
            conv->fused_ = Fused::relu6;
        else if (then.kind == Kind::max_pool && fused_ == Fused::relu)
            conv->fused_ = Fused::relu_max_pool;
        else
            return nullptr;
        return conv;
    }
    LayerPtr padded_by(const Fusible& border) const override {
        if (window_.padding != Padding::valid) return nullptr;
        const auto conv = std::make_shared<Conv2D>(*this);
        conv->window_.top = border.top, conv->window_.bottom = border.bottom;
        conv->window_.left = border.left, conv->window_.right = border.right;
        return conv;
    }
    Conv2D(const Conv2D& other) = default;

private:
    // ((conv(x) + bias) - mean) * scale + shift  =  conv with kernel * scale, and (bias - mean) * scale + shift as bias
    void fold(const Fusible& affine) {
        const Tensor kernel = weights[0].value.host(), bias = weight("bias").host(), scale = affine.scale.host(), mean = affine.mean.host(),
                     shift = affine.shift.host();
        Tensor scaled = kernel.like(), moved = kernel.like({filters_});
        with_type(kernel.dtype(), [&](auto zero) {
            using T = decltype(zero);
            for (Index i = 0; i < kernel.size(); i++) scaled.data<T>()[i] = T(kernel.data<T>()[i] * scale.data<T>()[i % filters_]);
            for (Index k = 0; k < filters_; k++) {
                const double b = (bias.empty() ? 0 : bias.at_flat(k)) - (mean.empty() ? 0 : mean.at_flat(k));
                moved.data<T>()[k] = T(b * scale.at_flat(k) + (shift.empty() ? 0 : shift.at_flat(k)));
            }
        });
        Device* device = weights[0].value.device();
        weights = {{weights[0].name, weights[0].shape, scaled.on(device)}, {"bias", {filters_}, moved.on(device)}};
        convolution_ = std::make_shared<Convolution>();
    }

    WindowConfig window_;
    bool depthwise_;
    Index filters_, groups_;
    bool with_bias_;
    Fused fused_ = Fused::none;
    std::shared_ptr<Convolution> convolution_;  // shared by what is made of this layer with the same weights
};

// A depthwise convolution, then a 1x1 convolution that mixes its channels.
class SeparableConv2D : public Layer {
public:
    explicit SeparableConv2D(const Config& config)
        : Layer(config), window_(WindowConfig::read(config, "kernel_size", false)), multiplier_(config.integer("depth_multiplier", 1)),
          filters_(config.integer("filters", 0)), with_bias_(config.flag("use_bias", true)) {
        split_activation(config.activation("activation"));
        if (filters_ < 1 || multiplier_ < 1 || filters_ > 1 << 20 || multiplier_ > 1 << 20) reject("its number of filters makes no sense");
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], 4);
        const Index c = inputs[0][3];
        if (c < 1) reject("the number of input channels is not known");
        weights.push_back({"depthwise_kernel", {window_.r, window_.s, c, multiplier_}, {}});
        weights.push_back({"pointwise_kernel", {1, 1, c * multiplier_, filters_}, {}});
        if (with_bias_) weights.push_back({"bias", {filters_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], window_.rows(in[0][1]), window_.columns(in[0][2]), filters_};
    }
    Var forward(Tape& tape, const std::vector<Var>& x) const override {
        const Index c = weights[0].shape[2];
        const Tensor depthwise = weights[0].value.reshaped({window_.r, window_.s, 1, c * multiplier_});
        const Var y = depthwise_.forward(tape, window_, c, Fused::none, x[0], tape.parameter(depthwise), {});
        return pointwise_.forward(tape, WindowConfig{}, 1, fused(), y, tape.parameter(weights[1].value), tape.parameter(weight("bias")));
    }

private:
    WindowConfig window_;
    Index multiplier_, filters_;
    bool with_bias_;
    Convolution depthwise_, pointwise_;
};

class Conv2DTranspose : public Layer {
public:
    explicit Conv2DTranspose(const Config& config)
        : Layer(config), window_(WindowConfig::read(config, "kernel_size", false)), filters_(config.integer("filters", 0)),
          with_bias_(config.flag("use_bias", true)) {
        split_activation(config.activation("activation"));
        if (filters_ < 1 || filters_ > 1 << 20) reject(fmt::format("{} filters make no sense", filters_));
        if (config.integer("groups", 1) != 1) reject("transposed convolutions with groups are not known");
        if (config.has("output_padding")) output_padding_ = config.pair("output_padding", 0);
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], 4);
        if (inputs[0][3] < 1) reject("the number of input channels is not known");
        weights.push_back({"kernel", {window_.r, window_.s, filters_, inputs[0][3]}, {}});
        if (with_bias_) weights.push_back({"bias", {filters_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], vertical().size(in[0][1]), horizontal().size(in[0][2]), filters_};
    }
    Var forward(Tape& tape, const std::vector<Var>& x) const override {
        const Index p = x[0].shape()[1], q = x[0].shape()[2];
        const TransposedAxis v = vertical(), h = horizontal();
        const Window window{v.taps, h.taps, v.stride, h.stride, v.dilation, h.dilation, v.pad(p), h.pad(q)};
        return convolution_.transposed(tape, window, v.size(p), h.size(q), fused(), x[0], tape.parameter(weights[0].value),
                                       tape.parameter(weight("bias")));
    }

private:
    TransposedAxis vertical() const {
        const auto extra = output_padding_ ? std::optional(output_padding_->first) : std::nullopt;
        return {window_.r, window_.stride_h, window_.dilation_h, window_.padding, extra};
    }
    TransposedAxis horizontal() const {
        const auto extra = output_padding_ ? std::optional(output_padding_->second) : std::nullopt;
        return {window_.s, window_.stride_w, window_.dilation_w, window_.padding, extra};
    }
    WindowConfig window_;
    Index filters_;
    bool with_bias_;
    std::optional<std::pair<Index, Index>> output_padding_;
    Convolution convolution_;
};

}  // namespace

LayerPtr make_conv2d(const Config& config) { return std::make_shared<Conv2D>(config, false); }
LayerPtr make_depthwise_conv2d(const Config& config) { return std::make_shared<Conv2D>(config, true); }
LayerPtr make_separable_conv2d(const Config& config) { return std::make_shared<SeparableConv2D>(config); }
LayerPtr make_conv2d_transpose(const Config& config) { return std::make_shared<Conv2DTranspose>(config); }

}  // namespace limn
