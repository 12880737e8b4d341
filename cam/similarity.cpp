#include "cam/similarity.h"

#include "autograd/ops.h"

namespace limn {

int embedding_node(const Model& model) {
    const int logits = model.logits(model.outputs.at(0));
    const Node& node = model.node(logits);
    return node.layer->class_name == "Dense" ? node.inputs[0] : logits;
}

OwnScore similarity_to(const Backend& backend, const Model& model, const Tensor& other, const std::string& its_name) {
    const int node = embedding_node(model);
    Tape once(backend);
    const Tensor found = model.forward(once, {other}, {}, {&node, 1})[std::size_t(node)].value.host();
    double length = 0;
    for (Index i = 0; i < found.size(); i++) length += found.at_flat(i) * found.at_flat(i);
    LIMN_CHECK(length > 0, "{}: its embedding is zero ('{}'): nothing can be similar to it", its_name, model.node(node).name);
    Tensor direction({1, found.size()});
    for (Index i = 0; i < found.size(); i++) direction.data()[i] = float(found.at_flat(i) / std::sqrt(length));

    const auto cosine = [direction = direction.on(backend.device())](Tape& tape, const Var& value) {
        const Index N = value.shape()[0];
        const Var e = reshape(tape, value, {N, value.value.size() / N});
        LIMN_CHECK(e.shape()[1] == direction.size(), "the two images have embeddings of {} and {} numbers: give them the same size",
                   e.shape()[1], direction.size());
        const Var dot = sum(tape, multiply(tape, e, direction.to(value.value.dtype())), {1});
        // an embedding of zeros is like nothing: 0, not 0/0
        const Var size = sqrt(tape, shift(tape, sum(tape, multiply(tape, e, e), {1}), 1e-30));
        return reshape(tape, divide(tape, dot, size), {N});
    };
    return {node, cosine, "like " + its_name};
}

}  // namespace limn
