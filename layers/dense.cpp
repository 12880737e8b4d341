#include "layers/core.h"

namespace limn {

namespace {

// Works on the last axis; all axes before it count as rows.
class Dense : public Layer {
public:
    explicit Dense(const Config& config) : Layer(config), units_(config.integer("units", 0)), with_bias_(config.flag("use_bias", true)) {
        split_activation(config.activation("activation"));
        if (units_ < 1 || units_ > 1 << 24) reject(fmt::format("{} units make no sense", units_));
    }
    void build(const std::vector<Shape>& inputs) override {
        if (inputs[0].rank() < 2) reject(fmt::format("its input should have at least 2 axes, not {}", inputs[0].str()));
        if (inputs[0][-1] < 1) reject("the number of inputs is not known: give the model a fixed image size");
        weights.push_back({"kernel", {inputs[0][-1], units_}, {}});
        if (with_bias_) weights.push_back({"bias", {units_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0].with(-1, units_); }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }

    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        // y[n,k] = relu(b[k] + sum_c x[n,c] * kernel[c,k])
        const Tensor &kernel = weights[0].value, &bias = weight("bias");
        const Index c = kernel.shape()[0], k = units_;
        const Var& x = in[0];
        const Tensor rows = x.value.reshaped({x.value.size() / c, c});
        Tensor y = rows.like({rows.shape()[0], k});
        tape.backend().dense(rows, kernel, bias, fused(), y);
        y = y.reshaped(x.shape().with(-1, k));

        // dx[n,c] = sum_k dz[n,k] * kernel[c,k];  dkernel[c,k] = sum_n x[n,c] dz[n,k];  db[k] = sum_n dz[n,k];  dz = dy where y > 0
        return tape.record("dense", {x, tape.parameter(kernel), tape.parameter(bias)}, y,
                           [=, fused = fused()](const Tensor& dy, Walk& walk) {
                               Tensor dz = dy;
                               if (fused == Fused::relu) {
                                   dz = dy.like();
                                   walk.backend.unary_grad({.kind = Unary::relu}, walk.relu_rule, y, y, dy, dz);
                               }
                               dz = dz.reshaped({dz.size() / k, k});
                               if (walk.wants(0)) {
                                   Tensor dx = walk.gradient_for(0, dy);
                                   Tensor dx_rows = dx.reshaped({dx.size() / c, c});
                                   walk.backend.dense_grad_input(dz, kernel, dx_rows);
                                   walk.give(0, dx);
                               }
                               if (walk.wants(1) || walk.wants(2))
                                   LIMN_CHECK(walk.targets() == 1, "the gradient of a weight is taken for one target at a time");
                               if (walk.wants(1)) {
                                   Tensor dkernel = walk.gradient_for(1, dy);
                                   walk.backend.dense_grad_kernel(rows, dz, dkernel);
                                   walk.give(1, dkernel);
                               }
                               if (walk.wants(2)) {
                                   Tensor dbias = dy.like({1, k});
                                   walk.backend.reduce(Reduction::sum, dz, dbias);
                                   walk.give(2, dbias.reshaped({k}));
                               }
                           });
    }

private:
    Index units_;
    bool with_bias_;
};

}  // namespace

LayerPtr make_dense(const Config& config) { return std::make_shared<Dense>(config); }

}  // namespace limn
