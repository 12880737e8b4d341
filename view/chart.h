// Curves as SVG, to be put into a page: axes with round numbers, a legend, the values under the pointer.
#pragma once

#include <string>
#include <vector>

namespace limn {

struct Curve {
    std::string name;
    std::vector<double> y;  // at x = 1, 2, 3...; NaN and infinities leave a gap

    void set(std::size_t x, double value);  // 1 <= x <= 1,000,000; what lies before and was never set is a gap
};

// marked: an x that is shown by a line, 0 for none. Colours come from the page: classes curve0, curve1..., axis, mark.
std::string line_chart(const std::string& title, const std::vector<Curve>& curves, int marked);

// Charts side by side as an SVG file of their own, for light and dark pages.
std::string svg_file(const std::vector<std::string>& charts);

}  // namespace limn
