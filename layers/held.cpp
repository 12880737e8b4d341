// Model::holding: a network of a photo and a sentence becomes one of the photo alone, for one sentence.
#include <algorithm>

#include "layers/model.h"

namespace limn {

namespace {

// What is the same for every image: repeated for as many as the node that it reads has.
class Held : public Layer {
public:
    Held(const std::string& node_name, const Tensor& value) : Layer(Config{"Held", node_name, {}}) {
        weights.push_back({"value", value.shape(), value, false});
    }
    Shape output_shape(const std::vector<Shape>& in) const override {  // one image may have several rows: TimeDistributed's steps
        const Shape& one = weights[0].shape;
        return one.with(0, in[0][0] < 0 ? -1 : in[0][0] * one[0]);
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor& one = weights[0].value;
        const Index N = in[0].shape()[0];
        Tensor many = one.like({N, one.size()});
        tape.backend().binary(Binary::add, one.reshaped({1, one.size()}), one.zeros_like({N, 1}), many);
        return many.reshaped(output_shape({in[0].shape()}));
    }
};

void check(const Model& model, const Node& input, const Shape& given) {
    bool fits = given.rank() == input.shape.rank() && given[0] == 1;
    for (int axis = 1; fits && axis < given.rank(); axis++)
        fits = input.shape[axis] == -1 ? given[axis] >= 1 : input.shape[axis] == given[axis];
    LIMN_CHECK(fits, "input '{}' of model '{}' takes {}, {} was given", input.name, model.name, input.shape.with(0, 1).str(), given.str());
}

}  // namespace

Model Model::holding(const Backend& backend, const std::map<int, Tensor>& values) const {
    if (values.empty()) return *this;
    std::vector<bool> constant(nodes_.size()), read(nodes_.size());  // depends on held inputs alone; and something else reads it
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        const std::vector<int>& from = nodes_[i].inputs;
        constant[i] = from.empty() ? values.contains(int(i)) : std::ranges::all_of(from, [&](int in) { return constant[std::size_t(in)]; });
        for (int in : from) read[std::size_t(in)] = read[std::size_t(in)] || !constant[i];
    }
    for (int i : outputs) read[std::size_t(i)] = true;

    Model held = *this;
    std::vector<Tensor> given;
    held.inputs.clear(), held.outputs.clear();
    for (const auto& [input, value] : values) {
        check(*this, node(input), value.shape());
        held.inputs.push_back(input), given.push_back(value);
    }
    for (std::size_t i = 0; i < nodes_.size(); i++)
        if (constant[i] && read[i]) held.outputs.push_back(int(i));
    Tape tape(backend);
    const std::vector<Var> computed = held.forward(tape, given);

    Model rest;
    rest.name = name;
    std::vector<int> place(nodes_.size(), -1);
    for (int i : inputs)
        if (!values.contains(i)) place[std::size_t(i)] = rest.add_input(node(i).name, node(i).shape);
    LIMN_CHECK(!rest.inputs.empty(), "model '{}': all its inputs are held, none is left for an image", name);
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (place[i] >= 0 || (constant[i] && !read[i])) continue;
        Node copy = nodes_[i];
        if (constant[i])
            copy = {copy.name, std::make_shared<Held>(copy.name, computed[i].value), {rest.inputs[0]}, copy.shape};
        else
            for (int& in : copy.inputs) in = place[std::size_t(in)];
        copy.mask = -1;  // what reads it has it among its inputs
        place[i] = int(rest.nodes_.size());
        rest.nodes_.push_back(std::move(copy));
    }
    for (int i : outputs) rest.outputs.push_back(place[std::size_t(i)]);
    return rest;
}

}  // namespace limn
