#include "cam/target.h"

#include <algorithm>
#include <numeric>

#include "autograd/ops.h"
#include "cam/target_text.h"
#include "layers/activation.h"

namespace limn {

Head find_head(const Model& model, int output_number) {
    LIMN_CHECK(output_number >= 0 && output_number < int(model.outputs.size()), "the model has {} outputs, there is no output {}",
               model.outputs.size(), output_number);
    const int output = model.outputs[std::size_t(output_number)];
    const Node& node = model.node(output);
    LIMN_CHECK(
        node.shape.rank() >= 2 && node.shape.rank() <= 4,
        "the model's output '{}' is {}, no scores of an image, of steps or of pixels: `limn run` explains single elements of any output",
        node.name, node.shape.str());
    const int logits = model.logits(output);
    const auto* activation = logits == output ? nullptr : dynamic_cast<const Activation*>(node.layer.get());
    const Head::Kind kind = !activation ? Head::Kind::linear : activation->is_softmax() ? Head::Kind::softmax : Head::Kind::sigmoid;
    return {kind, output, logits, node.shape[-1], node.shape.rank() == 4, node.shape.rank() == 3};
}

Head find_classifier(const Model& model, int output_number) {
    const Head head = find_head(model, output_number);
    LIMN_CHECK(!head.per_pixel && !head.per_step, "the model's output '{}' is {}, not one row of class scores an image",
               model.node(head.output).name, model.node(head.output).shape.str());
    return head;
}

namespace {

class LogSoftmax : public Layer {
public:
    using Layer::Layer;
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const int last = in[0].shape().rank() - 1;
        const Var z = subtract(tape, in[0], max(tape, in[0], {last}));  // so that exp stays finite
        return subtract(tape, z, log(tape, sum(tape, exp(tape, z), {last})));
    }
};

}  // namespace

int node_of(Model& model, const Head& head, Score score) {
    if (score != Score::log) return score == Score::logit ? head.logits : head.output;
    const std::string name = model.node(head.output).name;
    LIMN_CHECK(head.kind == Head::Kind::softmax,
               "logarithms are taken of probabilities after a softmax, and the output '{}' has none: explain its score", name);
    for (int i = 0; i < int(model.nodes().size()); i++)
        if (model.node(i).name == name + ":log") return i;  // it has been asked for before
    return model.add(name + ":log", std::make_shared<LogSoftmax>(Config{"LogSoftmax", name + ":log", {}}), {head.logits});
}

std::string label_of(const Head& head, Index index, double sign, const std::vector<std::string>& labels) {
    if (head.binary()) {
        if (labels.size() == 2) return labels[sign > 0 ? 1 : 0];
        return sign > 0 ? "1" : "0";
    }
    return std::size_t(index) < labels.size() ? labels[std::size_t(index)] : std::to_string(index);
}

static std::vector<Index> ranking(std::span<const float> scores) {
    std::vector<Index> order(scores.size());
    std::iota(order.begin(), order.end(), Index(0));
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return scores[std::size_t(a)] > scores[std::size_t(b)]; });  // NaN stays where it is
    return order;
}

// How many pixels each class wins, and the sum of its logits there. A single sigmoid has the classes 0 and 1.
struct PixelVotes {
    std::vector<float> pixels, logits;
};
static PixelVotes votes_of(const Head& head, std::span<const float> logits, std::span<const float> outputs) {
    const auto K = std::size_t(head.classes), classes = head.binary() ? 2 : K;
    PixelVotes votes{std::vector<float>(classes), std::vector<float>(classes)};
    for (std::size_t p = 0; p + K <= logits.size(); p += K) {
        const float* row = logits.data() + p;
        const std::size_t winner = head.binary() ? outputs[p] >= 0.5f : std::size_t(std::max_element(row, row + K) - row);
        votes.pixels[winner]++;
        votes.logits[winner] += head.binary() ? (winner ? row[0] : -row[0]) : row[winner];
    }
    return votes;
}

std::vector<Target> choose_targets(const std::string& spec, const Head& head, std::span<const float> logits, std::span<const float> outputs,
                                   const std::vector<std::string>& labels) {
    if (const std::vector<std::string> list = listed(spec); list.size() > 1) {
        std::vector<Target> targets;
        for (const std::string& one : list) targets.push_back(choose_targets(one, head, logits, outputs, labels).at(0));
        return targets;
    }
    const TargetText text = understand(spec, head, labels);
    const auto target = [&](Index index, double sign) {
        Target t{index, sign, label_of(head, index, sign, labels)};
        t.own_pixels = head.per_pixel;
        return t;
    };
    if (!text.terms.empty()) return {{text.terms[0].at.back().first, text.terms[0].weight, spec, text.terms}};
    if (head.binary()) {
        // where each pixel is classified, what is looked for comes first
        const double side = !text.best ? (text.side ? 1 : -1) : head.per_pixel || outputs[0] >= 0.5f ? 1 : -1;
        std::vector<Target> sides{target(0, side)};
        if (text.count == 2) sides.push_back(target(0, -side));
        return sides;
    }
    if (!text.best) return {target(text.side, 1)};
    const PixelVotes votes = head.per_pixel ? votes_of(head, logits, outputs) : PixelVotes{};
    std::vector<Target> targets;
    for (Index k : ranking(head.per_pixel ? std::span<const float>(votes.pixels) : logits))
        if (text.among.empty() || std::find(text.among.begin(), text.among.end(), k) != text.among.end())
            if (Index(targets.size()) < text.count) targets.push_back(target(k, 1));
    return targets;
}

std::vector<Prediction> predictions(const Head& head, std::span<const float> logits, std::span<const float> outputs,
                                    const std::vector<std::string>& labels, Index top) {
    std::vector<Prediction> best;
    if (head.per_pixel) {
        const PixelVotes votes = votes_of(head, logits, outputs);
        const float pixels = float(logits.size()) / float(head.classes);
        for (Index k : ranking(votes.pixels)) {
            const float won = votes.pixels[std::size_t(k)];
            if (Index(best.size()) < top && won > 0)
                best.push_back({k, head.binary() ? label_of(head, 0, k ? 1 : -1, labels) : label_of(head, k, 1, labels), won / pixels,
                                votes.logits[std::size_t(k)] / won});
        }
        return best;
    }
    if (head.per_step) {
        for (std::size_t row = 0; row + std::size_t(head.classes) <= logits.size(); row += std::size_t(head.classes)) {
            const auto scores = logits.subspan(row, std::size_t(head.classes));
            const Index k = std::ranges::max_element(scores) - scores.begin();
            best.push_back({k, std::size_t(k) < labels.size() ? labels[std::size_t(k)] : std::to_string(k), outputs[row + std::size_t(k)],
                            logits[row + std::size_t(k)]});
        }
        return best;
    }
    if (head.binary()) {  // both sides of the sigmoid, the likelier first
        best = {{1, label_of(head, 0, 1, labels), outputs[0], logits[0]}, {0, label_of(head, 0, -1, labels), 1 - outputs[0], -logits[0]}};
        if (outputs[0] < 0.5f) std::swap(best[0], best[1]);
        best.resize(std::size_t(std::clamp<Index>(top, 1, 2)));
        return best;
    }
    const std::vector<Index> order = ranking(logits);
    for (std::size_t i = 0; i < std::size_t(std::min(top, head.classes)); i++) {
        const auto k = std::size_t(order[i]);
        best.push_back({order[i], label_of(head, order[i], 1, labels), outputs[k], logits[k]});
    }
    return best;
}

}  // namespace limn
