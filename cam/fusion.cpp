#include "cam/fusion.h"

namespace limn {

Fusion fusion_named(std::string_view name) {
    LIMN_CHECK(name == "mean" || name == "max", "fusion '{}' is not known; mean and max are", name);
    return name == "mean" ? Fusion::mean : Fusion::max;
}

Tensor fused(const Backend& backend, const std::vector<Tensor>& raws, Fusion how) {
    Index height = 1, width = 1;
    for (const Tensor& raw : raws) height = std::max(height, raw.shape()[0]), width = std::max(width, raw.shape()[1]);
    Tensor result = raws.at(0).zeros_like({height, width});
    for (const Tensor& raw : raws) {
        Tensor map = resize_map(backend, normalized(backend, raw, Normalize::max), height, width);
        if (how == Fusion::mean) {
            backend.binary(Binary::divide, map, Tensor::full({1}, double(raws.size())), map);
            backend.binary(Binary::add, result, map, result);
        } else {
            Tensor bright = map.like();
            backend.binary(Binary::multiply, map, Tensor::full({1}, 2), map);
            backend.unary({.kind = Unary::tanh}, map, bright);
            backend.binary(Binary::maximum, result, bright, result);
        }
    }
    return result;
}

}  // namespace limn
