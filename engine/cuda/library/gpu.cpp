// The machine that the cuda backend runs on where there is a GPU.
#include "engine/cuda/library/gpu.h"

#include <cublas_v2.h>

#include <map>

#include "engine/cuda/device_backend.h"
#include "engine/cuda/library/cudnn_plans.h"
#include "engine/cuda/library/launch.h"

namespace limn::cuda {

namespace {

void check(cublasStatus_t status, const char* what) {
    LIMN_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLAS failed at {}: {}", what, cublasGetStatusString(status));
}

// What all backends on the GPU share.
struct Gpu {
    GpuDevice device;
    Cudnn cudnn{device};
    cublasHandle_t cublas = nullptr;
    std::shared_ptr<void> cublas_workspace;
    // A plan for each graph that was asked for, also for those that have none: its text says why.
    std::map<std::string, PlannedConv> plans;

    Gpu() {
        check(cublasCreate(&cublas), "its start");
        check(cublasSetStream(cublas, device.stream()), "taking the stream");
        // A fixed workspace: nothing is allocated later, and the same bits come out each time.
        constexpr std::size_t bytes = std::size_t(32) << 20;
        cublas_workspace = device.allocate(bytes);
        check(cublasSetWorkspace(cublas, cublas_workspace.get(), bytes), "taking its workspace");
    }
    static Gpu& get() {
        static Gpu* const gpu = new Gpu;  // never destroyed: the driver may be gone before it
        return *gpu;
    }
};

struct GpuMachine {
    Gpu* gpu;
    Settings settings;

    std::string name() const {
        return fmt::format("cuda ({}, {}{})", gpu->device.name(), name_of(settings.precision), settings.autotune ? ", autotuned" : "");
    }
    Device* device() const { return &gpu->device; }
    Precision precision() const { return settings.precision; }
    void keep(const Tensor& tensor) const { gpu->device.keep(tensor); }
    void keep(const std::shared_ptr<const ConvGraphPlan>& plan) const { gpu->device.keep(plan); }

    template <class Kernel> void each(int count, const Kernel& kernel) const {
        launch_each(gpu->device.stream(), count, kernel);
        cuda::check(cudaGetLastError(), "a kernel's launch");
    }
    template <class T> void totals(int outputs, const T& total) const {
        launch_totals(gpu->device.stream(), outputs, total);
        cuda::check(cudaGetLastError(), "a kernel's launch");
    }

    PlannedConv plan(const ConvGraph& graph) const {
        const std::string key = graph.key() + (settings.autotune ? " autotuned" : "");
        if (gpu->plans.size() > 4096) gpu->plans.clear();  // photos of very many sizes; those in use live on
        const auto [it, is_new] = gpu->plans.try_emplace(key);
        if (is_new) {
            try {
                it->second.plan = gpu->cudnn.plan(graph, settings.autotune);
            } catch (const OutOfMemory&) {
                gpu->plans.erase(it);
                throw;
            } catch (const Error& e) {
                it->second.problem = e.what();
            }
        }
        return it->second;
    }
    void run(const ConvGraphPlan& plan, void* x, void* kernel, void* bias, void* y) const { plan.run(x, kernel, bias, y); }

    // cuBLAS counts columns first: it sees our matrices transposed, and computes c^T = b^T a^T.
    void product(const Product& p) const {
        const bool strict = settings.precision == Precision::f32;
        check(cublasSetMathMode(gpu->cublas, strict ? CUBLAS_DEFAULT_MATH : CUBLAS_TF32_TENSOR_OP_MATH), "setting its precision");
        const float one = 1, zero = 0;
        const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
        if (p.m == 1) {  // a matrix times a vector: all of the time goes into reading the matrix
            const int rows = p.b_transposed ? p.k : p.n, columns = p.b_transposed ? p.n : p.k;
            check(cublasSgemv(gpu->cublas, op(p.b_transposed), rows, columns, &one, p.b, rows, p.a, 1, &zero, p.c, 1),
                  "a matrix times a vector");
            return;
        }
        check(cublasSgemm(gpu->cublas, op(p.b_transposed), op(p.a_transposed), p.n, p.m, p.k, &one, p.b, p.b_transposed ? p.k : p.n, p.a,
                          p.a_transposed ? p.m : p.k, &zero, p.c, p.n),
              "a product of matrices");
    }

    bool recording() const { return gpu->device.recording(); }
    std::unique_ptr<Recording> record(const std::function<void()>& work) const { return gpu->device.record(work); }
};

}  // namespace

std::unique_ptr<Backend> gpu_backend(const Settings& settings) {
    return std::make_unique<DeviceBackend<GpuMachine>>(GpuMachine{&Gpu::get(), settings});
}

}  // namespace limn::cuda
