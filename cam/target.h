// Which number a map explains.
//
// A head is the end of a classifier: its scores (logits) and, after a softmax or sigmoid, its outputs. A target picks
// one score for each image, with a sign: the gradient walk starts with a seed that is zero everywhere but there.
#pragma once

#include <string>
#include <vector>

#include "layers/model.h"

namespace limn {

enum class Score { logit, output };  // before or after the last softmax/sigmoid

// The output a model is explained by: (N,K) numbers.
struct Head {
    enum class Kind { softmax, sigmoid, linear };
    Kind kind;
    int output, logits;  // nodes; the same if nothing follows the logits
    Index classes;
    bool binary() const { return kind == Kind::sigmoid && classes == 1; }
};
Head find_head(const Model& model, int output_number = 0);

struct Target {
    Index index;  // class
    double sign;  // -1: explain what speaks against it (the other side of a single sigmoid)
    std::string label;
};

// spec: auto | INDEX | LABEL | top:K. auto is the winning class; for a single sigmoid the side it predicts: the score
// itself where its output is >= 0.5, else its negative. logits, outputs: this image's K numbers. Labels may be empty;
// a binary head takes two (of 0 and of 1).
std::vector<Target> choose_targets(const std::string& spec, const Head& head, const float* logits, const float* outputs,
                                   const std::vector<std::string>& labels);

std::string label_of(const Head& head, Index index, double sign, const std::vector<std::string>& labels);

// The seed of one walk for T targets an image: (T*N, K), target by target. targets[n] holds image n's targets, as many for each.
Tensor seed_of(const std::vector<std::vector<Target>>& targets, Index classes, DType dtype = DType::f32);

// Does a target depend on the scores (auto, top:K)? If so, scored_seed makes choose_targets' choice for all images by verbs, without
// looking at a number: (T*N,K) of logits and outputs (N,K).
bool depends_on_scores(const std::string& spec);
Tensor scored_seed(const Backend& backend, const std::string& spec, const Head& head, const Tensor& logits, const Tensor& outputs);

// A prediction, best first.
struct Prediction {
    Index index;
    std::string label;
    float score, logit;  // after and before the softmax/sigmoid
};
std::vector<Prediction> predictions(const Head& head, const float* logits, const float* outputs, const std::vector<std::string>& labels,
                                    Index top);

}  // namespace limn
