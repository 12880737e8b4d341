#include "cam/verify.h"

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "engine/threads.h"
#include "layers/activation.h"

namespace limn {

namespace {

// The T seeds of one image, (T, ...); empty for a score of one's own.
Tensor seeds_of(const Request& request, const Explained& result, const Tensor& value) {
    return request.own ? Tensor() : seed_of({result.targets}, value.shape(), value.dtype());
}

Tensor value_at(const Backend& backend, const Model& model, const Tensor& image, int node) {
    Tape tape(backend);
    return model.forward(tape, {image}, {}, {&node, 1})[std::size_t(node)].value.host();
}

// Where each pixel is classified, the pixels a class wins are chosen by the photo, not by an altered one.
bool seeds_are_fixed(const Head& head, const Explained& result) {
    return !head.per_pixel || std::ranges::none_of(result.targets, &Target::own_pixels);
}

// Where ReLUs and max pools decide: the nodes that one of them made, and the nodes that a pool reads.
bool decides(const Model& model, int node) {
    const Layer& layer = *model.node(node).layer;
    const auto* activation = dynamic_cast<const Activation*>(&layer);
    return layer.fused_relu || (activation && activation->is_relu());
}
bool is_max_pool(const Node& node) { return node.layer->class_name == "MaxPooling2D" && !node.inputs.empty(); }

std::vector<int> decisive_nodes(const Model& model) {
    std::vector<int> nodes;
    for (int i = 0; i < int(model.nodes().size()); i++) {
        if (decides(model, i)) nodes.push_back(i);
        if (is_max_pool(model.node(i))) nodes.push_back(model.node(i).inputs[0]);
    }
    return nodes;
}

Tensor pool_winners(const Backend& backend, const Layer& pool, const Tensor& x) {
    Tape tape(backend);
    const Var watched = tape.watch(x), y = pool.forward(tape, {watched});
    return tape.gradients(y, Tensor::full(y.shape(), 1, x.dtype()), {&watched, 1})[0].host();
}

// How many ReLUs and pools decide otherwise in float than in double.
Index decided_otherwise(const Backend& backend, const Model& model, const std::vector<Var>& fast, const std::vector<Var>& exact) {
    Index count = 0;
    for (int i = 0; i < int(model.nodes().size()); i++) {
        if (decides(model, i)) {
            const Tensor a = fast[std::size_t(i)].value.host(), b = exact[std::size_t(i)].value.host();
            for (Index j = 0; j < a.size(); j++) count += (a.at_flat(j) > 0) != (b.at_flat(j) > 0);
        }
        if (is_max_pool(model.node(i))) {
            const auto in = std::size_t(model.node(i).inputs[0]);
            const Tensor a = pool_winners(backend, *model.node(i).layer, fast[in].value);
            const Tensor b = pool_winners(reference_backend(), *model.node(i).layer, exact[in].value);
            for (Index j = 0; j < a.size(); j++) count += a.at_flat(j) < b.at_flat(j);
        }
    }
    return count;
}

// What lies above a layer, run on given activations and walked backward: the T targets' gradients there.
struct Walked {
    std::vector<Var> values;
    Tensor gradients;  // (T,...)
};
Walked walk(const Backend& backend, const Asked& asked, const Model& above, const std::vector<Tensor>& inputs, const Tensor& seeds) {
    const int input = above.inputs[0];
    Tape tape(backend);
    Walked walked{above.forward(tape, inputs, {&input, 1}, decisive_nodes(above)), {}};
    const Var& value = walked.values[std::size_t(above.outputs[0])];
    const Tensor seed = asked.function ? seed_of_function(backend, asked.function, value.value) : seeds.to(value.value.dtype());
    walked.gradients = tape.gradients(value, seed, {&walked.values[std::size_t(input)], 1})[0].host();
    return walked;
}

double length_of(const Tensor& x, Index row, Index size) {
    double sum = 0;
    for (Index i = 0; i < size; i++) sum += x.at_flat(row * size + i) * x.at_flat(row * size + i);
    return std::sqrt(sum);
}

// |a - b| / |b|
double difference(const Tensor& a, const Tensor& b) {
    double apart = 0;
    for (Index i = 0; i < a.size(); i++) apart += (a.at_flat(i) - b.at_flat(i)) * (a.at_flat(i) - b.at_flat(i));
    const double length = length_of(b, 0, b.size());
    return length > 0 ? std::sqrt(apart) / length : std::sqrt(apart);
}

// For each target: the double gradient against central differences, and limn's against the double one.
struct GradientErrors {
    std::vector<double> formula, rounding;
    Index decided_otherwise = 0;
};
// Of several layers, whose maps are fused.
void add_worse(GradientErrors& errors, const GradientErrors& more) {
    errors.formula.resize(more.formula.size()), errors.rounding.resize(more.rounding.size());
    for (std::size_t t = 0; t < more.formula.size(); t++) {
        const auto worse = [t](double a, const std::vector<double>& b) { return std::isnan(a) || a >= b[t] ? a : b[t]; };  // NaN is worst
        errors.formula[t] = worse(errors.formula[t], more.formula), errors.rounding[t] = worse(errors.rounding[t], more.rounding);
    }
    errors.decided_otherwise += more.decided_otherwise;
}

GradientErrors gradient_errors(const Asked& asked, Model exact, const Tensor& image, const Tensor& seeds, int layer) {
    constexpr Index directions = 3;
    const Question question(asked, image, seeds, layer);
    const Asked::Cut& cut = asked.above(layer);
    exact.outputs = {asked.node};
    std::vector<int> also_reads;
    Model above = exact.above(layer, &also_reads);
    above.convert(DType::f64);
    std::vector<Tensor> inputs{question.activations().host()}, exact_inputs{inputs[0].to(DType::f64)};
    for (int node : also_reads) {
        inputs.push_back(value_at(asked.backend, asked.model, image, node));
        exact_inputs.push_back(inputs.back().to(DType::f64));
    }
    const Walked fast = walk(asked.backend, asked, cut.model, inputs, seeds);
    const Walked truth = walk(reference_backend(), asked, above, exact_inputs, seeds);
    GradientErrors errors{{}, {}, decided_otherwise(asked.backend, above, fast.values, truth.values)};

    // Differences are taken a little beside the photo: in its flat areas a pool has several equal winners, and no gradient exists.
    Tensor& A = exact_inputs[0];
    const Index size = A.size(), T = truth.gradients.size() / size;
    double largest = 1e-30;
    for (Index i = 0; i < size; i++) largest = std::max(largest, std::abs(A.at_flat(i)));
    const Tensor aside = random_tensor(A.shape(), asked.seed + 6, -1e-3 * largest, 1e-3 * largest, DType::f64);
    for (Index i = 0; i < size; i++) A.data<double>()[i] += aside.at_flat(i);
    const Walked beside = walk(reference_backend(), asked, above, exact_inputs, seeds);

    // A + step * u and A - step * u for each direction. So small a step crosses no kink of a ReLU.
    const double step = 1e-9 * largest;
    const Tensor u = random_tensor(A.shape().with(0, directions), asked.seed + 7, -1, 1, DType::f64);
    std::vector<Tensor> altered;
    for (const Tensor& one : exact_inputs) {
        altered.emplace_back(one.shape().with(0, 2 * directions), DType::f64);
        for (Index i = 0; i < 2 * directions; i++) altered.back().rows(i, 1).assign(one);
    }
    for (Index d = 0; d < directions; d++)
        for (Index i = 0; i < size; i++) {
            altered[0].data<double>()[2 * d * size + i] += step * u.at_flat(d * size + i);
            altered[0].data<double>()[(2 * d + 1) * size + i] -= step * u.at_flat(d * size + i);
        }
    Tape tape(reference_backend());
    const Tensor value = above.forward(tape, altered)[std::size_t(above.outputs[0])].value;
    const Tensor own = asked.function ? asked.function(tape, value).value : Tensor();

    for (Index t = 0; t < T; t++) {
        const auto change = [&](Index d) {  // of the scores, as one sum: nothing is lost where they are large
            if (!own.empty()) return own.at_flat(2 * d) - own.at_flat(2 * d + 1);
            const Index K = value.size() / value.shape()[0];
            double sum = 0;
            for (Index k = 0; k < K; k++)
                sum += seeds.at_flat(t * K + k) * (value.at_flat(2 * d * K + k) - value.at_flat((2 * d + 1) * K + k));
            return sum;
        };
        double worst = 0;
        for (Index d = 0; d < directions; d++) {
            double along = 0;
            for (Index i = 0; i < size; i++) {  // A + step * u is rounded: what counts is the step that was made
                const double made = altered[0].at_flat(2 * d * size + i) - altered[0].at_flat((2 * d + 1) * size + i);
                along += beside.gradients.at_flat(t * size + i) * made;
            }
            worst = std::max(worst, std::abs(change(d) - along) / (2 * step));
        }
        // u's numbers have a variance of 1/3: that is how much of the gradient lies along it
        const double usual = length_of(beside.gradients, t, size) / std::sqrt(3.0);
        errors.formula.push_back(usual > 0 ? worst / usual : worst);
        errors.rounding.push_back(difference(fast.gradients.rows(t, 1), truth.gradients.rows(t, 1)));
    }
    return errors;
}

std::optional<Evidence> completeness(const Backend& backend, const Model& model, const Tensor& image, const Request& request,
                                     const Head& head, const Tensor& value, const Tensor& seeds, const Map& map, Index target) {
    if (request.own || request.score != Score::logit || subject_of(request.target).log || head.per_pixel || head.per_step)
        return std::nullopt;
    const Index K = head.classes;
    const auto score_of = [&](const Tensor& logits) {
        double sum = 0;
        for (Index k = 0; k < K; k++) sum += seeds.at_flat(target * K + k) * logits.at_flat(k);
        return sum;
    };
    const double total = double(map.stats.mean) * double(map.raw.size()), score = score_of(value);
    if (map.method == "integrated-gradients") {
        const double zero = score_of(value_at(backend, model, Tensor::zeros(image.shape()), head.logits));
        return Evidence{
            "completeness",
            {},
            std::abs(total - (score - zero)) / std::max(std::abs(score - zero), 1e-12),
            0.05,
            fmt::format("sum {:.6g}, score less that of zeros {:.6g} (more --samples bring them together)", total, score - zero)};
    }
    std::string ignored;
    const auto cam_head = find_cam_head(model, head, ignored);
    const bool adds_up = map.method == "cam" || map.method == "grad-cam" || map.method == "hirescam";
    if (!cam_head || cam_head->layer != map.layer || !adds_up) return std::nullopt;
    const double bias = cam_head->bias.empty() ? 0 : score_of(cam_head->bias.host());
    const double sum = (map.method == "cam" ? double(map.stats.mean) : total) + bias;
    return Evidence{"completeness",
                    {},
                    std::abs(sum - score) / std::max(std::abs(score), 1e-3),
                    1e-4,
                    fmt::format("{} + bias = {:.6g}, score {:.6g}", map.method == "cam" ? "mean" : "sum", sum, score)};
}

// Where rounding decides ReLUs and pools the other way, gradients may differ that much; more, and the map should not be trusted.
double limit_of(const GradientErrors& errors) { return errors.decided_otherwise ? 0.1 : 1e-3; }

}  // namespace

std::vector<std::vector<Evidence>> verify(const Backend& backend, Model model, Model exact, const Tensor& image, const Request& request,
                                          const Explained& result, const std::function<void(const std::string&)>& told) {
    std::vector<std::vector<Evidence>> all(result.maps.size());
    const auto tell = [&](const std::string& what) {
        if (told) told(what);
    };
    const auto add = [&](std::size_t map, Evidence evidence) {
        evidence.passed = evidence.found <= evidence.limit;  // NaN does not
        all[map].push_back(std::move(evidence));
    };
    const auto target_of = [&](const Map& map) { return Index(std::ranges::find(result.targets, map.target) - result.targets.begin()); };
    const Head head = head_of(model, request);
    explained_node(exact, request);
    Asked asked(backend, model, explained_node(model, request));
    if (request.own) asked.function = request.own->function;
    const Tensor value = value_at(backend, model, image, asked.node);
    const Tensor seeds = seeds_are_fixed(head, result) ? seeds_of(request, result, value) : Tensor();

    const auto layers_of = [&](const Map& map) {
        if (map.layer == fused_layers) return request.layers;
        return std::vector<int>{method_named(map.method).by_layer ? map.layer : model.inputs[0]};
    };
    std::map<int, GradientErrors> gradients;  // by layer
    const auto errors_of = [&](const Map& map) {
        GradientErrors errors;
        for (int layer : layers_of(map))
            if (gradients.contains(layer)) add_worse(errors, gradients[layer]);
        return errors;
    };
    for (std::size_t i = 0; i < result.maps.size(); i++) {
        const Map& map = result.maps[i];
        if (method_named(map.method).walks && seeds_are_fixed(head, result)) {
            std::vector<std::string> names;
            for (int layer : layers_of(map)) {
                names.push_back(model.node(layer).name);
                if (gradients.contains(layer)) continue;
                tell("finite differences at " + names.back());
                gradients[layer] = gradient_errors(asked, exact, image, seeds, layer);
            }
            const std::string name = fmt::format("{}", fmt::join(names, ", "));
            const GradientErrors errors = errors_of(map);
            const auto target = std::size_t(target_of(map));
            add(i, {"gradient",
                    {},
                    errors.formula[target],
                    1e-4,
                    "double precision against central differences along 3 directions at " + name});
            add(i, {"rounding",
                    {},
                    errors.rounding[target],
                    limit_of(errors),
                    fmt::format("float against double at {}; {} ReLUs or pools are so near their kink that rounding decides", name,
                                errors.decided_otherwise)});
        }
        if (auto found = completeness(backend, model, image, request, head, value, seeds, map, target_of(map))) add(i, *found);
    }

    // The same maps by the other backend. What runs the whole network many times would take the reference's loops too long.
    const Backend& other = backend.name() == "reference" || backend.device() ? cpu_backend() : reference_backend();
    Request short_request = request;
    short_request.drawing.reset();
    std::erase_if(short_request.methods, [](const Method& method) { return method.many; });
    if (!short_request.methods.empty()) {
        tell(other.name() + "'s maps");
        const Explained theirs = explain(other, model, image, short_request)[0];
        std::size_t next = 0;
        for (std::size_t i = 0; i < result.maps.size(); i++) {
            if (method_named(result.maps[i].method).many) continue;
            add(i, {"agreement",
                    {},
                    difference(result.maps[i].raw, theirs.maps.at(next++).raw),
                    limit_of(errors_of(result.maps[i])),
                    backend.name() + " against " + other.name()});
        }
    }

    Request again = request;
    again.drawing.reset();
    std::vector<double> differing(result.maps.size());
    const int threads = thread_count();
    for (int count : {1, threads}) {
        tell(fmt::format("the same again with {} thread{}", count, count == 1 ? "" : "s"));
        set_thread_count(count);
        const Explained repeated = explain(backend, model, image, again)[0];
        for (std::size_t i = 0; i < differing.size(); i++) {
            const auto a = result.maps[i].raw.values(), b = repeated.maps[i].raw.values();
            for (std::size_t j = 0; j < a.size(); j++) differing[i] += (a[j] != b[j]) / double(2 * a.size());
        }
    }
    for (std::size_t i = 0; i < differing.size(); i++)
        add(i, {"repeats", {}, differing[i], 0, fmt::format("bit for bit, with 1 and {} threads", threads)});
    return all;
}

}  // namespace limn
