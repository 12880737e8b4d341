// Pillow's arithmetic, step by step, because a network's scores follow every grey level.
#include <algorithm>
#include <cmath>

#include "view/image.h"

namespace limn {

namespace {

// The old pixel under the centre of each new one. The position is summed up, not multiplied, because Pillow does so: where
// a centre falls on a border, the rounding decides, and one column can move a network's scores by a per cent.
std::vector<Index> nearest_indices(Index from, Index to) {
    const double scale = double(from) / double(to);
    double position = 0.5 * scale;
    std::vector<Index> all;
    for (Index i = 0; i < to; i++, position += scale) all.push_back(std::min(from - 1, Index(position)));
    return all;
}

Image resize_nearest(const Image& image, Index height, Index width) {
    Image out{height, width, std::vector<std::uint8_t>(std::size_t(height * width * 3))};
    const std::vector<Index> rows = nearest_indices(image.height, height), columns = nearest_indices(image.width, width);
    for (Index r = 0; r < height; r++)
        for (Index c = 0; c < width; c++) std::copy_n(image.pixel(rows[std::size_t(r)], columns[std::size_t(c)]), 3, out.pixel(r, c));
    return out;
}

constexpr int fraction_bits = 22;  // 32 bits, less 8 of a pixel and 2 for overshoot: Pillow's choice

// What one new pixel takes from the old ones along an axis: whole numbers that sum up to about 2^22.
struct Taps {
    Index first;
    std::vector<std::int32_t> weights;
};

// How much a pixel at that distance counts, and how far a filter reaches.
struct Filter {
    double reach;
    double (*weight)(double distance);
};
constexpr Filter triangle{1, [](double x) { return x < 1 ? 1 - x : 0; }};
// Keys 1981 with a = -1/2
constexpr Filter cubic{2, [](double x) { return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0; }};

Taps taps_of(const Filter& filter, Index i, Index from, Index to) {
    const double scale = double(from) / double(to), widening = std::max(1.0, scale), reach = filter.reach * widening;
    const double centre = (double(i) + 0.5) * scale;
    const Index first = std::max<Index>(0, Index(centre - reach + 0.5)), last = std::min(from, Index(centre + reach + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (Index j = first; j < last; j++) {
        weights.push_back(filter.weight(std::abs((double(j) - centre + 0.5) * (1 / widening))));
        sum += weights.back();
    }
    Taps taps{first, {}};
    for (double w : weights) taps.weights.push_back(std::int32_t((w < 0 ? -0.5 : 0.5) + w / sum * (1 << fraction_bits)));
    return taps;
}

// The middle axis of old: (outer,from,inner) becomes `to` long.
std::vector<std::uint8_t> resample(const Filter& filter, const std::vector<std::uint8_t>& old, Index outer, Index from, Index to,
                                   Index inner) {
    std::vector<Taps> taps;
    for (Index i = 0; i < to; i++) taps.push_back(taps_of(filter, i, from, to));
    std::vector<std::uint8_t> out(std::size_t(outer * to * inner));
    std::vector<std::int32_t> sums(static_cast<std::size_t>(inner));
    std::uint8_t* next = out.data();
    for (Index o = 0; o < outer; o++)
        for (const auto& [first, weights] : taps) {
            std::fill(sums.begin(), sums.end(), 1 << (fraction_bits - 1));
            const std::uint8_t* pixel = old.data() + (o * from + first) * inner;
            for (std::int32_t w : weights)
                for (std::int32_t& sum : sums) sum += w * *pixel++;
            for (std::int32_t sum : sums) *next++ = std::uint8_t(std::clamp(sum >> fraction_bits, 0, 255));
        }
    return out;
}

}  // namespace

Image resize(const Image& image, Index height, Index width, Resampling resampling) {
    LIMN_CHECK(image.height >= 1 && image.width >= 1 && height >= 1 && width >= 1, "an image of {}x{} pixels cannot be resized to {}x{}",
               image.width, image.height, width, height);
    if (resampling == Resampling::nearest) return resize_nearest(image, height, width);
    const Filter& filter = resampling == Resampling::bilinear ? triangle : cubic;
    const std::vector<std::uint8_t> wide = resample(filter, image.rgb, image.height, image.width, width, 3);
    return {height, width, resample(filter, wide, 1, image.height, height, width * 3)};
}

}  // namespace limn
