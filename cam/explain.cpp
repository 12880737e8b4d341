#include "cam/explain.h"

#include <algorithm>
#include <cmath>

#include "cam/grad_cam.h"
#include "layers/conv2d.h"

namespace limn {

std::span<const Method> methods() {
    static const Method table[] = {
        {"grad-cam", "Selvaraju 2017: mean gradient, sum, before ReLU", true},
        {"cam", "Zhou 2016: weights of the last linear layer, before ReLU", false},
        {"hirescam", "Draelos & Carin 2020: gradient times activation, before ReLU", true},
    };
    return table;
}

const Method& method_named(std::string_view name) {
    std::string known;
    for (const Method& m : methods()) {
        if (m.name == name) return m;
        known += (known.empty() ? "" : ", ") + m.name;
    }
    fail("method '{}' is not known; {} and all are", name, known);
}

bool has_map(const Model& model, int node) { return model.node(node).shape.rank() == 4; }

int default_layer(const Model& model) {
    const Head head = find_head(model);
    std::string ignored;
    if (const auto cam_head = find_cam_head(model, head, ignored)) return cam_head->layer;
    // The largest index that leads to the scores and still has more than one cell.
    std::vector<bool> leads(model.nodes().size());
    leads[std::size_t(head.logits)] = true;
    for (int i = head.logits; i >= 0; i--)
        if (leads[std::size_t(i)])
            for (int in : model.node(i).inputs) leads[std::size_t(in)] = true;
    for (int i = head.logits; i >= 0; i--) {
        const Node& node = model.node(i);
        const std::string& kind = node.layer->class_name;
        // a pool or a dropout after the last convolution only blurs or repeats what is seen
        const bool repeats = kind.find("Pooling") != std::string::npos || kind.find("Dropout") != std::string::npos ||
                             kind.find("Padding") != std::string::npos;
        if (leads[std::size_t(i)] && !node.inputs.empty() && !repeats && has_map(model, i) && node.shape[1] != 1 && node.shape[2] != 1)
            return i;
    }
    for (int i = head.logits; i >= 0; i--)
        if (leads[std::size_t(i)] && has_map(model, i) && !model.node(i).inputs.empty()) return i;
    fail("the model has no layer with a spatial map: there is nothing to look at");
}

std::vector<int> convolutions(const Model& model) {
    std::vector<int> found;
    for (int i = 0; i < int(model.nodes().size()); i++)
        if (has_map(model, i) && model.node(i).layer->class_name.find("Conv") != std::string::npos) found.push_back(i);
    return found;
}

// What is wrong with a map or its gradient, each with what to try.
static std::vector<std::string> diagnose(const Map& map, const float* gradient, Index gradient_size, const Request& request,
                                         const Prediction& prediction) {
    std::vector<std::string> found;
    const Shape& shape = map.raw.shape();
    if (shape[0] * shape[1] == 1)
        found.push_back(
            "the layer is 1x1: its map has a single cell and shows no place; try an earlier layer (--layer, see `limn inspect`)");
    if (!map.stats.finite) {
        found.push_back("the map holds NaN or infinite numbers: the weights or the input do, too; check them with `limn inspect`");
        return found;
    }
    if (gradient && std::all_of(gradient, gradient + gradient_size, [](float g) { return g == 0; })) {
        if (request.score == Score::output && prediction.score > 0.999f)
            found.push_back(fmt::format("the softmax or sigmoid is saturated (p = {:.6f}), so its gradient is zero: use --score logit",
                                        prediction.score));
        else
            found.push_back(
                "the gradient is zero everywhere: the score does not depend on this layer (dead ReLUs, or another branch); try another "
                "layer or --method hirescam,cam");
    } else if (map.stats.min == map.stats.max) {
        found.push_back("the map is the same everywhere: it shows no place; try another layer or target");
    } else if (map.stats.max <= 0) {
        found.push_back(
            fmt::format("nothing speaks for '{}' here: all cells are <= 0 (lowest {:.4g}); the .npy holds the signed map, --target another "
                        "class or --normalize minmax shows it",
                        map.target.label, map.stats.min));
    } else if (map.stats.max < 1e-30f) {
        found.push_back(fmt::format("the map is almost zero (largest {:.3g}): use --score logit", map.stats.max));
    }
    return found;
}

std::vector<Explained> explain(const Backend& backend, const Model& model, const Tensor& images, const Request& request, Index top) {
    const Head head = find_head(model);
    const Index N = images.shape()[0], K = head.classes;
    std::vector<int> keep{head.logits, head.output};
    for (int layer : request.layers) {
        LIMN_CHECK(has_map(model, layer), "layer '{}' has no spatial map: its output is {}", model.node(layer).name,
                   model.node(layer).shape.str());
        keep.push_back(layer);
    }
    std::optional<CamHead> cam_head;
    bool gradient = false;
    for (const Method& method : request.methods) {
        gradient |= method.needs_gradient;
        if (method.name != "cam") continue;
        std::string reason;
        cam_head = find_cam_head(model, head, reason);
        LIMN_CHECK(cam_head, "CAM does not apply to model '{}': {}; use --method grad-cam", model.name, reason);
        keep.push_back(cam_head->layer);
    }

    // Forward; only what lies above the lowest watched layer is recorded.
    Tape tape(backend);
    const std::vector<Var> values =
        model.forward(tape, {images}, gradient ? std::span<const int>(request.layers) : std::span<const int>(), keep);
    const Tensor &logits = values[std::size_t(head.logits)].value, &outputs = values[std::size_t(head.output)].value;
    std::vector<Explained> results(static_cast<std::size_t>(N));
    std::vector<std::vector<Target>> targets;
    for (Index n = 0; n < N; n++) {
        const float *logit = logits.data() + n * K, *output = outputs.data() + n * K;
        LIMN_CHECK(std::all_of(output, output + K, [](float v) { return std::isfinite(v); }),
                   "model '{}' answers with NaN or infinite numbers: its weights or the image's numbers are broken (see `limn inspect`)",
                   model.name);
        auto& result = results[std::size_t(n)];
        result.predictions = predictions(head, logit, output, request.labels, top);
        result.targets = choose_targets(request.target, head, logit, output, request.labels);
        targets.push_back(result.targets);
    }

    // Backward: one walk for all targets of all images, to all layers.
    std::vector<Tensor> gradients(request.layers.size());
    if (gradient) {
        std::vector<Var> watched;
        for (int layer : request.layers) watched.push_back(values[std::size_t(layer)]);
        gradients =
            tape.gradients(values[std::size_t(request.score == Score::logit ? head.logits : head.output)], seed_of(targets, K), watched);
    }

    // Maps. For T targets a tensor of maps is (T*N,h,w), target by target.
    const auto add = [&](const Method& method, int layer, const Tensor& maps, const Tensor& dA) {
        const Index T = Index(targets[0].size()), h = maps.shape()[1], w = maps.shape()[2];
        for (Index i = 0; i < T * N; i++) {
            auto& result = results[std::size_t(i % N)];
            Map map{method.name, method.variant, layer, result.targets[std::size_t(i / N)], maps.rows(i, 1).reshaped({h, w}).clone(), {},
                    {}};
            map.stats = statistics(map.raw);
            const Index size = dA.empty() ? 0 : dA.size() / (T * N);
            map.diagnostics = diagnose(map, dA.empty() ? nullptr : dA.data() + i * size, size, request, result.predictions[0]);
            result.maps.push_back(std::move(map));
        }
    };
    for (const Method& method : request.methods) {
        if (method.name == "cam") {
            add(method, cam_head->layer, cam(*cam_head, values[std::size_t(cam_head->layer)].value, targets), {});
            continue;
        }
        const auto formula = method.name == "grad-cam" ? grad_cam : hires_cam;
        for (std::size_t i = 0; i < request.layers.size(); i++)
            add(method, request.layers[i], formula(values[std::size_t(request.layers[i])].value, gradients[i]), gradients[i]);
    }
    return results;
}

}  // namespace limn
