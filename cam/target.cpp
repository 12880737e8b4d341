#include "cam/target.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "layers/activation.h"

namespace limn {

Head find_head(const Model& model, int output_number) {
    LIMN_CHECK(output_number >= 0 && output_number < int(model.outputs.size()), "the model has {} outputs, there is no output {}",
               model.outputs.size(), output_number);
    const int output = model.outputs[std::size_t(output_number)];
    const Node& node = model.node(output);
    LIMN_CHECK(node.shape.rank() == 2,
               "the model's output '{}' is {}, not one row of class scores an image: `limn run` explains single elements of any output",
               node.name, node.shape.str());
    const int logits = model.logits(output);
    const auto* activation = logits == output ? nullptr : dynamic_cast<const Activation*>(node.layer.get());
    const Head::Kind kind = !activation ? Head::Kind::linear : activation->is_softmax() ? Head::Kind::softmax : Head::Kind::sigmoid;
    return {kind, output, logits, node.shape[1]};
}

static std::optional<Index> parse_index(std::string_view text) {
    Index value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string label_of(const Head& head, Index index, double sign, const std::vector<std::string>& labels) {
    if (head.binary()) {
        if (labels.size() == 2) return labels[sign > 0 ? 1 : 0];
        return sign > 0 ? "1" : "0";
    }
    return std::size_t(index) < labels.size() ? labels[std::size_t(index)] : std::to_string(index);
}

static std::vector<Index> ranking(const float* scores, Index count) {
    std::vector<Index> order(std::size_t(count), 0);
    std::iota(order.begin(), order.end(), Index(0));
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return scores[a] > scores[b]; });  // NaN stays where it is
    return order;
}

// K of top:K; 1 for auto
static Index count_of(const std::string& spec, const Head& head) {
    if (spec == "auto") return 1;
    const Index most = head.binary() ? 2 : head.classes;  // a single sigmoid has two sides
    const auto count = parse_index(std::string_view(spec).substr(4));
    LIMN_CHECK(count && *count >= 1 && *count <= most, "target '{}': the number after top: should be 1 to {}", spec, most);
    return *count;
}

std::vector<Target> choose_targets(const std::string& spec, const Head& head, const float* logits, const float* outputs,
                                   const std::vector<std::string>& labels) {
    const auto target = [&](Index index, double sign) { return Target{index, sign, label_of(head, index, sign, labels)}; };
    if (head.binary()) {  // one number, two sides
        if (spec == "auto") return {target(0, outputs[0] >= 0.5f ? 1 : -1)};
        if (spec == "top:1") return choose_targets("auto", head, logits, outputs, labels);
        if (spec == "top:2") return {target(0, outputs[0] >= 0.5f ? 1 : -1), target(0, outputs[0] >= 0.5f ? -1 : 1)};
        if (spec == "1" || (labels.size() == 2 && spec == labels[1])) return {target(0, 1)};
        if (spec == "0" || (labels.size() == 2 && spec == labels[0])) return {target(0, -1)};
        fail("target '{}': the model answers with one sigmoid; auto, 1 (what speaks for it), 0 (what speaks against it){} can be explained",
             spec, labels.size() == 2 ? fmt::format(", {} and {}", labels[1], labels[0]) : "");
    }
    if (spec == "auto") return {target(ranking(logits, head.classes)[0], 1)};
    if (spec.starts_with("top:")) {
        const std::vector<Index> order = ranking(logits, head.classes);
        std::vector<Target> targets;
        for (Index i = 0; i < count_of(spec, head); i++) targets.push_back(target(order[std::size_t(i)], 1));
        return targets;
    }
    if (const auto index = parse_index(spec)) {
        LIMN_CHECK(*index >= 0 && *index < head.classes, "target {}: the model has the classes 0 to {}", spec, head.classes - 1);
        return {target(*index, 1)};
    }
    const auto found = std::find(labels.begin(), labels.end(), spec);
    if (found != labels.end() && found - labels.begin() < head.classes) return {target(found - labels.begin(), 1)};
    std::string similar;
    for (const std::string& label : labels)
        if (label.find(spec) != std::string::npos && similar.size() < 120) similar += (similar.empty() ? "" : ", ") + label;
    fail("target '{}' is no class of this model: give an index from 0 to {}, top:K{}", spec, head.classes - 1,
         labels.empty()    ? " (it has no class names; --labels FILE gives them)"
         : similar.empty() ? " or a class name"
                           : ", or one of " + similar);
}

Tensor seed_of(const std::vector<std::vector<Target>>& targets, Index classes, DType dtype) {
    const Index N = Index(targets.size()), T = N ? Index(targets[0].size()) : 0;
    Tensor seed = Tensor::zeros({T * N, classes}, dtype);
    for (Index n = 0; n < N; n++) {
        LIMN_CHECK(Index(targets[std::size_t(n)].size()) == T, "every image of a batch needs the same number of targets");
        for (Index t = 0; t < T; t++) {
            const Target& target = targets[std::size_t(n)][std::size_t(t)];
            with_type(dtype,
                      [&](auto zero) { seed.data<decltype(zero)>()[(t * N + n) * classes + target.index] = decltype(zero)(target.sign); });
        }
    }
    return seed;
}

bool depends_on_scores(const std::string& spec) { return spec == "auto" || spec.starts_with("top:"); }

Tensor scored_seed(const Backend& backend, const std::string& spec, const Head& head, const Tensor& logits, const Tensor& outputs) {
    const Index N = logits.shape()[0], count = count_of(spec, head);
    Tensor seed = logits.like({count * N, head.classes});
    if (!head.binary()) {
        backend.one_hot_largest(logits, seed);
        return seed;
    }
    // the side it predicts: 2 * (output >= 0.5) - 1; then the other one
    Tensor yes = logits.like(), twice = logits.like(), side = seed.rows(0, N);
    backend.binary(Binary::greater_equal, outputs, Tensor::full({1}, 0.5), yes);
    backend.binary(Binary::multiply, yes, Tensor::full({1}, 2), twice);
    backend.binary(Binary::subtract, twice, Tensor::full({1}, 1), side);
    if (count == 2) {
        Tensor other = seed.rows(N, N);
        backend.binary(Binary::multiply, side, Tensor::full({1}, -1), other);
    }
    return seed;
}

std::vector<Prediction> predictions(const Head& head, const float* logits, const float* outputs, const std::vector<std::string>& labels,
                                    Index top) {
    if (head.binary()) {  // both sides of the sigmoid, the likelier first
        std::vector<Prediction> sides{{1, label_of(head, 0, 1, labels), outputs[0], logits[0]},
                                      {0, label_of(head, 0, -1, labels), 1 - outputs[0], -logits[0]}};
        if (outputs[0] < 0.5f) std::swap(sides[0], sides[1]);
        sides.resize(std::size_t(std::clamp<Index>(top, 1, 2)));
        return sides;
    }
    std::vector<Prediction> best;
    const std::vector<Index> order = ranking(logits, head.classes);
    for (Index i = 0; i < std::min(top, head.classes); i++) {
        const Index k = order[std::size_t(i)];
        best.push_back({k, label_of(head, k, 1, labels), outputs[k], logits[k]});
    }
    return best;
}

}  // namespace limn
