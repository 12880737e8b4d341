#include "cam/question.h"

#include <algorithm>

namespace limn {

const Asked::Cut& Asked::above(int layer) const {
    const auto known = cuts_.find(layer);
    if (known != cuts_.end()) return known->second;
    Model only = model;
    only.outputs = {node};
    Cut cut;
    cut.model = only.above(layer, &cut.also_reads);
    return cuts_.emplace(layer, std::move(cut)).first->second;
}

Tensor seed_of_function(const Backend& backend, const ScoreFunction& function, const Tensor& value) {
    Tape tape(backend);
    const Var watched = tape.watch(value), number = function(tape, watched);
    LIMN_CHECK(number.shape() == Shape{value.shape()[0]}, "a score function should give one number an image, {}, not {}",
               Shape{value.shape()[0]}.str(), number.shape().str());
    return tape.gradients(number, Tensor::full(number.shape(), 1, value.dtype()), {&watched, 1})[0];
}

Question::Question(const Asked& asked, Tensor image, Tensor weights, int layer)
    : asked_(asked), image_(image.on(asked.backend.device())), weights_(std::move(weights)), layer_(layer) {
    const Asked::Cut& cut = asked_.above(layer);
    if (layer == asked_.model.inputs[0]) {
        activations_ = image_;
        return;
    }
    std::vector<int> keep = cut.also_reads;
    keep.push_back(layer);
    Tape tape(asked_.backend);
    const std::vector<Var> values = asked_.model.forward(tape, {image_}, {}, keep);
    activations_ = values[std::size_t(layer)].value;
    for (int node : cut.also_reads) beside_.push_back(values[std::size_t(node)].value);
}

Tensor Question::numbers(const Tensor& value) const {
    const Index M = value.shape()[0];
    if (asked_.function) {
        Tape tape(backend());
        return asked_.function(tape, value).value.reshaped({M, 1});
    }
    Tensor sums = value.like({M, targets()});
    backend().dense_grad_input(value.reshaped({M, value.size() / M}), weights_.reshaped({targets(), weights_.size() / targets()}), sums);
    return sums;
}

static Tensor repeated(const Backend& backend, const Tensor& one, Index times) {
    Tensor many = one.like({times, one.size()});
    backend.binary(Binary::add, one.reshaped({1, one.size()}), Tensor::zeros({times, 1}, one.dtype()), many);
    return many.reshaped(one.shape().with(0, times));
}

Tensor Question::trials(const Asked::Cut& cut, const std::vector<Tensor>& beside, Index count, const Make& make) const {
    Tensor all({count, targets()});
    for (Index first = 0; first < count; first += batch) {
        const Index n = std::min(batch, count - first);
        std::vector<Tensor> inputs{make(first, n)};
        for (const Tensor& one : beside) inputs.push_back(repeated(backend(), one, n));
        Tape tape(backend());
        const Tensor value = cut.model.forward(tape, inputs)[std::size_t(cut.model.outputs[0])].value;
        all.rows(first, n).assign(numbers(value).host());
        tell(first + n, count);
    }
    return all;
}

Tensor Question::scores(Index count, const Make& make) const { return trials(asked_.above(model().inputs[0]), {}, count, make); }

Tensor Question::scores_above(Index count, const Make& make) const { return trials(asked_.above(layer_), beside_, count, make); }

Question::Gradients Question::gradients(const Tensor& images, std::span<const int> nodes, ReluRule rule) const {
    Tape tape(backend());
    const int node = asked_.node;
    const std::vector<Var> values = model().forward(tape, {images}, nodes, {&node, 1});
    const Var& explained = values[std::size_t(node)];
    std::vector<Var> watched;
    Gradients result;
    for (int i : nodes) {
        watched.push_back(values[std::size_t(i)]);
        result.values.push_back(watched.back().value);
    }
    Tensor seed;
    if (asked_.function) {
        seed = seed_of_function(backend(), asked_.function, explained.value);
    } else {  // each target's weights for all images
        const Shape& shape = explained.shape();
        seed = explained.value.like(shape.with(0, targets() * shape[0]));
        Tensor by_target = seed.reshaped({targets(), shape[0], shape.size() / shape[0]});
        backend().binary(Binary::add, weights_.reshaped({targets(), 1, shape.size() / shape[0]}),
                         Tensor::zeros({1, shape[0], 1}, seed.dtype()), by_target);
    }
    result.gradients = tape.gradients(explained, seed, watched, rule);
    return result;
}

Tensor Question::input_gradient(const Tensor& images, ReluRule rule) const {
    return gradients(images, {&model().inputs[0], 1}, rule).gradients[0];
}

}  // namespace limn
