#include "engine/cuda/conv_graph.h"

#include <algorithm>

namespace limn::cuda {

Precision precision_named(const std::string& name) {
    for (Precision p : {Precision::f32, Precision::tf32, Precision::bf16, Precision::fp16})
        if (name == name_of(p)) return p;
    fail("precision '{}' is not known; f32, tf32, bf16 and fp16 are", name);
}
const char* name_of(Precision precision) {
    constexpr const char* names[] = {"f32", "tf32", "bf16", "fp16"};
    return names[int(precision)];
}

Index ConvGraph::post_pad_h() const {
    const Window& w = shape.window;
    return std::max<Index>(0, (shape.p - 1) * w.stride_h + (w.r - 1) * w.dilation_h + 1 - shape.h - w.pad_top);
}
Index ConvGraph::post_pad_w() const {
    const Window& w = shape.window;
    return std::max<Index>(0, (shape.q - 1) * w.stride_w + (w.s - 1) * w.dilation_w + 1 - shape.w - w.pad_left);
}

GraphTensor x_of(const ConvGraph& g) { return {g.images, g.shape.c, g.shape.h, g.shape.w}; }
GraphTensor y_of(const ConvGraph& g) { return {g.images, g.shape.k, g.shape.p, g.shape.q}; }
GraphTensor kernel_of(const ConvGraph& g) { return {g.shape.k, g.shape.c / g.shape.groups, g.shape.window.r, g.shape.window.s}; }
GraphTensor bias_of(const ConvGraph& g) { return {1, g.shape.k, 1, 1}; }

double ConvGraph::multiply_adds() const {
    return double(images * shape.p * shape.q * shape.k) * double(shape.window.r * shape.window.s * (shape.c / shape.groups));
}

std::string ConvGraph::key() const {
    const ConvShape& v = shape;
    const Window& w = v.window;
    constexpr const char* passes[] = {"forward", "grad_input", "grad_kernel"};
    constexpr const char* ends[] = {"", "+relu", "+relu6", "+relu+pool"};
    return fmt::format("{}{}{} {}x{}x{}x{}:{} {}x{} stride {}x{} dilation {}x{} pad {},{},{},{} groups {} {} align {}", passes[int(pass)],
                       bias ? "+bias" : "", ends[int(fused)], images, v.h, v.w, v.c, v.k, w.r, w.s, w.stride_h, w.stride_w, w.dilation_h,
                       w.dilation_w, w.pad_top, post_pad_h(), w.pad_left, post_pad_w(), v.groups, name_of(precision), alignment);
}

}  // namespace limn::cuda
