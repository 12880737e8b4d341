// Which number a map explains.
//
// A head is the end of a network: its scores (logits) and, after a softmax or sigmoid, its outputs. A target is one number made of
// them, a sum of elements with weights: most often one class's score. The gradient walk starts with a seed that holds these weights
// and is zero everywhere else. Numbers made in other ways are functions (cam/explain.h, OwnScore).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "layers/model.h"

namespace limn {

enum class Score { logit, output, log };  // before or after the last softmax/sigmoid; the logarithm of what is after a softmax

// The output a model is explained by: scores (N,K); (N,T,K) where each step of a sequence has its own (the words of a caption);
// (N,h,w,K) where each pixel is classified (segmentation).
struct Head {
    enum class Kind { softmax, sigmoid, linear };
    Kind kind;
    int output, logits;  // nodes; the same if nothing follows the logits
    Index classes;
    bool per_pixel = false, per_step = false;
    bool binary() const { return kind == Kind::sigmoid && classes == 1; }
};
Head find_head(const Model& model, int output_number = 0);
Head find_classifier(const Model& model, int output_number = 0);  // an Error if it does not answer with one row of scores an image

// The node whose value a score is. For Score::log one is added to the model: log softmax(z)_k = z_k - log sum_j exp z_j.
int node_of(Model& model, const Head& head, Score score);

struct Slice {
    Index first, last;  // without the last; -1: to the end
    bool single() const { return last == first + 1; }
    bool operator==(const Slice&) const = default;
};

struct Term {
    std::vector<Slice> at;  // elements of an image's scores, which are added up: {class}, {step, class} or {row, column, class}
    double weight;
    bool operator==(const Term&) const = default;
};

struct Target {
    Index index;  // class; of the first term if there are several
    double sign;  // -1: explain what speaks against it (the other side of a single sigmoid)
    std::string label;
    std::vector<Term> terms = {};                    // if it is not sign * the class's score
    bool own_pixels = false;                         // per pixel: the sum over the pixels where this class wins
    bool operator==(const Target&) const = default;  // labels alone may be the same: ImageNet has two kinds of crane
};

// spec, for the scores (K), (T,K) or (h,w,K) of one image:
//   auto              the winning class; for a single sigmoid the side it predicts: the score itself where its output is >= 0.5, else
//                     its negative; where each pixel is classified, the class that wins most of them, summed over those it wins
//   INDEX | LABEL     a class; per pixel, summed over the pixels where it wins
//   top:K             the K best, best first
//   best:RANGES       the best among some classes, for example best:151-268,281-285
//   output[i,j,k]     any element; the last index may be a label. output[4:9,:,k]: a slice, its elements added up (4 to 8, all)
//   output[o][i,j,k]  an element or slice of the model's output o, which counts from 0; output[o][auto]: as auto, of that output
//   log(A)            the logarithm of the output instead of the score: log p, exact also where p is almost 0
//   A - B, A + B, 2*A sums and differences of classes and elements, for example "tabby - 207" or "log(output[3,7]) - log(output[3,8])"
//   A; B; C           several targets
// Labels may be empty; a binary head takes two (of 0 and of 1).
std::vector<Target> choose_targets(const std::string& spec, const Head& head, std::span<const float> logits, std::span<const float> outputs,
                                   const std::vector<std::string>& labels);

// What a spec is about, before anything is known of the model: which of its outputs, and whether of its logarithm.
struct Subject {
    int output = 0;
    bool log = false;
    bool operator==(const Subject&) const = default;
};
Subject subject_of(const std::string& spec);

std::string label_of(const Head& head, Index index, double sign, const std::vector<std::string>& labels);

// The seed of one walk for T targets an image: (T*N, ...), target by target, for scores of the shape (N, ...). targets[n] holds image
// n's targets, as many for each.
Tensor seed_of(const std::vector<std::vector<Target>>& targets, const Shape& scores, DType dtype = DType::f32);

// Does a target depend on the scores (auto, top:K, best:..., classes of pixels)? If so, scored_seed makes choose_targets' choice for all
// images by verbs, without looking at a number: (T*N, ...) of logits and outputs (N, ...).
bool depends_on_scores(const std::string& spec, const Head& head);
Tensor scored_seed(const Backend& backend, const std::string& spec, const Head& head, const Tensor& logits, const Tensor& outputs,
                   const std::vector<std::string>& labels = {});

// A prediction, best first. Where each pixel is classified: the share of the pixels a class wins, and the mean of its logits there.
// Where each step has its scores: each step's winner, in their order.
struct Prediction {
    Index index;
    std::string label;
    float score, logit;  // after and before the softmax/sigmoid
};
std::vector<Prediction> predictions(const Head& head, std::span<const float> logits, std::span<const float> outputs,
                                    const std::vector<std::string>& labels, Index top);

}  // namespace limn
