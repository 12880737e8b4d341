#include "engine/cuda/device_description.h"

#include "engine/error.h"

namespace limn::cuda {

std::span<const DeviceDescription> known_devices() {
    static const DeviceDescription list[] = {
        {75, "T4", 40, 65536},          {80, "A100", 108, 166912},         {86, "RTX 3080 Ti", 80, 101376},
        {89, "RTX 4090", 128, 101376},  {90, "H100 or H200", 132, 232448}, {100, "B200", 148, 232448},
        {120, "RTX 5090", 170, 101376},
    };
    return list;
}

const DeviceDescription& device_description(int sm) {
    std::string known;
    for (const DeviceDescription& device : known_devices()) {
        if (device.sm == sm) return device;
        known += (known.empty() ? "" : ", ") + std::to_string(device.sm);
    }
    fail("GPUs of sm {} are not described here; these are: {}", sm, known);
}

// All of the keys are needed; those that differ little among GPUs are an H100's.
std::string DeviceDescription::json() const {
    return fmt::format(
        R"({{"cudaDeviceId":0,"deviceVer":{},"driverVer":13000,"deviceName":"{}","totalGlobalMem":16000000000,)"
        R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"multiProcessorCount":{},)"
        R"("smClockRateKHz":1755000,"memClockRateKHz":2619000,"l2CacheSize":52428800,"warpSize":32,"maxSharedMemoryPerBlock":49152,)"
        R"("maxSharedMemoryPerBlockOptin":{},"reservedSharedMemoryPerBlock":{},"maxRegistersPerSM":65536,"pciDeviceId":0,"maxCtasPerSM":32,)"
        R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":{},"isTccDriver":0,"supportCoopLaunch":1}})",
        sm * 10, name, multiprocessors, most_shared_memory, sm >= 80 ? 1024 : 0, sm == 75 ? 1024 : 2048);
}

}  // namespace limn::cuda
