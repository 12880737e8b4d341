#include "cam/cam.h"

namespace limn {

// Layers between the average and the scores that only pass the numbers on.
static bool passes_on(const std::string& class_name) {
    for (const char* name : {"Dropout", "Flatten", "Reshape", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
                             "ActivityRegularization"})
        if (class_name == name) return true;
    return false;
}

std::optional<CamHead> find_cam_head(const Model& model, const Head& head, std::string& reason) {
    CamHead found;
    int at = head.logits;
    for (bool linear_seen = false;;) {
        const Node& node = model.node(at);
        const std::string& kind = node.layer->class_name;
        if (node.inputs.size() == 1 && passes_on(kind)) {
            at = node.inputs[0];
        } else if (kind == "GlobalAveragePooling2D") {
            found.layer = node.inputs[0];
            return found;
        } else if (!linear_seen && node.inputs.size() == 1 && (kind == "Dense" || kind == "Conv2D")) {
            const Shape &in = model.node(node.inputs[0]).shape, &kernel = node.layer->weights[0].shape;
            if (kind == "Conv2D" &&
                !(in.rank() == 4 && in[1] == 1 && in[2] == 1 && kernel[0] == 1 && kernel[1] == 1 && kernel[2] == in[3])) {
                reason = fmt::format("its scores come from the convolution '{}', not from global average pooling and one linear layer",
                                     node.name);
                return std::nullopt;
            }
            if (node.layer->fused_relu) {
                reason = fmt::format("a ReLU follows its last linear layer '{}'", node.name);
                return std::nullopt;
            }
            found.weights = node.layer->weights[0].value.reshaped({kernel[-2], kernel[-1]});
            found.bias = node.layer->weight("bias");
            linear_seen = true;
            at = node.inputs[0];
        } else {
            reason = fmt::format("its head is no global average pooling with one linear layer after it ('{}' is a {})", node.name, kind);
            return std::nullopt;
        }
    }
}

Tensor cam(const Backend& backend, const CamHead& head, const Tensor& activations, const Tensor& seed) {
    const Shape& a = activations.shape();
    const Index maps = seed.shape()[0];
    Tensor weights = seed;  // w[c,k] of the class k that each row of the seed picks, with its sign: seed * W^T
    if (!head.weights.empty()) {
        weights = seed.like({maps, a[3]});
        backend.dense_grad_input(seed, head.weights, weights);
    }
    Tensor out = activations.like({maps, a[1], a[2]});
    backend.channel_dot(activations, weights.reshaped({maps, 1, 1, a[3]}), out);
    return out;
}

}  // namespace limn
