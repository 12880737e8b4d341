#include "engine/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string_view>

namespace limn::cuda {

namespace {

void* driver() {
    static void* const library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    return library;
}

// Of CUDA's driver interface, which does not change: CUresult is an int, 0 is success.
template <class... Args> int call(const char* function, Args... args) {
    const auto f = reinterpret_cast<int (*)(Args...)>(dlsym(driver(), function));
    return f ? f(args...) : 500;  // CUDA_ERROR_NOT_FOUND
}

constexpr int no_device = 100, capability_major = 75, capability_minor = 76;  // CUDA_ERROR_NO_DEVICE, CU_DEVICE_ATTRIBUTE_...

std::string dotted(int tenfold) { return fmt::format("{}.{}", tenfold / 10, tenfold % 10); }

}  // namespace

bool driver_installed() { return driver() != nullptr; }

std::string driver_problem(int needed, std::span<const int> built_for) {
    if (!driver()) return "no NVIDIA driver (libcuda.so.1) is installed here";
    int version = 0;
    if (const int error = call("cuDriverGetVersion", &version)) return fmt::format("the NVIDIA driver does not answer (error {})", error);
    if (version / 1000 < needed / 1000)  // within a major version, older drivers run newer libraries
        return fmt::format("the NVIDIA driver is too old: it knows CUDA {}, this limn was built with CUDA {}: update the driver",
                           dotted(version / 100 + version / 10 % 10), dotted(needed / 100 + needed / 10 % 10));
    if (const int error = call("cuInit", 0u))
        return error == no_device ? "the NVIDIA driver finds no GPU (is CUDA_VISIBLE_DEVICES set to hide it?)"
                                  : fmt::format("the NVIDIA driver does not start (error {}): nvidia-smi may say why", error);
    int count = 0, device = 0, major = 0, minor = 0;
    if (call("cuDeviceGetCount", &count) || count < 1) return "the NVIDIA driver finds no GPU (is CUDA_VISIBLE_DEVICES set to hide it?)";
    char name[256] = "a GPU";
    if (call("cuDeviceGet", &device, 0) || call("cuDeviceGetAttribute", &major, capability_major, device) ||
        call("cuDeviceGetAttribute", &minor, capability_minor, device))
        return "the NVIDIA driver does not tell what its GPU is";
    call("cuDeviceGetName", static_cast<char*>(name), int(sizeof name), device);
    const int capability = 10 * major + minor;
    std::string known;
    for (int sm : built_for) known += (known.empty() ? "" : ", ") + dotted(sm);
    if (built_for.empty() || capability < built_for.front())
        return fmt::format(
            "{} (compute capability {}) is older than this limn was built for ({} and later): build it with "
            "-DCMAKE_CUDA_ARCHITECTURES={}",
            name, dotted(capability), known, capability);
    return "";
}

}  // namespace limn::cuda
