// The convolutions: Conv2D, DepthwiseConv2D, SeparableConv2D and Conv2DTranspose.
#pragma once

#include "layers/layer.h"
#include "layers/window.h"

namespace limn {

// A kernel with its plans: what Conv2D and its relatives share. Plans are made on the first image of a size and kept.
class Convolution {
public:
    // y = fused(conv(x, kernel) + bias), x: (N,h,w,c)  kernel: (r,s,c/groups,k)  y: (N,p,q,k); bias may be empty
    Var forward(Tape&, const WindowConfig&, Index groups, Fused, const Var& x, const Var& kernel, const Var& bias) const;
    const ConvPlan* newest_plan() const { return plans_.empty() ? nullptr : plans_.back().plan.get(); }
    // the same kernel the other way: x: (N,p,q,k) -> y: (N,h,w,c), bias (c)
    Var transposed(Tape&, const Window&, Index h, Index w, Fused, const Var& x, const Var& kernel, const Var& bias) const;

private:
    struct Planned {
        const Backend* backend;
        Direction direction;
        Fused fused;
        Tensor bias;      // whose numbers were prepared; kept, so that no other can lie where it lies
        ConvShape shape;  // with its padding: a copy of the layer that pads shares the plans
        std::shared_ptr<const ConvPlan> plan;
    };
    const ConvPlan& plan(const Backend&, const ConvShape&, Direction, Fused, const Tensor& kernel, const Tensor& bias) const;
    mutable ConvWeights weights_;
    mutable std::vector<Planned> plans_;
};

LayerPtr make_conv2d(const Config&);
LayerPtr make_depthwise_conv2d(const Config&);
LayerPtr make_separable_conv2d(const Config&);
LayerPtr make_conv2d_transpose(const Config&);

}  // namespace limn
