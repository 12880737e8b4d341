// The fast backend: float only, threads, SIMD chosen at run time. What is not replaced here runs as in reference.
#pragma once

#include "engine/cpu/kernels.h"
#include "engine/reference/backend.h"

namespace limn {

class CpuBackend : public ReferenceBackend {
public:
    // exact: convolutions by their definition's sums only, no Winograd
    explicit CpuBackend(const cpu::Kernels& kernels, bool exact = false) : kernels_(kernels), exact_(exact) {}
    std::string name() const override { return std::string("cpu (") + kernels_.isa + (exact_ ? ", exact)" : ")"); }
    bool prefers_fused() const override { return true; }
    std::unique_ptr<ConvPlan> plan_conv2d(const ConvShape&, const ConvWeights&, Direction, Fused) const override;
    void conv2d_grad_kernel(const ConvShape&, const Tensor& x, const Tensor& dy, Tensor& dkernel) const override;
    void dense(const Tensor& x, const Tensor& kernel, const Tensor& bias, Fused, Tensor& y) const override;
    void dense_grad_input(const Tensor& dy, const Tensor& kernel, Tensor& dx) const override;
    void dense_grad_kernel(const Tensor& x, const Tensor& dy, Tensor& dkernel) const override;
    void max_pool(const Window&, const Tensor& x, Tensor& y, Argmax*) const override;
    void max_pool_grad(const Argmax&, const Tensor& dy, Tensor& dx) const override;
    void average_pool(const Window&, const Tensor& x, Tensor& y) const override;
    void unary(const UnaryFn&, const Tensor& x, Tensor& y) const override;
    void unary_grad(const UnaryFn&, ReluRule, const Tensor& x, const Tensor& y, const Tensor& dy, Tensor& dx) const override;
    void binary(Binary, const Tensor& a, const Tensor& b, Tensor& y) const override;
    void affine(const Tensor& x, const Tensor& mean, const Tensor& scale, const Tensor& shift, Tensor& y) const override;
    void moments(const Tensor& x, Tensor& mean, Tensor& variance) const override;
    void batch_norm_grad(const Normalised&, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) const override;
    void reduce(Reduction, const Tensor& x, Tensor& y) const override;
    void softmax(const Tensor& x, Tensor& y) const override;
    void resize(Interpolation, const Tensor& x, Tensor& y) const override;
    void copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) const override;

private:
    const cpu::Kernels& kernels_;
    bool exact_;
};

}  // namespace limn
