#include <cmath>

#include "cam/colours.h"
#include "cam/methods.h"

namespace limn {

namespace {

struct Point {
    double at, weight;
};

// The roots of the Legendre polynomial of degree n by Newton's method, and their weights, on 0..1 (Abramowitz & Stegun 25.4.29).
std::vector<Point> gauss_legendre(Index n) {
    std::vector<Point> points;
    for (Index i = 0; i < n; i++) {
        double x = std::cos(M_PI * (double(i) + 0.75) / (double(n) + 0.5)), slope = 1;
        for (int step = 0; step < 100; step++) {
            double p = 1, before = 0;
            for (Index k = 1; k <= n; k++) {
                const double next = (double(2 * k - 1) * x * p - double(k - 1) * before) / double(k);
                before = p, p = next;
            }
            slope = double(n) * (x * p - before) / (x * x - 1);
            const double by = p / slope;
            x -= by;
            if (std::abs(by) < 1e-15) break;
        }
        points.push_back({(1 - x) / 2, 1 / ((1 - x * x) * slope * slope)});
    }
    return points;
}

}  // namespace

Tensor integrated_gradients(const Question& q) {
    const Backend& backend = q.backend();
    const Tensor& image = q.image();
    const std::vector<Point> points = gauss_legendre(q.samples(50));
    const Index count = Index(points.size()), T = q.targets();

    Tensor mean = image.zeros_like(image.shape().with(0, T));
    for (Index first = 0; first < count; first += q.batch) {
        const Index n = std::min(q.batch, count - first);
        Tensor at({n, 1, 1, 1}), weights({1, n, 1, 1}), on_the_way = image.like(image.shape().with(0, n));
        for (Index i = 0; i < n; i++) {
            at.data()[i] = float(points[std::size_t(first + i)].at);
            weights.data()[i] = float(points[std::size_t(first + i)].weight);
        }
        backend.binary(Binary::multiply, image, at, on_the_way);
        const Tensor g = q.input_gradient(on_the_way).reshaped({T, n, 1, image.size()});
        Tensor weighted = g.like();
        backend.binary(Binary::multiply, g, weights, weighted);
        backend.binary(Binary::add, mean, over_pixels(backend, Reduction::sum, weighted).reshaped(mean.shape()), mean);
        q.tell(first + n, count);
    }
    return dot_with_image(backend, image, mean);
}

}  // namespace limn
