// The GPU as a Device: its memory, its one stream of work, and recordings of that work (CUDA graphs).
#pragma once

#include <cuda_runtime_api.h>

#include <vector>

#include "engine/backend.h"
#include "engine/cuda/pool.h"

namespace limn::cuda {

void check(cudaError_t status, const char* what);  // an Error, or OutOfMemory, in CUDA's words

class GpuRecording;

class GpuDevice : public Device {
public:
    GpuDevice();
    GpuDevice(const GpuDevice&) = delete;
    std::string name() const override { return name_; }
    std::shared_ptr<void> allocate(std::size_t bytes) override;
    void zero(void* to, std::size_t bytes) override;
    void copy(void* to, const void* from, std::size_t bytes) override;
    void from_host(void* to, const void* host, std::size_t bytes) override;
    void to_host(void* host, const void* from, std::size_t bytes) override;

    cudaStream_t stream() const { return stream_; }
    void* workspace(std::size_t bytes);  // shared by all plans, one after another; as large as the largest so far
    void wait() override;
    double milliseconds(const std::function<void()>& work) override;
    void keep(std::shared_ptr<const void> used);  // alive as long as what is being recorded, if something is
    void keep(const Tensor& used);

    bool recording() const { return recording_ != nullptr; }
    std::unique_ptr<Recording> record(const std::function<void()>& work);

private:
    friend class GpuRecording;
    std::string name_;
    cudaStream_t stream_ = nullptr;
    std::shared_ptr<Pool> pool_;
    GpuRecording* recording_ = nullptr;
    std::shared_ptr<void> workspace_;
    std::size_t workspace_bytes_ = 0;
    // Page-locked memory, which a GPU copies from and to at full speed. What goes there goes in turns through two blocks: while the GPU
    // copies one, the other is filled.
    static constexpr std::size_t staging_bytes = std::size_t(8) << 20;
    struct Staging {
        void* memory = nullptr;
        cudaEvent_t free = nullptr;
    } in_[2];
    int next_in_ = 0;
    void* out_ = nullptr;
};

}  // namespace limn::cuda
