#include "evaluate/metrics.h"

#include <algorithm>

#include "engine/error.h"

namespace limn {

std::span<const Metric> metrics() {
    constexpr bool higher = true, lower = false, percent = true, plain = false, expensive = true, cheap = false, set = true, mean = false;
    static const Metric list[] = {
        {"pointing", "the map's peak lies on the object (Zhang 2016)", Needs::region, higher, percent, cheap, mean},
        {"pointing-15", "the map's peak lies on the object or at most 15 pixels away (Zhang 2016)", Needs::region, higher, percent, cheap,
         mean},
        {"energy", "share of the map's sum on the object (Wang 2020)", Needs::region, higher, percent, cheap, mean},
        {"ap", "average precision of the photo's pixels", Needs::mask, higher, percent, cheap, mean},
        {"pxap", "average precision of all pixels of all photos (Choe 2020)", Needs::mask, higher, percent, cheap, set},
        {"iou-15", "overlap of the box at 15 % of the maximum with the object's (Selvaraju 2017)", Needs::box, higher, percent, cheap,
         mean},
        {"iou-20", "the same at 20 % of the maximum (Zhou 2016)", Needs::box, higher, percent, cheap, mean},
        {"loc-15", "photos whose box at 15 % of the maximum overlaps by half", Needs::box, higher, percent, cheap, mean},
        {"loc-20", "photos whose box at 20 % of the maximum overlaps by half", Needs::box, higher, percent, cheap, mean},
        {"maxboxacc", "photos whose box overlaps by half, at the threshold that is best for all photos (Choe 2020)", Needs::box, higher,
         percent, cheap, set},
        {"maxboxacc-v2", "the same for any of the boxes, mean over overlaps .3, .5 and .7 (Choe 2020)", Needs::box, higher, percent, cheap,
         set},
        {"top1-error", "ILSVRC localisation: wrong class, or wrong box at 15 %", Needs::box_and_label, lower, percent, cheap, mean},
        {"top5-error", "ILSVRC localisation: the class not among the best five, or wrong box at 15 %", Needs::box_of_label, lower, percent,
         cheap, mean},
        {"drop", "average drop of the score of the input times the map (Chattopadhay 2018)", Needs::nothing, lower, percent, cheap, mean},
        {"increase", "how often the score of the input times the map is higher (Chattopadhay 2018)", Needs::nothing, higher, percent, cheap,
         mean},
        {"insertion", "area under the score while pixels are put into a blurred input (Petsiuk 2018)", Needs::nothing, higher, plain,
         expensive, mean},
        {"deletion", "area under the score while pixels are set to 0 (Petsiuk 2018)", Needs::nothing, lower, plain, expensive, mean},
        {"road", "(score without the least - without the most relevant pixels) / 2 (Rong 2022)", Needs::nothing, higher, plain, expensive,
         mean},
        {"sensitivity", "largest relative change of the map under small noise (Yeh 2019)", Needs::nothing, lower, plain, expensive, mean},
        {"sanity-rank", "rank correlation with the map of a network that forgets (Adebayo 2018)", Needs::nothing, lower, plain, expensive,
         mean},
        {"sanity-ssim", "structural similarity with the map of a network that forgets (Adebayo 2018)", Needs::nothing, lower, plain,
         expensive, mean},
    };
    return list;
}

bool Available::allow(Needs needs) const {
    const bool box = boxes || masks;
    switch (needs) {
        case Needs::nothing: return true;
        case Needs::region:
        case Needs::box: return box;
        case Needs::mask: return masks;
        case Needs::box_and_label: return box && labels && (maps_of_labels || maps_of_answers);
        case Needs::box_of_label: return box && labels && maps_of_labels;
    }
    return false;
}

static const char* remedy(Needs needs) {
    switch (needs) {
        case Needs::nothing: return "nothing";
        case Needs::mask: return "masks: --masks FOLDER";
        case Needs::box_and_label:
            return "boxes and labels: --boxes PATH or --masks FOLDER, --truth FILE.csv or class folders, and --target auto or label";
        case Needs::box_of_label: return "boxes, labels and maps of the true class: --target label";
        default: return "to know where the objects are: --boxes PATH or --masks FOLDER";
    }
}

std::vector<Metric> chosen_metrics(const std::vector<std::string>& names, const Available& truth) {
    std::vector<Metric> chosen;
    std::string known;
    for (const Metric& metric : metrics()) {
        known += (known.empty() ? "" : ", ") + metric.id;
        const auto named = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
        LIMN_CHECK(!named(metric.id) || truth.allow(metric.needs), "--metrics {} needs {}", metric.id, remedy(metric.needs));
        if (named(metric.id) || (truth.allow(metric.needs) && (named("all") || (named("auto") && !metric.expensive))))
            chosen.push_back(metric);
    }
    for (const std::string& name : names)
        LIMN_CHECK(name == "auto" || name == "all" ||
                       std::any_of(metrics().begin(), metrics().end(), [&](const Metric& m) { return m.id == name; }),
                   "--metrics {}: is not known; auto, all, {} are", name, known);
    return chosen;
}

}  // namespace limn
