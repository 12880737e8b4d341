#include "engine/reference/backend.h"

#include "engine/paint.h"
#include "engine/reference/convolution.h"
#include "engine/reference/elementwise.h"
#include "engine/reference/maps.h"
#include "engine/reference/normalization.h"
#include "engine/reference/pooling.h"
#include "engine/threads.h"
#include "engine/update.h"

namespace limn {

using namespace reference;

namespace {

PoolShape pool_shape(const Tensor& x, const Tensor& y) {
    return {x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3], y.shape()[1], y.shape()[2]};
}

template <class T> const T* data_or_null(const Tensor& t) { return t.empty() ? nullptr : t.data<T>(); }

class ReferenceConvolution : public ConvPlan {
public:
    ReferenceConvolution(const ConvShape& shape, const ConvWeights& weights, Direction direction, Fused fused)
        : shape_(shape), kernel_(weights.kernel), bias_(weights.bias), direction_(direction), fused_(fused) {}
    std::string algorithm() const override { return "loops"; }
    void run(const Tensor& x, Tensor& y) const override {
        with_type(x.dtype(), [&](auto zero) {
            using T = decltype(zero);
            const auto loops = direction_ == Direction::forward ? &conv2d<T> : &conv2d_grad_input<T>;
            loops(shape_, kernel_.data<T>(), data_or_null<T>(bias_), fused_, x.shape()[0], x.data<T>(), y.data<T>());
        });
    }

private:
    ConvShape shape_;
    Tensor kernel_, bias_;
    Direction direction_;
    Fused fused_;
};

}  // namespace

std::unique_ptr<ConvPlan> ReferenceBackend::plan_conv2d(const ConvShape& shape, const ConvWeights& weights, Direction direction,
                                                        Fused fused) const {
    return std::make_unique<ReferenceConvolution>(shape, weights, direction, fused);
}

void ReferenceBackend::conv2d_grad_kernel(const ConvShape& shape, const Tensor& x, const Tensor& dy, Tensor& dkernel) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::conv2d_grad_kernel<T>(shape, x.shape()[0], x.data<T>(), dy.data<T>(), dkernel.data<T>());
    });
}

void ReferenceBackend::dense(const Tensor& x, const Tensor& kernel, const Tensor& bias, Fused fused, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::dense<T>(x.shape()[0], kernel.shape()[0], kernel.shape()[1], x.data<T>(), kernel.data<T>(), data_or_null<T>(bias), fused,
                            y.data<T>());
    });
}

void ReferenceBackend::dense_grad_input(const Tensor& dy, const Tensor& kernel, Tensor& dx) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::dense_grad_input<T>(dy.shape()[0], kernel.shape()[0], kernel.shape()[1], dy.data<T>(), kernel.data<T>(), dx.data<T>());
    });
}

void ReferenceBackend::dense_grad_kernel(const Tensor& x, const Tensor& dy, Tensor& dkernel) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::dense_grad_kernel<T>(x.shape()[0], dkernel.shape()[0], dkernel.shape()[1], x.data<T>(), dy.data<T>(), dkernel.data<T>());
    });
}

void ReferenceBackend::max_pool(const Window& window, const Tensor& x, Tensor& y, Argmax* argmax) const {
    if (argmax) *argmax = reference::no_winners_yet(window, x, y);
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::max_pool<T>(window, pool_shape(x, y), x.data<T>(), y.data<T>(), argmax ? argmax->winners.data<std::int32_t>() : nullptr);
    });
}

void ReferenceBackend::max_pool_grad(const Argmax& argmax, const Tensor& dy, Tensor& dx) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::max_pool_grad<T>(pool_shape(dx, dy), argmax.winners.values<std::int32_t>(), dy.data<T>(), dx.data<T>());
    });
}

void ReferenceBackend::average_pool(const Window& window, const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::average_pool<T>(window, pool_shape(x, y), x.data<T>(), y.data<T>());
    });
}

void ReferenceBackend::average_pool_grad(const Window& window, const Tensor& dy, Tensor& dx) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::average_pool_grad<T>(window, pool_shape(dx, dy), dy.data<T>(), dx.data<T>());
    });
}

void ReferenceBackend::unary(const UnaryFn& f, const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for (Index i = 0; i < x.size(); i++) y.data<T>()[i] = unary_value(f, x.data<T>()[i]);
    });
}

void ReferenceBackend::unary_grad(const UnaryFn& f, ReluRule rule, const Tensor& x, const Tensor& y, const Tensor& dy, Tensor& dx) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for (Index i = 0; i < dy.size(); i++)
            dx.data<T>()[i] = unary_gradient(f, rule, x.data<T>()[i % x.size()], y.data<T>()[i % y.size()], dy.data<T>()[i]);
    });
}

void ReferenceBackend::binary(Binary op, const Tensor& a, const Tensor& b, Tensor& y) const {
    with_type(y.dtype(), [&](auto zero) { reference::binary<decltype(zero)>(op, a, b, y); });
}

void ReferenceBackend::affine(const Tensor& x, const Tensor& mean, const Tensor& scale, const Tensor& shift, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const Index C = scale.size();
        for (Index i = 0; i < x.size(); i++)
            y.data<T>()[i] = (x.data<T>()[i] - (mean.empty() ? T(0) : mean.data<T>()[i % C])) * scale.data<T>()[i % C] +
                             (shift.empty() ? T(0) : shift.data<T>()[i % C]);
    });
}

void ReferenceBackend::moments(const Tensor& x, Tensor& mean, Tensor& variance) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::moments<T>(x.size() / mean.size(), mean.size(), x.data<T>(), mean.data<T>(), variance.data<T>());
    });
}

void ReferenceBackend::batch_norm_grad(const Normalised& n, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const Index C = n.mean.size();
        reference::batch_norm_grad<T>(dy.size() / C, C, n.x.data<T>(), n.mean.data<T>(), n.variance.data<T>(), data_or_null<T>(n.gamma),
                                      n.epsilon, dy.data<T>(), dx.data<T>(), dgamma.data<T>(), dbeta.data<T>());
    });
}

void ReferenceBackend::reduce(Reduction op, const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) { reference::reduce<decltype(zero)>(op, x, y); });
}

void ReferenceBackend::softmax(const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::softmax<T>(x.size() / x.shape()[-1], x.shape()[-1], x.data<T>(), y.data<T>());
    });
}

void ReferenceBackend::softmax_grad(const Tensor& y, const Tensor& dy, Tensor& dx) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const Index C = y.shape()[-1];
        reference::softmax_grad<T>(dy.size() / C, y.size() / C, C, y.data<T>(), dy.data<T>(), dx.data<T>());
    });
}

void ReferenceBackend::channel_dot(const Tensor& x, const Tensor& weights, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) { reference::channel_dot<decltype(zero)>(x, weights, y); });
}

void ReferenceBackend::one_hot_largest(const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) { reference::one_hot_largest<decltype(zero)>(x, y); });
}

void ReferenceBackend::paint(const Paint& paint, const Tensor& values, const Tensor& table, const Tensor& photo, Tensor& picture) const {
    const float* value = values.data();
    const std::uint8_t *colours = table.data<std::uint8_t>(), *from = photo.data<std::uint8_t>();
    std::uint8_t* to = picture.data<std::uint8_t>();
    parallel_ranges(values.size(), 1 << 13, [&](Index first, Index last) {
        for (Index i = first; i < last; i++) paint_pixel(paint, value[i], colours, from + 3 * i, to + 3 * i);
    });
}

void ReferenceBackend::update(const Update& rule, const Tensor& gradient, const Tensor& weights, Tensor& m, Tensor& v,
                              Tensor& updated) const {
    const float *g = gradient.data(), *from = weights.data();
    float *to = updated.data(), *pm = m.data(), *pv = v.data();
    parallel_ranges(weights.size(), 1 << 15, [&](Index first, Index last) {
        float none = 0;
        for (Index i = first; i < last; i++) to[i] = limn::updated(rule, from[i], g[i], pm ? pm[i] : none, pv ? pv[i] : none);
    });
}

void ReferenceBackend::copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) const {
    with_type(x.dtype(), [&](auto zero) { reference::copy_box<decltype(zero)>(x, from, box, y, to); });
}

void ReferenceBackend::transpose(const std::vector<int>& order, const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) { reference::transpose<decltype(zero)>(order, x, y); });
}

void ReferenceBackend::resize(Interpolation mode, const Tensor& x, Tensor& y) const {
    with_type(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::resize<T>(mode, pool_shape(x, y), x.data<T>(), y.data<T>());
    });
}

void ReferenceBackend::resize_grad(Interpolation mode, const Tensor& dy, Tensor& dx) const {
    with_type(dy.dtype(), [&](auto zero) {
        using T = decltype(zero);
        reference::resize_grad<T>(mode, pool_shape(dx, dy), dy.data<T>(), dx.data<T>());
    });
}

const Backend& reference_backend() {
    static const ReferenceBackend backend;
    return backend;
}

}  // namespace limn
