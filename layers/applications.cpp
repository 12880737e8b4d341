// Layers that keras.applications defines for itself. (StochasticDepth: layers/dropout.cpp)
#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

// ConvNeXt: y = x * gamma, a number for each channel
class LayerScale : public Layer {
public:
    using Layer::Layer;
    void build(const std::vector<Shape>& inputs) override {
        const Index channels = keras_config.integer("projection_dim", inputs[0][-1]);
        if (channels < 1 || channels != inputs[0][-1]) reject(fmt::format("{} numbers do not fit {}", channels, inputs[0].str()));
        weights.push_back({"gamma", {channels}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return multiply(tape, in[0], tape.parameter(weights[0].value)); }
};

// InceptionResNetV2: y = a + b * scale
class CustomScaleLayer : public Layer {
public:
    explicit CustomScaleLayer(const Config& config) : Layer(config), scale_(config.number("scale", 1)) {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        if (in.size() != 2 || !(in[0] == in[1])) reject("it needs two inputs of one shape");
        return in[0];
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return add(tape, in[0], scale(tape, in[1], scale_)); }

private:
    double scale_;
};

}  // namespace

LayerPtr make_layer_scale(const Config& config) { return std::make_shared<LayerScale>(config); }
LayerPtr make_custom_scale(const Config& config) { return std::make_shared<CustomScaleLayer>(config); }

}  // namespace limn
