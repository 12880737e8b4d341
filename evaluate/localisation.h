// Does a map show the place of the object? Numbers on a heat map (H,W), 0 to 1, as large as the photo (cam/map.h makes it), against
// boxes or a mask drawn by people. Each function names its paper; all refuse maps with NaN, which have no largest place.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace limn {

// Pixels of a photo, 0 at the left and top, both ends included: as annotation files and the benchmarks count them.
struct Rectangle {
    Index left, top, right, bottom;
    bool operator==(const Rectangle&) const = default;
};
// Intersection over union, in pixels: (right - left + 1) * (bottom - top + 1).
double intersection_over_union(const Rectangle& a, const Rectangle& b);
double best_overlap(const std::vector<Rectangle>& boxes, const std::vector<Rectangle>& truth);  // of any pair; 0 where one list is empty
// Of a photo of (height,width) shrunk or enlarged, as wsolevaluation does: each number times the factor, cut to a whole one.
Rectangle resized(const Rectangle& box, Index height, Index width, Index new_height, Index new_width);

// A mask is (H,W) bytes of these.
enum Region : std::uint8_t { background = 0, object = 1, left_out = 255 };  // left_out: neither, as the border of a trimap
Tensor mask_of(const std::vector<Rectangle>& boxes, Index height, Index width);
bool holds_object(const Tensor& mask);
Rectangle box_around(const Tensor& mask);  // the object's; an Error if there is none

// The pixel with the largest value; of several the one nearest to their middle, so that a plateau points at its centre. False if the
// map is 0 (or less) everywhere: it points nowhere.
struct Peak {
    Index row = 0, column = 0;
    bool exists = false;
};
Peak peak_of(const Tensor& heat);

// The pointing game (Zhang et al. 2016, "Top-down neural attention by excitation backprop"): is the peak on the object, or at most
// `tolerance` pixels away from it (the paper: 15)?
bool points_at(const Peak& peak, const Tensor& mask, double tolerance = 0);

// The energy-based pointing game (Wang et al. 2020, Score-CAM, equation 7): the share of the map's sum that lies on the object. NaN for
// a map without any.
double energy_on_object(const Tensor& heat, const Tensor& mask);

// Area under the precision-recall curve of "the pixel is object" over all pixels, without interpolation:
// sum over thresholds of (R_i - R_{i-1}) * P_i; equal values are one threshold. NaN if nothing is object.
double average_precision(const Tensor& heat, const Tensor& mask);

// ---- wsolevaluation (Choe et al. 2020, "Evaluating weakly supervised object localization methods right"): a sweep of thresholds over a
// whole data set. Its maps are 224x224, whatever the photo's shape, and so are its boxes and masks.
inline constexpr Index benchmark_size = 224;
// 0, 1/steps, 2/steps... below 1. The paper's tables: steps = 100; the released default: 1000.
std::vector<double> sweep(Index steps = 100);

// The boxes at each threshold t: around the contours of the pixels with floor(255*heat) > floor(t * the largest of them), that of the
// largest contour first. A lone box (0,0,0,0) stands for none, and boxes reach one pixel further right and down than what they hold
// (but not over the edge): as in the benchmark.
std::vector<std::vector<Rectangle>> boxes_at(const Tensor& heat, const std::vector<double>& thresholds);

// What MaxBoxAcc is made of: one digit a threshold (hexadecimal), the sum of 1: the largest contour's box has an IoU >= .5 with one of
// the true ones; 2, 4, 8: one of all contours' boxes has .3, .5, .7.
std::string box_hits(const Tensor& heat, const std::vector<Rectangle>& truth, const std::vector<double>& thresholds);
// Over photos, at the threshold that is best for all of them together, in percent: MaxBoxAcc, and MaxBoxAccV2, the mean over .3, .5, .7.
double max_box_accuracy(const std::vector<const std::string*>& hits);
double max_box_accuracy_v2(const std::vector<const std::string*>& hits);

// What PxAP is made of: how many object and other pixels there are with t_i <= heat < t_{i+1}; the last bin: heat = 1.
struct PixelCounts {
    std::vector<std::int64_t> object, other;
    void add(const PixelCounts& counts);
};
PixelCounts pixel_counts(const Tensor& heat, const Tensor& mask, const std::vector<double>& thresholds);
double pixel_average_precision(const PixelCounts& all);  // in percent; NaN if nothing is object

}  // namespace limn
