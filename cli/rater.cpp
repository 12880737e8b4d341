#include <algorithm>
#include <cmath>
#include <filesystem>

#include "autograd/training.h"
#include "cli/evaluate.h"
#include "engine/threads.h"
#include "evaluate/baselines.h"
#include "evaluate/randomisation.h"
#include "evaluate/similarity.h"

namespace limn::cli {

namespace fs = std::filesystem;

static std::vector<Tensor> raw_maps(const Explained& result) {
    std::vector<Tensor> maps;
    for (const Map& map : result.maps) maps.push_back(map.raw);
    return maps;
}

Rater::Rater(const EvaluateOptions& o, Ready& ready, const Annotations& annotations, const RatingSettings& rating, const Request& request)
    : o_(o), ready_(ready), annotations_(annotations), rating_(rating), request_(request), head_(find_classifier(ready.loaded.model)),
      explain_(o, ready, request, 5) {}

void Rater::rate(std::span<const Entry> batch, const std::function<void(const PhotoRecord&)>& rated) {
    std::vector<Opened> opened;
    std::vector<Photo> photos;
    for (const Entry& entry : batch) {
        try {
            LIMN_CHECK(entry.label || o_.target != "label", "nobody says what it shows");
            photos.push_back(load_photo((fs::path(o_.folder) / entry.name).string(), ready_));
        } catch (const Error& e) {
            rated({entry.name, e.what(), {}, {}, {}, 0, {}, {}});
            std::fprintf(stderr, "limn: note: left out: %s\n", e.what());
            continue;
        }
        opened.push_back({&entry, photos.back(), annotations_.of(entry.name, photos.back().image.height, photos.back().image.width)});
    }
    if (opened.empty()) return;
    const std::vector<Explained> results =
        explain_(stack(photos), {}, o_.target == "label" ? true_targets(opened) : std::vector<std::string>{});
    for (const Explained& result : results)
        LIMN_CHECK(result.targets.size() == 1, "--target {}: one class a photo is rated, not {}", o_.target, result.targets.size());
    const auto sanity = sanity_of(photos, results);
    for (std::size_t i = 0; i < opened.size(); i++) {
        PhotoRecord record = record_of(opened[i], results[i]);
        for (std::size_t m = 0; m < sanity[i].size(); m++) record.maps[m].second.numbers.insert(sanity[i][m].begin(), sanity[i][m].end());
        rated(record);
    }
}

PhotoRecord Rater::record_of(const Opened& o, const Explained& result) {
    const Target& target = result.targets[0];
    const Scorer scorer = scorer_of(target);
    const Image& image = o.photo.image;
    PhotoRecord record{o.entry->name, {}, o.truth.label, target.label, result.predictions[0].label, scorer(o.photo.input).at(0), {}, {}};
    std::optional<Answer> answer;
    if (o.entry->label) {
        const auto right = [&](const Prediction& p) { return o.entry->label->holds(p.index); };
        answer = Answer{right(result.predictions[0]), std::any_of(result.predictions.begin(), result.predictions.end(), right)};
    }
    std::vector<Tensor> maps = raw_maps(result);
    for (const Map& map : result.maps) record.maps.emplace_back(map.method, Rating());
    for (const Baseline& b : baselines()) {
        const Shape& input = o.photo.input.shape();
        maps.push_back(b.map(image, input[1], input[2], Random(o_.seed, o.entry->name).bits()));
        record.maps.emplace_back(b.name, Rating());
    }
    parallel_for(Index(maps.size()), [&](Index m) {
        rate_place(rating_, maps[std::size_t(m)], o.truth, image.height, image.width, answer, record.maps[std::size_t(m)].second);
    });
    for (std::size_t m = 0; m < maps.size(); m++)
        rate_faithfulness(rating_, maps[m], o.photo.input, scorer, record.score, record.maps[m].second);
    if (rating_.wants("sensitivity")) add_sensitivity(o, target, record);
    return record;
}

// A node's values for these inputs, on the host: logits or outputs.
Tensor Rater::values_of(int node, const Tensor& inputs) const {
    Tape tape(*ready_.backend);
    const int keep[] = {node};
    return ready_.loaded.model.forward(tape, {inputs.on(ready_.backend->device())}, {}, keep)[std::size_t(node)].value.host();
}

// The true class of each; of several the one with the highest score.
std::vector<std::string> Rater::true_targets(const std::vector<Opened>& opened) const {
    std::vector<std::string> targets;
    for (const Opened& o : opened) {
        targets.push_back(o.entry->label->target(head_.binary()));
        if (!targets.back().starts_with("best:") && targets.back() != "auto") continue;
        const Tensor logits = values_of(head_.logits, o.photo.input), outputs = values_of(head_.output, o.photo.input);
        const auto chosen = choose_targets(targets.back(), head_, logits.values(), outputs.values(), request_.labels);
        targets.back() = fixed(chosen.at(0));
    }
    return targets;
}

Scorer Rater::scorer_of(const Target& target) const {
    return [this, target](const Tensor& inputs) {
        const Tensor outputs = values_of(head_.output, inputs);
        std::vector<double> scores;
        for (Index i = 0; i < inputs.shape()[0]; i++) {
            const float* p = outputs.data() + i * head_.classes;
            double sum = 0;  // of the classes that are explained
            for (const Term& term : target.terms) {
                const Slice at = term.at.back();
                for (Index k = at.first; k < (at.last < 0 ? head_.classes : at.last); k++) sum += term.weight * double(p[k]);
            }
            if (target.terms.empty()) sum = head_.binary() && target.sign < 0 ? 1 - double(p[target.index]) : double(p[target.index]);
            scores.push_back(sum);
        }
        return scores;
    };
}

// The target as a text that depends on no scores, so that it stays when they change.
std::string Rater::fixed(const Target& target) const {
    if (!target.terms.empty()) return o_.target;
    return std::to_string(head_.binary() ? Index(target.sign > 0) : target.index);
}

void Rater::add_sensitivity(const Opened& o, const Target& target, PhotoRecord& record) {
    const double radius = 0.02 * deviation_of(o.photo.input);  // captum's radius, for inputs of deviation 1
    const std::vector<double> found = max_sensitivity(
        [&](const Tensor& input) { return raw_maps(explain_(input, {}, {fixed(target)})[0]); }, o.photo.input, radius, o_.noises, o_.seed);
    for (std::size_t m = 0; m < found.size(); m++) record.maps[m].second.note("sensitivity", found[m]);
}

// By photo and method: how alike the maps still are, on average over the layers the network forgets one after another.
std::vector<std::vector<Rater::Numbers>> Rater::sanity_of(const std::vector<Photo>& photos, const std::vector<Explained>& results) {
    std::vector<std::vector<Numbers>> numbers(photos.size());
    if (!rating_.wants("sanity-rank") && !rating_.wants("sanity-ssim")) return numbers;
    struct Sums {
        double rank = 0, ssim = 0;
        Index ranks = 0, all = 0;
    };
    std::vector<std::vector<Sums>> sums;
    std::vector<std::string> targets;
    for (const Explained& result : results) sums.emplace_back(result.maps.size()), targets.push_back(fixed(result.targets[0]));
    const Tensor inputs = stack(photos);
    const Index h = inputs.shape()[1], w = inputs.shape()[2];
    CascadingRandomisation forgetting(ready_.loaded.model, o_.seed);
    while (forgetting.next()) {
        std::vector<Explained> others;
        try {
            others = explain_(inputs, {}, targets);
        } catch (const NotFinite&) {  // what forgets may overflow
            continue;
        }
        for (std::size_t i = 0; i < photos.size(); i++)
            for (std::size_t m = 0; m < sums[i].size(); m++) {
                const Tensor &trained = results[i].maps[m].raw, &other = others[i].maps[m].raw;
                const double rank = rank_correlation(trained, other);
                if (!std::isnan(rank)) sums[i][m].rank += rank, sums[i][m].ranks++;
                sums[i][m].ssim += structural_similarity(heat_of(trained, h, w), heat_of(other, h, w)), sums[i][m].all++;
            }
    }
    for (std::size_t i = 0; i < photos.size(); i++)
        for (const Sums& s : sums[i]) {
            numbers[i].emplace_back();
            if (rating_.wants("sanity-rank") && s.ranks > 0) numbers[i].back()["sanity-rank"] = s.rank / double(s.ranks);
            if (rating_.wants("sanity-ssim") && s.all > 0) numbers[i].back()["sanity-ssim"] = s.ssim / double(s.all);
        }
    return numbers;
}

}  // namespace limn::cli
