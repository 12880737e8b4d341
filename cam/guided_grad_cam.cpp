#include "cam/colours.h"
#include "cam/methods.h"

namespace limn {

Tensor guided_grad_cam(const Question& q) {
    const Backend& backend = q.backend();
    const int layer = q.layer();
    const auto walk = q.gradients(q.image(), {&layer, 1});
    const Tensor guided = q.input_gradient(q.image(), ReluRule::guided);

    const Tensor maps = grad_cam(backend, walk.values[0], walk.gradients[0]);
    const Shape &small = maps.shape(), &large = guided.shape();
    Tensor positive = maps.like(), enlarged = guided.like({large[0], large[1], large[2], 1}), product = guided.like();
    backend.unary({.kind = Unary::relu}, maps, positive);
    backend.resize(Interpolation::bilinear, positive.reshaped({small[0], small[1], small[2], 1}), enlarged);
    backend.binary(Binary::multiply, guided, enlarged, product);
    return sum_of_colours(backend, product);
}

}  // namespace limn
