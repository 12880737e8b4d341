#include "engine/cuda/cuda.h"

#include <dlfcn.h>

#include <filesystem>
#include <vector>

#include "engine/cpu/backend.h"
#include "engine/cuda/driver.h"

namespace limn::cuda {

namespace {

using Open = const Library* (*)();

// Where the library may lie: beside the program, or one up (programs of the tests), or where it is installed.
std::vector<std::string> places() {
    std::vector<std::string> list;
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error)
        for (const char* folder : {"", "..", "../lib", "../lib/x86_64-linux-gnu", "../lib/aarch64-linux-gnu"})
            list.push_back((program.parent_path() / folder / "liblimn_cuda.so").lexically_normal().string());
    list.push_back("liblimn_cuda.so");  // wherever the system looks
    return list;
}

const Library& open_library() {
    std::string problem;
    for (const std::string& place : places()) {
        if (place.find('/') != std::string::npos && !std::filesystem::exists(place)) continue;
        void* handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            problem = dlerror();
            continue;
        }
        const auto open = reinterpret_cast<Open>(dlsym(handle, "limn_cuda_library"));
        LIMN_CHECK(open, "{}: is no library of limn's", place);
        return *open();
    }
    fail("the cuda backend cannot be loaded: {}",
         problem.empty() ? "liblimn_cuda.so is neither beside the program nor in ../lib" : problem);
}

class DescribedBackend : public CpuBackend {
public:
    DescribedBackend(int sm, Precision precision)
        : CpuBackend(cpu::best_kernels()), device_(device_description(sm)), precision_(precision), library_(library()) {}
    std::string name() const override {
        return fmt::format("a GPU of sm {} ({}), cuDNN {}, {}", device_.sm, device_.name, library_.cudnn_version(), name_of(precision_));
    }
    std::unique_ptr<ConvPlan> plan_conv2d(const ConvShape& shape, const ConvWeights& weights, Direction direction,
                                          Fused fused) const override {
        const bool forward = direction == Direction::forward;
        ConvGraph graph{forward ? Pass::forward : Pass::grad_input, shape};
        graph.precision = precision_;
        if (forward) graph.fused = fused == Fused::relu_max_pool ? Fused::relu : fused, graph.bias = !weights.bias.empty();
        std::unique_ptr<ConvGraphPlan> chosen;
        std::vector<ConvPlan::Refusal> refusals;
        try {
            chosen = library_.plan(graph, device_);
        } catch (const Error& e) {
            refusals.push_back({"cudnn", e.what()});
        }
        auto plan = std::make_unique<DescribedPlan>(graph, std::move(chosen), CpuBackend::plan_conv2d(shape, weights, direction, fused),
                                                    fused == Fused::relu_max_pool);
        plan->refusals = std::move(refusals);
        return plan;
    }

private:
    const DeviceDescription& device_;
    Precision precision_;
    const Library& library_;
};

}  // namespace

bool built_with_cuda() { return true; }

const Library& library() {
    static const Library& opened = open_library();
    return opened;
}

const std::string& problem() {
    static const std::string found = [] {
        static constexpr int built_for[] = {LIMN_CUDA_ARCHITECTURES};
        std::string what = driver_problem(LIMN_CUDA_VERSION, built_for);
        if (!what.empty()) return what;
        try {
            library();
        } catch (const Error& e) {
            what = e.what();
        }
        return what;
    }();
    return found;
}

bool worth_a_word() { return driver_installed(); }

const Backend& backend(const Settings& settings) {
    LIMN_CHECK(problem().empty(), "--device cuda: {}; or use --device cpu", problem());
    static std::vector<std::pair<Settings, std::unique_ptr<Backend>>> made;
    for (const auto& [with, backend] : made)
        if (with == settings) return *backend;
    made.emplace_back(settings, library().backend(settings));
    return *made.back().second;
}

std::unique_ptr<Backend> described_backend(int sm, Precision precision) { return std::make_unique<DescribedBackend>(sm, precision); }

}  // namespace limn::cuda
