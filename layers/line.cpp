// Layers along a line, (N,steps,c): the same layers on an image one pixel high.
#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/wrapper.h"

namespace limn {

namespace {

Shape image_of(const Shape& line) { return {line[0], 1, line[1], line[2]}; }

// The layer's settings with the numbers of a second axis: 3 -> [1, 3].
Config on_images(Config config) {
    config.class_name.replace(config.class_name.size() - std::size_t(config.class_name.ends_with("1DTranspose") ? 11 : 2), 2, "2D");
    for (const char* key : {"kernel_size", "pool_size", "strides", "dilation_rate", "size", "output_padding"})
        if (config.has(key))
            config.settings[key] = List{key == std::string("output_padding") ? 0.0 : 1.0, double(config.each(key, 1, 1)[0])};
    if (!config.has("pool_size")) config.settings["pool_size"] = List{1.0, 2.0};
    if (!config.has("size")) config.settings["size"] = List{1.0, 2.0};
    if (config.text("padding", "valid") == "causal") config.settings["padding"] = "valid";
    return config;
}

class Line : public Wrapper {
public:
    explicit Line(const Config& config) : Wrapper(config) {
        inner_ = make_layer(on_images(config));
        if (config.text("padding", "valid") == "causal")  // no step sees a later one
            steps_before_ = (config.each("kernel_size", 1, 1)[0] - 1) * config.each("dilation_rate", 1, 1)[0];
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], 3);
        inner_->build({image_of(padded(inputs[0]))});
        adopt([this](const Weight& w) {  // without the height of 1
            const bool has_height = w.shape.rank() > 1 && !(class_name == "LocallyConnected1D" && w.name == "kernel");
            return has_height ? w.shape.without(0) : w.shape;
        });
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return inner_->output_shape({image_of(padded(in[0]))}).without(1); }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        Var x = in[0];
        if (steps_before_) x = pad(tape, x, {0, steps_before_, 0}, {0, 0, 0});
        const Var y = inner().forward(tape, {reshape(tape, x, image_of(x.shape()))});
        return reshape(tape, y, y.shape().without(1));
    }

private:
    Shape padded(const Shape& shape) const { return shape[1] < 0 ? shape : shape.with(1, shape[1] + steps_before_); }
    Index steps_before_ = 0;
};

}  // namespace

LayerPtr make_line(const Config& config) { return std::make_shared<Line>(config); }

}  // namespace limn
