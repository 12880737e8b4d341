// One image, and what is asked of it: T numbers (targets). How methods that try things out ask the network.
//
// They alter the image, or what a layer made of it, and see what becomes of the numbers; or they walk backward from altered images.
// Below the layer nothing is computed twice. Trials run in batches, and tell how far they are.
#pragma once

#include <functional>
#include <map>

#include "layers/model.h"

namespace limn {

// The number to be explained where it is no weighted sum of scores: of the value (M,...) of a node, one for each image, (M).
using ScoreFunction = std::function<Var(Tape& tape, const Var& value)>;

// A network as methods ask it: cut at the layers they look at, once for all images.
class Asked {
public:
    Asked(const Backend& its_backend, const Model& its_model, int explained) : backend(its_backend), model(its_model), node(explained) {}
    const Backend& backend;
    const Model& model;
    int node;                                            // whose value is explained
    ScoreFunction function;                              // or none: the seed's weighted sums
    std::uint64_t seed = 1;                              // of what is drawn at random
    Index samples = 0;                                   // trials of the methods that draw or step; 0: each one's own number
    std::function<void(Index done, Index of)> progress;  // after each batch of one method's trials on one image

    struct Cut {
        Model model;                  // what lies above
        std::vector<int> also_reads;  // nodes below that are read, too
    };
    const Cut& above(int layer) const;

private:
    mutable std::map<int, Cut> cuts_;
};

class Question {
public:
    // image: (1,H,W,c); weights: of T sums of the explained node's value (T, ...), unused if there is a function. layer: whose
    // activations are altered; the model's input for methods that alter the image.
    Question(const Asked& asked, Tensor image, Tensor weights, int layer);

    const Backend& backend() const { return asked_.backend; }
    const Model& model() const { return asked_.model; }
    std::uint64_t seed() const { return asked_.seed; }
    Index samples(Index usual) const { return asked_.samples ? asked_.samples : usual; }
    Index targets() const { return asked_.function ? 1 : weights_.shape()[0]; }
    int layer() const { return layer_; }
    const Tensor& image() const { return image_; }              // (1,H,W,c)
    const Tensor& activations() const { return activations_; }  // (1,h,w,k), of the layer; the image itself if the layer is the input

    // The numbers of `count` trials, (count,T) on the host. make(first, n) returns the trials first to first+n-1: altered images
    // (n,H,W,c) for scores, altered activations (n,h,w,k) for scores_above, which runs only what lies above the layer.
    using Make = std::function<Tensor(Index first, Index n)>;
    Tensor scores(Index count, const Make& make) const;
    Tensor scores_above(Index count, const Make& make) const;
    Tensor scores_of(const Tensor& images) const {
        return scores(images.shape()[0], [&](Index, Index) { return images; });
    }

    // d number / d value of the nodes at the given images (M,H,W,c): for each node (T*M,...), target by target; and those values.
    struct Gradients {
        std::vector<Tensor> values, gradients;
    };
    Gradients gradients(const Tensor& images, std::span<const int> nodes, ReluRule rule = ReluRule::plain) const;
    Tensor input_gradient(const Tensor& images, ReluRule rule = ReluRule::plain) const;  // of the image
    void tell(Index done, Index of) const {
        if (asked_.progress) asked_.progress(done, of);
    }
    static constexpr Index batch = 16;  // trials at a time

private:
    Tensor trials(const Asked::Cut& cut, const std::vector<Tensor>& beside, Index count, const Make& make) const;
    Tensor numbers(const Tensor& value) const;  // (M,...) -> (M,T)

    const Asked& asked_;
    Tensor image_, weights_;
    int layer_;
    Tensor activations_;
    std::vector<Tensor> beside_;  // values of the nodes below the layer that are read above it, too
};

// The seed of one walk: d function / d value, (M,...), as a tensor of the value's shape.
Tensor seed_of_function(const Backend& backend, const ScoreFunction& function, const Tensor& value);

}  // namespace limn
