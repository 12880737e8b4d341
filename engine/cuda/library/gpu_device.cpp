#include "engine/cuda/library/gpu_device.h"

#include <algorithm>
#include <cstring>

#include "engine/threads.h"

namespace limn::cuda {

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // so that the next call does not report it again
    if (status == cudaErrorMemoryAllocation) throw OutOfMemory(fmt::format("out of memory on the GPU: {}", what));
    fail("the GPU failed at {}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status));
}

static std::shared_ptr<Pool> new_pool(std::size_t most_kept = std::size_t(-1)) {
    return std::make_shared<Pool>(Pool::Source{[](std::size_t bytes) -> void* {
                                                   void* block = nullptr;
                                                   if (cudaMalloc(&block, bytes) == cudaSuccess) return block;
                                                   cudaGetLastError();
                                                   return nullptr;
                                               },
                                               [](void* block) { cudaFree(block); }},
                                  most_kept);
}

// A CUDA graph, with all it reads and writes.
class GpuRecording : public Recording {
public:
    explicit GpuRecording(GpuDevice& device) : device_(device), pool(new_pool()) {}
    GpuRecording(const GpuRecording&) = delete;
    ~GpuRecording() override {
        if (!launch_) return;
        cudaStreamSynchronize(device_.stream_);
        cudaGraphExecDestroy(launch_);
    }
    void capture(const std::function<void()>& work) {
        check(cudaStreamBeginCapture(device_.stream_, cudaStreamCaptureModeRelaxed), "the start of a recording");
        cudaGraph_t graph = nullptr;
        try {
            work();
        } catch (...) {
            cudaStreamEndCapture(device_.stream_, &graph);
            if (graph) cudaGraphDestroy(graph);
            cudaGetLastError();
            throw;
        }
        check(cudaStreamEndCapture(device_.stream_, &graph), "the end of a recording");
        const cudaError_t status = cudaGraphInstantiate(&launch_, graph, 0);
        cudaGraphDestroy(graph);
        check(status, "making a graph of a recording");
        check(cudaGraphUpload(launch_, device_.stream_), "bringing a recording to the GPU");
    }
    void run() override { check(cudaGraphLaunch(launch_, device_.stream_), "the launch of a recording"); }

private:
    GpuDevice& device_;

public:
    const std::shared_ptr<Pool> pool;
    std::vector<std::shared_ptr<const void>> used;
    std::vector<Tensor> tensors;

private:
    cudaGraphExec_t launch_ = nullptr;
};

GpuDevice::GpuDevice() {
    check(cudaSetDevice(0), "taking the first GPU");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0), "asking what the GPU is");
    name_ = properties.name;
    pool_ = new_pool(properties.totalGlobalMem / 4);
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    for (Staging& staging : in_) {
        check(cudaHostAlloc(&staging.memory, staging_bytes, cudaHostAllocDefault), "page-locked memory");
        check(cudaEventCreateWithFlags(&staging.free, cudaEventDisableTiming), "making an event");
    }
    check(cudaHostAlloc(&out_, staging_bytes, cudaHostAllocDefault), "page-locked memory");
}

std::shared_ptr<void> GpuDevice::allocate(std::size_t bytes) {
    if (auto block = (recording_ ? recording_->pool : pool_)->allocate(bytes)) return block;
    if (!recording_) {  // what is kept in other sizes may be what is missing. (A recording's own is not given back: it is in its graph.)
        pool_->release();
        if (auto block = pool_->allocate(bytes)) return block;
    }
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw OutOfMemory(
        fmt::format("out of memory on {}: {} MB more are needed, {} of its {} MB are free: take fewer or smaller images, or --device cpu",
                    name_, (bytes >> 20) + 1, free >> 20, total >> 20));
}

void GpuDevice::zero(void* to, std::size_t bytes) { check(cudaMemsetAsync(to, 0, bytes, stream_), "filling memory"); }

void GpuDevice::copy(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copying memory");
}

// On all threads: one alone is slower than the GPU's link.
static void copy_on_host(void* to, const void* from, std::size_t bytes) {
    parallel_ranges(Index(bytes), Index(1) << 20, [&](Index first, Index last) {
        std::memcpy(static_cast<char*>(to) + first, static_cast<const char*>(from) + first, std::size_t(last - first));
    });
}

void GpuDevice::from_host(void* to, const void* host, std::size_t bytes) {
    LIMN_CHECK(!recording_, "numbers of the host would be copied once and for all into a recording");
    for (std::size_t done = 0, part; done < bytes; done += part) {
        part = std::min(staging_bytes, bytes - done);
        Staging& staging = in_[next_in_ ^= 1];
        check(cudaEventSynchronize(staging.free), "copying to the GPU");
        copy_on_host(staging.memory, static_cast<const char*>(host) + done, part);
        check(cudaMemcpyAsync(static_cast<char*>(to) + done, staging.memory, part, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
        check(cudaEventRecord(staging.free, stream_), "copying to the GPU");
    }
}

void GpuDevice::to_host(void* host, const void* from, std::size_t bytes) {
    LIMN_CHECK(!recording_, "what a recording computes is not known while it is made");
    for (std::size_t done = 0, part; done < bytes; done += part) {
        part = std::min(staging_bytes, bytes - done);
        check(cudaMemcpyAsync(out_, static_cast<const char*>(from) + done, part, cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
        wait();
        copy_on_host(static_cast<char*>(host) + done, out_, part);
    }
}

void GpuDevice::wait() { check(cudaStreamSynchronize(stream_), "waiting for its work"); }

double GpuDevice::milliseconds(const std::function<void()>& work) {
    struct Event {
        cudaEvent_t event = nullptr;
        Event() { check(cudaEventCreate(&event), "making an event"); }
        ~Event() { cudaEventDestroy(event); }
    } start, end;
    check(cudaEventRecord(start.event, stream_), "timing");
    work();
    check(cudaEventRecord(end.event, stream_), "timing");
    check(cudaEventSynchronize(end.event), "timing");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start.event, end.event), "timing");
    return double(ms);
}

void* GpuDevice::workspace(std::size_t bytes) {
    if (bytes > workspace_bytes_) {
        workspace_ = nullptr, workspace_bytes_ = 0;
        workspace_ = allocate(bytes);
        workspace_bytes_ = bytes;
    }
    if (bytes) keep(workspace_);
    return workspace_.get();
}

void GpuDevice::keep(std::shared_ptr<const void> used) {
    if (recording_) recording_->used.push_back(std::move(used));
}
void GpuDevice::keep(const Tensor& used) {
    if (recording_ && !used.empty() && !recording_->pool->owns(used.address())) recording_->tensors.push_back(used);
}

std::unique_ptr<Recording> GpuDevice::record(const std::function<void()>& work) {
    pool_->release();  // a recording has memory of its own: what its first run needed is hardly needed again
    auto recording = std::make_unique<GpuRecording>(*this);
    struct Scope {
        GpuRecording*& now;
        ~Scope() { now = nullptr; }
    } scope{recording_};
    recording_ = recording.get();
    recording->capture(work);
    return recording;
}

}  // namespace limn::cuda
