// The cpu backend, with every instruction set this machine can run, against the definitions in engine/reference.
// One struct a case: what it computes, which algorithm must do it. The truth is reference in double.
#include "autograd/gradcheck.h"
#include "engine/threads.h"
#include "tests/engine/backends.h"
#include "tests/support.h"

using namespace limn;

namespace {

struct ConvCase {
    const char* name;
    Index n, h, w, c, k;
    Window window;
    Index groups;
    const char* algorithm;
    // places the window has, "valid" plus the padding on both sides given by pad_top, pad_left (and as much behind)
    ConvShape shape() const {
        const auto places = [](Index size, Index pad, Index taps, Index stride, Index dilation) {
            return (size + 2 * pad - (taps - 1) * dilation - 1) / stride + 1;
        };
        return {window,
                h,
                w,
                c,
                places(h, window.pad_top, window.r, window.stride_h, window.dilation_h),
                places(w, window.pad_left, window.s, window.stride_w, window.dilation_w),
                k,
                groups};
    }
};

const ConvCase conv_cases[] = {
    {"VGG: 3x3, padded", 2, 28, 28, 16, 32, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "winograd F(4,3)"},
    {"VGG's last block: a plane of 14x14", 2, 14, 14, 32, 48, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "winograd F(2,3)"},
    {"odd sizes, channels and filters that fill no vector", 3, 21, 17, 19, 37, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "winograd F(4,3)"},
    {"ResNet's last block: a plane of 7x7", 1, 7, 7, 32, 32, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "winograd F(2,3)"},
    {"a plane of 4x4", 2, 4, 4, 32, 32, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "implicit gemm"},
    {"no padding, many tiles", 1, 50, 62, 16, 16, {3, 3}, 1, "winograd F(4,3)"},
    {"padding on one side more than the other", 1, 30, 30, 24, 16, {3, 3, 1, 1, 1, 1, 2, 0}, 1, "winograd F(4,3)"},
    {"large weights: panels are shared out", 2, 17, 18, 160, 144, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "winograd F(4,3)"},
    {"one row of pixels", 1, 1, 40, 16, 16, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "implicit gemm"},
    {"first layer: 3 channels", 1, 23, 19, 3, 64, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "joined taps"},
    {"odd sizes, filters that fill no vector", 3, 7, 5, 5, 7, {3, 3, 1, 1, 1, 1, 1, 1}, 1, "joined taps"},
    {"1x1 image", 1, 1, 1, 4, 9, {1, 1}, 1, "pointwise"},
    {"1x1 kernel", 2, 9, 8, 24, 17, {1, 1}, 1, "pointwise"},
    {"one channel, one filter", 1, 6, 6, 1, 1, {3, 3}, 1, "depthwise"},
    {"7x7 with stride 2", 1, 33, 35, 3, 8, {7, 7, 2, 2, 1, 1, 3, 3}, 1, "joined taps"},
    {"stride 3, 1 on a 2x5 kernel", 2, 11, 10, 4, 6, {2, 5, 3, 1, 1, 1, 0, 2}, 1, "joined taps"},
    {"dilation", 1, 22, 26, 4, 8, {3, 3, 1, 1, 2, 3, 2, 3}, 1, "implicit gemm"},
    {"groups", 2, 10, 10, 8, 12, {3, 3, 1, 1, 1, 1, 1, 1}, 4, "implicit gemm"},
    {"depthwise", 2, 13, 11, 19, 19, {3, 3, 1, 1, 1, 1, 1, 1}, 19, "depthwise"},
    {"depthwise with stride 2", 1, 16, 16, 32, 32, {3, 3, 2, 2, 1, 1, 1, 1}, 32, "depthwise"},
    {"depthwise with two filters a channel", 1, 9, 9, 5, 10, {3, 3, 1, 1, 1, 1, 1, 1}, 5, "implicit gemm"},
    {"few channels: dilated rows, eight filters", 2, 12, 13, 3, 8, {3, 3, 2, 1, 2, 1, 2, 1}, 1, "joined taps"},
    {"few channels: half a panel too many", 1, 9, 10, 2, 24, {2, 2, 1, 1, 1, 1, 1, 0}, 1, "joined taps"},
    {"1x1 of many channels", 1, 7, 7, 600, 40, {1, 1}, 1, "pointwise"},
    {"depthwise, many channels, stride 1 by 2", 1, 9, 20, 77, 77, {5, 3, 1, 2, 1, 1, 2, 1}, 77, "depthwise"},
    {"depthwise, dilated", 2, 12, 11, 9, 9, {3, 3, 1, 1, 2, 3, 2, 3}, 9, "depthwise"},
    {"kernel larger than the image", 1, 3, 3, 4, 4, {5, 5, 1, 1, 1, 1, 2, 2}, 1, "joined taps"},
};

Tensor truth_of(const ConvShape& v, const Tensor& x, const Tensor& kernel, const Tensor& bias, Direction direction, Fused fused) {
    const bool forward = direction == Direction::forward;
    Tensor y(forward ? Shape{x.shape()[0], v.p, v.q, v.k} : Shape{x.shape()[0], v.h, v.w, v.c}, DType::f64);
    reference_backend().plan_conv2d(v, {kernel.to(DType::f64), bias.to(DType::f64), {}}, direction, fused)->run(x.to(DType::f64), y);
    return y;
}

// Winograd's transforms subtract large numbers from each other; these points lose about so much (engine/cpu/winograd.h).
double amplified(const std::string& algorithm) { return algorithm == "winograd F(4,3)" ? 3 : 1; }

}  // namespace

TEST_CASE("convolutions agree with their definition, forward and toward the input") {
    for (const Backend* owner : all_backends())
        for (const ConvCase& c : conv_cases) {
            const Backend& backend = *owner;
            CAPTURE(backend.name());
            CAPTURE(c.name);
            const ConvShape v = c.shape();
            const Tensor kernel = random_tensor({v.window.r, v.window.s, v.c / v.groups, v.k}, 1), bias = random_tensor({v.k}, 2),
                         input_bias = random_tensor({v.c}, 3);
            const Tensor x = random_tensor({c.n, v.h, v.w, v.c}, 4), dy = random_tensor({c.n, v.p, v.q, v.k}, 5);
            for (Fused fused : {Fused::none, Fused::relu}) {
                const auto plan = backend.plan_conv2d(v, {kernel, bias, {}}, Direction::forward, fused);
                if (!backend.device()) CHECK(plan->algorithm() == c.algorithm);
                Tensor y({c.n, v.p, v.q, v.k});
                plan->run(x, y);
                CHECK(relative_error(y, truth_of(v, x, kernel, bias, Direction::forward, fused)) <=
                      amplified(plan->algorithm()) * rounding(v.window.r * v.window.s * v.c / v.groups));

                Tensor dx({c.n, v.h, v.w, v.c});
                const auto back = backend.plan_conv2d(v, {kernel, input_bias, {}}, Direction::grad_input, fused);
                back->run(dy, dx);
                CHECK(relative_error(dx, truth_of(v, dy, kernel, input_bias, Direction::grad_input, fused)) <=
                      amplified(back->algorithm()) * rounding(v.window.r * v.window.s * v.k / v.groups));
            }
        }
}

TEST_CASE("toward the input a convolution is the adjoint of itself: <A x, y> = <x, A^T y>") {
    for (const Backend* backend : all_backends())
        for (const ConvCase& c : conv_cases) {
            CAPTURE(backend->name());
            CAPTURE(c.name);
            const ConvShape v = c.shape();
            const ConvWeights weights{random_tensor({v.window.r, v.window.s, v.c / v.groups, v.k}, 1), {}, {}};
            const Tensor x = random_tensor({c.n, v.h, v.w, v.c}, 2), y = random_tensor({c.n, v.p, v.q, v.k}, 3);
            Tensor forward(y.shape()), back(x.shape());
            backend->plan_conv2d(v, weights, Direction::forward, Fused::none)->run(x, forward);
            backend->plan_conv2d(v, weights, Direction::grad_input, Fused::none)->run(y, back);
            CHECK(std::abs(dot(forward, y) - dot(x, back)) <= 1e-6 * std::sqrt(dot(forward, forward) * dot(y, y)));
        }
}

TEST_CASE("a plan says which better algorithms refused, and why") {
    const ConvCase& vgg = conv_cases[0];
    const auto plan = cpu_backend().plan_conv2d(vgg.shape(), {random_tensor({3, 3, 16, 32}, 1), {}, {}}, Direction::forward, Fused::none);
    REQUIRE(plan->refusals.size() == 3);
    CHECK(plan->refusals[0].algorithm == "depthwise");
    CHECK(plan->refusals[0].reason == "its channels are mixed");
    const auto reason = [](ConvCase c, const std::string& algorithm) {
        const ConvShape v = c.shape();
        const ConvWeights weights{random_tensor({v.window.r, v.window.s, v.c / v.groups, v.k}, 1), {}, {}};
        const auto other = cpu_backend().plan_conv2d(v, weights, Direction::forward, Fused::none);
        for (const auto& refusal : other->refusals)
            if (refusal.algorithm == algorithm) return refusal.reason;
        return "it was not asked, or did not refuse: " + other->algorithm();
    };
    const std::string pointwise = "pointwise", joined = "joined taps", f4 = "winograd F(4,3)", f2 = "winograd F(2,3)";
    CHECK(reason({"", 1, 20, 20, 16, 16, {5, 5}, 1, ""}, pointwise) == "its kernel is not 1x1");
    CHECK(reason({"", 1, 20, 20, 16, 16, {1, 1, 2, 2}, 1, ""}, pointwise) == "it has strides");
    CHECK(reason({"", 1, 20, 20, 16, 16, {1, 1, 1, 1, 1, 1, 1, 0}, 1, ""}, pointwise) == "it is padded");
    CHECK(reason({"", 1, 20, 20, 16, 16, {1, 1}, 4, ""}, pointwise) == "it has groups");
    CHECK(reason({"", 1, 20, 20, 9, 16, {3, 3}, 1, ""}, joined) == "more than 8 channels");
    CHECK(reason({"", 1, 20, 20, 8, 16, {3, 3}, 4, ""}, joined) == "it has groups");
    CHECK(reason({"", 1, 20, 20, 8, 16, {3, 1}, 1, ""}, joined) == "its kernel has one column");
    CHECK(reason({"", 1, 20, 20, 8, 16, {3, 3, 1, 1, 1, 2}, 1, ""}, joined) == "it is dilated");
    CHECK(reason({"", 1, 20, 20, 16, 16, {5, 5}, 1, ""}, f4) == "its kernel is not 3x3");
    CHECK(reason({"", 1, 20, 20, 16, 16, {3, 3, 2, 2}, 1, ""}, f4) == "it has strides");
    CHECK(reason({"", 1, 20, 20, 16, 16, {3, 3, 1, 1, 2, 2}, 1, ""}, f4) == "it is dilated");
    CHECK(reason({"", 1, 20, 20, 16, 16, {3, 3}, 4, ""}, f4) == "it has groups");
    CHECK(reason({"", 1, 20, 20, 9, 64, {3, 3}, 1, ""}, f4).starts_with("too few channels"));
    CHECK(reason({"", 1, 14, 14, 16, 16, {3, 3, 1, 1, 1, 1, 1, 1}, 1, ""}, f4).starts_with("F(2,3) is cheaper"));
    CHECK(reason({"", 1, 1, 40, 16, 16, {3, 3, 1, 1, 1, 1, 1, 1}, 1, ""}, f2).find("padding") != std::string::npos);
}

TEST_CASE("dense layers agree with their definition for any number of rows") {
    for (const Backend* owner : all_backends())
        for (const auto [n, c, k] : {std::array<Index, 3>{1, 1, 1},
                                     {1, 25, 40},
                                     {3, 700, 33},
                                     {8, 100, 5},
                                     {9, 64, 130},
                                     {17, 3000, 12},
                                     {5, 90, 2100},
                                     {7, 40, 1033}}) {
            const Backend& backend = *owner;
            CAPTURE(backend.name());
            CAPTURE_PART(n);
            const Tensor x = random_tensor({n, c}, 1), w = random_tensor({c, k}, 2), bias = random_tensor({k}, 3),
                         dy = random_tensor({n, k}, 4);
            Tensor y({n, k}), dx({n, c}), expected({n, k}, DType::f64), expected_dx({n, c}, DType::f64);
            backend.dense(x, w, bias, Fused::relu, y);
            backend.dense_grad_input(dy, w, dx);
            reference_backend().dense(x.to(DType::f64), w.to(DType::f64), bias.to(DType::f64), Fused::relu, expected);
            reference_backend().dense_grad_input(dy.to(DType::f64), w.to(DType::f64), expected_dx);
            CHECK(relative_error(y, expected) <= rounding(c));
            CHECK(relative_error(dx, expected_dx) <= rounding(k));
        }
}

TEST_CASE("a batch of rows gives the same bits as its rows alone") {
    const Tensor x = random_tensor({11, 900}, 1), w = random_tensor({900, 37}, 2), bias = random_tensor({37}, 3);
    Tensor all({11, 37});
    cpu_backend().dense(x, w, bias, Fused::none, all);
    for (Index n = 0; n < 11; n++) {
        Tensor one({1, 37});
        cpu_backend().dense(x.rows(n, 1), w, bias, Fused::none, one);
        CHECK(same_bits(one, all.rows(n, 1)));
    }
}

TEST_CASE("pools agree with their definition: overlapping, padded, odd") {
    struct PoolCase {
        Index n, h, w, c, p, q;
        Window window;
    };
    for (const Backend* owner : all_backends())
        for (const PoolCase& v : {PoolCase{2, 8, 8, 12, 4, 4, {2, 2, 2, 2}},
                                  {1, 7, 9, 5, 3, 4, {3, 3, 2, 2}},
                                  {1, 7, 5, 3, 7, 5, {3, 3, 1, 1, 1, 1, 1, 1}},
                                  {1, 1, 1, 1, 1, 1, {1, 1}}}) {
            const Backend& backend = *owner;
            CAPTURE(backend.name());
            const Tensor x = random_tensor({v.n, v.h, v.w, v.c}, 1);
            Tensor y({v.n, v.p, v.q, v.c}), with_argmax(y.shape()), expected(y.shape());
            Backend::Argmax argmax, expected_argmax;
            backend.max_pool(v.window, x, y, nullptr);
            backend.max_pool(v.window, x, with_argmax, &argmax);
            reference_backend().max_pool(v.window, x, expected, &expected_argmax);
            CHECK(same_bits(y, expected));
            CHECK(same_bits(with_argmax, expected));
            CHECK(std::ranges::equal(argmax.winners.host().values<std::int32_t>(), expected_argmax.winners.values<std::int32_t>()));
            backend.average_pool(v.window, x, y);
            reference_backend().average_pool(v.window, x, expected);
            CHECK(relative_error(y, expected) <= 1e-6);
            const Tensor dy = random_tensor({2 * v.n, v.p, v.q, v.c}, 2);  // two targets
            Tensor dx({2 * v.n, v.h, v.w, v.c}), expected_dx(dx.shape());
            backend.max_pool_grad(argmax, dy, dx);
            reference_backend().max_pool_grad(expected_argmax, dy, expected_dx);
            CHECK(relative_error(dx, expected_dx) <= 1e-6);
            backend.average_pool_grad(v.window, dy, dx);
            reference_backend().average_pool_grad(v.window, dy, expected_dx);
            CHECK(relative_error(dx, expected_dx) <= 1e-6);
        }
}

TEST_CASE("a NaN is not lost: pools, ReLU and sums hand it on") {
    for (const Backend* owner : all_backends()) {
        const Backend& backend = *owner;
        CAPTURE(backend.name());
        Tensor x = Tensor::full({1, 2, 2, 9}, 1);
        x.data()[4] = NAN;  // first pixel, channel 4
        Tensor pooled({1, 1, 1, 9}), same(x.shape());
        backend.max_pool({2, 2, 2, 2}, x, pooled, nullptr);
        CHECK(std::isnan(pooled.data()[4]));
        CHECK(pooled.data()[5] == 1);
        for (const UnaryFn& f : std::initializer_list<UnaryFn>{{Unary::relu}, {Unary::relu, 0, 0, 6}, {Unary::relu, 0.3}}) {
            backend.unary(f, x, same);
            CHECK(std::isnan(same.data()[4]));
            CHECK(same.data()[5] == 1);
        }
        const ConvShape v{{1, 1}, 2, 2, 9, 2, 2, 20, 1};
        Tensor y({1, 2, 2, 20});
        backend.plan_conv2d(v, {random_tensor({1, 1, 9, 20}, 1), {}, {}}, Direction::forward, Fused::relu)->run(x, y);
        CHECK(std::isnan(y.data()[0]));
    }
}

TEST_CASE("ReLUs of all kinds at their corners: capped, leaky, from a threshold on") {
    const float inf = std::numeric_limits<float>::infinity();
    const UnaryFn relu6{Unary::relu, 0, 0, 6}, leaky{Unary::relu, 0.5}, all{Unary::relu, 0.5, -1, 2}, from_1{Unary::relu, 0, 1};
    const Tensor x = Tensor::from({9}, std::vector<float>{-inf, -2, -1, 0, 1, 2, 6, 7, inf}), ones = Tensor::full({9}, 1);
    const std::vector<std::tuple<UnaryFn, std::vector<float>, std::vector<float>>> known{
        {relu6, {0, 0, 0, 0, 1, 2, 6, 6, 6}, {0, 0, 0, 0, 1, 1, 0, 0, 0}},
        {leaky, {-inf, -1, -.5, 0, 1, 2, 6, 7, inf}, {.5, .5, .5, .5, 1, 1, 1, 1, 1}},
        {all, {-inf, -.5, 0, 0, 1, 2, 2, 2, 2}, {.5, .5, .5, 1, 1, 0, 0, 0, 0}},
        {from_1, {0, 0, 0, 0, 0, 2, 6, 7, inf}, {0, 0, 0, 0, 0, 1, 1, 1, 1}}};
    std::vector<const Backend*> backends = all_backends();
    backends.push_back(&reference_backend());
    for (const Backend* backend : backends) {
        CAPTURE(backend->name());
        for (const auto& [f, values, slopes] : known) {
            Tensor y({9}), dx({9});
            backend->unary(f, x, y);
            CHECK(std::ranges::equal(y.values(), values));
            backend->unary_grad(f, ReluRule::plain, x, y, ones, dx);
            CHECK(std::ranges::equal(dx.values(), slopes));
        }
    }
}

TEST_CASE("element-wise verbs, reductions and moves agree with their definition") {
    for (const Backend* owner : all_backends()) {
        const Backend& backend = *owner;
        CAPTURE(backend.name());
        const Tensor x = random_tensor({2, 5, 7, 11}, 1, -3, 3), b = random_tensor({2, 5, 7, 11}, 2), channel = random_tensor({11}, 3);
        Tensor y(x.shape()), expected(x.shape());
        for (const UnaryFn& f : std::initializer_list<UnaryFn>{{Unary::relu},
                                                               {Unary::relu, 0, 0, 1.5},
                                                               {Unary::relu, 0.3},
                                                               {Unary::relu, 0.1, -0.5, 2},
                                                               {Unary::relu, 0, 1},
                                                               {Unary::elu, 0.7},
                                                               {Unary::gelu},
                                                               {Unary::silu},
                                                               {Unary::sigmoid},
                                                               {Unary::tanh},
                                                               {Unary::mish}}) {
            backend.unary(f, x, y);
            reference_backend().unary(f, x, expected);
            CHECK(relative_error(y, expected) <= 1e-6);
            for (ReluRule rule : {ReluRule::plain, ReluRule::guided, ReluRule::deconvnet}) {
                Tensor dx({4, 5, 7, 11}), expected_dx({4, 5, 7, 11});  // two targets
                const Tensor dy = random_tensor({4, 5, 7, 11}, 9);
                backend.unary_grad(f, rule, x, expected, dy, dx);
                reference_backend().unary_grad(f, rule, x, expected, dy, expected_dx);
                CHECK(relative_error(dx, expected_dx) <= 1e-6);
            }
        }
        for (Binary op : {Binary::add, Binary::subtract, Binary::multiply, Binary::divide, Binary::maximum, Binary::minimum}) {
            for (const Tensor& other : {b, channel, random_tensor({1}, 4), random_tensor({2, 1, 1, 11}, 5)}) {
                backend.binary(op, x, other, y);
                reference_backend().binary(op, x, other, expected);
                CHECK(same_bits(y, expected));
            }
        }
        for (const Tensor& mean : {random_tensor({11}, 7), Tensor()})
            for (const Tensor& shift : {random_tensor({11}, 6), Tensor()}) {
                backend.affine(x, mean, channel, shift, y);
                reference_backend().affine(x, mean, channel, shift, expected);
                CHECK(relative_error(y, expected) <= 1e-6);
            }
        for (Reduction op : {Reduction::sum, Reduction::mean, Reduction::maximum}) {
            Tensor plane({2, 1, 1, 11}), expected_plane({2, 1, 1, 11});
            backend.reduce(op, x, plane);
            reference_backend().reduce(op, x, expected_plane);
            CHECK(relative_error(plane, expected_plane) <= 1e-6);
        }
        for (Interpolation mode : {Interpolation::nearest, Interpolation::bilinear}) {
            Tensor large({2, 11, 13, 11}), expected_large({2, 11, 13, 11});
            backend.resize(mode, x, large);
            reference_backend().resize(mode, x, expected_large);
            CHECK(relative_error(large, expected_large) <= 1e-6);
        }
        for (Interpolation mode : {Interpolation::nearest, Interpolation::bilinear})
            for (const Shape& shape : {Shape{2, 11, 13, 11}, Shape{2, 3, 2, 11}, Shape{2, 1, 1, 11}, Shape{2, 50, 7, 11}}) {
                const Tensor dy = random_tensor(shape, 8);
                Tensor dx(x.shape()), expected_dx(x.shape());
                backend.resize_grad(mode, dy, dx);
                reference_backend().resize_grad(mode, dy, expected_dx);
                CHECK(relative_error(dx, expected_dx) <= 1e-6);
            }
        backend.softmax(x, y);
        reference_backend().softmax(x, expected);
        CHECK(relative_error(y, expected) <= 1e-6);
        {
            const Tensor dy = random_tensor({4, 5, 7, 11}, 9);  // two targets
            Tensor dx(dy.shape()), expected_dx(dy.shape());
            backend.softmax_grad(expected, dy, dx);
            reference_backend().softmax_grad(expected, dy, expected_dx);
            CHECK(relative_error(dx, expected_dx) <= 1e-6);
        }
        Tensor turned({7, 2, 11, 5}), expected_turned(turned.shape());
        backend.transpose({2, 0, 3, 1}, x, turned);
        reference_backend().transpose({2, 0, 3, 1}, x, expected_turned);
        CHECK(same_bits(turned, expected_turned));
        Tensor joined = Tensor::zeros({2, 9, 8, 11}), expected_joined = Tensor::zeros({2, 9, 8, 11});
        backend.copy_box(x, {0, 1, 0, 2}, {2, 4, 7, 9}, joined, {0, 3, 1, 0});
        reference_backend().copy_box(x, {0, 1, 0, 2}, {2, 4, 7, 9}, expected_joined, {0, 3, 1, 0});
        CHECK(same_bits(joined, expected_joined));
    }
}

TEST_CASE("sums over channels, with weights of each pixel and with weights of all") {
    for (const Backend* backend : all_backends()) {
        CAPTURE(backend->name());
        const Tensor x = random_tensor({2, 5, 7, 33}, 1);
        for (const Shape& shape : {Shape{6, 5, 7, 33}, Shape{6, 1, 1, 33}, Shape{2, 1, 1, 33}}) {  // three targets, or one
            const Tensor weights = random_tensor(shape, 2);
            Tensor y({shape[0], 5, 7}), expected(y.shape(), DType::f64);
            backend->channel_dot(x, weights, y);
            reference_backend().channel_dot(x.to(DType::f64), weights.to(DType::f64), expected);
            CHECK(relative_error(y, expected) <= rounding(33));
        }
    }
    const float pixels[] = {1, 2, 3, 4}, weights[] = {10, 100};
    Tensor y({1, 1, 2});
    reference_backend().channel_dot(Tensor::from({1, 1, 2, 2}, pixels), Tensor::from({1, 1, 1, 2}, weights), y);
    CHECK(y.at_flat(0) == 210);
    CHECK(y.at_flat(1) == 430);
}

TEST_CASE("the largest of each row: the first of equals, NaN last, more asked for than there are") {
    const float numbers[] = {1, 5, 5, -2, NAN, 7, INFINITY, 7};
    const Tensor x = Tensor::from({2, 4}, numbers);
    for (const Backend* backend : all_backends()) {
        CAPTURE(backend->name());
        Tensor y({6, 4});
        backend->one_hot_largest(x, y);
        const int places[] = {1, 2, 2, 1, 0, 3};  // first of row 0, first of row 1, second of row 0...
        for (int i = 0; i < 6; i++)
            for (int k = 0; k < 4; k++) CHECK(y.at({i, k}) == (k == places[i] ? 1 : 0));
        Tensor many({3, 2});
        const float pair[] = {3, 4};
        backend->one_hot_largest(Tensor::from({1, 2}, pair), many);
        for (Index i = 0; i < 6; i++) CHECK(many.at_flat(i) == (i == 1 || i == 2 ? 1 : 0));
        const Tensor scores = random_tensor({3, 1000}, 1);
        Tensor top({15, 1000}), expected({15, 1000});
        backend->one_hot_largest(scores, top);
        reference_backend().one_hot_largest(scores, expected);
        CHECK(same_bits(top, expected));
    }
}

TEST_CASE("painting: the same bytes on every backend") {
    Tensor values = random_tensor({9, 13}, 1, -0.2, 1.2), table({256, 3}, DType::u8), photo({9, 13, 3}, DType::u8);
    values.data()[0] = NAN, values.data()[1] = INFINITY, values.data()[2] = -INFINITY, values.data()[3] = 0.2f;
    std::uint32_t seed = 1;
    for (const Tensor& t : {table, photo})
        for (std::uint8_t& b : Tensor(t).values<std::uint8_t>()) b = std::uint8_t((seed = seed * 1664525 + 1013904223) >> 24);
    for (const Paint& paint :
         {Paint{}, Paint{Paint::Mode::article, 0, 1}, Paint{Paint::Mode::blend, 0.2f, 0.5f}, Paint{Paint::Mode::blend, 0, 0.25f}})
        for (const Backend* backend : all_backends()) {
            CAPTURE(backend->name());
            Tensor picture(photo.shape(), DType::u8), expected(photo.shape(), DType::u8);
            backend->paint(paint, values, table, photo, picture);
            reference_backend().paint(paint, values, table, photo, expected);
            CHECK(std::ranges::equal(picture.values<std::uint8_t>(), expected.values<std::uint8_t>()));
        }
}

TEST_CASE("devices by name") {
    CHECK(backend_named("reference").name() == "reference");
    if (!cuda::problem().empty()) CHECK(backend_named("auto").name() == cpu_backend().name());
    const ConvWeights weights{random_tensor({3, 3, 16, 32}, 1), {}, {}};
    const auto exact = backend_named("cpu-exact").plan_conv2d(conv_cases[0].shape(), weights, Direction::forward, Fused::none);
    CHECK(exact->algorithm() == "implicit gemm");
    CHECK(exact->refusals.back().reason == "exact sums are asked for");
    if (!cuda::problem().empty()) CHECK_THROWS_AS(backend_named("cuda"), Error);
    CHECK_THROWS_WITH_AS(backend_named("tpu"), "device 'tpu' is not known; auto, cpu, cpu-exact, cuda and reference are", Error);
}
