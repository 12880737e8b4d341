#include "cam/map.h"

#include <algorithm>
#include <cmath>

#include "engine/backend.h"

namespace limn {

Normalize normalize_named(std::string_view name) {
    for (Normalize mode : {Normalize::max, Normalize::minmax, Normalize::none})
        if (name == name_of(mode)) return mode;
    fail("normalisation '{}' is not known; max, minmax and none are", name);
}

std::string_view name_of(Normalize mode) { return mode == Normalize::max ? "max" : mode == Normalize::minmax ? "minmax" : "none"; }

MapStatistics statistics(const Tensor& raw) {
    MapStatistics s;
    const std::span<const float> v = raw.values();
    s.min = s.max = v.empty() ? 0 : v[0];
    double sum = 0, negative = 0;
    std::size_t peak = 0;
    for (std::size_t i = 0; i < v.size(); i++) {
        if (!std::isfinite(v[i])) s.finite = false;
        if (v[i] > v[peak]) peak = i;
        s.min = std::min(s.min, v[i]);
        sum += double(v[i]);
        negative += v[i] < 0;
    }
    if (v.empty()) return s;
    s.max = v[peak];
    s.mean = float(sum / double(v.size()));
    s.negative = negative / double(v.size());
    s.peak_row = Index(peak) / raw.shape()[-1], s.peak_column = Index(peak) % raw.shape()[-1];
    return s;
}

Tensor resize_map(const Tensor& map, Index height, Index width) {
    Tensor out({1, height, width, 1});
    reference_backend().resize(Interpolation::bilinear, map.reshaped({1, map.shape()[0], map.shape()[1], 1}), out);
    return out.reshaped({height, width});
}

Tensor normalized(const Tensor& raw, Normalize mode) {
    Tensor out = raw.clone();
    const std::span<float> v = out.values();
    for (float& x : v) x = std::isnan(x) ? 0 : mode == Normalize::minmax ? x : std::max(0.0f, x);
    if (mode == Normalize::none || v.empty()) return out;
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    const float zero = mode == Normalize::minmax ? *low : 0, range = *high - zero;
    for (float& x : v) x = range > 0 ? (x - zero) / range : 0;
    return out;
}

std::vector<Box> bounding_boxes(const Tensor& heat, float threshold) {
    const Index H = heat.shape()[0], W = heat.shape()[1];
    const float* v = heat.data();
    std::vector<bool> seen(std::size_t(H * W));
    Box best{};
    Index best_size = 0;
    std::vector<Index> open;
    for (Index start = 0; start < H * W; start++) {
        if (seen[std::size_t(start)] || !(v[start] >= threshold) || v[start] <= 0) continue;
        Box box{H, W, 0, 0, v[start]};
        Index size = 0;
        open = {start};
        seen[std::size_t(start)] = true;
        while (!open.empty()) {
            const Index at = open.back(), row = at / W, column = at % W;
            open.pop_back();
            size++;
            box = {std::min(box.top, row), std::min(box.left, column), std::max(box.bottom, row + 1), std::max(box.right, column + 1),
                   std::max(box.peak, v[at])};
            for (Index r = std::max<Index>(0, row - 1); r <= std::min(H - 1, row + 1); r++)
                for (Index c = std::max<Index>(0, column - 1); c <= std::min(W - 1, column + 1); c++)
                    if (const Index next = r * W + c; !seen[std::size_t(next)] && v[next] >= threshold && v[next] > 0)
                        seen[std::size_t(next)] = true, open.push_back(next);
        }
        if (size > best_size) best = box, best_size = size;
    }
    return best_size ? std::vector<Box>{best} : std::vector<Box>{};
}

}  // namespace limn
