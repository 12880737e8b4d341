// Explaining a batch of images: one forward pass, one backward walk, all layers and targets of all methods.
// Read this for the whole way at a glance; the formulas are in cam.cpp and grad_cam.cpp.
#pragma once

#include <string>
#include <vector>

#include "cam/cam.h"
#include "cam/map.h"
#include "cam/target.h"

namespace limn {

// cam, grad-cam, hirescam; an unknown name is an Error that lists them. "all" gives those that apply.
struct Method {
    std::string name, variant;  // variant: the exact formula's name, for the records
    bool needs_gradient;
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
};

struct Map {
    std::string method, variant;
    int layer;
    Target target;
    Tensor raw;  // (h,w), signed
    MapStatistics stats;
    std::vector<std::string> diagnostics;  // why it cannot be drawn, or should not be trusted, and what to try
};

struct Explained {  // one image
    std::vector<Prediction> predictions;
    std::vector<Target> targets;
    std::vector<Map> maps;  // by target, then layer, then method
};

// images: (N,h,w,c), preprocessed. top: how many predictions to report.
std::vector<Explained> explain(const Backend& backend, const Model& model, const Tensor& images, const Request& request, Index top = 5);

}  // namespace limn
