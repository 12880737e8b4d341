#include "evaluate/rating.h"

#include <algorithm>
#include <cmath>

#include "cam/map.h"
#include "evaluate/road.h"

namespace limn {

bool RatingSettings::wants(std::string_view id) const {
    return std::any_of(metrics.begin(), metrics.end(), [&](const Metric& m) { return m.id == id; });
}

Tensor heat_of(const Tensor& raw, Index height, Index width) {
    LIMN_CHECK(raw.shape().rank() == 2 && raw.size() > 0, "a map to be rated should be (h,w), not {}", raw.shape().str());
    const Backend& backend = cpu_backend();
    return normalized(backend, resize_map(backend, normalized(backend, raw, Normalize::max), height, width), Normalize::max);
}

// Enlarged or shrunk without mixing regions, as the benchmark does (OpenCV's INTER_NEAREST: the pixel at the new one's corner)
static Tensor nearest(const Tensor& mask, Index height, Index width) {
    const Index H = mask.shape()[0], W = mask.shape()[1];
    Tensor out({height, width}, DType::u8);
    for (Index r = 0; r < height; r++)
        for (Index c = 0; c < width; c++)
            out.data<std::uint8_t>()[r * width + c] = mask.data<std::uint8_t>()[(r * H / height) * W + c * W / width];
    return out;
}

void rate_place(const RatingSettings& settings, const Tensor& raw, const Truth& truth, Index height, Index width,
                const std::optional<Answer>& answer, Rating& rating) {
    const auto note = [&](const char* id, double value) {
        if (settings.wants(id)) rating.note(id, value);
    };
    const bool region = holds_object(truth.mask), boxes = !truth.boxes.empty();
    if (!region && !boxes) return;
    const Tensor heat = heat_of(raw, height, width);
    if (region) {
        const Peak peak = peak_of(heat);
        note("pointing", 100.0 * points_at(peak, truth.mask));
        note("pointing-15", 100.0 * points_at(peak, truth.mask, 15));
        note("energy", 100 * energy_on_object(heat, truth.mask));
        if (truth.drawn && settings.wants("ap")) note("ap", 100 * average_precision(heat, truth.mask));
    }
    if (boxes) {
        const auto overlap = [&](float threshold) {  // of the box around the largest part
            std::vector<Rectangle> found;
            for (const Box& box : bounding_boxes(heat, threshold)) found.push_back({box.left, box.top, box.right - 1, box.bottom - 1});
            return best_overlap(found, truth.boxes);
        };
        const double at_15 = overlap(0.15f), at_20 = overlap(0.20f);
        note("iou-15", 100 * at_15), note("iou-20", 100 * at_20);
        note("loc-15", 100.0 * (at_15 >= 0.5)), note("loc-20", 100.0 * (at_20 >= 0.5));
        if (answer) {
            note("top1-error", 100.0 * !(answer->first && at_15 >= 0.5));
            note("top5-error", 100.0 * !(answer->among_five && at_15 >= 0.5));
        }
    }

    const bool sweeps_boxes = boxes && (settings.wants("maxboxacc") || settings.wants("maxboxacc-v2"));
    const bool sweeps_pixels = region && truth.drawn && settings.wants("pxap");
    if (!sweeps_boxes && !sweeps_pixels) return;
    const Tensor square = heat_of(raw, benchmark_size, benchmark_size);
    if (sweeps_boxes) {
        std::vector<Rectangle> squared;
        for (const Rectangle& box : truth.boxes) squared.push_back(resized(box, height, width, benchmark_size, benchmark_size));
        rating.box_hits = box_hits(square, squared, sweep(settings.thresholds));
    }
    if (sweeps_pixels)
        rating.pixels = pixel_counts(square, nearest(truth.mask, benchmark_size, benchmark_size), sweep(settings.thresholds));
}

void rate_faithfulness(const RatingSettings& settings, const Tensor& raw, const Tensor& input, const Scorer& scorer, double score,
                       Rating& rating) {
    const Tensor heat = heat_of(raw, input.shape()[1], input.shape()[2]);
    const std::vector<Index> steps = steps_of_pixels(heat.size(), settings.step > 0 ? settings.step : input.shape()[2]);
    if (settings.wants("drop") || settings.wants("increase")) {
        const double after = scorer(masked(input, heat)).at(0);
        if (settings.wants("drop")) rating.note("drop", drop(score, after));
        if (settings.wants("increase")) rating.note("increase", increase(score, after));
    }
    if (settings.wants("deletion")) rating.note("deletion", area_by_steps(deletion_curve(scorer, input, heat, steps)));
    if (settings.wants("insertion")) rating.note("insertion", area_by_steps(insertion_curve(scorer, input, heat, steps)));
    if (settings.wants("road")) {
        RoadOptions options;
        options.noise *= deviation_of(input);  // the paper's inputs have deviation 1
        options.seed = settings.seed;
        rating.note("road", road(scorer, input, heat, options));
    }
}

}  // namespace limn
