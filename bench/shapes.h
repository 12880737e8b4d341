// Every shape of convolution of the usual networks, once each: for the benchmark of kernels and for the plans of GPUs.
#pragma once

#include <string>
#include <vector>

#include "engine/backend.h"

namespace limn {

struct Case {
    std::string network;
    Index h, w, c, k, r, s, stride;
    Index groups = 1;
    std::string name() const {
        return fmt::format("{}/{}x{}x{}:{}:{}x{}{}{}", network, h, w, c, k, r, s, stride > 1 ? fmt::format(":{}", stride) : "",
                           groups > 1 ? ":depthwise" : "");
    }
    ConvShape shape() const {  // "same" padding
        const auto places = [&](Index size) { return (size + stride - 1) / stride; };
        const auto pad = [&](Index size, Index taps) { return std::max<Index>(0, (places(size) - 1) * stride + taps - size) / 2; };
        return {{r, s, stride, stride, 1, 1, pad(h, r), pad(w, s)}, h, w, c, places(h), places(w), k, groups};
    }
};

inline std::vector<Case> network(const std::string& name) {
    std::vector<Case> list;
    const auto conv = [&](Index size, Index c, Index k, Index taps, Index stride = 1, Index groups = 1) {
        list.push_back({name, size, size, c, k, taps, taps, stride, groups});
    };
    if (name == "vgg16") {
        const Index blocks[][4] = {{224, 3, 64, 64}, {112, 64, 128, 128}, {56, 128, 256, 256}, {28, 256, 512, 512}};
        for (const auto& [size, in, out, again] : blocks) conv(size, in, out, 3), conv(size, out, again, 3);
        conv(14, 512, 512, 3);
    } else if (name == "resnet50") {
        conv(224, 3, 64, 7, 2);
        Index in = 64, size = 56;
        for (Index width : {64, 128, 256, 512}) {
            const Index stride = width == 64 ? 1 : 2;
            conv(size, in, width, 1, stride), conv(size, in, 4 * width, 1, stride);
            size /= stride;
            conv(size, width, width, 3), conv(size, width, 4 * width, 1), conv(size, 4 * width, width, 1);
            in = 4 * width;
        }
    } else if (name == "mobilenet") {
        conv(224, 3, 32, 3, 2);
        const Index blocks[][4] = {{112, 32, 64, 1},  {112, 64, 128, 2}, {56, 128, 128, 1},  {56, 128, 256, 2}, {28, 256, 256, 1},
                                   {28, 256, 512, 2}, {14, 512, 512, 1}, {14, 512, 1024, 2}, {7, 1024, 1024, 1}};
        for (const auto& [size, in, out, stride] : blocks) conv(size, in, in, 3, stride, in), conv(size / stride, in, out, 1);
    } else if (name == "squeezenet") {
        conv(227, 3, 64, 3, 2);
        const Index fires[][4] = {{56, 64, 16, 64},   {56, 128, 16, 64},  {28, 128, 32, 128}, {28, 256, 32, 128},
                                  {14, 256, 48, 192}, {14, 384, 48, 192}, {14, 384, 64, 256}, {14, 512, 64, 256}};
        for (const auto& [size, in, squeeze, expand] : fires)
            conv(size, in, squeeze, 1), conv(size, squeeze, expand, 1), conv(size, squeeze, expand, 3);
        conv(14, 512, 1000, 1);
    } else {
        fail("network '{}' is not known; vgg16, resnet50, mobilenet and squeezenet are", name);
    }
    return list;
}

}  // namespace limn
