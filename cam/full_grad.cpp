#include <algorithm>

#include "cam/colours.h"
#include "cam/methods.h"

namespace limn {

namespace {

// Layers that add something of their own: z = W x + b. Of others than these only what they call their bias counts.
bool adds_what_it_makes_of_zeros(const Layer& layer) {
    const auto affine = {"BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization", "Rescaling"};
    return std::find(affine.begin(), affine.end(), layer.class_name) != affine.end();
}

bool has_bias(const Layer& layer) { return adds_what_it_makes_of_zeros(layer) || !layer.weight("bias").empty(); }

// For an output (T,h,w,k).
Tensor bias_of(const Backend& backend, const Layer& layer, const Shape& output) {
    if (!adds_what_it_makes_of_zeros(layer)) return layer.weight("bias");
    Tape tape(backend);
    return layer.forward(tape, {Var(Tensor::zeros({1, output[1], output[2], output[3]}).on(backend.device()))}).value;
}

// psi, enlarged and summed over the channels: (T,h,w,k) -> (T,H,W). Each target's magnitudes from 0 to 1.
Tensor psi(const Backend& backend, const Tensor& values, Index height, Index width) {
    const Shape& s = values.shape();
    const Index each = values.size() / s[0];
    Tensor magnitude = values.like({s[0], each}), negative = magnitude.like(), top = values.like({s[0], 1}), low = top.like();
    backend.unary({.kind = Unary::abs}, values.reshaped(magnitude.shape()), magnitude);
    backend.binary(Binary::multiply, magnitude, Tensor::full({1}, -1, values.dtype()), negative);
    backend.reduce(Reduction::maximum, magnitude, top);
    backend.reduce(Reduction::maximum, negative, low);
    backend.binary(Binary::add, magnitude, low, magnitude);
    backend.binary(Binary::add, top, low, top);
    backend.binary(Binary::maximum, top, Tensor::full({1}, 1e-30, values.dtype()), top);
    backend.binary(Binary::divide, magnitude, top, magnitude);
    // bilinear enlarging is linear: the sum may come first
    const Tensor sum = sum_of_colours(backend, magnitude.reshaped(s));
    Tensor large = values.like({s[0], height, width, 1});
    backend.resize(Interpolation::bilinear, sum.reshaped({s[0], s[1], s[2], 1}), large);
    return large.reshaped({s[0], height, width});
}

}  // namespace

Tensor full_grad(const Question& q) {
    const Backend& backend = q.backend();
    const Shape& x = q.image().shape();
    std::vector<int> nodes{q.model().inputs[0]};
    for (int i = 0; i < int(q.model().nodes().size()); i++) {
        const Node& node = q.model().node(i);
        if (node.shape.rank() == 4 && has_bias(*node.layer)) nodes.push_back(i);
    }
    const auto walk = q.gradients(q.image(), nodes);
    Tensor product = walk.gradients[0].like();
    backend.binary(Binary::multiply, walk.gradients[0], q.image(), product);
    Tensor maps = psi(backend, product, x[1], x[2]);
    for (std::size_t i = 1; i < nodes.size(); i++) {
        const Layer& layer = *q.model().node(nodes[i]).layer;
        Tensor dz = walk.gradients[i];
        if (layer.fused_relu) {
            dz = dz.like();
            backend.unary_grad({.kind = Unary::relu}, ReluRule::plain, walk.values[i], walk.values[i], walk.gradients[i], dz);
        }
        Tensor of_bias = dz.like();
        backend.binary(Binary::multiply, dz, bias_of(backend, layer, dz.shape()), of_bias);
        const Tensor map = psi(backend, of_bias, x[1], x[2]);
        backend.binary(Binary::add, maps, map, maps);
    }
    return maps;
}

}  // namespace limn
