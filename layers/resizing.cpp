#include "layers/resizing.h"

#include <cmath>
#include <functional>

#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

// How much a pixel counts at a distance x from the place looked at, and how far it reaches.
struct Kernel {
    double reach;
    std::function<double(double)> weight;
    double steps = 0;  // TensorFlow looks the weights up in a table of so many places between two pixels, unless it smooths
};

double sinc(double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); }
Kernel lanczos(double a) {
    return {a, [a](double x) { return std::abs(x) < a ? sinc(x) * sinc(x / a) : 0; }};
}

const std::map<std::string, Kernel>& kernels() {
    static const std::map<std::string, Kernel> table = {
        {"nearest", {}},
        {"bilinear", {1, [](double x) { return std::max(0.0, 1 - std::abs(x)); }}},
        {"bicubic",  // Keys 1981, a = -1/2
         {2,
          [](double x) {
              x = std::abs(x);
              return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
          },
          1024}},
        {"lanczos3", lanczos(3)},
        {"lanczos5", lanczos(5)},
    };
    return table;
}

// (to, from): what each pixel of an axis of `from` counts for each of `to`. Half-pixel centres; what lies outside does not count.
Tensor weights_along(Index from, Index to, const Kernel& kernel, bool antialias) {
    Tensor weights = Tensor::zeros({to, from}, DType::f64);
    const double step = double(from) / double(to), width = antialias ? std::max(step, 1.0) : 1.0;
    for (Index p = 0; p < to; p++) {
        double* row = weights.data<double>() + p * from;
        double centre = (double(p) + 0.5) * step;
        if (kernel.steps && !antialias) centre = std::rint((centre - 0.5) * kernel.steps) / kernel.steps + 0.5;
        const Index first = std::max<Index>(0, Index(std::floor(centre - kernel.reach * width)));
        const Index last = std::min<Index>(from - 1, Index(std::ceil(centre + kernel.reach * width)));
        double total = 0;
        for (Index i = first; i <= last; i++) total += row[i] = kernel.weight((double(i) + 0.5 - centre) / width);
        for (Index i = first; i <= last; i++) row[i] /= total;
    }
    return weights;
}

// The largest part of the size's proportions, in the middle of an image of this size.
struct Part {
    Index top, left, height, width;
};
Part middle(Index h, Index w, Index height, Index width) {
    const Index part_h = std::clamp<Index>(w * height / width, 1, h), part_w = std::clamp<Index>(h * width / height, 1, w);
    return {(h - part_h) / 2, (w - part_w) / 2, part_h, part_w};
}
Var cut(Tape& tape, const Var& x, const Part& part) {
    return crop(tape, x, {0, part.top, part.left, 0}, {x.shape()[0], part.height, part.width, x.shape()[3]});
}

// Resizing, CenterCrop and RandomCrop (in use) all give images of one size.
class Sized : public Layer {
public:
    explicit Sized(const Config& config) : Layer(config), height_(config.integer("height", 0)), width_(config.integer("width", 0)) {
        if (height_ < 1 || width_ < 1 || height_ > 1 << 16 || width_ > 1 << 16)
            reject(fmt::format("a size of {}x{} makes no sense", height_, width_));
    }
    void build(const std::vector<Shape>& inputs) override { expect_rank(inputs[0], 4); }
    Shape output_shape(const std::vector<Shape>& in) const override { return {in[0][0], height_, width_, in[0][3]}; }

protected:
    Index height_, width_;
};

class Resizing : public Sized {
public:
    explicit Resizing(const Config& config)
        : Sized(config), mode_(config.text("interpolation", "bilinear")), antialias_(config.flag("antialias", false)),
          crops_(config.flag("crop_to_aspect_ratio", false)), pads_(config.flag("pad_to_aspect_ratio", false)),
          fill_(config.number("fill_value", 0)) {
        check_interpolation(config, mode_);
        if (crops_ && pads_) reject("it cannot keep the proportions by cropping and by padding, too");
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Index h = in[0].shape()[1], w = in[0].shape()[2];
        Var x = in[0];
        if (crops_) x = cut(tape, x, middle(h, w, height_, width_));
        if (pads_) {  // as much before as behind, even where one more were needed
            const Index rows = std::max<Index>(0, w * height_ / width_ - h) / 2, columns = std::max<Index>(0, h * width_ / height_ - w) / 2;
            const Shape border{0, rows, columns, 0};
            x = shift(tape, pad(tape, shift(tape, x, -fill_), border, border), fill_);
        }
        return resized(tape, x, height_, width_, mode_, antialias_);
    }

private:
    std::string mode_;
    bool antialias_, crops_, pads_;
    double fill_;
};

// The middle; of an image that is too small the largest part of these proportions, enlarged.
class CenterCrop : public Sized {
public:
    using Sized::Sized;
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Index h = in[0].shape()[1], w = in[0].shape()[2];
        if (h >= height_ && w >= width_) return cut(tape, in[0], {(h - height_) / 2, (w - width_) / 2, height_, width_});
        return resized(tape, cut(tape, in[0], middle(h, w, height_, width_)), height_, width_, "bilinear");
    }
};

// In use: Keras 2 takes the largest part of these proportions and resizes it, Keras 3 takes the image as it is.
class RandomCrop : public Sized {
public:
    using Sized::Sized;
    Shape output_shape(const std::vector<Shape>& in) const override {
        return keras_config.keras_major < 3 ? Sized::output_shape(in) : in[0];
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        if (keras_config.keras_major >= 3) return in[0];
        const Part part = middle(in[0].shape()[1], in[0].shape()[2], height_, width_);
        return resized(tape, cut(tape, in[0], part), height_, width_, "bilinear");
    }
};

}  // namespace

void check_interpolation(const Config& layer, const std::string& name) {
    std::string list;
    for (const auto& [known, kernel] : kernels()) list += (list.empty() ? "" : ", ") + known;
    if (!kernels().contains(name)) layer.reject(fmt::format("the interpolation '{}' is not known; known are {}", name, list));
}

Var resized(Tape& tape, const Var& x, Index height, Index width, const std::string& interpolation, bool antialias) {
    const Index h = x.shape()[1], w = x.shape()[2];
    if (h == height && w == width) return x;
    if (interpolation == "nearest") return resize(tape, Interpolation::nearest, x, height, width);
    if (interpolation == "bilinear" && !antialias) return resize(tape, Interpolation::bilinear, x, height, width);
    // y[n,p,q,c] = sum over h and w of rows[p,h] columns[q,w] x[n,h,w,c]
    const Kernel& kernel = kernels().at(interpolation);
    const auto matrix = [&](Index from, Index to) {
        return weights_along(from, to, kernel, antialias).to(x.value.dtype()).on(x.value.device());
    };
    return einsum(tape, "npwc,qw->npqc", einsum(tape, "nhwc,ph->npwc", x, matrix(h, height)), matrix(w, width));
}

LayerPtr make_resizing(const Config& config) { return std::make_shared<Resizing>(config); }
LayerPtr make_center_crop(const Config& config) { return std::make_shared<CenterCrop>(config); }
LayerPtr make_random_crop(const Config& config) { return std::make_shared<RandomCrop>(config); }

}  // namespace limn
