// The Tape: what was computed, in order, so that it can be walked backward.
//
// Nothing is recorded until something is watched. watch(v) makes v a starting point; whatever is computed from it is
// then recorded, and nothing else is: below the watched values no tensor is kept alive and no gradient is computed.
// gradients(y, seed, wanted) walks from y back to the wanted values and stops there. Whether a layer is frozen plays
// no part: freezing concerns training only.
//
// Where to read on: autograd/ops.cpp, each function with its backward rule right below; layers/ do the same.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.h"

namespace limn {

// A value on its way through a computation. id is its place on the tape, -1 if it was not recorded (a constant).
struct Var {
    Tensor value;
    int id = -1;

    Var() = default;
    Var(Tensor tensor, int place = -1) : value(std::move(tensor)), id(place) {}
    bool recorded() const { return id >= 0; }
    const Shape& shape() const { return value.shape(); }
};

class Walk;
struct TrainingStep;

class Tape {
public:
    // Turns dy = d score / d output into d score / d inputs, given to walk.give(input, dx).
    using Backward = std::function<void(const Tensor& dy, Walk& walk)>;

    explicit Tape(const Backend& backend) : backend_(backend) {}
    Tape(const Tape&) = delete;
    const Backend& backend() const { return backend_; }
    TrainingStep* training = nullptr;  // autograd/training.h; null: the layers act as in use

    Var watch(const Var& value);  // recorded from here on
    void watch_parameter(const Tensor& weight) { watched_parameters_.insert(weight.id()); }
    bool watches_parameters() const { return !watched_parameters_.empty(); }
    Var parameter(const Tensor& weight);  // a layer's weight: recorded only if somebody watches it

    // Called by every differentiable function with its result. Keeps `backward` (and what it holds) only if an input is recorded.
    Var record(std::string_view op, std::vector<Var> inputs, Tensor output, Backward backward);

    // d (sum of seed * y) / d wanted[i], by one walk. seed has y's shape, or T times as many images (targets one after
    // another): the gradients then have T times as many images too. A wanted value that y does not depend on gets zeros.
    std::vector<Tensor> gradients(const Var& y, const Tensor& seed, std::span<const Var> wanted, ReluRule rule = ReluRule::plain) const;

    // What the tape holds, for tests and for `limn inspect`: the names of the recorded functions, in order.
    std::vector<std::string> recorded() const;

private:
    friend class Walk;
    struct Entry {
        std::string op;
        std::vector<int> inputs;
        std::vector<Shape> input_shapes;
        Shape shape;
        Backward backward;  // empty for a watched value
    };
    const Backend& backend_;
    std::vector<Entry> entries_;
    std::set<const void*> watched_parameters_;
    std::vector<std::pair<const void*, int>> parameter_places_;
};

// One walk backward, as a Backward function sees it.
class Walk {
public:
    const Backend& backend;
    const ReluRule relu_rule;

    Index targets() const { return targets_; }               // T: dy holds T times the images of the forward pass
    bool wants(int input) const;                             // does anybody need the gradient of this input?
    Tensor gradient_for(int input, const Tensor& dy) const;  // uninitialised, the right shape for give(), like dy
    void give(int input, Tensor dx);                         // adds dx to what the input got from elsewhere
    // Puts the gradient of a part of the input where the part lies; for inputs that are read in parts that do not overlap.
    void place(int input, const Tensor& part, const Shape& at);

private:
    friend class Tape;
    Walk(const Tape& tape, ReluRule rule)
        : backend(tape.backend_), relu_rule(rule), gradients_(tape.entries_.size()), needed_(tape.entries_.size()) {}
    std::vector<Tensor> gradients_;
    std::vector<bool> needed_;
    const Tape::Entry* entry_ = nullptr;
    Index targets_ = 1;
};

}  // namespace limn
