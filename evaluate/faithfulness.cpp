#include "evaluate/faithfulness.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "autograd/training.h"

namespace limn {

static void check_input(const Tensor& input, const Tensor& heat) {
    const Shape& x = input.shape();
    LIMN_CHECK(x.rank() == 4 && x[0] == 1 && heat.shape() == (Shape{x[1], x[2]}), "an input (1,H,W,c) of {} does not go with a map of {}",
               x.str(), heat.shape().str());
}

std::vector<double> scores_of(const Scorer& scorer, Index count, const std::function<Tensor(Index)>& input, Index batch) {
    std::vector<double> scores;
    for (Index first = 0; first < count; first += batch) {
        const Index size = std::min(batch, count - first);
        Tensor inputs;
        for (Index i = 0; i < size; i++) {
            const Tensor one = input(first + i);
            if (inputs.empty()) inputs = Tensor(one.shape().with(0, size));
            std::memcpy(inputs.data() + i * one.size(), one.data(), one.bytes());
        }
        const std::vector<double> found = scorer(inputs);
        scores.insert(scores.end(), found.begin(), found.end());
    }
    return scores;
}

Tensor masked(const Tensor& input, const Tensor& heat) {
    check_input(input, heat);
    const Index C = input.shape()[3];
    Tensor out = input.like();
    for (Index i = 0; i < input.size(); i++) out.data()[i] = input.data()[i] * heat.data()[i / C];
    return out;
}

double drop(double before, double after) { return before > 0 ? 100 * std::max(before - after, 0.0) / before : std::nan(""); }
double increase(double before, double after) { return after > before ? 100 : after <= before ? 0 : std::nan(""); }

std::vector<Index> steps_of_pixels(Index pixels, Index at_a_time) {
    LIMN_CHECK(at_a_time >= 1, "{} pixels a step: should be at least 1", at_a_time);
    std::vector<Index> steps;
    for (Index done = 0; done < pixels; done += at_a_time) steps.push_back(done);
    steps.push_back(pixels);
    return steps;
}

std::vector<Index> steps_of_count(Index pixels, Index count) {
    LIMN_CHECK(count >= 1, "{} steps: should be at least 1", count);
    std::vector<Index> steps;
    for (Index i = 0; i <= count; i++) steps.push_back(i * pixels / count);
    return steps;
}

ScoreCurve exchange_curve(const Scorer& scorer, const Tensor& start, const Tensor& finish, const Tensor& heat,
                          const std::vector<Index>& steps) {
    check_input(start, heat), check_input(finish, heat);
    const Index pixels = heat.size(), C = start.shape()[3];
    LIMN_CHECK(std::is_sorted(steps.begin(), steps.end()) && (steps.empty() || (steps.front() >= 0 && steps.back() <= pixels)),
               "steps of a curve should rise from 0 to {} pixels", pixels);
    std::vector<Index> order(std::size_t(pixels), 0);
    std::iota(order.begin(), order.end(), Index(0));
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return heat.data()[a] > heat.data()[b]; });
    Tensor now = start.clone();
    Index done = 0;
    ScoreCurve curve;
    curve.score = scores_of(scorer, Index(steps.size()), [&](Index i) {
        for (; done < steps[std::size_t(i)]; done++) {
            const Index at = order[std::size_t(done)] * C;
            std::copy_n(finish.data() + at, C, now.data() + at);
        }
        curve.share.push_back(double(done) / double(pixels));
        return now;
    });
    return curve;
}

ScoreCurve deletion_curve(const Scorer& scorer, const Tensor& input, const Tensor& heat, const std::vector<Index>& steps) {
    return exchange_curve(scorer, input, Tensor::zeros(input.shape()), heat, steps);
}

ScoreCurve insertion_curve(const Scorer& scorer, const Tensor& input, const Tensor& heat, const std::vector<Index>& steps) {
    return exchange_curve(scorer, blurred(input), input, heat, steps);
}

double area_by_steps(const ScoreCurve& curve) {
    const std::vector<double>& s = curve.score;
    LIMN_CHECK(s.size() >= 2, "a curve of {} points has no area", s.size());
    return (std::accumulate(s.begin(), s.end(), 0.0) - s.front() / 2 - s.back() / 2) / double(s.size() - 1);
}

double area_by_shares(const ScoreCurve& curve) {
    LIMN_CHECK(curve.score.size() >= 2, "a curve of {} points has no area", curve.score.size());
    double sum = 0;
    for (std::size_t i = 1; i < curve.score.size(); i++)
        sum += (curve.share[i] - curve.share[i - 1]) * (curve.score[i] + curve.score[i - 1]) / 2;
    return sum;
}

std::vector<double> folded_gaussian(Index taps, double deviation) {
    const Index reach = Index(4 * deviation + 0.5);  // where SciPy's gaussian_filter cuts it off
    std::vector<double> kernel(std::size_t(taps), 0);
    double total = 0;
    for (Index d = -reach; d <= reach; d++) {
        const double weight = std::exp(-double(d * d) / (2 * deviation * deviation));
        Index at = (taps / 2 + d) % (2 * taps);  // mirrored at both ends, again and again
        if (at < 0) at += 2 * taps;
        kernel[std::size_t(at < taps ? at : 2 * taps - 1 - at)] += weight;
        total += weight;
    }
    for (double& weight : kernel) weight /= total;
    return kernel;
}

Tensor blurred(const Tensor& input, Index taps, double deviation) {
    const Index N = input.shape()[0], H = input.shape()[1], W = input.shape()[2], C = input.shape()[3];
    const std::vector<double> kernel = folded_gaussian(taps, deviation);
    // along one axis, whose neighbours lie `stride` numbers apart
    const auto along = [&](const Tensor& x, Index size, Index stride) {
        Tensor y = x.like();
        for (Index i = 0; i < x.size(); i++) {
            const Index place = i / stride % size;
            double sum = 0;
            for (Index t = 0; t < taps; t++)
                if (const Index at = place + t - taps / 2; at >= 0 && at < size)
                    sum += kernel[std::size_t(t)] * double(x.data()[i + (at - place) * stride]);
            y.data()[i] = float(sum);
        }
        return y;
    };
    return along(along(input, W, C), H, W * C).reshaped({N, H, W, C});
}

double deviation_of(const Tensor& input) {
    double sum = 0, squares = 0;
    for (float v : input.values()) sum += double(v), squares += double(v) * double(v);
    const double n = std::max<double>(1, double(input.size()));
    return std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
}

// Of a - b, or of a alone
static double norm(const Tensor& a, const Tensor& b = {}) {
    LIMN_CHECK(b.empty() || b.shape() == a.shape(), "the map of a noisy input is {}, not {}", b.shape().str(), a.shape().str());
    double squares = 0;
    for (Index i = 0; i < a.size(); i++) squares += std::pow(double(a.data()[i]) - (b.empty() ? 0 : double(b.data()[i])), 2);
    return std::sqrt(squares);
}

std::vector<double> max_sensitivity(const MapMaker& explain, const Tensor& input, double radius, Index samples, std::uint64_t seed) {
    LIMN_CHECK(samples >= 1, "{} noises: should be at least 1", samples);
    const std::vector<Tensor> maps = explain(input);
    std::vector<double> largest(maps.size());
    Random random(seed, "sensitivity");
    Tensor noisy = input.like();
    for (Index i = 0; i < samples; i++) {
        for (Index k = 0; k < input.size(); k++) noisy.data()[k] = input.data()[k] + float(random.uniform(-radius, radius));
        const std::vector<Tensor> others = explain(noisy);
        LIMN_CHECK(others.size() == maps.size(), "{} maps of a noisy input, not {}", others.size(), maps.size());
        for (std::size_t m = 0; m < maps.size(); m++) {
            const double own = norm(maps[m]), change = norm(maps[m], others[m]) / (own > 0 ? own : 1);
            largest[m] = std::isnan(own + change) ? std::nan("") : std::max(largest[m], change);  // max keeps an earlier NaN
        }
    }
    return largest;
}

}  // namespace limn
