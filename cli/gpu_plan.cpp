// `limn inspect --plan --device cuda --sm 90`: what cuDNN would run for each convolution on a GPU that need not be there.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "engine/cuda/cuda.h"

namespace limn::cli {

void print_gpu_plan(const Options& o, const LoadedModel& loaded, int sm) {
    const auto backend = cuda::described_backend(sm, cuda::precision_named(o.precision));
    const Model& model = loaded.model;
    using Json = nlohmann::ordered_json;
    Json layers = Json::array();
    std::size_t width = 5;
    Tape tape(*backend);
    model.observe(tape, {planned_image(o, loaded)}, [&](const Layer& layer, int, const Tensor&) {
        const auto* plan = dynamic_cast<const cuda::DescribedPlan*>(layer.plan());
        if (!plan) return;
        width = std::max(width, layer.name.size());
        layers.push_back({{"layer", layer.name},
                          {"engine", plan->chosen->engine},
                          {"workspace_bytes", plan->chosen->workspace},
                          {"candidates", plan->chosen->candidates},
                          {"gflop", 2 * plan->graph.multiply_adds() / 1e9},
                          {"graph", plan->graph.key()}});
    });
    std::size_t arena = 0;
    double gflop = 0;
    for (const Json& layer : layers) {
        arena = std::max(arena, layer["workspace_bytes"].get<std::size_t>());
        gflop += layer["gflop"].get<double>();
    }
    if (o.json) {
        fmt::print("{}\n", Json{{"device", backend->name()}, {"workspace_bytes", arena}, {"layers", layers}}.dump(2));
        return;
    }
    fmt::print("{} on {}\n\n{:<{}}  {:>7}  {:>9}  {:>4}  {}\n", model.name, backend->name(), "layer", width, "GFLOP", "workspace", "of",
               "cuDNN's engine and its settings");
    for (const Json& layer : layers)
        fmt::print("{:<{}}  {:>7.3f}  {:>6.1f} MB  {:>4}  {}\n", layer["layer"].get<std::string>(), width, layer["gflop"].get<double>(),
                   double(layer["workspace_bytes"].get<std::size_t>()) / 1e6, layer["candidates"].get<int>(),
                   layer["engine"].get<std::string>());
    fmt::print(
        "\n{} convolutions, {:.2f} GFLOP, one workspace of {:.1f} MB\n"
        "of: how many engines cuDNN's heuristics named, of any precision; the first that has the precision asked for is taken.\n",
        layers.size(), gflop, double(arena) / 1e6);
}

}  // namespace limn::cli
