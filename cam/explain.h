// Explaining batches of images: one forward pass, one backward walk, all layers and targets of all methods.
// Read this for the whole way at a glance; the formulas are in cam.cpp and grad_cam.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cam/cam.h"
#include "cam/grad_cam.h"
#include "cam/map.h"
#include "cam/target.h"

namespace limn {

// cam, grad-cam, hirescam...; an unknown name is an Error that lists them. "all" gives those that apply.
struct Method {
    std::string name, variant;  // variant: the exact formula's name, for the records
    GradientMap* formula;       // null: needs no gradient (cam)
    bool needs_gradient() const { return formula != nullptr; }
};
std::span<const Method> methods();
const Method& method_named(std::string_view name);

// Nodes that hold a spatial map, (N,h,w,c).
bool has_map(const Model& model, int node);
// The last layer with a spatial map before the head.
int default_layer(const Model& model);
// Every convolution.
std::vector<int> convolutions(const Model& model);

struct Request {
    std::vector<Method> methods;
    std::vector<int> layers;
    std::string target = "auto";  // for all images
    Score score = Score::logit;
    std::vector<std::string> labels;
    std::optional<Drawing> drawing = {};  // what to make of each map where photos are given
};

struct Map {
    std::string method, variant;
    int layer;
    Target target;
    Tensor raw;  // (h,w), signed
    MapStatistics stats;
    std::vector<std::string> diagnostics;  // why it cannot be drawn, or should not be trusted, and what to try
    std::optional<Drawn> drawn;            // if the request has a drawing and photos were given
};

struct Explained {  // one image
    std::vector<Prediction> predictions;
    std::vector<Target> targets;
    std::vector<Map> maps;  // by target, then layer, then method
};

// The same request for one batch of images after another. On a GPU everything from the forward pass to the pictures stays there and
// comes back in one copy; from the second batch of the same sizes on it is a single recorded launch.
class Explainer {
public:
    // top: how many predictions to report. Backend and model must outlive it; weights may be exchanged.
    Explainer(const Backend& backend, const Model& model, Request request, Index top = 5);
    ~Explainer();

    // images: (N,h,w,c), preprocessed. photos: what they were made from, (H,W,3) bytes each, to draw on; or none.
    std::vector<Explained> operator()(const Tensor& images, const std::vector<Tensor>& photos = {});
    bool recorded() const;  // was the last batch a recorded launch?
    void again() const;     // computes the last batch once more and leaves the results where they are: for timing

private:
    struct Work;
    Work& work_for(const Tensor& images, const std::vector<Tensor>& photos);
    void compute(Work& work) const;
    std::vector<Explained> read(const Work& work) const;

    const Backend& backend_;
    const Model& model_;
    Request request_;
    Index top_;
    Head head_;
    std::optional<CamHead> cam_head_;
    std::vector<int> watch_, keep_;
    std::vector<std::unique_ptr<Work>> works_;  // the newest last
};

// One batch: Explainer(backend, model, request, top)(images).
std::vector<Explained> explain(const Backend& backend, const Model& model, const Tensor& images, const Request& request, Index top = 5);

}  // namespace limn
