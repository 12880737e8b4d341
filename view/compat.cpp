#include "view/compat.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "view/colormap.h"

namespace limn {

namespace {

// ---- numbers on a plane, in the precision of the libraries' arrays

struct Plane {
    Index h, w;
    std::vector<float> v;
};

Plane map(Plane x, const std::function<float(float)>& f) {
    std::ranges::transform(x.v, x.v.begin(), f);
    return x;
}
float largest(const Plane& x) { return *std::ranges::max_element(x.v); }
Plane relu(Plane x) {
    return map(std::move(x), [](float v) { return v > 0 ? v : 0; });
}
Plane over(Plane x, float divisor) {
    return map(std::move(x), [=](float v) { return divisor != 0 ? v / divisor : 0; });
}
Plane min_max(Plane x, float epsilon) {
    const float low = *std::ranges::min_element(x.v);
    for (float& v : x.v) v -= low;
    return over(x, epsilon + largest(x));
}

// ---- resizing

// Of each of N places its two neighbours among n, and the share of the second: half-pixel centres, borders repeated.
template <class T> struct Neighbours {
    std::vector<Index> first, second;
    std::vector<float> share;
    Neighbours(Index n, Index N) {
        for (Index i = 0; i < N; i++) {
            const T at = T((double(i) + 0.5) * (double(n) / double(N)) - 0.5);
            const Index low = Index(std::floor(at));
            first.push_back(std::clamp<Index>(low, 0, n - 1));
            second.push_back(std::clamp<Index>(low + 1, 0, n - 1));
            share.push_back(float(at - T(low)));
        }
    }
};

// Rows after columns: mix(a, b, share).
template <class T, class V, class Mix>
std::vector<V> bilinear(const std::vector<V>& x, Index h, Index w, Index H, Index W, Mix mix_columns, Mix mix_rows) {
    const Neighbours<T> c(w, W), r(h, H);
    std::vector<V> wide(std::size_t(h * W)), out(std::size_t(H * W));
    for (Index i = 0; i < h; i++)
        for (Index j = 0; j < W; j++) {
            const auto at = std::size_t(j);
            wide[std::size_t(i * W + j)] =
                mix_columns(x[std::size_t(i * w + c.first[at])], x[std::size_t(i * w + c.second[at])], c.share[at]);
        }
    for (Index i = 0; i < H; i++)
        for (Index j = 0; j < W; j++) {
            const auto at = std::size_t(i);
            out[std::size_t(i * W + j)] =
                mix_rows(wide[std::size_t(r.first[at] * W + j)], wide[std::size_t(r.second[at] * W + j)], r.share[at]);
        }
    return out;
}

// OpenCV's of floats: a fused multiply-add
Plane cv_resize(const Plane& x, Index H, Index W) {
    const std::function<float(float, float, float)> mix = [](float a, float b, float t) {
        return float(double(a) + double(t) * double(b - a));
    };
    return {H, W, bilinear<double>(x.v, x.h, x.w, H, W, mix, mix)};
}

// OpenCV's of bytes: weights of 1/2048, which sum up to numbers 16 and then 4 times as fine
std::vector<int> cv_resize_bytes(const std::vector<int>& x, Index h, Index w, Index H, Index W) {
    using Mix = std::function<int(int, int, float)>;
    const auto weight = [](float share) { return int(std::nearbyint(share * 2048)); };
    const Mix columns = [=](int a, int b, float t) { return (a * weight(1 - t) + b * weight(t)) >> 4; };
    const Mix rows = [=](int a, int b, float t) { return ((a * weight(1 - t) >> 16) + (b * weight(t) >> 16) + 2) >> 2; };
    return bilinear<float>(x, h, w, H, W, columns, rows);
}

// SciPy's zoom of order 1: corner on corner; a place whose coordinate rounds to beyond the last one is 0
Plane scipy_zoom(const Plane& x, Index H, Index W) {
    const auto at = [](Index i, Index n, Index N) { return N > 1 ? double(i) * (double(n - 1) / double(N - 1)) : 0; };
    Plane out{H, W, std::vector<float>(std::size_t(H * W))};
    for (Index i = 0; i < H; i++)
        for (Index j = 0; j < W; j++) {
            const double r = at(i, x.h, H), c = at(j, x.w, W);
            if (r > double(x.h - 1) || c > double(x.w - 1)) continue;
            const Index r0 = Index(r), c0 = Index(c), r1 = std::min(r0 + 1, x.h - 1), c1 = std::min(c0 + 1, x.w - 1);
            const double u = r - double(r0), v = c - double(c0);
            const auto m = [&](Index row, Index column) { return double(x.v[std::size_t(row * x.w + column)]); };
            out.v[std::size_t(i * W + j)] =
                float(m(r0, c0) * (1 - u) * (1 - v) + m(r0, c1) * (1 - u) * v + m(r1, c0) * u * (1 - v) + m(r1, c1) * u * v);
        }
    return out;
}

// torch's nearest
Plane torch_nearest(const Plane& x, Index H, Index W) {
    const auto at = [](Index i, Index n, Index N) { return std::min(n - 1, Index(float(i) * (float(n) / float(N)))); };
    Plane out{H, W, {}};
    for (Index i = 0; i < H; i++)
        for (Index j = 0; j < W; j++) out.v.push_back(x.v[std::size_t(at(i, x.h, H) * x.w + at(j, x.w, W))]);
    return out;
}

// ---- colours

// matplotlib's tables of 256 colours: straight lines between corners
struct Corner {
    double at, value;
};
using Table = std::vector<std::array<double, 3>>;
double on_line(std::span<const Corner> corners, int step) {
    const double x = 255 * (step == 255 ? 1 : step * (1.0 / 255));  // as NumPy's linspace rounds
    std::size_t next = 1;
    while (next + 1 < corners.size() && corners[next].at * 255 < x) next++;
    const Corner &a = corners[next - 1], &b = corners[next];
    return (x - a.at * 255) / (b.at * 255 - a.at * 255) * (b.value - a.value) + a.value;
}
Table table_of(std::span<const Corner> red, std::span<const Corner> green, std::span<const Corner> blue) {
    Table table;
    for (int i = 0; i < 256; i++) table.push_back({on_line(red, i), on_line(green, i), on_line(blue, i)});
    return table;
}

const Table& mpl_jet() {
    constexpr Corner red[] = {{0, 0}, {0.35, 0}, {0.66, 1}, {0.89, 1}, {1, 0.5}};
    constexpr Corner green[] = {{0, 0}, {0.125, 0}, {0.375, 1}, {0.64, 1}, {0.91, 0}, {1, 0}};
    constexpr Corner blue[] = {{0, 0.5}, {0.11, 1}, {0.34, 1}, {0.65, 0}, {1, 0}};
    static const Table table = table_of(red, green, blue);
    return table;
}
const Table& mpl_grey() {
    constexpr Corner all[] = {{0, 0}, {1, 1}};
    static const Table table = table_of(all, all, all);
    return table;
}
const Table& mpl_greens() {  // ColorBrewer's nine
    static const Table table = [] {
        constexpr int colours[9][3] = {{247, 252, 245}, {229, 245, 224}, {199, 233, 192}, {161, 217, 155}, {116, 196, 118},
                                       {65, 171, 93},   {35, 139, 69},   {0, 109, 44},    {0, 68, 27}};
        std::array<std::vector<Corner>, 3> corners;
        for (int i = 0; i < 9; i++)
            for (std::size_t c = 0; c < 3; c++) corners[c].push_back({i / 8.0, colours[i][c] / 255.0});
        return table_of(corners[0], corners[1], corners[2]);
    }();
    return table;
}
int byte_of(double colour) { return int(colour * 255); }  // cut, not rounded

int step_of(float value, float count) { return std::clamp(int(value * count), 0, 255); }  // matplotlib counts to 256, OpenCV's users to 255

int cv_jet(int step, std::size_t c) {
    static const Tensor table = colour_table(Colormap::jet);
    return table.data<std::uint8_t>()[3 * step + int(c)];
}

// matplotlib's picture of alpha .5 over another, in bytes
int half_over(int below, int above) { return (32512 * above + 32895 * below) / 65407; }

// pixel(i, c): of pixel i and colour c
Image drawn(const Image& photo, const std::function<double(std::size_t, std::size_t)>& pixel) {
    Image out = photo;
    for (std::size_t i = 0; i < out.rgb.size(); i++) out.rgb[i] = std::uint8_t(std::clamp(pixel(i / 3, i % 3), 0.0, 255.0));
    return out;
}

// Keras's array_to_img: from the smallest to the largest number
std::vector<std::uint8_t> stretched(std::vector<float> x) {
    const auto [low, high] = std::ranges::minmax(x);
    std::vector<std::uint8_t> bytes;
    for (float v : x) bytes.push_back(std::uint8_t(high > low ? (v - low) / (high - low) * 255 : 0));
    return bytes;
}

// ---- the libraries

// 1.5.7: ReLU; min-max; OpenCV's bilinear; min-max; OpenCV's jet; half photo and half heat; divided by the picture's largest number
Image pytorch_grad_cam(const Plane& raw, const Image& photo) {
    const Plane m = min_max(cv_resize(min_max(relu(raw), 1e-7f), photo.height, photo.width), 1e-7f);
    std::vector<float> mixed;
    for (std::size_t i = 0; i < photo.rgb.size(); i++)
        mixed.push_back(0.5f * (float(cv_jet(step_of(m.v[i / 3], 255), i % 3)) / 255) + 0.5f * (float(photo.rgb[i]) / 255));
    const float top = *std::ranges::max_element(mixed);
    return drawn(photo, [&](std::size_t i, std::size_t c) { return top > 0 ? std::floor(255 * (mixed[3 * i + c] / top)) : 0; });
}

// 0.9.0, blended_heat_map: nearest; positive part, over the value where the cumulative sum of the sorted ones reaches 98 %; Greens, half over
// the photo's grey, which is stretched
Image captum(const Plane& raw, const Image& photo) {
    Plane m = relu(torch_nearest(raw, photo.height, photo.width));
    std::vector<float> sorted = m.v, sums(m.v.size());
    std::ranges::sort(sorted);
    std::partial_sum(sorted.begin(), sorted.end(), sums.begin());
    const auto place = std::ranges::lower_bound(sums, sums.back() * 0.01f * 98.f) - sums.begin();
    m = map(over(std::move(m), sorted[std::size_t(place)]), [](float v) { return std::min(v, 1.f); });
    std::vector<double> grey;
    for (std::size_t i = 0; i < photo.rgb.size(); i += 3) grey.push_back((photo.rgb[i] + photo.rgb[i + 1] + photo.rgb[i + 2]) / 3.0);
    const auto [low, high] = std::ranges::minmax(grey);
    return drawn(photo, [&, low = low, high = high](std::size_t i, std::size_t c) {
        const double share = high > low ? (grey[i] - low) / (high - low) : 0;
        const int below = byte_of(mpl_grey()[std::size_t(std::min(255, int(share * 256)))][c]);
        return half_over(below, byte_of(mpl_greens()[std::size_t(step_of(m.v[i], 256))][c]));
    });
}

// 0.8.7 and its README: ReLU; SciPy's zoom; min-max; matplotlib's jet, half over the photo
Image tf_keras_vis(const Plane& raw, const Image& photo) {
    const Plane m = min_max(scipy_zoom(relu(raw), photo.height, photo.width), 1e-7f);
    return drawn(photo, [&](std::size_t i, std::size_t c) {
        return half_over(photo.rgb[3 * i + c], byte_of(mpl_jet()[std::size_t(step_of(m.v[i], 256))][c]));
    });
}

// examples/vision/grad_cam.py: ReLU, / largest; matplotlib's jet at the map's size, stretched; Pillow's bicubic of the colours; .4 of them and
// the photo; stretched
Image keras_io(const Plane& raw, const Image& photo) {
    const Plane m = over(relu(raw), largest(raw));
    std::vector<float> colours;
    for (float v : m.v)
        for (double c : mpl_jet()[std::size_t(step_of(v, 255))]) colours.push_back(float(c));
    const Image heat = resize({m.h, m.w, stretched(std::move(colours))}, photo.height, photo.width, Resampling::bicubic);
    std::vector<float> mixed;
    for (std::size_t i = 0; i < photo.rgb.size(); i++) mixed.push_back(float(heat.rgb[i]) * 0.4f + float(photo.rgb[i]));
    return {photo.height, photo.width, stretched(std::move(mixed))};
}

// zhoubolei/CAM, pytorch_CAM.py: min-max, no ReLU; bytes; OpenCV's bilinear to 256x256 and to the photo; OpenCV's jet; .3 heat and .5 photo
Image zhou(const Plane& raw, const Image& photo) {
    const Plane m = min_max(raw, 0);
    std::vector<int> bytes;
    for (float v : m.v) bytes.push_back(step_of(v, 255));
    bytes = cv_resize_bytes(cv_resize_bytes(bytes, m.h, m.w, 256, 256), 256, 256, photo.height, photo.width);
    return drawn(photo,
                 [&](std::size_t i, std::size_t c) { return std::nearbyint(cv_jet(bytes[i], c) * 0.3 + photo.rgb[3 * i + c] * 0.5); });
}

// The article's: ReLU, / largest; OpenCV's bilinear; OpenCV's jet, black where the map is below .2; .5 heat and the photo
Image article(const Plane& raw, const Image& photo) {
    const Plane m = cv_resize(over(relu(raw), largest(relu(raw))), photo.height, photo.width);
    return drawn(photo, [&](std::size_t i, std::size_t c) {
        return std::floor((m.v[i] >= 0.2f ? cv_jet(step_of(m.v[i], 255), c) * 0.5 : 0) + photo.rgb[3 * i + c]);
    });
}

struct Library {
    Compat compat;
    std::string_view name;
    const char* method;
    Image (*picture)(const Plane& raw, const Image& photo);
};
constexpr Library libraries[] = {{Compat::pytorch_grad_cam, "pytorch-grad-cam", "grad-cam", pytorch_grad_cam},
                                 {Compat::captum, "captum", "grad-cam", captum},
                                 {Compat::tf_keras_vis, "tf-keras-vis", "grad-cam", tf_keras_vis},
                                 {Compat::keras_io, "keras-io", "grad-cam", keras_io},
                                 {Compat::zhou, "zhou", "cam", zhou},
                                 {Compat::article, "article", "grad-cam", article}};
const Library& of(Compat compat) { return *std::ranges::find(libraries, compat, &Library::compat); }

}  // namespace

Compat compat_named(std::string_view name) {
    std::string known;
    for (const Library& library : libraries) {
        if (library.name == name) return library.compat;
        known += (known.empty() ? "" : ", ") + std::string(library.name);
    }
    fail("--compat {}: {} are known", name, known);
}

const char* method_of(Compat compat) { return of(compat).method; }

Image compat_picture(Compat compat, const Tensor& raw, const Image& photo) {
    const auto values = raw.values();
    Plane plane{raw.shape()[0], raw.shape()[1], {values.begin(), values.end()}};
    for (float& v : plane.v)
        if (!std::isfinite(v)) v = 0;
    return of(compat).picture(plane, photo);
}

}  // namespace limn
