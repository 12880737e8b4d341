#include "train/augment.h"

#include <algorithm>
#include <cmath>

namespace limn {

Augmentation augmentation_named(std::string_view name) {
    if (name == "none") return {};
    if (name == "light") return {.flip = true};
    if (name == "standard") return {.smallest_crop = 0.35, .aspect = 4.0 / 3, .flip = true, .colour = 0.3};
    if (name == "strong") return {.smallest_crop = 0.2, .aspect = 4.0 / 3, .flip = true, .colour = 0.4, .cutout = 0.15};
    fail("augmentation '{}' is not known; none, light, standard and strong are", name);
}

namespace {

// A part of the photo whose area is drawn evenly and whose proportions are drawn evenly on a logarithmic scale.
Image crop(const Image& photo, const Augmentation& a, Random& random) {
    const double share = random.uniform(a.smallest_crop, 1), stretch = std::exp(random.uniform(-1, 1) * std::log(a.aspect));
    const auto side = [](Index full, double factor) { return std::clamp<Index>(std::llround(double(full) * factor), 1, full); };
    const Index h = side(photo.height, std::sqrt(share * stretch)), w = side(photo.width, std::sqrt(share / stretch)),
                top = random.below(photo.height - h + 1), left = random.below(photo.width - w + 1);
    Image part{h, w, std::vector<std::uint8_t>(std::size_t(h * w * 3))};
    for (Index row = 0; row < h; row++) std::copy_n(photo.pixel(top + row, left), w * 3, part.pixel(row, 0));
    return part;
}

void mirror(Tensor& x) {  // (1,h,w,c)
    const Index h = x.shape()[1], w = x.shape()[2], c = x.shape()[3];
    for (Index row = 0; row < h; row++)
        for (Index left = 0, right = w - 1; left < right; left++, right--)
            std::swap_ranges(x.data() + (row * w + left) * c, x.data() + (row * w + left + 1) * c, x.data() + (row * w + right) * c);
}

// Brightness scales all, contrast moves away from the mean grey, saturation away from each pixel's grey; 0..255 stays 0..255.
void recolour(Tensor& x, double strength, Random& random) {
    const auto factor = [&] { return float(random.uniform(1 - strength, 1 + strength)); };
    const float brightness = factor(), contrast = factor(), saturation = factor();
    const Index c = x.shape()[3], pixels = x.size() / c;
    const auto grey = [c](const float* p) { return c == 3 ? 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2] : p[0]; };
    double sum = 0;
    for (Index i = 0; i < pixels; i++) sum += double(grey(x.data() + i * c));
    const float mean = brightness * float(sum / double(pixels));
    for (Index i = 0; i < pixels; i++) {
        float* p = x.data() + i * c;
        const float own = brightness * grey(p);
        for (Index j = 0; j < c; j++) {
            const float saturated = own + saturation * (brightness * p[j] - own);
            p[j] = std::clamp(mean + contrast * (saturated - mean), 0.0f, 255.0f);
        }
    }
}

void hide_square(Tensor& x, double largest_share, Random& random) {
    const Index h = x.shape()[1], w = x.shape()[2], c = x.shape()[3];
    const double share = std::sqrt(random.uniform(0, largest_share));
    const Index rows = Index(double(h) * share), columns = Index(double(w) * share), top = random.below(h - rows + 1),
                left = random.below(w - columns + 1);
    for (Index row = top; row < top + rows; row++) std::fill_n(x.data() + (row * w + left) * c, columns * c, 127.5f);
}

}  // namespace

Tensor augmented(const Image& photo, const PhotoInput& input, const Augmentation& a, Random& random) {
    const Image part = a.smallest_crop < 1 || a.aspect > 1 ? crop(photo, a, random) : photo;
    PhotoInput raw = input;
    raw.mode = Preprocess::raw;
    Tensor x = raw(part);
    if (a.flip && random.uniform() < 0.5) mirror(x);
    if (a.colour > 0) recolour(x, a.colour, random);
    if (a.cutout > 0) hide_square(x, a.cutout, random);
    preprocess(input.mode, x);
    return x;
}

}  // namespace limn
