// A GPU as cuDNN wants it described where there is none (cuDNN's "deviceless ahead-of-time compilation"): its plans can then be asked for,
// chosen and tested on any machine. Figures as NVIDIA's CUDA programming guide and data sheets give them.
#pragma once

#include <span>
#include <string>

namespace limn::cuda {

struct DeviceDescription {
    int sm;                  // compute capability: 90 is 9.0
    const char* name;        // a GPU of this kind
    int multiprocessors;     // of that GPU
    int most_shared_memory;  // bytes a block may have, opted in to
    std::string json() const;
};

std::span<const DeviceDescription> known_devices();   // sm 75, 80, 86, 89, 90, 100, 120
const DeviceDescription& device_description(int sm);  // an Error that names the known ones

}  // namespace limn::cuda
