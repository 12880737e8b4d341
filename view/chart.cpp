#include "view/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "view/html.h"

namespace limn {

namespace {

constexpr double width = 560, height = 300, left = 52, right = 12, top = 34, bottom = 34;

// A step of 1, 2 or 5 times a power of ten that cuts the range into at most `pieces`.
double round_step(double range, double pieces) {
    const double raw = range / pieces, power = std::pow(10, std::floor(std::log10(raw)));
    for (double factor : {1.0, 2.0, 5.0})
        if (raw <= factor * power * (1 + 1e-9)) return factor * power;
    return 10 * power;
}

struct Axis {
    double low, high, from, to;  // values, pixels
    double at(double value) const { return from + (to - from) * (value - low) / (high - low); }
};

}  // namespace

void Curve::set(std::size_t x, double value) {
    x = std::clamp<std::size_t>(x, 1, 1000000);
    if (y.size() < x) y.resize(x, NAN);
    y[x - 1] = value;
}

std::string line_chart(const std::string& title, const std::vector<Curve>& curves, int marked) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    std::size_t count = 1;
    for (const Curve& curve : curves) {
        count = std::max(count, curve.y.size());
        for (double y : curve.y)
            if (std::isfinite(y)) low = std::min(low, y), high = std::max(high, y);
    }
    if (low > high) low = 0, high = 1;
    if (high - low < 1e-12 * std::max(1.0, std::abs(high)))
        low -= std::max(0.5 * std::abs(low), 1e-6), high += std::max(0.5 * std::abs(high), 1e-6);
    const double step = round_step(high - low, 5);
    const Axis y{std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, height - bottom, top},
        x{count > 1 ? 1.0 : 0.5, count > 1 ? double(count) : 1.5, left, width - right};

    std::string svg = fmt::format(
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><text class=\"title\" x=\"{}\" y=\"16\">{}</text>\n",
        width, height, escaped(title), left, escaped(title));
    for (int i = 0; y.low + i * step <= y.high + step / 2; i++) {
        const double value = y.low + i * step;
        svg += fmt::format(
            "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text class=\"tick\" text-anchor=\"end\" x=\"{}\" "
            "y=\"{:.1f}\">{:.4g}</text>\n",
            left, width - right, y.at(value), y.at(value), left - 6, y.at(value) + 4, std::abs(value) < step / 1e6 ? 0 : value);
    }
    const double x_step = std::max(1.0, round_step(double(count), 8));
    for (double value = x_step < 2 ? 1 : x_step; value <= double(count) + 0.5; value += x_step)
        svg += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">{}</text>\n", x.at(value),
                           height - bottom + 18, value);
    svg += fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{}\">epoch</text>\n", width - right, height - 2);
    if (marked > 0)
        svg +=
            fmt::format("<line class=\"mark\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"><title>best epoch: {3}</title></line>\n",
                        x.at(marked), top, height - bottom, marked);
    const std::size_t every = (count + 199) / 200;  // points to hover over: not more than the eye can tell apart
    for (std::size_t c = 0; c < curves.size(); c++) {
        std::string path;
        bool pen_down = false;
        for (std::size_t i = 0; i < curves[c].y.size(); i++) {
            const double value = curves[c].y[i];
            if (std::isfinite(value)) path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x.at(double(i + 1)), y.at(value));
            pen_down = std::isfinite(value);
        }
        svg += fmt::format("<path class=\"curve{}\" d=\"{}\"/>\n", c, path);
        for (std::size_t i = 0; i < curves[c].y.size(); i++)
            if (const double value = curves[c].y[i]; std::isfinite(value) && (i % every == 0 || i + 1 == curves[c].y.size()))
                svg += fmt::format("<circle class=\"curve{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{} {}: {:.5g}</title></circle>\n",
                                   c, x.at(double(i + 1)), y.at(value), count <= 30 ? 2.5 : 1.5, escaped(curves[c].name), i + 1, value);
        svg += fmt::format("<text class=\"legend curve{}\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>\n", c, width - right,
                           14 + 14 * double(c), escaped(curves[c].name));
    }
    return svg + "</svg>\n";
}

std::string svg_file(const std::vector<std::string>& charts) {
    std::string svg =
        fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\">\n", width * double(charts.size()), height);
    svg +=
        "<style>text{font:12px sans-serif;fill:#777}.title{font-size:14px;font-weight:600}.grid{stroke:#8884}"
        ".mark{stroke:#1a7f4b;stroke-dasharray:4 4}path{fill:none;stroke-width:2}path.curve0{stroke:#3b8ee0}path.curve1{stroke:#e07b28}"
        "circle.curve0,.legend.curve0{fill:#3b8ee0}circle.curve1,.legend.curve1{fill:#e07b28}</style>\n";
    for (std::size_t i = 0; i < charts.size(); i++)
        svg += fmt::format("<svg x=\"{}\" width=\"{}\" height=\"{}\">\n{}</svg>\n", width * double(i), width, height, charts[i]);
    return svg + "</svg>\n";
}

}  // namespace limn
