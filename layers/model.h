// A Model: named layers in the order in which they run, and what each one reads.
//
// weights/ builds it from a file. forward() runs it: a value lives until its last reader has run, and from the watched
// nodes upward the tape records. Nested Keras models are unrolled: the layer "conv" of the inner model "base" becomes
// the node "base/conv"; a layer used a second time is the node "conv#2" with the same weights. Of a layer that gives several tensors
// the node "lstm:all" holds all; "lstm", "lstm:1", "lstm:2" are its parts. What computes the mask of "words" is the node "words:mask".
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "layers/layer.h"

namespace limn {

struct Node {
    std::string name;
    LayerPtr layer;
    std::vector<int> inputs;  // nodes it reads, all before it
    Shape shape;              // of its output; -1 where only the image decides
    int mask = -1;            // the node that says which steps of its value count; -1: all of them
};

// What becomes of the masks of a layer's inputs: the layer's rule decides; it is not told of them, only its result is; or they end here.
enum class Masks { handed_on, untold, dropped };

class Model {
public:
    std::string name;
    std::vector<int> inputs, outputs;  // nodes

    const std::vector<Node>& nodes() const { return nodes_; }
    const Node& node(int i) const { return nodes_.at(std::size_t(i)); }
    int add_input(const std::string& input_name, Shape shape);
    // Builds the layer on first use. The node of its result; where it gives several tensors that of the first, the others follow.
    int add(const std::string& node_name, LayerPtr layer, std::vector<int> reads, Masks masks = Masks::handed_on);

    // By exact name, or by the last part of a nested name where only one node has it. Otherwise an Error that lists the nearest names.
    int find(std::string_view node_name) const;
    // The node whose value an output's softmax or sigmoid is taken of (the logits); the output itself if there is none.
    int logits(int output_node) const;
    // The layers that have weights, each once.
    std::vector<Layer*> weighted_layers() const;
    Index parameters() const;
    void convert(DType dtype);     // all weights, e.g. to double for gradient checks
    void move_to(Device* device);  // all weights: where the backend that will run it wants them (Backend::device)

    // The part that computes node `from` and what it needs; the part that starts where that one ends. Weights are shared.
    Model up_to(int node) const;
    Model with_input_size(Index height, Index width) const;  // where the input's size was open
    // Some inputs held at a value, (1,...), for every image of a batch: what is left has the others. What depends on held ones alone
    // is computed here, once, by the backend where the weights are (layers/held.cpp).
    Model holding(const Backend& backend, const std::map<int, Tensor>& values) const;
    // Where the part above also reads other nodes below (a residual branch), these become further inputs, named in also_reads; without
    // it they are an Error.
    Model above(int node, std::vector<int>* also_reads = nullptr) const;
    // The last node below which training changes nothing and nothing is random, and that everything above reads alone:
    // its values can be computed once and kept. The input itself if there is none.
    int frozen_below() const;

    // Runs. The result has one Var a node: those in `watch` (recorded from there upward), in `keep` and the outputs are
    // filled, all others are empty again. images: one tensor an input, the batch first.
    std::vector<Var> forward(Tape& tape, const std::vector<Tensor>& images, std::span<const int> watch = {},
                             std::span<const int> keep = {}) const;
    // The same, and tells what it does: each layer (fused ones stand for several nodes), the node whose value it made, that value.
    using Observer = std::function<void(const Layer& layer, int node, const Tensor& value)>;
    void observe(Tape& tape, const std::vector<Tensor>& images, const Observer& after) const;

private:
    struct Schedule;
    // Kept for the next run of this very model; a copy makes its own.
    struct Schedules {
        std::vector<std::shared_ptr<const Schedule>> list;
        Schedules() = default;
        Schedules(const Schedules&) {}
        Schedules& operator=(const Schedules&) {
            list.clear();
            return *this;
        }
    };
    const Schedule& schedule(std::span<const int> watch, std::span<const int> keep, bool fused) const;
    std::vector<Var> run(Tape& tape, const std::vector<Tensor>& images, std::span<const int> watch, std::span<const int> keep,
                         const Observer& after) const;
    void check_inputs(const std::vector<Tensor>& images) const;
    std::vector<Node> nodes_;
    mutable Schedules schedules_;
};

}  // namespace limn
