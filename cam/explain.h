// Explaining batches of images: one forward pass, one backward walk, all layers and targets of all methods that can share them; then
// the methods that ask questions of their own, image by image.
// Read this for the whole way at a glance; the formulas are in the methods' own files (cam/methods.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cam/cam.h"
#include "cam/fusion.h"
#include "cam/methods.h"
#include "cam/target.h"

namespace limn {

// Nodes that hold a spatial map, (N,h,w,c).
bool has_map(const Model& model, int node);
// What CAM reads; else the last layer before the head with a spatial map that is no pool, dropout or padding; where each pixel is
// classified, the last of the coarsest ones.
int default_layer(const Model& model, int output_number = 0);
// Every convolution.
std::vector<int> convolutions(const Model& model);

// A number of one's own, in place of a target of the scores: of the value (N,...) of a node, one for each image.
struct OwnScore {
    int node;
    ScoreFunction function;
    std::string label;
};

struct Request {
    std::vector<Method> methods;
    std::vector<int> layers;
    std::string target = "auto";  // for all images (cam/target.h); single images may have others of the same output
    Score score = Score::logit;   // unless the target says log(...)
    std::vector<std::string> labels;
    std::optional<Drawing> drawing = {};  // what to make of each map where photos are given
    std::optional<OwnScore> own = {};     // explained instead of the target
    bool counterfactual = false;          // what speaks against the target: its negative is explained (Selvaraju et al. 2017, sec. 3.3)
    std::optional<Fusion> fusion = {};    // one map from those of all layers, in their place
    std::uint64_t seed = 1;               // of methods that draw at random
    Index samples = 0;                    // trials of RISE, SmoothGrad and integrated gradients; 0: their own numbers
};

Head head_of(const Model& model, const Request& request);
int explained_node(Model& model, const Request& request);  // log(...) adds one

constexpr int fused_layers = -1;

struct Map {
    std::string method, variant;
    int layer;  // a node; fused_layers for the map of several
    Target target;
    Tensor raw;  // (h,w), signed
    MapStatistics stats;
    std::vector<std::string> diagnostics;  // why it cannot be drawn, or should not be trusted, and what to try
    std::optional<Drawn> drawn;            // if the request has a drawing and photos were given
};

// The model answers with NaN or infinite numbers.
struct NotFinite : Error {
    using Error::Error;
};

struct Explained {  // one image
    std::vector<Prediction> predictions;
    std::vector<Target> targets;
    std::vector<Map> maps;  // by method, then layer, then target
};

// The same request for one batch of images after another. On a GPU everything from the forward pass to the pictures stays there and
// comes back in one copy; from the second batch of the same sizes on it is a single recorded launch.
class Explainer {
public:
    // top: how many predictions to report, at least one. The backend must outlive it; the model's weights may be exchanged.
    Explainer(const Backend& backend, const Model& model, Request request, Index top = 5);
    ~Explainer();

    // images: (N,h,w,c), preprocessed. photos: what they were made from, (H,W,3) bytes each, to draw on; or none. targets: one for each
    // image, in place of the request's; or none.
    std::vector<Explained> operator()(const Tensor& images, const std::vector<Tensor>& photos = {},
                                      const std::vector<std::string>& targets = {});
    // Told during methods that take many trials: whose, and how far one image of it is.
    std::function<void(const Method& method, Index done, Index of)> progress;
    bool recorded() const;  // was the last batch a recorded launch?
    void again() const;     // computes the last batch once more and leaves the results where they are: for timing

private:
    struct Work;
    Work& work_for(const Tensor& images, const std::vector<Tensor>& photos, const std::vector<std::string>& targets);
    void set_targets(Work& work, const std::vector<std::string>& targets) const;
    void compute(Work& work) const;
    void study(const Work& work, std::vector<Explained>& results);
    void fuse(const Work& work, std::vector<Explained>& results) const;
    std::vector<Explained> read(const Work& work) const;
    std::vector<Target> targets_for(const std::string& spec, std::span<const float> logits, std::span<const float> outputs) const;
    Map map_of(const Method& method, int layer, const Explained& image, const Target& target, const Tensor& raw, bool dead) const;
    void draw_on(Map& map, const Work& work, std::size_t image, const Tensor& raw) const;

    const Backend& backend_;
    Model model_;  // with the same weights, and a node for logarithms if they are asked for
    Request request_;
    Index top_;
    Head head_;
    std::vector<int> watch_, keep_;
    int explained_;  // the node whose value is explained
    Asked asked_;
    std::vector<std::unique_ptr<Work>> works_;  // the newest last
};

// One batch: Explainer(backend, model, request, top)(images).
std::vector<Explained> explain(const Backend& backend, const Model& model, const Tensor& images, const Request& request, Index top = 5);

}  // namespace limn
