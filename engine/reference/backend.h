// The reference backend as a class: the cpu backend derives from it and replaces what it does faster.
#pragma once

#include "engine/backend.h"

namespace limn {

class ReferenceBackend : public Backend {
public:
    std::string name() const override { return "reference"; }
    std::unique_ptr<ConvPlan> plan_conv2d(const ConvShape&, const ConvWeights&, Direction, Fused) const override;
    void conv2d_grad_kernel(const ConvShape&, const Tensor& x, const Tensor& dy, Tensor& dkernel) const override;
    void dense(const Tensor& x, const Tensor& kernel, const Tensor& bias, Fused, Tensor& y) const override;
    void dense_grad_input(const Tensor& dy, const Tensor& kernel, Tensor& dx) const override;
    void dense_grad_kernel(const Tensor& x, const Tensor& dy, Tensor& dkernel) const override;
    void max_pool(const Window&, const Tensor& x, Tensor& y, Argmax*) const override;
    void max_pool_grad(const Argmax&, const Tensor& dy, Tensor& dx) const override;
    void average_pool(const Window&, const Tensor& x, Tensor& y) const override;
    void average_pool_grad(const Window&, const Tensor& dy, Tensor& dx) const override;
    void unary(const UnaryFn&, const Tensor& x, Tensor& y) const override;
    void unary_grad(const UnaryFn&, ReluRule, const Tensor& x, const Tensor& y, const Tensor& dy, Tensor& dx) const override;
    void binary(Binary, const Tensor& a, const Tensor& b, Tensor& y) const override;
    void affine(const Tensor& x, const Tensor& mean, const Tensor& scale, const Tensor& shift, Tensor& y) const override;
    void moments(const Tensor& x, Tensor& mean, Tensor& variance) const override;
    void batch_norm_grad(const Normalised&, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) const override;
    void reduce(Reduction, const Tensor& x, Tensor& y) const override;
    void softmax(const Tensor& x, Tensor& y) const override;
    void softmax_grad(const Tensor& y, const Tensor& dy, Tensor& dx) const override;
    void channel_dot(const Tensor& x, const Tensor& weights, Tensor& y) const override;
    void one_hot_largest(const Tensor& x, Tensor& y) const override;
    void paint(const Paint&, const Tensor& values, const Tensor& table, const Tensor& photo, Tensor& picture) const override;
    void update(const Update&, const Tensor& gradient, const Tensor& weights, Tensor& m, Tensor& v, Tensor& updated) const override;
    void copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) const override;
    void transpose(const std::vector<int>& order, const Tensor& x, Tensor& y) const override;
    void resize(Interpolation, const Tensor& x, Tensor& y) const override;
    void resize_grad(Interpolation, const Tensor& dy, Tensor& dx) const override;
};

}  // namespace limn
