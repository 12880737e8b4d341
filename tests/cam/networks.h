// Small networks built layer by layer, and single methods asked about them.
#pragma once

#include "autograd/gradcheck.h"
#include "cam/methods.h"
#include "tests/engine/backends.h"
#include "tests/support.h"

namespace limn {

inline Tensor tensor(Shape shape, std::vector<float> values) { return Tensor::from(shape, values); }
inline std::vector<float> numbers(const Tensor& anywhere) {
    const Tensor t = anywhere.host();
    return {t.values().begin(), t.values().end()};
}
inline Tensor identity(Index n) {
    Tensor t = Tensor::zeros({n, n});
    for (Index i = 0; i < n; i++) t.data()[i * n + i] = 1;
    return t;
}

// A network of which every layer reads the one before it unless told otherwise; the newest is the output.
struct Network {
    Model model;

    explicit Network(Shape image) {  // (1,h,w,c)
        model.add_input("image", image.with(0, -1));
        model.outputs = {0};
    }
    int last() const { return model.outputs[0]; }
    int operator[](const std::string& node) const { return model.find(node); }
    // weights: in Keras's order; without them they are random.
    Network& add(const std::string& class_name, const std::string& name, Dict settings = {}, std::vector<Tensor> weights = {},
                 std::vector<std::string> reads = {}) {
        const LayerPtr layer = make_layer({class_name, name, std::move(settings)});
        std::vector<int> from{last()};
        if (!reads.empty()) from.clear();
        for (const std::string& node : reads) from.push_back(model.find(node));
        model.outputs = {model.add(name, layer, from)};
        for (std::size_t i = 0; i < layer->weights.size(); i++) {
            Weight& w = layer->weights[i];
            w.value = i < weights.size() ? weights[i] : random_tensor(w.shape, ++seed_, w.name == "moving_variance" ? 0.5 : -1);
        }
        return *this;
    }
    Network& relu(const std::string& name) { return add("Activation", name, {{"activation", std::string("relu")}}); }

private:
    std::uint64_t seed_ = 0;
};

// Conv2D that keeps the plane's size.
inline Dict same_conv(Index filters, Index kernel, const std::string& activation = "linear") {
    return {{"filters", double(filters)}, {"kernel_size", double(kernel)}, {"padding", std::string("same")}, {"activation", activation}};
}

// What one method answers, (T,h,w), for sums of the output's numbers with weights (T, ...). layer: a node's name.
inline Tensor ask(const Backend& backend, Network& net, Study* study, const Tensor& image, const Tensor& weights,
                  const std::string& layer = "image", const std::function<void(Asked&)>& prepare = {}) {
    net.model.move_to(backend.device());
    Asked asked(backend, net.model, net.last());
    if (prepare) prepare(asked);
    const Tensor maps = study(Question(asked, image, weights.on(backend.device()), net[layer])).host();
    net.model.move_to(nullptr);
    return maps;
}

// Values of nodes for one image and the gradients of the weighted sum, on the host.
inline Question::Gradients walk(const Backend& backend, Network& net, const Tensor& image, const Tensor& weights,
                                const std::vector<std::string>& names, ReluRule rule = ReluRule::plain) {
    net.model.move_to(backend.device());
    const Asked asked(backend, net.model, net.last());
    std::vector<int> nodes;
    for (const std::string& name : names) nodes.push_back(net[name]);
    Question::Gradients found = Question(asked, image, weights.on(backend.device()), 0).gradients(image.on(backend.device()), nodes, rule);
    for (std::size_t i = 0; i < nodes.size(); i++) found.values[i] = found.values[i].host(), found.gradients[i] = found.gradients[i].host();
    net.model.move_to(nullptr);
    return found;
}

}  // namespace limn
