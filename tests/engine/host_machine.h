// A machine like a GPU, on the host: memory of its own, kernels in a loop in the order in which a GPU's lanes add up, cuDNN's and
// cuBLAS's parts by their definition, recordings. What runs here is the text of the cuda backend but for its calls to NVIDIA's libraries.
#pragma once

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>

#include "engine/cuda/device_backend.h"
#include "engine/cuda/pool.h"
#include "engine/reference/backend.h"

namespace limn {

class HostDevice : public Device {
public:
    std::string name() const override { return "a GPU played by the host"; }
    std::shared_ptr<void> allocate(std::size_t bytes) override {
        auto block = bytes > most ? nullptr : (recording ? recording->pool : pool)->allocate(bytes);
        if (!block) throw OutOfMemory(fmt::format("out of memory on {}: {} bytes more are needed", name(), bytes));
        if (!recording) std::memset(block.get(), 0xff, bytes);  // NaN: a kernel that reads what nobody wrote is found out
        return block;
    }
    void zero(void* to, std::size_t bytes) override {
        act([=] { std::memset(to, 0, bytes); });
    }
    void copy(void* to, const void* from, std::size_t bytes) override {
        act([=] { std::memcpy(to, from, bytes); });
    }
    void from_host(void* to, const void* host, std::size_t bytes) override {
        LIMN_CHECK(!recording, "numbers of the host would be copied once and for all into a recording");
        std::memcpy(to, host, bytes);
        copies_in++;
    }
    void to_host(void* host, const void* from, std::size_t bytes) override {
        LIMN_CHECK(!recording, "what a recording computes is not known while it is made");
        std::memcpy(host, from, bytes);
        copies_out++;
    }
    void wait() override {}
    double milliseconds(const std::function<void()>& work) override {
        const auto start = std::chrono::steady_clock::now();
        work();
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    }

    // Does it, or adds it to what is being recorded.
    void act(std::function<void()> action) {
        recording ? recording->actions.push_back(std::move(action)) : action();
        launches++;
    }

    struct Work : Recording {
        std::shared_ptr<cuda::Pool> pool;
        std::vector<std::function<void()>> actions;
        std::vector<Tensor> kept;
        void run() override {
            for (const auto& action : actions) action();
        }
    };
    std::shared_ptr<cuda::Pool> new_pool() {
        const auto fresh = std::make_shared<cuda::Pool>(cuda::Pool::Source{
            [](std::size_t n) { return std::aligned_alloc(256, (n + 255) / 256 * 256); }, [](void* p) { std::free(p); }});
        pools.push_back(fresh);
        return fresh;
    }
    bool owns(const void* address) const {
        return std::any_of(pools.begin(), pools.end(), [&](const auto& weak) {
            const auto own = weak.lock();
            return own && own->owns(address);
        });
    }
    std::vector<std::weak_ptr<cuda::Pool>> pools;  // all there were: its own, and those of recordings
    std::shared_ptr<cuda::Pool> pool = new_pool();
    Work* recording = nullptr;
    std::size_t most = std::size_t(-1);               // bytes a tensor may have
    int launches = 0, copies_in = 0, copies_out = 0;  // since a test set them to 0
};

struct HostMachine {
    HostDevice* host;
    cuda::Precision precise = cuda::Precision::f32;
    std::string without;  // graphs whose key holds this have no plan

    std::string name() const { return fmt::format("{}, {}", host->name(), cuda::name_of(precise)); }
    Device* device() const { return host; }
    cuda::Precision precision() const { return precise; }
    void keep(const Tensor& tensor) const {
        if (host->recording && !tensor.empty() && !host->recording->pool->owns(tensor.address())) host->recording->kept.push_back(tensor);
    }

    void keep(const std::shared_ptr<const cuda::ConvGraphPlan>&) const {}

    template <class Kernel> void each(int count, const Kernel& kernel) const {
        host->act([=] {
            for (int i = count - 1; i >= 0; i--) kernel(i);  // backward: no kernel may depend on the order
        });
    }
    template <class T> void totals(int outputs, const T& total) const {
        host->act([=] {
            constexpr int lanes = 256;
            for (int output = 0; output < outputs; output++) {
                typename T::Total sums[lanes];
                for (int lane = 0; lane < lanes; lane++)
                    for (int term = lane; term < total.terms; term += lanes) total.add(sums[lane], output, term);
                for (int half = lanes / 2; half > 0; half /= 2)
                    for (int lane = 0; lane < half; lane++) sums[lane].merge(sums[lane + half]);
                total.finish(output, sums[0]);
            }
        });
    }

    struct Plan : cuda::ConvGraphPlan {
        cuda::ConvGraph graph;
        explicit Plan(const cuda::ConvGraph& g) : graph(g) { engine = "a graph by its definition"; }
        void run(void* x, void* kernel, void* bias, void* y) const override { compute(graph, x, kernel, bias, y); }
    };
    cuda::PlannedConv plan(const cuda::ConvGraph& graph) const {
        if (!without.empty() && graph.key().find(without) != std::string::npos) return {nullptr, "no plan for " + graph.key()};
        return {std::make_shared<Plan>(graph), ""};
    }
    // The graph as cuDNN's documentation defines it, on what lies at these addresses: NHWC planes, (k,r,s,c/groups) kernels, padding on
    // all four sides; numbers of 16 bits where the graph says so.
    void run(const cuda::ConvGraphPlan& plan, void* x, void* kernel, void* bias, void* y) const {
        for (const void* address : {x, kernel, bias, y})
            LIMN_CHECK(!address || host->owns(address), "an address that is not on {}", host->name());
        host->act([=, graph = static_cast<const Plan&>(plan).graph] { compute(graph, x, kernel, bias, y); });
    }
    static void compute(const cuda::ConvGraph& g, void* x, void* kernel, void* bias, void* y) {
        using cuda::Pass, cuda::Precision, cuda::Bf16, cuda::Fp16;
        const ConvShape& v = g.shape;
        const Window& w = v.window;
        // what cuDNN computes the size of the result from
        const auto places = [](Index size, Index pads, Index taps, Index dilation, Index stride) {
            return (size + pads - (taps - 1) * dilation - 1) / stride + 1;
        };
        LIMN_CHECK(places(v.h, w.pad_top + g.post_pad_h(), w.r, w.dilation_h, w.stride_h) == v.p &&
                       places(v.w, w.pad_left + g.post_pad_w(), w.s, w.dilation_w, w.stride_w) == v.q,
                   "padding and sizes of {} do not fit together", g.key());
        // tensors as cuDNN is told of them, by their strides, to and from (n,h,w,c)
        const auto at_each = [](const cuda::GraphTensor& t, auto body) {
            const auto &size = t.sizes, &step = t.strides;
            Index i = 0;
            for (Index n = 0; n < size[0]; n++)
                for (Index row = 0; row < size[2]; row++)
                    for (Index column = 0; column < size[3]; column++)
                        for (Index c = 0; c < size[1]; c++) body(i++, n * step[0] + c * step[1] + row * step[2] + column * step[3]);
            return Shape{size[0], size[2], size[3], size[1]};
        };
        const auto shape_of = [&](const cuda::GraphTensor& t) { return at_each(t, [](Index, Index) {}); };
        const auto load = [&](const cuda::GraphTensor& t, const void* from) {
            Tensor out(shape_of(t));
            at_each(t, [&](Index i, Index place) {
                const auto half = [&] { return static_cast<const std::uint16_t*>(from)[place]; };
                const auto whole = [&] { return static_cast<const float*>(from)[place]; };
                out.data()[i] = g.precision == Precision::bf16   ? Bf16::widen(half())
                                : g.precision == Precision::fp16 ? Fp16::widen(half())
                                : g.precision == Precision::tf32 ? tf32(whole())
                                                                 : whole();
            });
            return out;
        };
        const auto store = [&](const Tensor& numbers, const cuda::GraphTensor& t, void* to) {
            at_each(t, [&](Index i, Index place) {
                const float number = numbers.data()[i];
                if (g.precision == Precision::bf16)
                    static_cast<std::uint16_t*>(to)[place] = Bf16::narrow(number);
                else if (g.precision == Precision::fp16)
                    static_cast<std::uint16_t*>(to)[place] = Fp16::narrow(number);
                else
                    static_cast<float*>(to)[place] = number;
            });
        };
        for (const void* address : {x, kernel, bias, y})
            LIMN_CHECK(reinterpret_cast<std::uintptr_t>(address) % std::uintptr_t(g.alignment) == 0, "an address is less aligned than {}",
                       g.key());
        const Backend& loops = reference_backend();
        const cuda::GraphTensor x_graph = x_of(g), y_graph = y_of(g), kernel_graph = kernel_of(g);
        Tensor rsck({w.r, w.s, v.c / v.groups, v.k}), krsc(shape_of(kernel_graph));
        if (g.pass != Pass::grad_kernel) loops.transpose({1, 2, 3, 0}, load(kernel_graph, kernel), rsck);
        if (g.pass == Pass::forward) {
            Tensor out(shape_of(y_graph));
            const Tensor b = g.bias ? load(bias_of(g), bias).reshaped({v.k}) : Tensor();
            loops.plan_conv2d(v, {rsck, b, {}}, Direction::forward, g.fused)->run(load(x_graph, x), out);
            store(out, y_graph, y);
        } else if (g.pass == Pass::grad_input) {
            Tensor out(shape_of(x_graph));
            loops.plan_conv2d(v, {rsck, {}, {}}, Direction::grad_input, Fused::none)->run(load(y_graph, y), out);
            store(out, x_graph, x);
        } else {
            loops.conv2d_grad_kernel(v, load(x_graph, x), load(y_graph, y), rsck);
            loops.transpose({3, 0, 1, 2}, rsck, krsc);
            store(krsc, kernel_graph, kernel);
        }
    }

    // What tensor cores see of a number: 10 bits of its mantissa, rounded to the nearest.
    static float tf32(float x) { return std::isfinite(x) ? cuda::float_of((cuda::bits_of(x) + 0x1000) & ~0x1fffu) : x; }

    void product(const cuda::Product& p) const {
        host->act([=, strict = precise == cuda::Precision::f32] {
            const auto seen = [strict](float x) { return double(strict ? x : tf32(x)); };
            for (int i = 0; i < p.m; i++)
                for (int j = 0; j < p.n; j++) {
                    double sum = 0;
                    for (int l = 0; l < p.k; l++)
                        sum +=
                            seen(p.a[p.a_transposed ? l * p.m + i : i * p.k + l]) * seen(p.b[p.b_transposed ? j * p.k + l : l * p.n + j]);
                    p.c[i * p.n + j] = float(sum);
                }
        });
    }

    bool recording() const { return host->recording != nullptr; }
    std::unique_ptr<Recording> record(const std::function<void()>& work) const {
        auto recorded = std::make_unique<HostDevice::Work>();
        recorded->pool = host->new_pool();
        host->recording = recorded.get();
        try {
            work();
        } catch (...) {
            host->recording = nullptr;
            throw;
        }
        host->recording = nullptr;
        return recorded;
    }
};

inline HostDevice& host_device() {
    static HostDevice device;
    return device;
}

class HostBackend : public cuda::DeviceBackend<HostMachine> {
public:
    explicit HostBackend(cuda::Precision precision = cuda::Precision::f32, const std::string& without = "")
        : DeviceBackend(HostMachine{&host_device(), precision, without}) {}
};

inline const HostBackend& played_gpu() {
    static const HostBackend backend;
    return backend;
}

}  // namespace limn
