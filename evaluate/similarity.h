// How alike are two maps?
#pragma once

#include "engine/tensor.h"

namespace limn {

// Spearman's rank correlation, -1 to 1; equal values share the mean of their ranks. NaN where a map is the same everywhere.
double rank_correlation(const Tensor& a, const Tensor& b);

// Structural similarity (Wang et al. 2004) of maps in 0 to 1: the mean over all windows of 7x7 pixels that fit (smaller ones for
// smaller maps), sample variances, K1 = .01, K2 = .03: scikit-image's defaults.
double structural_similarity(const Tensor& a, const Tensor& b, Index window = 7);

}  // namespace limn
