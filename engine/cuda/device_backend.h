// The whole cuda backend, for any Machine that can run it: a GPU (library/gpu.cpp), or in tests the host.
//
//     all that KernelVerbs (kernel_verbs.h) asks of a machine, and
//     machine.name()                                the GPU, and how precisely it computes
//     machine.precision()
//     machine.plan(graph)                           cuDNN's plan for a convolution, or why there is none
//     machine.run(plan, x, kernel, bias, y)         addresses on the device
//     machine.product(product)                      cuBLAS's product of two matrices
//     machine.record(work)                          a Recording of what work() asks the machine for
//     machine.recording()                           is one being made?
#pragma once

#include "engine/cuda/conv_graph.h"
#include "engine/cuda/direct_convolution.h"
#include "engine/cuda/half.h"
#include "engine/cuda/kernel_verbs.h"

namespace limn::cuda {

// c (m,n) = a (m,k) * b (k,n), rows one after another; a or b may lie transposed
struct Product {
    int m, n, k;
    const float *a, *b;
    bool a_transposed, b_transposed;
    float* c;
};

Taps taps_of(const ConvShape& shape);
int alignment_of(std::initializer_list<const void*> addresses);  // 16, or what all are multiples of

template <class Machine> class DeviceConvolution;

template <class Machine> class DeviceBackend : public KernelVerbs<Machine> {
    using Verbs = KernelVerbs<Machine>;
    using Verbs::each, Verbs::here, Verbs::machine_, Verbs::read, Verbs::tensor, Verbs::write;
    friend class DeviceConvolution<Machine>;

public:
    explicit DeviceBackend(Machine machine) : Verbs(std::move(machine)) {}
    std::string name() const override { return machine_.name(); }
    bool prefers_fused() const override { return true; }
    Device* device() const override { return machine_.device(); }
    std::unique_ptr<Recording> record(const std::function<void()>& work) const override { return machine_.record(work); }

    // ---- convolution
    std::unique_ptr<ConvPlan> plan_conv2d(const ConvShape& shape, const ConvWeights& weights, Direction direction,
                                          Fused fused) const override {
        // its kernel would lie in the recording's memory, and be brought into order only when that is run
        LIMN_CHECK(!machine_.recording(), "a convolution is planned while work is recorded: it must have been run before");
        return std::make_unique<DeviceConvolution<Machine>>(*this, shape, weights, direction, fused);
    }
    void conv2d_grad_kernel(const ConvShape& shape, const Tensor& x, const Tensor& dy, Tensor& dkernel) const override {
        ConvGraph graph{Pass::grad_kernel, shape, x.shape()[0]};
        graph.precision = is_half(machine_.precision()) ? Precision::tf32 : machine_.precision();  // sums over many pixels: 16 bits are too few
        const Tensor here_x = here(x), here_dy = here(dy);
        Tensor krsc = tensor({shape.k, shape.window.r, shape.window.s, shape.c / shape.groups}, DType::f32);
        graph.alignment = alignment_of({here_x.address(), here_dy.address(), krsc.address()});
        const auto plan = machine_.plan(graph).plan;
        if (!plan) {  // by definition
            const int terms = as_int(x.shape()[0] * shape.p * shape.q);
            return machine_.totals(as_int(dkernel.size()), DirectGradKernel{taps_of(shape), terms, read(x), read(dy), write(dkernel)});
        }
        machine_.run(*plan, here_x.address(), krsc.address(), nullptr, here_dy.address());
        this->transpose({1, 2, 3, 0}, krsc, dkernel);
    }

    // ---- dense: products of matrices
    void dense(const Tensor& x, const Tensor& kernel, const Tensor& bias, Fused fused, Tensor& y) const override {
        const int N = as_int(x.shape()[0]), C = as_int(kernel.shape()[0]), K = as_int(kernel.shape()[1]);
        machine_.product({N, K, C, read(x), read(kernel), false, false, write(y)});
        if (!bias.empty() || fused != Fused::none) each(y, BiasKernel{read(y), read(bias), K, fused, write(y)});
    }
    void dense_grad_input(const Tensor& dy, const Tensor& kernel, Tensor& dx) const override {
        const int N = as_int(dy.shape()[0]), C = as_int(kernel.shape()[0]), K = as_int(kernel.shape()[1]);
        machine_.product({N, C, K, read(dy), read(kernel), false, true, write(dx)});
    }
    void dense_grad_kernel(const Tensor& x, const Tensor& dy, Tensor& dkernel) const override {
        const int N = as_int(x.shape()[0]), C = as_int(x.shape()[1]), K = as_int(dy.shape()[1]);
        machine_.product({C, K, N, read(x), read(dy), true, false, write(dkernel)});
    }
};

// One convolution with its kernel as cuDNN wants it. cuDNN's plans depend on the number of images, too: one is made for each.
// Candidates, in order: cuDNN, then our own kernels by definition.
template <class Machine> class DeviceConvolution : public ConvPlan {
public:
    DeviceConvolution(const DeviceBackend<Machine>& backend, const ConvShape& shape, const ConvWeights& weights, Direction direction,
                      Fused fused)
        : backend_(backend), machine_(backend.machine_), shape_(shape), forward_(direction == Direction::forward),
          fused_(fused == Fused::relu_max_pool ? Fused::relu : fused), precision_(precision_of(machine_.precision(), forward_)),
          hwio_(weights.kernel), bias_(backend.here(weights.bias)), krsc_(packed(weights)), narrow_bias_(half() ? narrowed(bias_) : bias_) {
    }

    std::string algorithm() const override { return algorithm_; }

    void run(const Tensor& x, Tensor& y) const override {
        if (y.device() != machine_.device()) {  // the result is wanted elsewhere
            Tensor out(y.shape(), y.dtype(), machine_.device());
            run(x, out);
            return y.assign(out);
        }
        const Tensor in = backend_.here(x);
        for (const Tensor& used : {y, bias_, krsc_, narrow_bias_}) machine_.keep(used);
        const int alignment = half() ? 16 : alignment_of({in.address(), y.address(), krsc_.address(), bias_.address()});
        const Ready& ready = ready_for(in.shape()[0], alignment);
        if (!ready.plan) return by_definition(in, y);
        machine_.keep(ready.plan);
        const Tensor from = half() ? narrowed(in) : in, to = half() ? bytes_for(y) : y;
        // cuDNN names tensors by their part in the convolution forward: toward the input, y is read and x is written
        forward_ ? machine_.run(*ready.plan, from.address(), krsc_.address(), narrow_bias_.address(), to.address())
                 : machine_.run(*ready.plan, to.address(), krsc_.address(), nullptr, from.address());
        if (half()) widen(to, y);
        if (!forward_ && (!bias_.empty() || fused_ != Fused::none))  // cuDNN fuses it forward only
            backend_.each(y, BiasKernel{numbers(y), numbers(bias_), as_int(y.shape()[3]), fused_, numbers(y)});
    }

    Cost cost() const override {
        const double all = double(shape_.p * shape_.q * shape_.k) * double(shape_.window.r * shape_.window.s * (shape_.c / shape_.groups));
        return {all, all, double(hwio_.bytes())};
    }

private:
    struct Ready {
        Index images;
        int alignment;
        std::shared_ptr<const ConvGraphPlan> plan;  // null: by definition
    };
    // Gradients are too small for fp16's exponents.
    static Precision precision_of(Precision wanted, bool forward) {
        return wanted == Precision::fp16 && !forward ? Precision::tf32 : wanted;
    }
    bool half() const { return is_half(precision_); }
    static float* numbers(const Tensor& t) { return static_cast<float*>(t.address()); }
    static std::uint16_t* halves(const Tensor& t) { return static_cast<std::uint16_t*>(t.address()); }

    const Ready& ready_for(Index images, int alignment) const {
        for (const Ready& ready : ready_)
            if (ready.images == images && ready.alignment == alignment) return ready;
        ConvGraph graph{forward_ ? Pass::forward : Pass::grad_input, shape_, images};
        graph.precision = precision_;
        graph.alignment = alignment;
        if (forward_) graph.fused = fused_, graph.bias = !bias_.empty();
        const PlannedConv found = machine_.plan(graph);
        refusals.clear();
        if (!found.plan) refusals.push_back({"cudnn", found.problem});
        algorithm_ = found.plan ? found.plan->engine : "direct";
        if (ready_.size() >= 8) ready_.erase(ready_.begin());
        ready_.push_back({images, alignment, found.plan});
        return ready_.back();
    }

    // (r,s,c/groups,k) -> (k,r,s,c/groups), made once for all plans of these weights
    Tensor packed(const ConvWeights& weights) const {
        Tensor& slot = weights.packed[std::string("krsc ") + (half() ? name_of(precision_) : "f32")];
        if (slot.empty() || slot.device() != machine_.device()) {
            const Shape& s = weights.kernel.shape();
            Tensor krsc = backend_.tensor({s[3], s[0], s[1], s[2]}, DType::f32);
            backend_.transpose({3, 0, 1, 2}, weights.kernel, krsc);
            slot = half() ? narrowed(krsc) : krsc;
        }
        return slot;
    }

    // 16-bit numbers lie in tensors of bytes
    Tensor bytes_for(const Tensor& t) const { return backend_.tensor({2 * t.size()}, DType::u8); }
    Tensor narrowed(const Tensor& t) const {
        if (t.empty()) return {};
        const Tensor out = bytes_for(t);
        precision_ == Precision::bf16 ? backend_.each(t, NarrowKernel<Bf16>{numbers(t), halves(out)})
                                      : backend_.each(t, NarrowKernel<Fp16>{numbers(t), halves(out)});
        return out;
    }
    void widen(const Tensor& from, const Tensor& y) const {
        precision_ == Precision::bf16 ? backend_.each(y, WidenKernel<Bf16>{halves(from), numbers(y)})
                                      : backend_.each(y, WidenKernel<Fp16>{halves(from), numbers(y)});
    }

    void by_definition(const Tensor& x, const Tensor& y) const {
        const Tensor hwio = backend_.here(hwio_);
        forward_ ? backend_.each(y, DirectForward{taps_of(shape_), fused_, numbers(x), numbers(hwio), numbers(bias_), numbers(y)})
                 : backend_.each(y, DirectGradInput{taps_of(shape_), fused_, numbers(x), numbers(hwio), numbers(bias_), numbers(y)});
    }

    const DeviceBackend<Machine>& backend_;
    const Machine& machine_;
    ConvShape shape_;
    bool forward_;
    Fused fused_;
    Precision precision_;
    Tensor hwio_, bias_, krsc_, narrow_bias_;  // narrow_bias_: as the convolution reads it
    mutable std::vector<Ready> ready_;
    mutable std::string algorithm_ = "not run yet";
};

}  // namespace limn::cuda
