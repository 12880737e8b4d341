#include "cam/explain.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "cam/diagnose.h"
#include "engine/parcel.h"
#include "engine/repeated.h"
#include "layers/conv2d.h"

namespace limn {

bool has_map(const Model& model, int node) { return model.node(node).shape.rank() == 4; }

int default_layer(const Model& model, int output_number) {
    const Head head = find_head(model, output_number);
    std::string ignored;
    if (const auto cam_head = find_cam_head(model, head, ignored)) return cam_head->layer;
    // The largest index that leads to the scores and still has more than one cell.
    std::vector<bool> leads(model.nodes().size());
    leads[std::size_t(head.logits)] = true;
    for (int i = head.logits; i >= 0; i--)
        if (leads[std::size_t(i)])
            for (int in : model.node(i).inputs) leads[std::size_t(in)] = true;
    const auto is_seen = [&](int i) {
        const Node& node = model.node(i);
        const std::string& kind = node.layer->class_name;
        // a pool or a dropout after the last convolution only blurs or repeats what is seen
        const bool repeats = kind.find("Pooling") != std::string::npos || kind.find("Dropout") != std::string::npos ||
                             kind.find("Padding") != std::string::npos;
        return leads[std::size_t(i)] && !node.inputs.empty() && !repeats && has_map(model, i) && node.shape[1] != 1 && node.shape[2] != 1;
    };
    if (head.per_pixel) {
        // The last maps are pictures of the scores themselves; what was understood lies where maps are coarsest.
        const Model sized = model.node(model.inputs.at(0)).shape[1] < 0 ? model.with_input_size(256, 256) : model;
        const auto cells = [&](int i) { return sized.node(i).shape[1] * sized.node(i).shape[2]; };
        int coarsest = -1;
        for (int i = head.logits - 1; i >= 0; i--)
            if (is_seen(i) && cells(i) > 1 && (coarsest < 0 || cells(i) < cells(coarsest))) coarsest = i;
        if (coarsest >= 0) return coarsest;
    }
    for (int i = head.logits; i >= 0; i--)
        if (is_seen(i)) return i;
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

// (M): of each of M gradients, 0 only if all its numbers are
static Tensor liveliness(const Backend& backend, const Tensor& gradients) {
    const Index M = gradients.shape()[0], size = M ? gradients.size() / M : 0;
    if (!gradients.device()) {  // mostly the first number tells
        Tensor alive({M});
        for (Index i = 0; i < M; i++) {
            const float* g = gradients.data() + i * size;
            alive.data()[i] = std::any_of(g, g + size, [](float v) { return v != 0; });
        }
        return alive;
    }
    const Index C = gradients.shape()[-1];  // first the pixels, then the channels: many sums at a time
    Tensor magnitude = gradients.like({M, size / C, C}), by_channel = gradients.like({M, 1, C}), largest = gradients.like({M, 1, 1});
    backend.unary({.kind = Unary::abs}, gradients.reshaped(magnitude.shape()), magnitude);
    backend.reduce(Reduction::maximum, magnitude, by_channel);
    backend.reduce(Reduction::maximum, by_channel, largest);
    return largest.reshaped({M});
}

// A batch of these sizes: where its numbers lie, and what is done with them.
struct Explainer::Work {
    Tensor images, seed;             // seed: of targets that do not depend on the scores
    bool own_targets;                // the caller named them, image by image
    std::vector<std::string> specs;  // then: which
    std::vector<Tensor> photos;
    Tensor used_seed;
    std::vector<Tensor> weights;  // of the model, as they were
    struct Maps {
        const Method* method;
        int layer;
        bool has_gradient;
    };
    std::vector<Maps> maps;
    Parcel results;  // logits, outputs; of each maps: raw (T*N,h,w), liveliness (T*N), and of each map its heat and picture
    std::optional<Repeated> run;

    bool fits(const Tensor& other, const std::vector<Tensor>& others, bool with_targets) const {
        const auto same = [](const Tensor& a, const Tensor& b) { return a.shape() == b.shape(); };
        return same(images, other) && std::ranges::equal(photos, others, same) && own_targets == with_targets;
    }
};

static std::vector<Tensor> weights_of(const Model& model) {
    std::vector<Tensor> list;
    for (const Layer* layer : model.weighted_layers())
        for (const Weight& w : layer->weights) list.push_back(w.value);
    return list;
}

Head head_of(const Model& model, const Request& request) { return find_head(model, request.own ? 0 : subject_of(request.target).output); }

int explained_node(Model& model, const Request& request) {
    if (request.own) return request.own->node;
    return node_of(model, head_of(model, request), subject_of(request.target).log ? Score::log : request.score);
}

Explainer::Explainer(const Backend& backend, const Model& model, Request request, Index top)
    : backend_(backend), model_(model), request_(std::move(request)), top_(std::max<Index>(top, 1)), head_(head_of(model, request_)),
      explained_(explained_node(model_, request_)), asked_(backend, model_, explained_) {
    keep_ = {head_.logits, head_.output, explained_};
    if (request_.own) asked_.function = request_.own->function;
    if (request_.own && request_.counterfactual)
        asked_.function = [f = request_.own->function](Tape& tape, const Var& value) { return scale(tape, f(tape, value), -1); };
    asked_.seed = request_.seed, asked_.samples = request_.samples;
    for (int layer : request_.layers) {
        LIMN_CHECK(has_map(model, layer), "layer '{}' has no spatial map: its output is {}", model.node(layer).name,
                   model.node(layer).shape.str());
        keep_.push_back(layer);
    }
    for (const Method& method : request_.methods) {
        if (method.needs_gradient()) watch_ = request_.layers;
        if (method.name != "cam") continue;
        LIMN_CHECK(!request_.own, "CAM explains sums of scores, not '{}': use --method grad-cam", request_.own->label);
        LIMN_CHECK(explained_ == head_.logits,
                   "CAM explains scores before the softmax or sigmoid, not what comes after, nor logarithms: use --method grad-cam");
        std::string reason;
        const auto cam_head = find_cam_head(model, head_, reason);
        LIMN_CHECK(cam_head, "CAM does not apply to model '{}': {}; use --method grad-cam", model.name, reason);
        keep_.push_back(cam_head->layer);
    }
    if (request_.drawing) request_.drawing->colours = request_.drawing->colours.on(backend.device());
}

Explainer::~Explainer() = default;

// The seed of targets that do not depend on the scores; those that do get theirs after the forward pass.
void Explainer::set_targets(Work& work, const std::vector<std::string>& targets) const {
    work.specs = targets;
    const bool fixed = !targets.empty() || !depends_on_scores(request_.target, head_);
    if (request_.methods.empty() || request_.own || !fixed) return;
    if (!work.seed.empty() && targets.empty()) return;  // it holds the request's already
    const Index N = work.images.shape()[0];
    std::vector<std::vector<Target>> chosen;
    for (Index n = 0; n < N; n++) chosen.push_back(targets_for(targets.empty() ? request_.target : targets[std::size_t(n)], {}, {}));
    const Shape& known = model_.node(explained_).shape;
    const bool open = std::any_of(known.begin() + 1, known.end(), [](Index side) { return side < 0; });
    const Shape shape = open ? model_.with_input_size(work.images.shape()[1], work.images.shape()[2]).node(explained_).shape : known;
    const Tensor seed = seed_of(chosen, shape.with(0, N));
    work.seed.empty() ? void(work.seed = seed.on(backend_.device())) : work.seed.assign(seed);
}

// The numbers of a batch lie on the device at the same places as those of an earlier one of the same sizes.
Explainer::Work& Explainer::work_for(const Tensor& images, const std::vector<Tensor>& photos, const std::vector<std::string>& targets) {
    const std::vector<Tensor> weights = weights_of(model_);
    std::erase_if(works_, [&](const auto& work) {
        return !std::ranges::equal(work->weights, weights, [](const Tensor& a, const Tensor& b) { return a.id() == b.id(); });
    });
    for (auto it = works_.begin(); it != works_.end(); ++it)
        if ((*it)->fits(images, photos, !targets.empty())) {
            std::rotate(it, it + 1, works_.end());
            Work& work = *works_.back();
            work.images.device() ? work.images.assign(images) : void(work.images = images);
            for (std::size_t i = 0; i < photos.size(); i++)
                work.photos[i].device() ? work.photos[i].assign(photos[i]) : void(work.photos[i] = photos[i]);
            set_targets(work, targets);
            return work;
        }
    auto work = std::make_unique<Work>();
    work->weights = weights;
    work->images = images.device() ? images.clone() : images.on(backend_.device());  // its own: later ones go there
    for (const Tensor& photo : photos) work->photos.push_back(photo.on(backend_.device()));
    work->own_targets = !targets.empty();
    set_targets(*work, targets);
    work->run.emplace(backend_, [this, at = work.get()] { compute(*at); });
    if (works_.size() >= 4) works_.erase(works_.begin());
    works_.push_back(std::move(work));
    return *works_.back();
}

// Nothing here looks at a number, so that it can be recorded.
void Explainer::compute(Work& work) const {
    // Forward; only what lies above the lowest watched layer is recorded on the tape.
    Tape tape(backend_);
    const std::vector<Var> values = model_.forward(tape, {work.images}, watch_, keep_);
    const auto value = [&](int node) -> const Var& { return values[std::size_t(node)]; };
    const Tensor &logits = value(head_.logits).value, &outputs = value(head_.output).value;
    std::vector<Tensor> results{logits, outputs};
    work.maps.clear();

    // Backward: one walk for all targets of all images, to all layers.
    Tensor seed = work.seed;
    if (seed.empty() && !request_.methods.empty()) {
        seed = request_.own ? seed_of_function(backend_, asked_.function, value(explained_).value)
                            : scored_seed(backend_, request_.target, head_, logits, outputs, request_.labels);
        if (request_.counterfactual && !request_.own) backend_.binary(Binary::multiply, seed, Tensor::full({1}, -1), seed);
    }
    work.used_seed = seed;
    std::vector<Tensor> gradients;
    if (!watch_.empty()) {
        std::vector<Var> watched;
        for (int layer : watch_) watched.push_back(value(layer));
        gradients = tape.gradients(value(explained_), seed, watched);
    }

    // Maps. For T targets a tensor of maps is (T*N,h,w), target by target.
    const auto add = [&](const Method& method, int layer, const Tensor& maps, const Tensor& alive) {
        work.maps.push_back({&method, layer, !alive.empty()});
        results.push_back(maps);
        if (!alive.empty()) results.push_back(alive);
        if (!request_.drawing || work.photos.empty()) return;
        for (Index i = 0; i < maps.shape()[0]; i++) {
            const Tensor map = maps.rows(i, 1).reshaped({maps.shape()[1], maps.shape()[2]});
            const Drawn drawn = draw(backend_, *request_.drawing, map, work.photos[std::size_t(i) % work.photos.size()]);
            results.insert(results.end(), {drawn.heat, drawn.picture});
        }
    };
    std::vector<Tensor> alive;
    for (const Tensor& dA : gradients) alive.push_back(liveliness(backend_, dA));
    for (const Method& method : request_.methods) {
        if (method.study) continue;
        if (!method.needs_gradient()) {
            std::string ignored;
            const CamHead cam_head = *find_cam_head(model_, head_, ignored);  // as its weights are now
            add(method, cam_head.layer, cam(backend_, cam_head, value(cam_head.layer).value, seed), {});
            continue;
        }
        for (std::size_t i = 0; i < request_.layers.size(); i++)
            add(method, request_.layers[i], method.formula(backend_, value(request_.layers[i]).value, gradients[i]), alive[i]);
    }
    work.results = Parcel(std::move(results));
}

std::vector<Target> Explainer::targets_for(const std::string& spec, std::span<const float> logits, std::span<const float> outputs) const {
    if (request_.own) return {{0, request_.counterfactual ? -1. : 1., request_.own->label}};
    std::vector<Target> targets = choose_targets(spec, head_, logits, outputs, request_.labels);
    if (!request_.counterfactual) return targets;
    for (Target& target : targets) {
        target.sign = -target.sign, target.label = "against " + target.label;
        for (Term& term : target.terms) term.weight = -term.weight;
    }
    return targets;
}

Map Explainer::map_of(const Method& method, int layer, const Explained& image, const Target& target, const Tensor& raw, bool dead) const {
    Map map{method.name, method.variant, layer, target, raw, statistics(raw), {}, {}};
    map.diagnostics = diagnose(model_, request_, image, map, dead);
    return map;
}

std::vector<Explained> Explainer::read(const Work& work) const {
    const std::vector<Tensor> parts = work.results.open();
    auto part = parts.begin();
    const Tensor logits = *part++, outputs = *part++;
    const Index N = logits.shape()[0];
    const std::size_t size = std::size_t(logits.size() / N);
    std::vector<Explained> results(static_cast<std::size_t>(N));
    for (std::size_t n = 0; n < results.size(); n++) {
        const auto logit = logits.values().subspan(n * size, size), output = outputs.values().subspan(n * size, size);
        if (!std::ranges::all_of(output, [](float v) { return std::isfinite(v); }))
            throw NotFinite(fmt::format(
                "model '{}' answers with NaN or infinite numbers: its weights or the image's numbers are broken (see `limn inspect`)",
                model_.name));
        results[n].predictions = predictions(head_, logit, output, request_.labels, top_);
        if (request_.methods.empty() && head_.per_step) continue;  // only predictions are asked for; what would be explained, nobody said
        results[n].targets = targets_for(work.specs.empty() ? request_.target : work.specs[n], logit, output);
    }
    for (const Work::Maps& maps : work.maps) {
        const Tensor raw = *part++, alive = maps.has_gradient ? *part++ : Tensor();
        for (Index i = 0; i < raw.shape()[0]; i++) {
            auto& result = results[std::size_t(i % N)];
            const Tensor one = raw.rows(i, 1).reshaped({raw.shape()[1], raw.shape()[2]}).clone();
            Map map = map_of(*maps.method, maps.layer, result, result.targets[std::size_t(i / N)], one,
                             maps.has_gradient && alive.data()[i] == 0);
            if (request_.drawing && !work.photos.empty()) {
                const Tensor heat = *part++, picture = *part++;
                map.drawn = Drawn{heat, picture};
            }
            result.maps.push_back(std::move(map));
        }
    }
    return results;
}

// The methods that ask questions of their own, image by image; their maps take their places among the others.
void Explainer::study(const Work& work, std::vector<Explained>& results) {
    const Index N = Index(results.size());
    for (const Method& method : request_.methods) {
        if (!method.study) continue;
        asked_.progress = [&](Index done, Index of) {
            if (progress) progress(method, done, of);
        };
        const int input = model_.inputs[0];
        for (int layer : method.by_layer ? request_.layers : std::vector<int>{input})
            for (Index n = 0; n < N; n++) {
                Explained& result = results[std::size_t(n)];
                const Index T = Index(result.targets.size());
                Tensor weights = work.used_seed.like(work.used_seed.shape().with(0, T));
                for (Index t = 0; t < T; t++) weights.rows(t, 1).assign(work.used_seed.rows(t * N + n, 1));
                const Tensor maps = method.study(Question(asked_, work.images.rows(n, 1), weights, layer));
                for (Index t = 0; t < T; t++) {
                    const Tensor raw = maps.rows(t, 1).reshaped({maps.shape()[1], maps.shape()[2]});
                    Map map = map_of(method, layer, result, result.targets[std::size_t(t)], raw.host().clone(), false);
                    draw_on(map, work, std::size_t(n), raw);
                    result.maps.push_back(std::move(map));
                }
            }
    }
    const auto place = [&](const Map& map) {
        return std::ranges::find(request_.methods, map.method, &Method::name) - request_.methods.begin();
    };
    for (Explained& result : results) std::ranges::stable_sort(result.maps, {}, place);
}

void Explainer::draw_on(Map& map, const Work& work, std::size_t image, const Tensor& raw) const {
    if (!request_.drawing || work.photos.empty()) return;
    const Drawn drawn = draw(backend_, *request_.drawing, raw, work.photos[image]);
    map.drawn = Drawn{drawn.heat.host(), drawn.picture.host()};
}

// A method's maps of one target stand together, layer after layer or with other targets between them.
void Explainer::fuse(const Work& work, std::vector<Explained>& results) const {
    for (std::size_t n = 0; n < results.size(); n++) {
        Explained& result = results[n];
        std::vector<Map> maps;
        for (const Method& method : request_.methods)
            for (const Target& target : result.targets) {
                std::vector<Tensor> raws;
                for (const Map& map : result.maps)
                    if (map.method == method.name && map.target == target) raws.push_back(map.raw.on(backend_.device()));
                if (raws.size() < 2) {
                    for (const Map& map : result.maps)
                        if (map.method == method.name && map.target == target) maps.push_back(map);
                    continue;
                }
                const Tensor raw = fused(backend_, raws, *request_.fusion);
                maps.push_back(map_of(method, fused_layers, result, target, raw.host().clone(), false));
                draw_on(maps.back(), work, n, raw);
            }
        result.maps = std::move(maps);
    }
}

std::vector<Explained> Explainer::operator()(const Tensor& images, const std::vector<Tensor>& photos,
                                             const std::vector<std::string>& targets) {
    const Index N = images.shape()[0];
    LIMN_CHECK(photos.empty() || Index(photos.size()) == N, "{} photos for {} images", photos.size(), N);
    LIMN_CHECK(targets.empty() || Index(targets.size()) == N, "{} targets for {} images: there should be one for each", targets.size(), N);
    for (const std::string& target : targets) {
        LIMN_CHECK(subject_of(target) == subject_of(request_.target),
                   "target '{}' is of another output than the request's '{}', or only one of them is a logarithm", target, request_.target);
        LIMN_CHECK(!depends_on_scores(target, head_),
                   "target '{}' depends on the scores: it can be asked for all images, not for single ones", target);
    }
    Work& work = work_for(images, photos, targets);
    work.run->run();
    std::vector<Explained> results = read(work);
    if (std::ranges::any_of(request_.methods, [](const Method& method) { return method.study != nullptr; })) study(work, results);
    if (request_.fusion) fuse(work, results);
    return results;
}

void Explainer::again() const { works_.back()->run->run(); }

bool Explainer::recorded() const { return !works_.empty() && works_.back()->run->recorded(); }

std::vector<Explained> explain(const Backend& backend, const Model& model, const Tensor& images, const Request& request, Index top) {
    return Explainer(backend, model, request, top)(images);
}

}  // namespace limn
