#include "evaluate/localisation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "evaluate/contours.h"

namespace limn {

static void check_heat(const Tensor& heat) {
    LIMN_CHECK(heat.shape().rank() == 2 && heat.size() > 0, "a map to be rated should be (H,W), not {}", heat.shape().str());
    for (float v : heat.values()) LIMN_CHECK(!std::isnan(v), "the map holds NaN: it cannot be rated");
}

static void check_pair(const Tensor& heat, const Tensor& mask) {
    check_heat(heat);
    LIMN_CHECK(mask.shape() == heat.shape(), "a map of {} cannot be rated by a mask of {}", heat.shape().str(), mask.shape().str());
}

static double area(const Rectangle& r) { return double(r.right - r.left + 1) * double(r.bottom - r.top + 1); }

double intersection_over_union(const Rectangle& a, const Rectangle& b) {
    const Index width = std::min(a.right, b.right) - std::max(a.left, b.left) + 1;
    const Index height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top) + 1;
    const double common = double(std::max<Index>(0, width)) * double(std::max<Index>(0, height));
    return common / (area(a) + area(b) - common);
}

double best_overlap(const std::vector<Rectangle>& boxes, const std::vector<Rectangle>& truth) {
    double best = 0;
    for (const Rectangle& a : boxes)
        for (const Rectangle& b : truth) best = std::max(best, intersection_over_union(a, b));
    return best;
}

Rectangle resized(const Rectangle& box, Index height, Index width, Index new_height, Index new_width) {
    const auto x = [&](Index v) { return Index(double(v) * double(new_width) / double(width)); };
    const auto y = [&](Index v) { return Index(double(v) * double(new_height) / double(height)); };
    return {x(box.left), y(box.top), x(box.right), y(box.bottom)};
}

Tensor mask_of(const std::vector<Rectangle>& boxes, Index height, Index width) {
    Tensor mask = Tensor::zeros({height, width}, DType::u8);
    for (const Rectangle& box : boxes)
        for (Index r = std::max<Index>(0, box.top); r <= std::min(height - 1, box.bottom); r++)
            for (Index c = std::max<Index>(0, box.left); c <= std::min(width - 1, box.right); c++)
                mask.data<std::uint8_t>()[r * width + c] = object;
    return mask;
}

bool holds_object(const Tensor& mask) {
    if (mask.empty()) return false;
    const auto regions = mask.values<std::uint8_t>();
    return std::find(regions.begin(), regions.end(), object) != regions.end();
}

Rectangle box_around(const Tensor& mask) {
    const Index H = mask.shape()[0], W = mask.shape()[1];
    Rectangle box{W, H, -1, -1};
    for (Index r = 0; r < H; r++)
        for (Index c = 0; c < W; c++)
            if (mask.data<std::uint8_t>()[r * W + c] == object)
                box = {std::min(box.left, c), std::min(box.top, r), std::max(box.right, c), std::max(box.bottom, r)};
    LIMN_CHECK(box.right >= 0, "the mask holds no object: there is nothing to draw a box around");
    return box;
}

Peak peak_of(const Tensor& heat) {
    check_heat(heat);
    const Index W = heat.shape()[1];
    const std::span<const float> v = heat.values();
    const float largest = *std::max_element(v.begin(), v.end());
    if (largest <= 0) return {};
    double rows = 0, columns = 0, count = 0;
    for (std::size_t i = 0; i < v.size(); i++)
        if (v[i] == largest) rows += double(Index(i) / W), columns += double(Index(i) % W), count++;
    Peak peak;
    double nearest = HUGE_VAL;
    for (std::size_t i = 0; i < v.size(); i++) {
        if (v[i] != largest) continue;
        const Index row = Index(i) / W, column = Index(i) % W;
        const double distance = std::hypot(double(row) - rows / count, double(column) - columns / count);
        if (distance < nearest) nearest = distance, peak = {row, column, true};
    }
    return peak;
}

bool points_at(const Peak& peak, const Tensor& mask, double tolerance) {
    if (!peak.exists) return false;
    const Index H = mask.shape()[0], W = mask.shape()[1], reach = Index(tolerance);
    for (Index r = std::max<Index>(0, peak.row - reach); r <= std::min(H - 1, peak.row + reach); r++)
        for (Index c = std::max<Index>(0, peak.column - reach); c <= std::min(W - 1, peak.column + reach); c++)
            if (mask.data<std::uint8_t>()[r * W + c] == object && std::hypot(double(r - peak.row), double(c - peak.column)) <= tolerance)
                return true;
    return false;
}

double energy_on_object(const Tensor& heat, const Tensor& mask) {
    check_pair(heat, mask);
    double inside = 0, all = 0;
    for (Index i = 0; i < heat.size(); i++) {
        const std::uint8_t region = mask.data<std::uint8_t>()[i];
        if (region == left_out) continue;
        all += double(heat.data()[i]);
        if (region == object) inside += double(heat.data()[i]);
    }
    return all > 0 ? inside / all : NAN;
}

double average_precision(const Tensor& heat, const Tensor& mask) {
    check_pair(heat, mask);
    std::vector<std::pair<float, bool>> pixels;
    pixels.reserve(std::size_t(heat.size()));
    for (Index i = 0; i < heat.size(); i++)
        if (const std::uint8_t region = mask.data<std::uint8_t>()[i]; region != left_out)
            pixels.emplace_back(heat.data()[i], region == object);
    std::sort(pixels.begin(), pixels.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    double found = 0, sum = 0, before = 0;
    for (std::size_t i = 0; i < pixels.size(); i++) {
        found += pixels[i].second;
        if (i + 1 < pixels.size() && pixels[i + 1].first == pixels[i].first) continue;
        sum += (found - before) * found / double(i + 1);
        before = found;
    }
    return found > 0 ? sum / found : NAN;
}

std::vector<double> sweep(Index steps) {
    LIMN_CHECK(steps >= 1 && steps <= 100000, "a sweep of {} thresholds: should be 1 to 100000", steps);
    std::vector<double> thresholds;
    for (Index i = 0; i < steps; i++) thresholds.push_back(double(i) / double(steps));
    return thresholds;
}

std::vector<std::vector<Rectangle>> boxes_at(const Tensor& heat, const std::vector<double>& thresholds) {
    check_heat(heat);
    const Index H = heat.shape()[0], W = heat.shape()[1];
    std::vector<std::uint8_t> levels, white(std::size_t(heat.size()));
    for (float v : heat.values()) levels.push_back(std::uint8_t(std::clamp(double(v), 0.0, 1.0) * 255));
    const double highest = *std::max_element(levels.begin(), levels.end());
    std::vector<std::vector<Rectangle>> boxes;
    int before = -1;
    for (double threshold : thresholds) {
        const int level = int(threshold * highest);
        if (level == before) {  // nothing changes between two levels
            boxes.push_back(boxes.back());
            continue;
        }
        before = level;
        std::transform(levels.begin(), levels.end(), white.begin(), [&](std::uint8_t v) { return v > level; });
        const std::vector<Contour> found = contours(white, H, W);
        boxes.emplace_back();
        for (const Contour& c : found) boxes.back().push_back({c.left, c.top, std::min(c.right + 1, W - 1), std::min(c.bottom + 1, H - 1)});
        if (found.empty())
            boxes.back().push_back({0, 0, 0, 0});
        else
            std::swap(boxes.back()[0], boxes.back()[std::size_t(largest(found) - found.data())]);
    }
    return boxes;
}

// The digit's bits
static constexpr int largest_at_50 = 1, any_at_30 = 2, any_at_50 = 4, any_at_70 = 8;

std::string box_hits(const Tensor& heat, const std::vector<Rectangle>& truth, const std::vector<double>& thresholds) {
    std::string hits;
    for (const std::vector<Rectangle>& boxes : boxes_at(heat, thresholds)) {
        const double single = best_overlap({boxes[0]}, truth), any = best_overlap(boxes, truth);
        const int bits = (single >= 0.5) * largest_at_50 + (any >= 0.3) * any_at_30 + (any >= 0.5) * any_at_50 + (any >= 0.7) * any_at_70;
        hits += "0123456789abcdef"[bits];
    }
    return hits;
}

// The best share of the photos, over thresholds, that have the bit.
static double best_share(const std::vector<const std::string*>& hits, int bit) {
    if (hits.empty()) return NAN;
    std::vector<Index> counts(hits[0]->size());
    for (const std::string* photo : hits) {
        LIMN_CHECK(photo->size() == counts.size(), "photos rated at {} and at {} thresholds cannot be put together", counts.size(),
                   photo->size());
        for (std::size_t i = 0; i < counts.size(); i++) {
            const char digit = (*photo)[i];
            counts[i] += ((digit <= '9' ? digit - '0' : digit - 'a' + 10) & bit) != 0;
        }
    }
    return counts.empty() ? NAN : 100 * double(*std::max_element(counts.begin(), counts.end())) / double(hits.size());
}

double max_box_accuracy(const std::vector<const std::string*>& hits) { return best_share(hits, largest_at_50); }
double max_box_accuracy_v2(const std::vector<const std::string*>& hits) {
    return (best_share(hits, any_at_30) + best_share(hits, any_at_50) + best_share(hits, any_at_70)) / 3;
}

void PixelCounts::add(const PixelCounts& counts) {
    const auto sum = [](std::vector<std::int64_t>& into, const std::vector<std::int64_t>& from) {
        into.resize(std::max(into.size(), from.size()));
        for (std::size_t i = 0; i < from.size(); i++) into[i] += from[i];
    };
    sum(object, counts.object), sum(other, counts.other);
}

PixelCounts pixel_counts(const Tensor& heat, const Tensor& mask, const std::vector<double>& thresholds) {
    check_pair(heat, mask);
    std::vector<double> edges = thresholds;
    edges.push_back(1);
    PixelCounts counts{std::vector<std::int64_t>(edges.size()), std::vector<std::int64_t>(edges.size())};
    for (Index i = 0; i < heat.size(); i++) {
        const std::uint8_t region = mask.data<std::uint8_t>()[i];
        const double value = heat.data()[i];
        LIMN_CHECK(value >= 0 && value <= 1, "a map to be rated by its pixels should lie in 0 to 1; it holds {}", value);
        if (region == left_out) continue;
        const auto bin = std::size_t(std::upper_bound(edges.begin(), edges.end(), value) - edges.begin() - 1);
        (region == object ? counts.object : counts.other)[bin]++;
    }
    return counts;
}

double pixel_average_precision(const PixelCounts& all) {
    double object_pixels = 0, other_pixels = 0, sum = 0;
    for (std::size_t i = all.object.size(); i-- > 0;) {
        object_pixels += double(all.object[i]), other_pixels += double(all.other[i]);
        if (object_pixels + other_pixels > 0) sum += double(all.object[i]) * object_pixels / (object_pixels + other_pixels);
    }
    return object_pixels > 0 ? 100 * sum / object_pixels : NAN;
}

}  // namespace limn
