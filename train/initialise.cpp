#include "train/initialise.h"

#include <charconv>
#include <cmath>

#include "autograd/training.h"
#include "layers/core.h"

namespace limn {

void initialise_for_training(Model& model, std::uint64_t seed) {
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) {
            if (!w.value.empty()) continue;
            const bool ones = w.name == "gamma" || w.name.ends_with("variance");
            w.value = Tensor::full(w.shape, ones ? 1 : 0);
            if (w.name.find("kernel") == std::string::npos) continue;
            Random random(seed, layer->name + "/" + w.name);
            const bool depthwise = w.name == "depthwise_kernel";
            const Index last = w.shape[-1], taps = w.shape.rank() == 4 ? w.shape[0] * w.shape[1] : 1;
            const double in = double(depthwise ? taps : w.shape.size() / last), out = double(depthwise ? taps : taps * last);
            for (float& x : w.value.values())
                x = float(w.shape.rank() == 4 ? std::sqrt(2 / in) * random.normal() : std::sqrt(6 / (in + out)) * random.uniform(-1, 1));
        }
}

void add_head(Model& model, const std::string& kind, Index classes, double dropout) {
    int x = model.outputs.at(0);
    const Shape& shape = model.node(x).shape;
    LIMN_CHECK(shape.rank() == 4, "a head goes on a map (N,h,w,c); '{}' gives {}: choose another --base-layer", model.node(x).name,
               shape.str());
    const auto named = [](const char* class_name, const char* name, Dict settings) {
        return Config{class_name, name, std::move(settings)};
    };

    const bool flat = kind.starts_with("flatten-dense"), pooled_dense = kind.starts_with("gap-dense");
    LIMN_CHECK(kind == "gap" || flat || pooled_dense,
               "head '{}' is not known; gap, gap-dense64 and flatten-dense256 are (with any number of units)", kind);
    if (flat) {
        LIMN_CHECK(shape[1] > 0 && shape[2] > 0, "a flatten head needs a fixed image size: give --size");
        x = model.add("flatten", make_flatten(named("Flatten", "flatten", {})), {x});
    } else {
        x = model.add("global_average_pooling2d",
                      make_global_average_pooling(named("GlobalAveragePooling2D", "global_average_pooling2d", {})), {x});
    }
    if (flat || pooled_dense) {
        const std::string units = kind.substr(kind.find("dense") + 5);
        Index n = 0;
        const auto [end, error] = std::from_chars(units.data(), units.data() + units.size(), n);
        LIMN_CHECK(error == std::errc() && end == units.data() + units.size() && n >= 1 && n <= 65536,
                   "head '{}': the number of units should follow 'dense', such as {}256", kind, flat ? "flatten-dense" : "gap-dense");
        x = model.add("dense", make_dense(named("Dense", "dense", {{"units", double(n)}, {"activation", "relu"}})), {x});
    }
    if (dropout > 0) x = model.add("dropout", make_dropout(named("Dropout", "dropout", {{"rate", dropout}})), {x});
    const double units = classes == 2 ? 1 : double(classes);
    x = model.add("predictions",
                  make_dense(named("Dense", "predictions", {{"units", units}, {"activation", classes == 2 ? "sigmoid" : "softmax"}})), {x});
    model.outputs = {x};
}

void freeze_below(Model& model, int node) {
    for (int i = 0; i < (node < 0 ? int(model.nodes().size()) : node); i++) model.node(i).layer->trainable = false;
}

}  // namespace limn
