#include "cam/diagnose.h"

#include <algorithm>

namespace limn {

namespace {

// Does nobody but a max pool look at this layer?
bool feeds_max_pool_only(const Model& model, int layer) {
    bool pooled = false;
    for (const Node& node : model.nodes())
        if (std::find(node.inputs.begin(), node.inputs.end(), layer) != node.inputs.end()) {
            if (node.layer->class_name != "MaxPooling2D") return false;
            pooled = true;
        }
    return pooled;
}

// The map cannot be drawn, or shows nothing.
std::optional<std::string> blank(const Request& request, const Explained& image, const Map& map, bool dead_gradient) {
    const MapStatistics& s = map.stats;
    if (!s.finite) return "the map holds NaN or infinite numbers: the weights or the input do, too; check them with `limn inspect`";
    if (dead_gradient && request.score == Score::output && !image.predictions.empty() && image.predictions[0].score > 0.999f)
        return fmt::format("the softmax or sigmoid is saturated (p = {:.6f}), so its gradient is zero: use --score logit",
                           image.predictions[0].score);
    if (dead_gradient)
        return "the gradient is zero everywhere: the score does not depend on this layer (dead ReLUs, or another branch); try another "
               "layer or --method hirescam,cam";
    if (s.min == s.max) return "the map is the same everywhere: it shows no place; try another layer or target";
    if (s.max <= 0)
        return fmt::format(
            "nothing speaks for '{}' here: all cells are <= 0 (lowest {:.4g}); --view signed shows them, as does --target "
            "another class; the .npy holds the signed map",
            map.target.label, s.min);
    if (s.max < 1e-30f) return fmt::format("the map is almost zero (largest {:.3g}): use --score logit", s.max);
    return std::nullopt;
}

}  // namespace

std::vector<std::string> diagnose(const Model& model, const Request& request, const Explained& image, const Map& map, bool dead_gradient) {
    std::vector<std::string> found;
    const Index h = map.raw.shape()[0], w = map.raw.shape()[1];
    if (h * w == 1)
        found.push_back(
            "the layer is 1x1: its map has a single cell and shows no place; try an earlier layer (--layer, see `limn inspect`)");
    if (const auto reason = blank(request, image, map, dead_gradient)) {
        found.push_back(*reason);
        return found;
    }
    const Method& method = method_named(map.method);
    if (map.layer == fused_layers || method.of_input) return found;

    // LayerCAM's README "Some issues", torch-cam#76: behind a pool only one cell of each window gets a gradient
    if ((map.method == "hirescam" || map.method == "layercam" || map.method == "eigengrad-cam") && feeds_max_pool_only(model, map.layer))
        found.push_back(
            fmt::format("a max pool follows '{}': only one cell of each of its windows gets a gradient, so the map shows a grid; "
                        "look at the pool instead, or use --method grad-cam",
                        model.node(map.layer).name));
    // ramprs/grad-cam#11: what zero padding does to corners
    const bool corner =
        (map.stats.peak_row == 0 || map.stats.peak_row == h - 1) && (map.stats.peak_column == 0 || map.stats.peak_column == w - 1);
    if (corner && h >= 4 && w >= 4)
        found.push_back(
            "the largest value lies in a corner of the map, where zero padding alone can raise it: compare with another layer or "
            "method before trusting it");
    return found;
}

}  // namespace limn
