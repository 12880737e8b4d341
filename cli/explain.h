// limn explain: its options, and what becomes of each photo's maps.
#pragma once

#include <future>
#include <map>
#include <nlohmann/json_fwd.hpp>

#include "cam/verify.h"
#include "cli/caption.h"
#include "cli/cli.h"

namespace limn::cli {

struct ExplainOptions : Options {
    std::vector<std::string> images;
    std::vector<std::string> methods{"grad-cam"}, layers{"auto"}, save{"png", "json"};
    std::string target = "auto", targets_file, score = "logit", out = "limn-out", style = "article", colormap = "jet", normalize = "max";
    std::string view = "heat", fuse, boxes = "none", compat;
    float threshold = 0.2f, alpha = 0.5f;
    Index top = 5, samples = 0;
    std::uint64_t seed = 1;
    bool show = false, verify = false;

    bool wants(std::string_view kind) const { return std::find(save.begin(), save.end(), kind) != save.end(); }
};

// Writes the files of one photo after another, prints what is to be printed.
class ExplainFiles {
public:
    ExplainFiles(const ExplainOptions& options, const Ready& ready);

    // evidence: of each map, or nothing. words: of a caption, or none. The photo's JSON.
    nlohmann::ordered_json write(const Photo& photo, const Explained& result, const std::vector<std::vector<Evidence>>& evidence, double ms,
                                 const std::vector<SaidWord>& words);

private:
    struct Page;
    nlohmann::ordered_json write(const Photo& photo, const Map& map, const std::vector<Evidence>& evidence, const std::string& name,
                                 Page& page);
    nlohmann::ordered_json conventions() const;
    nlohmann::ordered_json manifest(const Photo& photo) const;
    std::string layer_name(const Map& map) const;

    const ExplainOptions& o_;
    const Ready& ready_;
    std::shared_future<std::string> model_digest_;  // of a large file, computed while the first photo is explained
    nlohmann::ordered_json given_;                  // what was said about the model beside its file
    std::map<std::string, int> used_names_;
};

}  // namespace limn::cli
