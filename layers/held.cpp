#include "layers/core.h"

namespace limn {

namespace {

// An input that is held: the same value for every image of the batch that it reads.
class Held : public Layer {
public:
    Held(const Config& config, const Tensor& value) : Layer(config) { weights.push_back({"value", value.shape(), value, false}); }
    Shape output_shape(const std::vector<Shape>& in) const override { return weights[0].shape.with(0, in[0][0]); }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor& one = weights[0].value;
        const Index N = in[0].shape()[0];
        Tensor many = one.like({N, one.size()});
        tape.backend().binary(Binary::add, one.reshaped({1, one.size()}), one.zeros_like({N, 1}), many);
        return many.reshaped(output_shape({in[0].shape()}));
    }
};

}  // namespace

LayerPtr make_held(const std::string& name, const Tensor& value) { return std::make_shared<Held>(Config{"Held", name, {}}, value); }

}  // namespace limn
