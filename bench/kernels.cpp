// Every algorithm on every shape of convolution of the usual networks: checked against the definition first, then timed.
//
//     bench_kernels [--networks vgg16,resnet50,mobilenet,squeezenet] [--shape HxWxC:K:RxS[:stride]]... [--batch N] [--threads T]
//                   [--device cuda [--precision tf32] [--autotune 1]]
//                   [--benchmark_format=json] [--benchmark_filter=winograd] ...           (Google Benchmark's own options)
//
// A line is one algorithm on one shape. Counters: GFLOP/s by the definition of the layer, GFLOP/s really done (Winograd does fewer, padding
// more), GB/s of weights and values at least read and written, and the share of the bound: of the time that the arithmetic done at this
// machine's peak, or those bytes from memory, would take at least. bench/roofline.py draws the JSON.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>

#include "autograd/training.h"
#include "bench/shapes.h"
#include "engine/cpu/conv_plan.h"
#include "engine/cpu/peak.h"
#include "engine/cuda/cuda.h"
#include "engine/threads.h"

using namespace limn;

namespace {

// "56x56x64:128:3x3:2"
Case parse_case(const std::string& text) {
    Case c{"own", 0, 0, 0, 0, 0, 0, 1};
    const int n = std::sscanf(text.c_str(), "%ldx%ldx%ld:%ld:%ldx%ld:%ld", &c.h, &c.w, &c.c, &c.k, &c.r, &c.s, &c.stride);
    LIMN_CHECK(n >= 6 && std::min({c.h, c.w, c.c, c.k, c.r, c.s, c.stride}) >= 1 && std::max({c.h, c.w, c.c, c.k}) <= 1 << 14,
               "--shape {}: should be HxWxC:K:RxS or HxWxC:K:RxS:stride, such as 56x56x64:128:3x3", text);
    return c;
}

Tensor noise(Shape shape, const char* name, double scale) {
    Tensor t(shape);
    Random random(1, name);
    for (float& v : t.values()) v = float(scale * random.normal());
    return t;
}

// The definition in double at some outputs; the largest error, relative to the largest of those outputs.
double error_of(const ConvShape& v, const Tensor& x, const Tensor& kernel, const Tensor& bias, const Tensor& y) {
    Random random(2, "samples");
    double error = 0, largest = 0;
    const Index C = v.c / v.groups, group = v.k / v.groups;
    for (int i = 0; i < 400; i++) {
        const Index n = random.below(y.shape()[0]), p = random.below(v.p), q = random.below(v.q), k = random.below(v.k);
        double sum = bias.data()[k];
        for (Index r = 0; r < v.window.r; r++)
            for (Index s = 0; s < v.window.s; s++) {
                const Index h = p * v.window.stride_h + r - v.window.pad_top, w = q * v.window.stride_w + s - v.window.pad_left;
                if (h < 0 || w < 0 || h >= v.h || w >= v.w) continue;
                for (Index c = 0; c < C; c++)
                    sum += double(x.data()[((n * v.h + h) * v.w + w) * v.c + k / group * C + c]) *
                           double(kernel.data()[((r * v.window.s + s) * C + c) * v.k + k]);
            }
        error = std::max(error, std::abs(std::max(sum, 0.0) - double(y.data()[((n * v.p + p) * v.q + q) * v.k + k])));
        largest = std::max(largest, std::abs(sum));
    }
    return error / largest;
}

void measure(benchmark::State& state, const Case& c, const cpu::Candidate& candidate, Index batch, const cpu::Peak& peak) {
    const ConvShape v = c.shape();
    const double inputs = double(v.window.r * v.window.s * v.c / v.groups);
    const ConvWeights weights{
        noise({v.window.r, v.window.s, v.c / v.groups, v.k}, "kernel", std::sqrt(2 / inputs)), noise({v.k}, "bias", 0.1), {}};
    const Tensor x = noise({batch, v.h, v.w, v.c}, "x", 1);
    Tensor y({batch, v.p, v.q, v.k});
    const auto plan = candidate.plan({v, weights, Direction::forward, Fused::relu, cpu::best_kernels()});
    plan->run(x, y);
    const double error = error_of(v, x, weights.kernel, weights.bias, y);
    if (!(error <= 2e-5)) return state.SkipWithError(fmt::format("wrong: relative error {:.1e}", error).c_str());
    for (auto _ : state) plan->run(x, y);

    const ConvPlan::Cost cost = plan->cost();
    const double images = double(batch), bytes = cost.weight_bytes + double(x.size() + y.size()) * sizeof(float);
    const double bound = std::max(2 * cost.done * images / (peak.gflops * 1e9), bytes / (peak.gbytes * 1e9));
    using benchmark::Counter;
    state.counters["GFLOP/s"] = Counter(2e-9 * cost.definition * images, Counter::kIsIterationInvariantRate);
    state.counters["done GFLOP/s"] = Counter(2e-9 * cost.done * images, Counter::kIsIterationInvariantRate);
    state.counters["GB/s"] = Counter(1e-9 * bytes, Counter::kIsIterationInvariantRate);
    state.counters["of bound"] = Counter(bound, Counter::kIsIterationInvariantRate);
    state.counters["flop/byte"] = 2 * cost.done * images / bytes;
    state.counters["error"] = error;
}

// On a GPU: forward, and toward the input; twenty in a recording, so that launches are hidden; the GPU's own clock.
void measure_on_gpu(benchmark::State& state, const Case& c, Direction direction, Index batch, const cuda::Settings& settings) {
    const Backend& backend = cuda::backend(settings);
    const ConvShape v = c.shape();
    const bool forward = direction == Direction::forward;
    const double inputs = double(v.window.r * v.window.s * v.c / v.groups);
    const Tensor kernel = noise({v.window.r, v.window.s, v.c / v.groups, v.k}, "kernel", std::sqrt(2 / inputs)),
                 bias = forward ? noise({v.k}, "bias", 0.1) : Tensor();
    const ConvWeights weights{kernel.on(backend.device()), bias.on(backend.device()), {}};
    const Tensor x = noise(forward ? Shape{batch, v.h, v.w, v.c} : Shape{batch, v.p, v.q, v.k}, "x", 1).on(backend.device());
    Tensor y = x.like(forward ? Shape{batch, v.p, v.q, v.k} : Shape{batch, v.h, v.w, v.c});
    const auto plan = backend.plan_conv2d(v, weights, direction, forward ? Fused::relu : Fused::none);
    plan->run(x, y);
    double error = 0;
    if (forward) {
        constexpr double most[] = {2e-5, 4e-3, 4e-2, 1e-2};  // f32, tf32, bf16, fp16
        error = error_of(v, x.host(), kernel, bias, y.host());
        if (!(error <= most[int(settings.precision)]))
            return state.SkipWithError(fmt::format("wrong: relative error {:.1e}", error).c_str());
    }
    constexpr int together = 20;
    const auto recording = backend.record([&] {
        for (int i = 0; i < together; i++) plan->run(x, y);
    });
    for (auto _ : state) state.SetIterationTime(backend.device()->milliseconds([&] { recording->run(); }) / 1000);
    const ConvPlan::Cost cost = plan->cost();
    const double flop = 2 * cost.definition * double(batch) * together;
    state.counters["us"] = benchmark::Counter(1e-6 * together, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    state.counters["TFLOP/s"] = benchmark::Counter(1e-12 * flop, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["error"] = error;
    state.SetLabel(plan->algorithm());
}

int run(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    std::string networks = "vgg16";
    std::vector<Case> cases;
    Index batch = 1;
    bool own = false, on_gpu = false;
    cuda::Settings settings;
    for (int i = 1; i < argc; i += 2) {
        const std::string option = argv[i];
        LIMN_CHECK(i + 1 < argc, "{}: a value was expected", option);
        const std::string value = argv[i + 1];
        if (option == "--networks")
            networks = value;
        else if (option == "--shape")
            cases.push_back(parse_case(value)), own = true;
        else if (option == "--device") {
            LIMN_CHECK(value == "cpu" || value == "cuda", "--device {}: cpu and cuda are known", value);
            on_gpu = value == "cuda";
        } else if (option == "--precision") {
            settings.precision = cuda::precision_named(value);
        } else if (option == "--autotune") {
            settings.autotune = value == "1";
        } else if (option == "--batch" || option == "--threads") {
            const int number = std::atoi(value.c_str());
            LIMN_CHECK(number >= 1 && number <= 1024, "{} {}: a number from 1 to 1024 was expected", option, value);
            option == "--batch" ? void(batch = number) : set_thread_count(number);
        } else {
            fail("{}: is not known; --networks, --shape, --batch, --threads and Google Benchmark's options are", option);
        }
    }
    if (!own)
        for (std::size_t at = 0; at <= networks.size();) {
            const std::size_t end = std::min(networks.find(',', at), networks.size());
            for (const Case& c : network(networks.substr(at, end - at))) cases.push_back(c);
            at = end + 1;
        }
    if (on_gpu) {
        benchmark::AddCustomContext("limn", fmt::format("{}, batch {}", cuda::backend(settings).name(), batch));
        std::set<std::string> seen;
        for (const Case& c : cases) {
            if (!seen.insert(c.name()).second) continue;
            for (const Direction direction : {Direction::forward, Direction::grad_input})
                benchmark::RegisterBenchmark(
                    fmt::format("{}/{}", c.name(), direction == Direction::forward ? "forward" : "grad_input").c_str(),
                    [=](benchmark::State& state) { measure_on_gpu(state, c, direction, batch, settings); })
                    ->UseManualTime()
                    ->Unit(benchmark::kMillisecond);
        }
        benchmark::RunSpecifiedBenchmarks();
        return 0;
    }
    const cpu::Peak peak = cpu::measure_peak();
    benchmark::AddCustomContext("peak GFLOP/s", fmt::format("{:.1f}", peak.gflops));
    benchmark::AddCustomContext("peak GB/s", fmt::format("{:.1f}", peak.gbytes));
    benchmark::AddCustomContext("limn", fmt::format("{} threads, {}, batch {}", thread_count(), cpu::best_kernels().isa, batch));
    std::fprintf(stderr, "this machine, now: %.0f GFLOP/s, %.1f GB/s; %d threads, %s\n", peak.gflops, peak.gbytes, thread_count(),
                 cpu::best_kernels().isa);
    std::set<std::string> known;
    for (const Case& c : cases) {
        if (!known.insert(c.name()).second) continue;
        for (const cpu::Candidate& candidate : cpu::candidates()) {
            const ConvShape shape = c.shape();
            const ConvWeights weights;
            if (!candidate.refuse({shape, weights, Direction::forward, Fused::relu, cpu::best_kernels()}).empty()) continue;
            benchmark::RegisterBenchmark(fmt::format("{}/{}", c.name(), candidate.name).c_str(),
                                         [=](benchmark::State& state) { measure(state, c, candidate, batch, peak); })
                ->UseRealTime()
                ->Unit(benchmark::kMillisecond);
        }
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const Error& e) {
        std::fprintf(stderr, "bench_kernels: %s\n", e.what());
        return 2;
    }
}
