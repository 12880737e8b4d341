#include "evaluate/similarity.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace limn {

static std::vector<double> ranks(std::span<const float> v) {
    std::vector<std::size_t> order(v.size());
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
    std::vector<double> rank(v.size());
    for (std::size_t first = 0; first < order.size();) {
        std::size_t last = first;
        while (last + 1 < order.size() && v[order[last + 1]] == v[order[first]]) last++;
        for (std::size_t i = first; i <= last; i++) rank[order[i]] = double(first + last) / 2;
        first = last + 1;
    }
    return rank;
}

double rank_correlation(const Tensor& a, const Tensor& b) {
    LIMN_CHECK(a.shape() == b.shape(), "maps of {} and {} cannot be compared", a.shape().str(), b.shape().str());
    const std::vector<double> x = ranks(a.values()), y = ranks(b.values());
    const double mean = double(x.size() - 1) / 2;
    double xy = 0, xx = 0, yy = 0;
    for (std::size_t i = 0; i < x.size(); i++) {
        xy += (x[i] - mean) * (y[i] - mean);
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
    }
    return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : NAN;
}

double structural_similarity(const Tensor& a, const Tensor& b, Index window) {
    LIMN_CHECK(a.shape() == b.shape() && a.size() > 0, "maps of {} and {} cannot be compared", a.shape().str(), b.shape().str());
    const Index H = a.shape()[0], W = a.shape()[1], h = std::min(window, H), w = std::min(window, W);
    const double n = double(h * w), sample = n > 1 ? n / (n - 1) : 1, C1 = 0.01 * 0.01, C2 = 0.03 * 0.03;
    double sum = 0;
    for (Index r = 0; r + h <= H; r++)
        for (Index c = 0; c + w <= W; c++) {
            double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
            for (Index i = r; i < r + h; i++)
                for (Index j = c; j < c + w; j++) {
                    const double u = a.data()[i * W + j], v = b.data()[i * W + j];
                    x += u, y += v, xx += u * u, yy += v * v, xy += u * v;
                }
            x /= n, y /= n;
            const double vx = sample * (xx / n - x * x), vy = sample * (yy / n - y * y), vxy = sample * (xy / n - x * y);
            sum += (2 * x * y + C1) * (2 * vxy + C2) / ((x * x + y * y + C1) * (vx + vy + C2));
        }
    return sum / double((H - h + 1) * (W - w + 1));
}

}  // namespace limn
