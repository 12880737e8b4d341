#include "layers/window.h"

#include <algorithm>

namespace limn {

Index window_places(Index size, Index taps, Index stride, Index dilation, Padding padding) {
    if (size < 0) return -1;
    if (padding == Padding::same) return (size + stride - 1) / stride;
    const Index reach = (taps - 1) * dilation + 1;
    return size < reach ? 0 : (size - reach) / stride + 1;
}

Index window_padding(Index size, Index taps, Index stride, Index dilation, Padding padding) {
    if (padding == Padding::valid) return 0;
    // the places of a "same" window are centred; an odd remainder goes behind
    const Index needed = (window_places(size, taps, stride, dilation, padding) - 1) * stride + (taps - 1) * dilation + 1 - size;
    return std::max<Index>(0, needed) / 2;
}

// Keras's output sizes (keras.src.backend.common.backend_utils.compute_conv_transpose_output_shape)
Index TransposedAxis::size(Index in) const {
    if (in < 0) return -1;
    const Index reach = (taps - 1) * dilation + 1;
    if (!output_padding) return padding == Padding::same ? in * stride : in * stride + std::max<Index>(reach - stride, 0);
    return (in - 1) * stride + reach + *output_padding - (padding == Padding::same ? 2 * (reach / 2) : 0);
}

Index TransposedAxis::pad(Index in) const {
    // centred as the convolution that leads from the large plane to the small one
    return padding == Padding::valid ? 0 : std::max<Index>(0, (in - 1) * stride + (taps - 1) * dilation + 1 - size(in)) / 2;
}

WindowConfig WindowConfig::read(const Config& config, const std::string& size_key, bool stride_is_size) {
    WindowConfig v;
    std::tie(v.r, v.s) = config.pair(size_key, stride_is_size ? 2 : 1);
    v.stride_h = stride_is_size ? v.r : 1, v.stride_w = stride_is_size ? v.s : 1;
    if (config.has("strides")) std::tie(v.stride_h, v.stride_w) = config.pair("strides", 1);
    std::tie(v.dilation_h, v.dilation_w) = config.pair("dilation_rate", 1);
    const std::string padding = config.text("padding", "valid");
    if (padding != "valid" && padding != "same") config.reject(fmt::format("padding '{}' is not known; valid and same are", padding));
    v.padding = padding == "same" ? Padding::same : Padding::valid;
    for (Index size : {v.r, v.s, v.stride_h, v.stride_w, v.dilation_h, v.dilation_w})
        if (size < 1 || size > 1 << 16) config.reject(fmt::format("a window size, stride or dilation of {} makes no sense", size));
    return v;
}

Index WindowConfig::rows(Index h) const { return h < 0 ? -1 : window_places(h + top + bottom, r, stride_h, dilation_h, padding); }
Index WindowConfig::columns(Index w) const { return w < 0 ? -1 : window_places(w + left + right, s, stride_w, dilation_w, padding); }

Window WindowConfig::on(Index h, Index w) const {
    return {r,
            s,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            top + window_padding(h + top + bottom, r, stride_h, dilation_h, padding),
            left + window_padding(w + left + right, s, stride_w, dilation_w, padding)};
}

}  // namespace limn
