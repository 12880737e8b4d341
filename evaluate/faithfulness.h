// Does the network's answer depend on what a map marks? Parts of the input are taken away, and the answer is asked for again.
//
// Everything happens in the network's own space: an input is a preprocessed tensor (1,H,W,c), a heat map is (H,W), 0 to 1. "Taken away"
// means 0 there, which is the data set's mean colour for the preprocessings caffe and torch, mid-grey for tf, black for unit and raw.
#pragma once

#include <functional>
#include <vector>

#include "engine/tensor.h"

namespace limn {

// M inputs (M,H,W,c) -> M numbers: the probability of the explained class.
using Scorer = std::function<std::vector<double>(const Tensor& inputs)>;

// Scores (M,H,W,c) in batches, each made when it is its turn: input(i) is (1,H,W,c).
std::vector<double> scores_of(const Scorer& scorer, Index count, const std::function<Tensor(Index)>& input, Index batch = 16);

// input * heat, the heat multiplying every channel.
Tensor masked(const Tensor& input, const Tensor& heat);

// Chattopadhay et al. 2018 (Grad-CAM++), section 4.1. before: the score of the whole input; after: of the masked one.
// 100 * max(0, before - after) / before; their mean is the average drop, in percent. NaN for a score that is not above 0: it has no share.
double drop(double before, double after);
double increase(double before, double after);  // 100 if the score rose, else 0; their mean is the increase in confidence, in percent

// ---- insertion and deletion (Petsiuk et al. 2018, RISE, section 4.2)
struct ScoreCurve {
    std::vector<double> share;  // of the pixels that were exchanged, from 0 to 1
    std::vector<double> score;
};
// How many pixels are exchanged at each point of a curve, from 0 to all of them. The paper: as many at a time as the input is wide (the
// last time what is left). Others (torch-cam, xplique) take a number of points.
std::vector<Index> steps_of_pixels(Index pixels, Index at_a_time);  // 0, a, 2a... pixels
std::vector<Index> steps_of_count(Index pixels, Index steps);       // floor(i * pixels / steps)

// Exchanges pixels of `start` for those of `finish`, those with the largest heat first (of equal ones the first in reading order).
ScoreCurve exchange_curve(const Scorer& scorer, const Tensor& start, const Tensor& finish, const Tensor& heat,
                          const std::vector<Index>& steps);
// RISE: deletion goes from the input towards 0, insertion from the blurred input towards the input.
ScoreCurve deletion_curve(const Scorer& scorer, const Tensor& input, const Tensor& heat, const std::vector<Index>& steps);
ScoreCurve insertion_curve(const Scorer& scorer, const Tensor& input, const Tensor& heat, const std::vector<Index>& steps);

// Areas. RISE: (sum - first/2 - last/2) / (n - 1), whatever the last step's size. By shares: trapezoids over the real ones (torch-cam).
double area_by_steps(const ScoreCurve& curve);
double area_by_shares(const ScoreCurve& curve);

// The authors' blur: 11 taps of a Gaussian with deviation 5 whose tails are folded back into them; zeros beyond the edges.
std::vector<double> folded_gaussian(Index taps, double deviation);
Tensor blurred(const Tensor& input, Index taps = 11, double deviation = 5);

// ---- sensitivity (Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 3, as captum computes it)
// The largest ||map(x + d) - map(x)|| / ||map(x)|| over `samples` seeded uniform noises d of at most `radius` (Frobenius norms; a map
// of norm 0 divides by 1; NaN for maps with NaN). explain: an input (1,H,W,c) -> its maps by several methods; the result: one number a method.
using MapMaker = std::function<std::vector<Tensor>(const Tensor& input)>;
std::vector<double> max_sensitivity(const MapMaker& explain, const Tensor& input, double radius, Index samples, std::uint64_t seed);

double deviation_of(const Tensor& input);  // standard deviation of its numbers: the unit in which noises are given

}  // namespace limn
