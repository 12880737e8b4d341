// `limn inspect --plan`: how each layer is computed, why not otherwise, and how near that comes to what the machine can do.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "engine/cpu/peak.h"

namespace limn::cli {

namespace {

struct Row {
    std::string layer, kind, algorithm, refusals;
    double ms = 1e9, definition = 0, done = 0, bytes = 0;  // multiply-adds; bytes that are read or written at least once
    bool operator<(const Row& other) const { return ms < other.ms; }
};

}  // namespace

Tensor planned_image(const Options& o, const LoadedModel& loaded) {
    const Model& model = loaded.model;
    LIMN_CHECK(model.inputs.size() == 1, "--plan: model '{}' has {} inputs; models with one are run", model.name, model.inputs.size());
    const Shape& shape = model.node(model.inputs[0]).shape;
    const std::string text = !o.size.empty() ? o.size : loaded.size;
    const auto [h, w] = text.empty() ? std::pair<Index, Index>(224, 224) : parse_size(text);
    Shape image = shape.with(0, 1);
    for (int axis = 1; axis < image.rank(); axis++)
        if (image[axis] < 0) image[axis] = axis == 1 ? h : w;
    return Tensor::full(image, 1);
}

void print_plan(const Options& o, LoadedModel& loaded) {
    const Backend& backend = o.backend();
    Device* gpu = backend.device();
    loaded.model.move_to(gpu);
    const Model& model = loaded.model;
    const Tensor x = planned_image(o, loaded);

    // The first run plans; then the least time of each layer.
    std::vector<Row> rows;
    for (int run = 0; run < 6; run++) {
        Tape tape(backend);
        std::size_t i = 0;
        std::int64_t start = now_ns();
        model.observe(tape, {x}, [&](const Layer& layer, int node, const Tensor& value) {
            if (gpu) gpu->wait();
            const double ms = milliseconds_since(start);
            if (run == 0) {
                Row row{model.node(node).name, layer.class_name, "", ""};
                row.bytes = 2 * double(value.size()) * sizeof(float);
                if (const ConvPlan* plan = layer.plan()) {
                    row.algorithm = plan->algorithm();
                    for (const auto& refusal : plan->refusals)
                        row.refusals += fmt::format("{}{}: {}", row.refusals.empty() ? "" : "; ", refusal.algorithm, refusal.reason);
                    const ConvPlan::Cost cost = plan->cost();
                    row.definition = cost.definition, row.done = cost.done, row.bytes += cost.weight_bytes;
                } else if (!layer.weight("kernel").empty()) {
                    row.definition = row.done = double(layer.weight("kernel").size());
                    row.bytes += row.done * sizeof(float);
                }
                rows.push_back(row);
            } else {
                rows[i].ms = std::min(rows[i].ms, ms);
            }
            i++;
            start = now_ns();
        });
    }
    const cpu::Peak peak = gpu ? cpu::Peak{} : cpu::measure_peak();  // a GPU's is not measured here
    // No faster than its arithmetic at the peak, nor than its bytes from memory (what stays in the caches may beat that).
    const auto bound_ms = [&](const Row& row) { return gpu ? 0 : std::max(2 * row.done / peak.gflops, row.bytes / peak.gbytes) / 1e6; };
    if (o.json) {
        nlohmann::ordered_json layers = nlohmann::ordered_json::array();
        for (const Row& row : rows)
            layers.push_back({{"layer", row.layer},
                              {"class", row.kind},
                              {"algorithm", row.algorithm},
                              {"refused", row.refusals},
                              {"ms", row.ms},
                              {"gflop", 2 * row.definition / 1e9},
                              {"gflop_done", 2 * row.done / 1e9},
                              {"bytes", row.bytes},
                              {"bound_ms", bound_ms(row)}});
        fmt::print("{}\n",
                   json_text({{"device", backend.name()}, {"peak_gflops", peak.gflops}, {"peak_gbytes", peak.gbytes}, {"layers", layers}}));
        return;
    }
    std::size_t width = 5;
    for (const Row& row : rows) width = std::max(width, row.layer.size());
    if (gpu)
        fmt::print("{} on {}; each layer is waited for, which costs some 10 us\n\n", model.name, backend.name());
    else
        fmt::print("{} on {}: {:.0f} GFLOP/s and {:.1f} GB/s at most, measured now\n\n", model.name, backend.name(), peak.gflops,
                   peak.gbytes);
    fmt::print("{:<{}}  {:<15}  {:>8}  {:>7}  {:>8}  {:>7}  {:>6}  {}\n", "layer", width, "algorithm", "ms", "GFLOP", "GFLOP/s", "MB",
               "bound", "why not better");
    double ms = 0, flop = 0, bound = 0;
    for (const Row& row : rows) {
        fmt::print("{:<{}}  {:<15}  {:>8.3f}  {:>7.3f}  {:>8.1f}  {:>7.1f}  {:>5.0f}%  {}\n", row.layer, width,
                   row.algorithm.empty() ? "-" : row.algorithm, row.ms, 2 * row.definition / 1e9, 2 * row.definition / row.ms / 1e6,
                   row.bytes / 1e6, 100 * bound_ms(row) / row.ms, row.refusals);
        ms += row.ms, flop += 2 * row.definition, bound += bound_ms(row);
    }
    fmt::print("\nin all {:.2f} ms, {:.2f} GFLOP by definition, {:.1f} GFLOP/s", ms, flop / 1e9, flop / ms / 1e6);
    if (gpu) return fmt::print("\n");
    fmt::print("; {:.0f} % of the bound\n", 100 * bound / ms);
    fmt::print(
        "GFLOP: by the definition of the layer. bound: the time of the arithmetic really done at the machine's peak, or of the bytes of\n"
        "weights and values through memory, whichever is longer, as a share of the time taken (caches, and weights\n"
        "that zero inputs spare, may beat it).\n");
}

}  // namespace limn::cli
