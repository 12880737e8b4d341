#include "weights/architectures/architectures.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "engine/threads.h"

namespace limn {

std::span<const Architecture> architectures() {
    static const Architecture table[] = {
        {"vgg16", [] { return build_vgg(16, true); }, "VGG16 with its three dense layers, 224x224, 1000 classes"},
        {"vgg16-notop", [] { return build_vgg(16, false); }, "the convolutions of VGG16, any size"},
        {"vgg19", [] { return build_vgg(19, true); }, "VGG19 with its three dense layers, 224x224, 1000 classes"},
        {"vgg19-notop", [] { return build_vgg(19, false); }, "the convolutions of VGG19, any size"},
        {"squeezenet", [] { return build_squeezenet(true); }, "SqueezeNet 1.1, 227x227, 1000 classes"},
        {"squeezenet-notop", [] { return build_squeezenet(false); }, "the convolutions of SqueezeNet 1.1, any size"},
        {"paws", [] { return build_paws(); }, "a small VGG that tells cats from dogs, any size"},
    };
    return table;
}

const Architecture* find_architecture(std::string_view name) {
    for (const Architecture& a : architectures())
        if (a.name == name) return &a;
    return nullptr;
}

const Architecture* recognise_architecture(const std::vector<std::string>& layers) {
    for (const Architecture& a : architectures()) {
        const Model model = a.build();
        const std::vector<Layer*> own = model.weighted_layers();
        if (std::equal(own.begin(), own.end(), layers.begin(), layers.end(),
                       [](const Layer* l, const std::string& name) { return l->name == name; }))
            return &a;
    }
    return nullptr;
}

void initialise(Model& model, std::uint64_t seed) {
    std::uint64_t stream = 0;
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) {
            stream++;
            w.value = Tensor(w.shape);
            const Index last = w.shape.rank() ? w.shape[-1] : 1, fan_in = std::max<Index>(1, w.shape.size() / std::max<Index>(1, last));
            const double deviation = w.shape.rank() > 1 ? std::sqrt(2.0 / double(fan_in)) : 0.05;
            const bool around_one = w.name == "gamma" || w.name == "moving_variance";
            float* out = w.value.data();
            // blocks of their own seed, so that the numbers do not depend on the number of threads
            parallel_ranges(w.shape.size(), 1 << 16, [&](Index first, Index end) {
                std::seed_seq words{std::uint64_t(seed), std::uint64_t(seed >> 32), stream, std::uint64_t(first)};
                std::mt19937_64 bits(words);
                const auto uniform = [&] { return (double(bits() >> 11) + 0.5) * 0x1p-53; };
                for (Index i = first; i < end; i += 2) {  // two normal numbers at a time (Box & Muller 1958)
                    const double radius = deviation * std::sqrt(-2 * std::log(uniform())), angle = 2 * std::numbers::pi * uniform();
                    const double offset = around_one ? 1 : 0;
                    out[i] = float(offset + radius * std::cos(angle));
                    if (i + 1 < end) out[i + 1] = float(offset + radius * std::sin(angle));
                }
            });
        }
}

}  // namespace limn
