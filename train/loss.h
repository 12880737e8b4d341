// What training makes small. Both losses take the scores before the sigmoid or softmax (the logits), where they are exact,
// and targets that may lie between 0 and 1: smoothed labels, or what a teacher says (Hinton et al. 2015, temperature 1).
#pragma once

#include "autograd/tape.h"
#include "cam/target.h"

namespace limn {

// logits, targets: (N,K). The mean over all N*K of  -t log p - (1-t) log(1-p),  p = sigmoid(z);  dz = (p - t) / (N*K)
Var binary_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets);

// The mean over N of  -sum_k t_k log p_k,  p = softmax(z);  dz = (p * sum_k t_k - t) / N
Var categorical_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets);

// The loss that belongs to a head: binary for a sigmoid (or a single score), categorical else.
bool is_binary(const Head& head);
Var loss_of(const Head& head, Tape& tape, const Var& logits, const Tensor& targets);

// (N,K) targets of classes: 1 at the class (a single sigmoid: the class itself, 0 or 1), smoothed as Keras does:
// t (1 - s) + s/2 (binary) or t (1 - s) + s/K.
Tensor targets_of(const Head& head, const std::vector<int>& classes, double label_smoothing);

// The class a row of K scores stands for; `least` is the smallest score of a single sigmoid that means class 1: 0 for logits,
// 0.5 for probabilities.
Index answer_of(const float* scores, Index K, float least);

// How many of the N rows are classified as `classes` says.
Index count_correct(const Head& head, const Tensor& logits, const std::vector<int>& classes);

}  // namespace limn
