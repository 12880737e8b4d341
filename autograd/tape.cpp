#include "autograd/tape.h"

#include <algorithm>

namespace limn {

Var Tape::watch(const Var& value) {
    if (value.recorded()) return value;
    entries_.push_back({"watch", {}, {}, value.shape(), {}});
    return {value.value, static_cast<int>(entries_.size()) - 1};
}

Var Tape::parameter(const Tensor& weight) {
    if (weight.empty() || !watched_parameters_.contains(weight.id())) return weight;
    for (const auto& [id, place] : parameter_places_)
        if (id == weight.id()) return {weight, place};  // a shared layer: one place for both its uses
    const Var var = watch(weight);
    parameter_places_.emplace_back(weight.id(), var.id);
    return var;
}

Var Tape::record(std::string_view op, std::vector<Var> inputs, Tensor output, Backward backward) {
    if (std::none_of(inputs.begin(), inputs.end(), [](const Var& v) { return v.recorded(); })) return output;
    Entry entry{std::string(op), {}, {}, output.shape(), std::move(backward)};
    for (const Var& input : inputs) {
        entry.inputs.push_back(input.id);
        entry.input_shapes.push_back(input.shape());
    }
    entries_.push_back(std::move(entry));
    return {std::move(output), static_cast<int>(entries_.size()) - 1};
}

std::vector<Tensor> Tape::gradients(const Var& y, const Tensor& seed, std::span<const Var> wanted, ReluRule rule) const {
    const Index rows = y.shape().rank() ? y.shape()[0] : 1;
    LIMN_CHECK(seed.shape().rank() == y.shape().rank() && seed.size() % std::max<Index>(1, y.value.size()) == 0 &&
                   (rows == 0 || y.shape().rank() == 0 || seed.shape()[0] % rows == 0),
               "the seed {} does not fit what is explained, {}", seed.shape().str(), y.shape().str());
    Walk walk(*this, rule);
    walk.targets_ = seed.size() / std::max<Index>(1, y.value.size());

    for (const Var& v : wanted)
        if (v.recorded()) walk.needed_[std::size_t(v.id)] = true;
    for (std::size_t i = 0; i < entries_.size(); i++)
        for (int input : entries_[i].inputs)
            if (input >= 0 && walk.needed_[std::size_t(input)]) walk.needed_[i] = true;

    std::vector<bool> keep(entries_.size());
    for (const Var& v : wanted)
        if (v.recorded()) keep[std::size_t(v.id)] = true;

    if (y.recorded()) walk.gradients_[std::size_t(y.id)] = seed.on(backend_.device());
    for (int i = y.id; i >= 0; i--) {
        Tensor& dy = walk.gradients_[std::size_t(i)];
        walk.entry_ = &entries_[std::size_t(i)];
        const auto& inputs = walk.entry_->inputs;
        const bool goes_on = std::any_of(inputs.begin(), inputs.end(), [&](int in) { return in >= 0 && walk.needed_[std::size_t(in)]; });
        if (!dy.empty() && goes_on) walk.entry_->backward(dy, walk);
        if (!keep[std::size_t(i)]) dy = {};
    }

    std::vector<Tensor> result;
    for (const Var& v : wanted) {
        Tensor g = v.recorded() ? walk.gradients_[std::size_t(v.id)] : Tensor();
        if (g.empty()) {
            Shape shape = v.shape();
            if (shape.rank()) shape[0] *= walk.targets_;
            g = v.value.zeros_like(shape);
        }
        result.push_back(std::move(g));
    }
    return result;
}

std::vector<std::string> Tape::recorded() const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.push_back(entry.op);
    return names;
}

bool Walk::wants(int input) const {
    const int id = entry_->inputs[std::size_t(input)];
    return id >= 0 && needed_[std::size_t(id)];
}

Tensor Walk::gradient_for(int input, const Tensor& dy) const {
    Shape shape = entry_->input_shapes[std::size_t(input)];
    if (targets_ > 1) shape[0] *= targets_;
    return dy.like(shape);
}

void Walk::give(int input, Tensor dx) {
    Tensor& sum = gradients_[std::size_t(entry_->inputs[std::size_t(input)])];
    if (sum.empty()) {
        sum = std::move(dx);
    } else {
        Tensor total = sum.like();  // a new tensor: the old one may also be somebody else's dy
        backend.binary(Binary::add, sum, dx, total);
        sum = std::move(total);
    }
}

void Walk::place(int input, const Tensor& part, const Shape& at) {
    Tensor& whole = gradients_[std::size_t(entry_->inputs[std::size_t(input)])];
    if (whole.empty()) whole = part.zeros_like(gradient_for(input, part).shape());
    Shape start = at;
    for (int i = 0; i < start.rank(); i++) start[i] = 0;
    backend.copy_box(part, start, part.shape(), whole, at);
}

}  // namespace limn
