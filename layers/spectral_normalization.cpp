// SpectralNormalization (Miyato et al. 2018): divides a layer's kernel by its largest singular value, in training; the file holds the result.
#include "layers/core.h"
#include "layers/wrapper.h"

namespace limn {

namespace {

class SpectralNormalization : public Wrapper {
public:
    explicit SpectralNormalization(const Config& config) : Wrapper(config) {
        const Value* layer = config.find("layer");
        const Value *kind = layer ? layer->find("class_name") : nullptr, *settings = layer ? layer->find("config") : nullptr;
        if (!kind || !kind->as<std::string>() || !settings || !settings->as<Dict>()) reject("it wraps no layer");
        if (*kind->as<std::string>() == config.class_name) reject("it cannot wrap itself");
        inner_ = make_layer({*kind->as<std::string>(), config.name, *settings->as<Dict>(), config.channels_first, config.keras_major});
    }
    void build(const std::vector<Shape>& inputs) override {
        inner_->build(inputs);
        adopt([](const Weight& w) { return w.shape; });
        for (const Weight& w : inner_->weights)
            if (w.name.ends_with("kernel") || w.name == "embeddings") {
                weights.push_back({"vector_u", {1, w.shape[-1]}, {}, false});
                return;
            }
        reject("the layer it wraps has no kernel");
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return inner_->output_shape(in); }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        if (tape.training && trainable) reject("limn cannot train it: freeze it");
        return inner().forward(tape, in);
    }
};

}  // namespace

LayerPtr make_spectral_normalization(const Config& config) { return std::make_shared<SpectralNormalization>(config); }

}  // namespace limn
