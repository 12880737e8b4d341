// What only training needs of a backend: gradients of kernels and statistics of batches, on every instruction set this
// machine can run, against the definitions in engine/reference (in double).
#include "autograd/gradcheck.h"
#include "tests/engine/backends.h"
#include "tests/support.h"

using namespace limn;

TEST_CASE("gradients of convolution kernels agree with their definition") {
    struct Case {
        const char* name;
        Index n;
        ConvShape shape;
    };
    const Case cases[] = {
        {"3x3, padded", 3, {{3, 3, 1, 1, 1, 1, 1, 1}, 14, 14, 16, 14, 14, 32}},
        {"first layer", 2, {{3, 3, 2, 2, 1, 1, 1, 1}, 23, 19, 3, 12, 10, 32}},
        {"no multiple of any vector", 3, {{3, 3, 1, 1, 1, 1, 1, 1}, 7, 5, 5, 7, 5, 7}},
        {"1x1 image", 1, {{1, 1}, 1, 1, 4, 1, 1, 9}},
        {"one channel, one filter", 1, {{3, 3}, 6, 6, 1, 4, 4, 1}},
        {"many channels", 2, {{3, 3, 1, 1, 1, 1, 1, 1}, 8, 8, 77, 8, 8, 50}},
        {"stride 3, 1 on a 2x5 kernel", 2, {{2, 5, 3, 1, 1, 1, 0, 2}, 11, 10, 4, 4, 10, 6}},
        {"dilation", 1, {{3, 3, 1, 1, 2, 3, 2, 3}, 22, 26, 4, 22, 26, 8}},
        {"groups", 2, {{3, 3, 1, 1, 1, 1, 1, 1}, 10, 10, 8, 10, 10, 12, 4}},
        {"depthwise", 2, {{3, 3, 2, 2, 1, 1, 1, 1}, 13, 11, 70, 7, 6, 70, 70}},
        {"kernel larger than the image", 1, {{5, 5, 1, 1, 1, 1, 2, 2}, 3, 3, 4, 3, 3, 4}},
    };
    for (const Backend* owner : all_backends())
        for (const Case& c : cases) {
            const Backend& backend = *owner;
            CAPTURE(backend.name());
            CAPTURE(c.name);
            const ConvShape& v = c.shape;
            const Tensor x = random_tensor({c.n, v.h, v.w, v.c}, 1), dy = random_tensor({c.n, v.p, v.q, v.k}, 2);
            Tensor dkernel({v.window.r, v.window.s, v.c / v.groups, v.k}), expected(dkernel.shape(), DType::f64);
            backend.conv2d_grad_kernel(v, x, dy, dkernel);
            reference_backend().conv2d_grad_kernel(v, x.to(DType::f64), dy.to(DType::f64), expected);
            CHECK(relative_error(dkernel, expected) <= rounding(c.n * v.p * v.q));
        }
}

TEST_CASE("gradients of dense kernels agree with their definition") {
    for (const Backend* backend : all_backends())
        for (const auto [n, c, k] : {std::array<Index, 3>{1, 1, 1}, {5, 25, 40}, {32, 700, 33}, {9, 64, 1}}) {
            const Tensor x = random_tensor({n, c}, 1), dy = random_tensor({n, k}, 2);
            Tensor dkernel({c, k}), expected({c, k}, DType::f64);
            backend->dense_grad_kernel(x, dy, dkernel);
            reference_backend().dense_grad_kernel(x.to(DType::f64), dy.to(DType::f64), expected);
            CHECK(relative_error(dkernel, expected) <= rounding(n));
        }
}

TEST_CASE("a max pool's gradient goes where the maximum was, for several targets at a time") {
    for (const Backend* owner : all_backends()) {
        const Backend& backend = *owner;
        const Tensor x = random_tensor({2, 7, 9, 5}, 1), dy = random_tensor({4, 3, 4, 5}, 2);  // two targets
        Tensor y({2, 3, 4, 5}), dx({4, 7, 9, 5}), expected({4, 7, 9, 5});
        Backend::Argmax argmax;
        backend.max_pool({3, 3, 2, 2}, x, y, &argmax);
        backend.max_pool_grad(argmax, dy, dx);
        reference_backend().max_pool_grad({argmax.window, argmax.winners.host()}, dy, expected);
        CHECK(relative_error(dx, expected) <= 1e-6);
    }
}

TEST_CASE("batch statistics and the gradient through them agree with their definition") {
    for (const Backend* owner : all_backends())
        for (const Shape& shape : {Shape{3, 9, 7, 20}, Shape{2, 40, 40, 3}, Shape{1, 1, 1, 5}, Shape{6, 33}}) {
            const Backend& backend = *owner;
            CAPTURE(backend.name());
            CAPTURE(shape.str());
            const Index C = shape[-1];
            // far from zero: a variance from sums of squares would lose its digits
            const Tensor x = random_tensor(shape, 1, 99, 101), dy = random_tensor(shape, 2), gamma = random_tensor({C}, 3, 0.5, 2);
            Tensor mean({C}), variance({C}), dx(shape), dgamma({C}), dbeta({C});
            Tensor mean64({C}, DType::f64), variance64({C}, DType::f64), dx64(shape, DType::f64), dgamma64({C}, DType::f64),
                dbeta64({C}, DType::f64);
            backend.moments(x, mean, variance);
            reference_backend().moments(x.to(DType::f64), mean64, variance64);
            CHECK(relative_error(mean, mean64) <= 1e-6);
            CHECK(relative_error(variance, variance64) <= 2e-5);

            backend.batch_norm_grad({x, mean64.to(DType::f32), variance64.to(DType::f32), gamma, 1e-3}, dy, dx, dgamma, dbeta);
            // the reference from the same rounded statistics
            reference_backend().batch_norm_grad({x.to(DType::f64), mean64.to(DType::f32).to(DType::f64),
                                                 variance64.to(DType::f32).to(DType::f64), gamma.to(DType::f64), 1e-3},
                                                dy.to(DType::f64), dx64, dgamma64, dbeta64);
            CHECK(relative_error(dx, dx64) <= 1e-5);
            CHECK(relative_error(dgamma, dgamma64) <= 1e-5);
            CHECK(relative_error(dbeta, dbeta64) <= 1e-5);
        }
}

TEST_CASE("sums over all but the channels agree with their definition") {
    for (const Backend* owner : all_backends()) {
        const Backend& backend = *owner;
        const Tensor x = random_tensor({3, 31, 29, 13}, 1);
        Tensor sum({1, 1, 1, 13}), expected({1, 1, 1, 13}, DType::f64);
        backend.reduce(Reduction::sum, x, sum);
        reference_backend().reduce(Reduction::sum, x.to(DType::f64), expected);
        CHECK(relative_error(sum, expected) <= 2e-6);
    }
}

TEST_CASE("an optimiser's step is the same on every backend") {
    using Rule = Update::Rule;
    for (const Update& rule : {Update{Rule::sgd, 0.1f, 0.01f}, Update{Rule::momentum, 0.1f, 0, 0.9f}, Update{Rule::nesterov, 0.1f, 0, 0.9f},
                               Update{Rule::adam, 0.001f, 0.004f, 0, 0.1f, 0.001f, 1e-7f}})
        for (const Backend* backend : all_backends()) {
            CAPTURE(backend->name());
            const bool remembers = rule.rule != Rule::sgd, adam = rule.rule == Rule::adam;
            const Tensor weights = random_tensor({7, 5}, 1), gradient = random_tensor({7, 5}, 2), none;
            Tensor m = remembers ? random_tensor({7, 5}, 3) : none, v = adam ? random_tensor({7, 5}, 4, 0, 1) : none, w({7, 5});
            Tensor expected_m = remembers ? m.clone() : none, expected_v = adam ? v.clone() : none, expected({7, 5});
            backend->update(rule, gradient, weights, m, v, w);
            reference_backend().update(rule, gradient, weights, expected_m, expected_v, expected);
            CHECK(relative_error(w, expected) <= 1e-6);
            if (remembers) CHECK(relative_error(m, expected_m) <= 1e-6);
            if (adam) CHECK(relative_error(v, expected_v) <= 1e-6);
        }
}
