// `limn evaluate`: evaluate.cpp lists the photos, keeps the records and writes the results; rater.cpp rates photos.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "evaluate/annotations.h"
#include "evaluate/rating.h"
#include "evaluate/records.h"

namespace limn::cli {

struct EvaluateOptions : Options {
    std::string folder, boxes, masks, truth, layer = "auto", target = "auto", score = "logit", out = "limn-evaluate", mask_value = "auto";
    std::vector<std::string> methods{"grad-cam"}, metrics{"auto"};
    Index steps = 0, limit = 0, thresholds = 100, noises = 10, samples = 0, show = 4;
    std::uint64_t seed = 1;
};

// A photo of the folder, and what is known before it is opened.
struct Entry {
    std::string name;  // its path below the folder
    std::optional<Label> label;
};

// Explains the photos of a folder by several methods, and rates the maps of these and of the baselines.
class Rater {
public:
    // All that is given has to outlive it.
    Rater(const EvaluateOptions& o, Ready& ready, const Annotations& annotations, const RatingSettings& rating, const Request& request);

    // A record a photo, as soon as its numbers are there; one that cannot be read, or that nobody says anything about, says why it was
    // left out. The numbers do not depend on what was rated before, but on which photos share a batch.
    void rate(std::span<const Entry> batch, const std::function<void(const PhotoRecord&)>& rated);

private:
    struct Opened {
        const Entry* entry;
        Photo photo;
        Truth truth;
    };
    using Numbers = std::map<std::string, double>;

    PhotoRecord record_of(const Opened& o, const Explained& result);
    Tensor values_of(int node, const Tensor& inputs) const;
    std::vector<std::string> true_targets(const std::vector<Opened>& opened) const;
    Scorer scorer_of(const Target& target) const;
    std::string fixed(const Target& target) const;
    void add_sensitivity(const Opened& o, const Target& target, PhotoRecord& record);
    std::vector<std::vector<Numbers>> sanity_of(const std::vector<Photo>& photos, const std::vector<Explained>& results);

    const EvaluateOptions& o_;
    Ready& ready_;
    const Annotations& annotations_;
    const RatingSettings& rating_;
    const Request& request_;
    Head head_;
    Explaining explain_;
};

}  // namespace limn::cli
