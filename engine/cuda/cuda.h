// The way to the cuda backend. It lies in a library of its own, liblimn_cuda.so, which is opened only when it is asked for: NVIDIA's
// libraries take 0.15 s to load, more than a whole explanation on the cpu, and are missing on most machines.
#pragma once

#include <memory>
#include <string>

#include "engine/cuda/conv_graph.h"
#include "engine/cuda/device_description.h"

namespace limn::cuda {

struct Settings {
    Precision precision = Precision::f32;
    bool autotune = false;  // times cuDNN's candidates for each convolution instead of trusting its heuristics
    bool operator==(const Settings&) const = default;
};

// What the library offers.
class Library {
public:
    virtual ~Library() = default;
    virtual std::string cudnn_version() const = 0;
    // cuDNN's choice for a GPU that is only described; an Error says what cuDNN has no plan for.
    virtual std::unique_ptr<ConvGraphPlan> plan(const ConvGraph& graph, const DeviceDescription& device) const = 0;
    // On the first GPU there is.
    virtual std::unique_ptr<Backend> backend(const Settings& settings) const = 0;
};

bool built_with_cuda();
const Library& library();  // opened once; an Error says why it cannot be

// Why no GPU can be used here, in one line that says what to do; empty if one can.
const std::string& problem();
bool worth_a_word();                                    // is there a driver, so that somebody may wonder why its GPU is not used?
const Backend& backend(const Settings& settings = {});  // made once for each settings; an Error holds problem()

// Plans convolutions as a described GPU would, and computes them on the cpu: what `limn inspect --plan --device cuda --sm 90` shows.
class DescribedPlan : public ConvPlan {
public:
    DescribedPlan(const ConvGraph& asked, std::unique_ptr<ConvGraphPlan> answer, std::unique_ptr<ConvPlan> on_cpu, bool then_pools)
        : graph(asked), chosen(std::move(answer)), on_cpu_(std::move(on_cpu)), then_pools_(then_pools) {}
    std::string algorithm() const override {
        return (chosen ? "cuDNN " + chosen->engine : "own kernels, by definition") + (then_pools_ ? ", then our max pool" : "");
    }
    void run(const Tensor& x, Tensor& y) const override { on_cpu_->run(x, y); }
    Cost cost() const override { return on_cpu_->cost(); }
    bool pools() const override { return on_cpu_->pools(); }

    const ConvGraph graph;
    const std::unique_ptr<ConvGraphPlan> chosen;  // null: cuDNN has none (refusals say why)

private:
    const std::unique_ptr<ConvPlan> on_cpu_;
    const bool then_pools_;
};
std::unique_ptr<Backend> described_backend(int sm, Precision precision);

}  // namespace limn::cuda
