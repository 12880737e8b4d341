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
    std::size_t width = 5, arena = 0;
    double gflop = 0;
    Tape tape(*backend);
    model.observe(tape, {planned_image(o, loaded)}, [&](const Layer& layer, int node, const Tensor& value) {
        Json row{{"layer", model.node(node).name}, {"class", layer.class_name}, {"runs", "own kernels"}};
        if (const auto* plan = dynamic_cast<const cuda::DescribedPlan*>(layer.plan())) {
            row["runs"] = plan->algorithm();
            row["gflop"] = 2 * plan->graph.multiply_adds() / 1e9;
            row["graph"] = plan->graph.key();
            row["workspace_bytes"] = plan->chosen ? plan->chosen->workspace : 0;
            row["candidates"] = plan->chosen ? plan->chosen->candidates : 0;
            if (!plan->refusals.empty()) row["refused"] = plan->refusals[0].reason;
            arena = std::max(arena, row["workspace_bytes"].get<std::size_t>());
        } else if (layer.class_name == "Dense") {
            const Shape& kernel = layer.weight("kernel").shape();
            row["runs"] = fmt::format("cuBLAS ({},{}) x {}", value.size() / kernel[1], kernel[0], kernel.str());
            row["gflop"] = 2 * double(kernel.size()) / 1e9;
        }
        if (layer.class_name == "Flatten" || layer.class_name == "Reshape") row["runs"] = "nothing: the same numbers";
        width = std::max(width, model.node(node).name.size());
        gflop += row.value("gflop", 0.0);
        layers.push_back(std::move(row));
    });
    if (o.json) {
        fmt::print("{}\n", json_text({{"device", backend->name()}, {"workspace_bytes", arena}, {"layers", layers}}));
        return;
    }
    fmt::print("{} on {}\n\n{:<{}}  {:>7}  {:>9}  {:>4}  {}\n", model.name, backend->name(), "layer", width, "GFLOP", "workspace", "of",
               "what runs");
    for (const Json& row : layers) {
        const bool conv = row.contains("graph");
        fmt::print("{:<{}}  {:>7}  {:>9}  {:>4}  {}{}\n", row["layer"].get<std::string>(), width,
                   row.contains("gflop") ? fmt::format("{:.3f}", row["gflop"].get<double>()) : "",
                   conv ? fmt::format("{:.1f} MB", double(row["workspace_bytes"].get<std::size_t>()) / 1e6) : "",
                   conv ? std::to_string(row["candidates"].get<int>()) : "", row["runs"].get<std::string>(),
                   row.contains("refused") ? ": " + row["refused"].get<std::string>() : "");
    }
    fmt::print(
        "\n{} steps, {:.2f} GFLOP, one workspace of {:.1f} MB; layers that are missing here are done in passing by those before them\n"
        "of: how many engines cuDNN's heuristics named, of any precision; the first that has the precision asked for is taken.\n",
        layers.size(), gflop, double(arena) / 1e6);
}

}  // namespace limn::cli
