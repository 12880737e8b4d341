#include "weights/older_layouts.h"

#include <algorithm>
#include <cstring>

namespace limn {

namespace {

Tensor transposed(const Tensor& x, const std::vector<int>& order) {
    std::vector<Index> sizes;
    for (int axis : order) sizes.push_back(x.shape()[axis]);
    Tensor y = x.like(Shape(std::span<const Index>(sizes)));
    reference_backend().transpose(order, x, y);
    return y;
}

// All axes but the last two (input and output channels) backward: the taps in the opposite order.
Tensor turned(const Tensor& kernel) {
    const Index each = kernel.shape()[-2] * kernel.shape()[-1], taps = kernel.size() / each;
    Tensor out = kernel.like();
    for (Index t = 0; t < taps; t++)
        std::memcpy(out.data() + t * each, kernel.data() + (taps - 1 - t) * each, std::size_t(each) * sizeof(float));
    return out;
}

// Keras 1 with channels first stored (filters, channels, taps...).
Tensor from_keras1(const Layer& layer, const Weight& weight, const Tensor& x) {
    const std::string& kind = layer.class_name;
    const int rank = x.shape().rank();
    const bool channels_first = layer.keras_config.text("data_format", "") == "channels_first";
    if (kind == "Conv1D" && rank == 4) {
        const bool taps_first = x.shape()[0] == weight.shape[0] && x.shape()[1] == 1 && x.shape()[3] == weight.shape[2];
        const Tensor t = taps_first ? x : transposed(x, {2, 3, 1, 0});
        return t.reshaped({t.shape()[0] * t.shape()[1], t.shape()[2], t.shape()[3]});
    }
    if (kind == "Conv2D" && rank == 4 && channels_first) return transposed(x, {2, 3, 1, 0});
    if (kind == "Conv3D" && rank == 5 && channels_first) return transposed(x, {2, 3, 4, 1, 0});
    if (kind == "Conv2DTranspose" && rank == 4)
        return transposed(x, channels_first ? std::vector<int>{2, 3, 0, 1} : std::vector<int>{0, 1, 3, 2});
    return x;
}

// cuDNN reads each gate's kernel as (units, inputs) row by row, and adds biases to both products.
Tensor from_cudnn(const Layer& layer, const Weight& weight, const Tensor& x) {
    if (weight.name == "bias") {
        if (x.size() != 2 * weight.shape[-1]) return x;
        if (layer.class_name == "CuDNNGRU") return x.reshaped(weight.shape);
        Tensor sum(weight.shape);
        for (Index i = 0; i < sum.size(); i++) sum.data()[i] = x.data()[i] + x.data()[sum.size() + i];
        return sum;
    }
    if (x.shape() != weight.shape) return x;
    const Index gates = layer.class_name == "CuDNNGRU" ? 3 : 4, rows = x.shape()[0], units = x.shape()[1] / gates;
    const Tensor by_gate = transposed(x.reshaped({rows, gates, units}), {1, 0, 2}).reshaped({gates, units, rows});
    return transposed(by_gate, {2, 0, 1}).reshaped(weight.shape);
}

}  // namespace

bool convolves(const Layer& layer) {
    const std::string& kind = layer.class_name;
    return kind == "Conv1D" || kind == "Conv2D" || kind == "Conv3D" || kind == "Conv2DTranspose";
}

Tensor todays_layout(const Layer& layer, const Weight& weight, const Tensor& stored, const WrittenBy& by) {
    if (layer.class_name.starts_with("CuDNN")) return from_cudnn(layer, weight, stored);
    if (weight.name != "kernel" || !convolves(layer)) return stored;
    Tensor x = by.keras_major < 2 ? from_keras1(layer, weight, stored) : stored;
    if (x.shape() != weight.shape && x.shape().rank() == 4) {
        const Tensor t = transposed(x, {3, 2, 0, 1});
        if (t.shape() == weight.shape) x = t;
    }
    return by.theano && x.shape() == weight.shape ? turned(x) : x;
}

GateName gate_name(const std::string& name) {
    const std::size_t n = name.size();
    if (n < 3 || name[n - 2] != '_' || !std::strchr("WUb", name[n - 3]) || !std::strchr("ifcozrh", name[n - 1])) return {};
    if (n > 3 && name[n - 4] != '_') return {};
    return {name.substr(0, n - 2), name[n - 1]};
}

Index gate_place(char gate) {
    const std::string_view lstm = "ifco", gru = "zrh";
    const auto at = lstm.find(gate);
    return Index(at != std::string_view::npos ? at : gru.find(gate));
}

}  // namespace limn
