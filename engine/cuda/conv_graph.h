// What cuDNN is asked for: one convolution, in any of its three directions. library/cudnn_plans.cpp makes it a graph of cuDNN's operations.
// All tensors are NHWC as everywhere; kernels are (k,r,s,c/groups), cuDNN's order for NHWC.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"

namespace limn::cuda {

// f32: float32 all the way, as the reference. tf32: numbers stay float32, products see 10 bits of their mantissas.
// bf16, fp16: convolutions read 16-bit numbers and sum in float32.
enum class Precision { f32, tf32, bf16, fp16 };
Precision precision_named(const std::string& name);
const char* name_of(Precision precision);
inline bool is_half(Precision p) { return p == Precision::bf16 || p == Precision::fp16; }

enum class Pass { forward, grad_input, grad_kernel };

// Also the key under which a plan is kept.
struct ConvGraph {
    Pass pass;
    ConvShape shape;
    Index images = 1;
    Fused fused = Fused::none;  // forward only, without the pool
    bool bias = false;          // forward only
    Precision precision = Precision::f32;
    int alignment = 16;  // bytes that all pointers are multiples of

    std::string key() const;
    Index post_pad_h() const, post_pad_w() const;  // what the window reads below and to the right of the plane
    double multiply_adds() const;
};

// A tensor as cuDNN is told of it: it names axes N,C,H,W whatever their order in memory; strides, in numbers, say that channels lie side by
// side. A kernel is (k, c/groups, r, s).
struct GraphTensor {
    std::vector<std::int64_t> sizes, strides;
    GraphTensor(Index n, Index c, Index h, Index w) : sizes{n, c, h, w}, strides{c * h * w, 1, c * w, c} {}
};
GraphTensor x_of(const ConvGraph& graph);
GraphTensor y_of(const ConvGraph& graph);
GraphTensor kernel_of(const ConvGraph& graph);
GraphTensor bias_of(const ConvGraph& graph);

class ConvGraphPlan {
public:
    virtual ~ConvGraphPlan() = default;
    std::string engine;         // cuDNN's name of what it chose
    std::size_t workspace = 0;  // bytes
    int candidates = 0;         // how many its heuristics named, of any precision
    // Addresses on the device. forward reads x, kernel, bias (or null) and writes y; grad_input reads y (dy), kernel and writes x;
    // grad_kernel reads x, y (dy) and writes kernel. The numbers are 16 bits wide if the precision says so.
    virtual void run(void* x, void* kernel, void* bias, void* y) const = 0;
};

// What a machine answers: a plan, or why there is none.
struct PlannedConv {
    std::shared_ptr<const ConvGraphPlan> plan;
    std::string problem;
};

}  // namespace limn::cuda
