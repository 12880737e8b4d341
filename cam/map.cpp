#include "cam/map.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace limn {

Normalize normalize_named(std::string_view name) {
    for (Normalize mode : {Normalize::max, Normalize::minmax, Normalize::none, Normalize::signed_})
        if (name == name_of(mode)) return mode;
    fail("normalisation '{}' is not known; max, minmax, signed and none are", name);
}

std::string_view name_of(Normalize mode) {
    constexpr std::string_view names[] = {"max", "minmax", "none", "signed"};
    return names[int(mode)];
}

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

Tensor resize_map(const Backend& backend, const Tensor& map, Index height, Index width) {
    Tensor out = map.like({1, height, width, 1});
    backend.resize(Interpolation::bilinear, map.reshaped({1, map.shape()[0], map.shape()[1], 1}), out);
    return out.reshaped({height, width});
}

Tensor normalized(const Backend& backend, const Tensor& raw, Normalize mode) {
    const Tensor zero = Tensor::zeros({1, 1});
    const auto apply = [&](Binary op, const Tensor& a, const Tensor& b) {
        Tensor y = raw.like(a.size() < b.size() ? b.shape() : a.shape());
        backend.binary(op, a, b, y);
        return y;
    };
    const auto largest = [&](const Tensor& x) {
        Tensor y = raw.like({1, 1});
        backend.reduce(Reduction::maximum, x, y);
        return y;
    };
    const Tensor row = raw.reshaped({1, raw.size()}), positive = apply(Binary::maximum, row, zero);  // larger than NaN, too
    if (mode == Normalize::none || raw.size() == 0) return positive.reshaped(raw.shape());
    const auto shares_of = [&](const Tensor& x, const Tensor& whole) { return apply(Binary::divide, x, largest(whole)); };
    if (mode == Normalize::signed_) {  // half the share of the positive part, less half that of the negative one; 0 / 0: nothing
        const Tensor negative = apply(Binary::maximum, apply(Binary::subtract, zero, row), zero);
        const Tensor magnitude = apply(Binary::maximum, positive, negative), half = Tensor::full({1, 1}, 0.5);
        const Tensor plus = apply(Binary::maximum, shares_of(positive, magnitude), zero);
        const Tensor minus = apply(Binary::maximum, shares_of(negative, magnitude), zero);
        return apply(Binary::add, apply(Binary::multiply, apply(Binary::subtract, plus, minus), half), half).reshaped(raw.shape());
    }
    Tensor from_zero = positive;
    if (mode == Normalize::minmax) {  // x - min: with d = max(-x, 0), x = positive - d and min = -max(d - positive)
        const Tensor negative = apply(Binary::maximum, apply(Binary::subtract, zero, row), zero);
        from_zero = apply(Binary::add, apply(Binary::subtract, positive, negative), largest(apply(Binary::subtract, negative, positive)));
    }
    return apply(Binary::maximum, shares_of(from_zero, from_zero), zero).reshaped(raw.shape());  // 0 / 0: there is nothing to see
}

Drawn draw(const Backend& backend, const Drawing& drawing, const Tensor& raw, const Tensor& photo) {
    const Tensor heat = resize_map(backend, normalized(backend, raw, drawing.normalize), photo.shape()[0], photo.shape()[1]);
    Tensor picture = photo.like();
    backend.paint(drawing.paint, heat, drawing.colours, photo, picture);
    return {heat, picture};
}

std::vector<Box> bounding_boxes(const Tensor& heat, float threshold, bool all) {
    const Index H = heat.shape()[0], W = heat.shape()[1];
    const float* v = heat.data();
    std::vector<std::uint8_t> seen(std::size_t(H * W));
    std::vector<std::pair<Index, Box>> parts;  // with their sizes
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
        parts.emplace_back(size, box);
    }
    std::ranges::stable_sort(parts, std::greater{}, [](const auto& part) { return part.first; });
    if (!all && parts.size() > 1) parts.resize(1);
    std::vector<Box> boxes;
    for (const auto& part : parts) boxes.push_back(part.second);
    return boxes;
}

}  // namespace limn
