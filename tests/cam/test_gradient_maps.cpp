// The family of gradient-weighted maps: each formula once more as the loops of its paper, in double, and the identities between them.
#include "cam/explain.h"
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "tests/support_models.h"

using namespace limn;

namespace {

// One image: A and g are (h*w, c); the weight of each channel by the formula, in double.
struct Image {
    Index pixels, channels;
    std::vector<double> A, g;
    double a(Index i, Index k) const { return A[std::size_t(i * channels + k)]; }
    double d(Index i, Index k) const { return g[std::size_t(i * channels + k)]; }
    template <class F> double sum(F f) const {
        double s = 0;
        for (Index i = 0; i < pixels; i++) s += f(i);
        return s;
    }
};

std::vector<double> map_of(const Image& x, const std::string& method) {
    std::vector<double> map(std::size_t(x.pixels), 0.0);
    for (Index k = 0; k < x.channels; k++) {
        double weight = 0;
        if (method == "grad-cam") weight = x.sum([&](Index i) { return x.d(i, k); }) / double(x.pixels);
        if (method == "xgrad-cam")
            weight = x.sum([&](Index i) { return x.d(i, k) * x.a(i, k); }) / (x.sum([&](Index i) { return x.a(i, k); }) + 1e-7);
        if (method == "grad-cam++") {
            // the authors' code, with first = g, second = g^2, third = g^3 (their common factor e^score cancels but for the scale)
            const double total = x.sum([&](Index i) { return x.a(i, k); });
            const auto alpha = [&](Index i) {
                const double g = x.d(i, k), denominator = 2 * g * g + g * g * g * total;
                return g > 0 ? g * g / (denominator != 0 ? denominator : 1) : 0;  // thresholded by max(first, 0)
            };
            const double norm = x.sum(alpha);
            weight = x.sum([&](Index i) { return std::max(x.d(i, k), 0.0) * alpha(i); }) / (norm != 0 ? norm : 1);
        }
        for (Index i = 0; i < x.pixels; i++) {
            const double own = method == "hirescam" ? x.d(i, k) : method == "layercam" ? std::max(x.d(i, k), 0.0) : weight;
            map[std::size_t(i)] += own * x.a(i, k);
        }
    }
    return map;
}

}  // namespace

TEST_CASE("every formula agrees with its paper's loops, for several images and targets, on every backend") {
    const Index N = 2, T = 3, h = 5, w = 4, C = 7;
    for (double low : {0.0, -1.0}) {  // activations after a ReLU, and of either sign
        Tensor A = random_tensor({N, h, w, C}, 1, low, 2), g = random_tensor({T * N, h, w, C}, 2);
        for (Index i = 0; i < h * w; i++) g.data()[i * C + 3] = -1, g.data()[i * C + 4] = 0, A.data()[i * C + 5] = 0;  // dead ends
        for (const Backend* backend : network_backends())
            for (const Method& method : methods()) {
                if (!method.needs_gradient()) continue;
                CAPTURE(backend->name());
                CAPTURE(method.name);
                const Tensor maps = method.formula(*backend, A.on(backend->device()), g.on(backend->device())).host();
                REQUIRE(maps.shape() == Shape{T * N, h, w});
                for (Index m = 0; m < T * N; m++) {
                    const auto part = [&](const Tensor& t, Index at) {
                        const auto v = t.rows(at, 1).values();
                        return std::vector<double>(v.begin(), v.end());
                    };
                    const std::vector<double> expected = map_of({h * w, C, part(A, m % N), part(g, m)}, method.name);
                    double largest = 0;
                    for (double v : expected) largest = std::max(largest, std::abs(v));
                    for (Index i = 0; i < h * w; i++)
                        CHECK(std::abs(double(maps.data()[m * h * w + i]) - expected[std::size_t(i)]) <= 1e-5 * largest);
                }
            }
    }
}

TEST_CASE("a hand-made example: one channel, two pixels") {
    // A = (1, 3), g = (2, -1)
    const float activations[] = {1, 3}, gradients[] = {2, -1};
    const Tensor A = Tensor::from({1, 1, 2, 1}, activations), g = Tensor::from({1, 1, 2, 1}, gradients);
    const auto map = [&](const char* name) {
        const Tensor m = method_named(name).formula(reference_backend(), A, g);
        return std::vector<double>{m.at_flat(0), m.at_flat(1)};
    };
    CHECK(map("grad-cam") == std::vector<double>{0.5, 1.5});  // mean gradient 0.5
    CHECK(map("hirescam") == std::vector<double>{2, -3});
    CHECK(map("layercam") == std::vector<double>{2, 0});
    CHECK(map("grad-cam++") == std::vector<double>{2, 6});  // alpha = (1/(2+2*4), 0), normalised (1, 0): weight 2
    CHECK(map("xgrad-cam")[0] == doctest::Approx(-0.25));   // (2*1 - 1*3) / 4
    CHECK(map("xgrad-cam")[1] == doctest::Approx(-0.75));
}

TEST_CASE("on a head of global average pooling and one dense layer the family is one: the gradient is the same at every pixel") {
    const TinyModel tiny;
    Request request{{methods().begin(), methods().end()}, {tiny.loaded.model.find("conv")}, "top:3", Score::logit, {}};
    const auto result = explain(cpu_backend(), tiny.loaded.model, random_tensor({2, 16, 16, 3}, 5), request);
    for (const Explained& image : result) {
        REQUIRE(image.maps.size() == 3 * methods().size());
        const auto map = [&](const std::string& method, Index target) -> const Tensor& {
            for (const Map& m : image.maps)
                if (m.method == method && m.target.index == target) return m.raw;
            throw std::runtime_error("no such map");
        };
        for (const Target& target : image.targets) {
            CHECK(relative_error(map("hirescam", target.index), map("grad-cam", target.index)) <= 1e-5);
            CHECK(relative_error(map("xgrad-cam", target.index), map("grad-cam", target.index)) <= 1e-4);
            // positive gradients only: no cell may be negative after this network's ReLU, nor below HiResCAM's
            const Tensor &layer = map("layercam", target.index), &hires = map("hirescam", target.index);
            for (Index i = 0; i < layer.size(); i++) {
                CHECK(layer.data()[i] >= 0);
                CHECK(layer.data()[i] >= hires.data()[i] - 1e-6f);
            }
            CHECK(relative_error(map("grad-cam++", target.index), layer) <= 1e-5);  // alphas sum to 1: weight = max(g, 0)
        }
    }
}

TEST_CASE("a gradient that is zero everywhere gives a map that is zero everywhere, not NaN") {
    const Tensor A = random_tensor({1, 3, 3, 4}, 1), none = Tensor::zeros({1, 3, 3, 4}), dead = Tensor::zeros({1, 3, 3, 4}),
                 g = random_tensor({1, 3, 3, 4}, 2);
    for (const Backend* backend : network_backends())
        for (const Method& method : methods()) {
            if (!method.needs_gradient()) continue;
            CAPTURE(method.name);
            for (const Tensor& map : {method.formula(*backend, A.on(backend->device()), none.on(backend->device())),
                                      method.formula(*backend, dead.on(backend->device()), g.on(backend->device()))})
                for (Index i = 0; i < 9; i++) CHECK(map.host().at_flat(i) == 0);
        }
    CHECK_THROWS_AS(xgrad_cam(reference_backend(), A, random_tensor({1, 3, 2, 4}, 1)), Error);
}
