// Layers on volumes, (N,depth,h,w,c), slice by slice with what limn has for images.
#include "autograd/ops.h"
#include "layers/conv2d.h"
#include "layers/core.h"

namespace limn {

namespace {

Shape slices_of(const Shape& v) { return {v[0] < 0 || v[1] < 0 ? -1 : v[0] * v[1], v[2], v[3], v[4]}; }
Shape volume_of(Index images, const Shape& slices) { return {images, slices[0] / images, slices[1], slices[2], slices[3]}; }

// Three numbers of a setting: the depth's, and the plane's as settings of a layer for images.
struct Sizes {
    Index depth;
    List plane;
};
Sizes sizes_of(const Config& config, const std::string& key, Index otherwise) {
    const std::vector<Index> v = config.each(key, 3, otherwise);
    return {v[0], {double(v[1]), double(v[2])}};
}

// kernel[t], the taps of one slice; backward, its gradient goes back to its place
Var slice_of(Tape& tape, const Var& kernel, Index t) {
    const Shape taps = kernel.shape().without(0);
    return tape.record("slice of kernel", {kernel}, kernel.value.rows(t, 1).reshaped(taps), [t, taps](const Tensor& dy, Walk& walk) {
        Tensor dkernel = dy.zeros_like(walk.gradient_for(0, dy).shape());
        const Shape row{1, taps.size()}, rows{dkernel.shape()[0], taps.size()};
        Tensor flat = dkernel.reshaped(rows);
        walk.backend.copy_box(dy.reshaped(row), {0, 0}, row, flat, {t, 0});
        walk.give(0, dkernel);
    });
}

// What Conv3D and Conv3DTranspose share: y = sum over the kernel's slices t of a convolution of the planes, moved along the depth by t.
class VolumeConvolution : public Layer {
public:
    explicit VolumeConvolution(const Config& config)
        : Layer(config), filters_(config.integer("filters", 0)), with_bias_(config.flag("use_bias", true)) {
        const Sizes taps = sizes_of(config, "kernel_size", 1), strides = sizes_of(config, "strides", 1),
                    dilation = sizes_of(config, "dilation_rate", 1);
        taps_ = taps.depth, stride_ = strides.depth, dilation_ = dilation.depth;
        Config plane = config;
        plane.settings["kernel_size"] = taps.plane, plane.settings["strides"] = strides.plane,
        plane.settings["dilation_rate"] = dilation.plane;
        window_ = WindowConfig::read(plane, "kernel_size", false);
        for (Index size : {taps_, stride_, dilation_})
            if (size < 1 || size > 1 << 12) reject(fmt::format("a window size, stride or dilation of {} makes no sense", size));
        if (filters_ < 1 || filters_ > 1 << 20) reject(fmt::format("{} filters make no sense", filters_));
        split_activation(config.activation("activation"));
        convolutions_.resize(std::size_t(taps_));
    }

protected:
    void add_weights(const Shape& input, Index c, Index k) {
        expect_rank(input, 5);
        weights.push_back({"kernel", {taps_, window_.r, window_.s, c, k}, {}});
        if (with_bias_) weights.push_back({"bias", {filters_}, {}});
    }
    Var finished(Tape& tape, Var y) const {
        if (with_bias_) y = add(tape, y, tape.parameter(weight("bias")));
        return fused_relu ? relu(tape, y) : y;
    }
    Index filters_, taps_ = 1, stride_ = 1, dilation_ = 1;  // along the depth
    bool with_bias_;
    WindowConfig window_;  // of the planes
    std::vector<Convolution> convolutions_;
};

class Conv3D : public VolumeConvolution {
public:
    explicit Conv3D(const Config& config) : VolumeConvolution(config), groups_(config.integer("groups", 1)) {}
    void build(const std::vector<Shape>& inputs) override {
        const Index c = inputs[0][-1];
        if (c < 1 || groups_ < 1 || c % groups_ || filters_ % groups_)
            reject(fmt::format("{} channels and {} filters cannot be cut into {} groups", c, filters_, groups_));
        add_weights(inputs[0], c / groups_, filters_);
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], window_places(in[0][1], taps_, stride_, dilation_, window_.padding), window_.rows(in[0][2]),
                window_.columns(in[0][3]), filters_};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        // y[d] = sum over t of conv(x[d * stride + t * dilation - before], kernel[t])
        const Shape& shape = in[0].shape();
        const Index places = output_shape({shape})[1], before = window_padding(shape[1], taps_, stride_, dilation_, window_.padding);
        const Index behind = std::max<Index>(0, (places - 1) * stride_ + (taps_ - 1) * dilation_ + 1 - shape[1] - before);
        const Var x = before || behind ? pad(tape, in[0], {0, before, 0, 0, 0}, {0, behind, 0, 0, 0}) : in[0];
        const Var kernel = tape.parameter(weights[0].value);
        Var y;
        for (Index t = 0; t < taps_; t++) {
            const Var moved = slice(tape, x, 1, t * dilation_, places, stride_);
            const Var planes = convolutions_[std::size_t(t)].forward(
                tape, window_, groups_, Fused::none, reshape(tape, moved, slices_of(moved.shape())), slice_of(tape, kernel, t), {});
            y = t ? add(tape, y, planes) : planes;
        }
        return finished(tape, reshape(tape, y, volume_of(shape[0], y.shape())));
    }

private:
    Index groups_;
};

class Conv3DTranspose : public VolumeConvolution {
public:
    explicit Conv3DTranspose(const Config& config) : VolumeConvolution(config) {
        if (config.integer("groups", 1) != 1) reject("transposed convolutions with groups are not known");
        std::vector<std::optional<Index>> extra(3);
        if (config.has("output_padding")) {
            const std::vector<Index> given = config.each("output_padding", 3, 0);
            std::copy(given.begin(), given.end(), extra.begin());
        }
        axes_ = {TransposedAxis{taps_, stride_, dilation_, window_.padding, extra[0]},
                 TransposedAxis{window_.r, window_.stride_h, window_.dilation_h, window_.padding, extra[1]},
                 TransposedAxis{window_.s, window_.stride_w, window_.dilation_w, window_.padding, extra[2]}};
    }
    void build(const std::vector<Shape>& inputs) override {
        if (inputs[0][-1] < 1) reject("the number of input channels is not known");
        add_weights(inputs[0], filters_, inputs[0][-1]);
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], axes_[0].size(in[0][1]), axes_[1].size(in[0][2]), axes_[2].size(in[0][3]), filters_};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        // y[d * stride + t * dilation - before] += transposed conv(x[d], kernel[t])
        const Shape& shape = in[0].shape();
        const Index p = shape[2], q = shape[3], size = axes_[0].size(shape[1]), before = axes_[0].pad(shape[1]);
        const Index all = std::max((shape[1] - 1) * stride_ + (taps_ - 1) * dilation_ + 1, before + size);
        const Window window{window_.r,          window_.s,          window_.stride_h, window_.stride_w,
                            window_.dilation_h, window_.dilation_w, axes_[1].pad(p),  axes_[2].pad(q)};
        const Var planes = reshape(tape, in[0], slices_of(shape)), kernel = tape.parameter(weights[0].value);
        Var y;
        for (Index t = 0; t < taps_; t++) {
            const Var part = convolutions_[std::size_t(t)].transposed(tape, window, axes_[1].size(p), axes_[2].size(q), Fused::none, planes,
                                                                      slice_of(tape, kernel, t), {});
            const Var moved = spread(tape, reshape(tape, part, volume_of(shape[0], part.shape())), 1, t * dilation_, all, stride_);
            y = t ? add(tape, y, moved) : moved;
        }
        return finished(tape, slice(tape, y, 1, before, size));
    }

private:
    std::array<TransposedAxis, 3> axes_;
};

// Max and average pools and enlarging work on the planes, then along the depth: the same numbers, and the first of equal maxima.
class PlaneThenDepth : public Layer {
public:
    PlaneThenDepth(const Config& config, const std::string& kind, const std::vector<const char*>& keys) : Layer(config) {
        Config plane = config, depth = config;
        plane.class_name = depth.class_name = kind;
        for (const char* key : keys) {
            if (!config.has(key) && key == std::string("strides")) continue;  // as large as the window
            const Sizes sizes = sizes_of(config, key, 2);
            plane.settings[key] = sizes.plane;
            depth.settings[key] = List{double(sizes.depth), 1.0};
        }
        plane_ = make_layer(plane), depth_ = make_layer(depth);
    }
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 5); }
    Shape output_shape(const std::vector<Shape>& in) const override {
        const Shape plane = plane_->output_shape({slices_of(in[0])}),
                    depth = depth_->output_shape({Shape{in[0][0], in[0][1], 1, in[0][4]}});
        return {in[0][0], depth[1], plane[1], plane[2], in[0][4]};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Shape& shape = in[0].shape();
        const Shape out = output_shape({shape});
        const Var planes = plane_->forward(tape, {reshape(tape, in[0], slices_of(shape))});
        const Var columns = reshape(tape, planes, {shape[0], shape[1], out[2] * out[3], shape[4]});
        return reshape(tape, depth_->forward(tape, {columns}), out);
    }

private:
    LayerPtr plane_, depth_;
};

}  // namespace

LayerPtr make_conv3d(const Config& config) { return std::make_shared<Conv3D>(config); }
LayerPtr make_conv3d_transpose(const Config& config) { return std::make_shared<Conv3DTranspose>(config); }
LayerPtr make_max_pooling3d(const Config& config) {
    return std::make_shared<PlaneThenDepth>(config, "MaxPooling2D", std::vector<const char*>{"pool_size", "strides"});
}
LayerPtr make_average_pooling3d(const Config& config) {
    return std::make_shared<PlaneThenDepth>(config, "AveragePooling2D", std::vector<const char*>{"pool_size", "strides"});
}
LayerPtr make_up_sampling3d(const Config& config) {
    return std::make_shared<PlaneThenDepth>(config, "UpSampling2D", std::vector<const char*>{"size"});
}

}  // namespace limn
