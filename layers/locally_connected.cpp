// LocallyConnected2D (Keras 1 and 2): a convolution with a kernel of its own for each place.
#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/window.h"

namespace limn {

namespace {

class LocallyConnected2D : public Layer {
public:
    explicit LocallyConnected2D(const Config& config)
        : Layer(config), window_(WindowConfig::read(config, "kernel_size", false)), filters_(config.integer("filters", 0)),
          with_bias_(config.flag("use_bias", true)) {
        split_activation(config.activation("activation"));
        if (filters_ < 1 || filters_ > 1 << 20) reject(fmt::format("{} filters make no sense", filters_));
        if (window_.padding != Padding::valid) reject("only padding 'valid' is known");
        if (config.integer("implementation", 1) != 1) reject("only kernels as implementation 1 stores them are known");
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], 4);
        const Shape out = output_shape(inputs);
        if (out[1] < 1 || out[2] < 1 || inputs[0][3] < 1) reject("it needs an input of fixed size, not smaller than its window");
        weights.push_back({"kernel", {out[1] * out[2], window_.r * window_.s * inputs[0][3], filters_}, {}});
        if (with_bias_) weights.push_back({"bias", {out[1], out[2], filters_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        return {in[0][0], window_.rows(in[0][1]), window_.columns(in[0][2]), filters_};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        // y[n,p,q,k] = b[p,q,k] + sum_{r,s,c} x[n, p*stride+r, q*stride+s, c] * kernel[p,q,(r,s,c),k]
        const Shape out = output_shape({in[0].shape()});
        std::vector<Var> taps;
        for (Index r = 0; r < window_.r; r++) {
            const Var rows = slice(tape, in[0], 1, r, out[1], window_.stride_h);
            for (Index s = 0; s < window_.s; s++) taps.push_back(slice(tape, rows, 2, s, out[2], window_.stride_w));
        }
        Var windows = concatenate(tape, taps, 3);
        if (keras_config.text("data_format", "") == "channels_first") {  // then the kernel counts (c,r,s)
            const Index c = in[0].shape()[3];
            windows = reshape(tape, windows, {out[0], out[1] * out[2], window_.r * window_.s, c});
            windows = transpose(tape, windows, {0, 1, 3, 2});
        }
        windows = reshape(tape, windows, {out[0], out[1] * out[2], window_.r * window_.s * in[0].shape()[3]});
        Var y = reshape(tape, einsum(tape, "npi,pik->npk", windows, tape.parameter(weights[0].value)), out);
        if (with_bias_) y = add(tape, y, tape.parameter(weight("bias")));
        return fused_relu ? relu(tape, y) : y;
    }

private:
    WindowConfig window_;
    Index filters_;
    bool with_bias_;
};

}  // namespace

LayerPtr make_locally_connected2d(const Config& config) { return std::make_shared<LocallyConnected2D>(config); }

}  // namespace limn
