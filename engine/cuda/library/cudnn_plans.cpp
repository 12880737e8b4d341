// The only file that knows cuDNN.
#include "engine/cuda/library/cudnn_plans.h"

#include <cudnn_frontend.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace limn::cuda {

namespace fe = cudnn_frontend;

std::string cudnn_version() {
    const std::size_t v = cudnnGetVersion();
    return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

namespace {

using Attributes = std::shared_ptr<fe::graph::Tensor_attributes>;

// cuDNN says at length, engine by engine, why it cannot: one line is enough.
void check(fe::error_t status, const ConvGraph& graph) {
    if (status.is_good()) return;
    const std::string message = status.get_message();
    fail("cuDNN {} has no plan for {}: {}", cudnn_version(), graph.key(), message.substr(0, message.find('\n')));
}

fe::DataType_t type_of(Precision precision) {
    return precision == Precision::bf16   ? fe::DataType_t::BFLOAT16
           : precision == Precision::fp16 ? fe::DataType_t::HALF
                                          : fe::DataType_t::FLOAT;
}

// Tensors of the graph by number, as run() names them.
enum Uid : std::int64_t { x_uid = 1, kernel_uid, bias_uid, y_uid };

class Plan : public ConvGraphPlan {
public:
    explicit Plan(const ConvGraph& wanted) : wanted_(wanted) {}

    void build_for(const DeviceDescription& device) {
        auto description = std::make_shared<fe::DeviceProperties>();
        const std::string json = device.json();
        check(description->deserialize(std::vector<std::uint8_t>(json.begin(), json.end())), wanted_);
        graph_.set_device_properties(description).set_sm_version(device.sm);
        define(wanted_);
        check(graph_.build_operation_graph(), wanted_);
        choose(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE);
    }
    void build_for(cudnnHandle_t handle, GpuDevice& gpu, bool autotune) {
        handle_ = handle, gpu_ = &gpu;
        define(wanted_);
        check(graph_.build_operation_graph(handle), wanted_);
        choose(autotune ? fe::BuildPlanPolicy_t::ALL : fe::BuildPlanPolicy_t::HEURISTICS_CHOICE);
        if (autotune) choose_fastest();
    }

    void run(void* x, void* kernel, void* bias, void* y) const override {
        LIMN_CHECK(gpu_, "a plan for a described GPU cannot run");
        execute(index_, workspace, x, kernel, bias, y);
    }

private:
    void execute(std::int64_t index, std::size_t bytes, void* x, void* kernel, void* bias, void* y) const {
        std::unordered_map<std::int64_t, void*> numbers{{x_uid, x}, {kernel_uid, kernel}, {y_uid, y}};
        if (wanted_.bias) numbers[bias_uid] = bias;
        void* space = gpu_->workspace(bytes);
        check(index < 0 ? graph_.execute(handle_, numbers, space) : graph_.execute_plan_at_index(handle_, numbers, space, index), wanted_);
    }

    // Every candidate that could be built, ten runs at a time, so that launches are hidden: the one whose fastest ten are the fastest.
    void choose_fastest() {
        const ConvShape& v = wanted_.shape;
        const auto room = [&](Index numbers) {
            const std::size_t bytes =
                std::size_t(numbers) * (is_half(wanted_.precision) ? 2 : 4);
            auto block = gpu_->allocate(bytes);
            gpu_->zero(block.get(), bytes);
            return block;
        };
        const auto x = room(wanted_.images * v.h * v.w * v.c), kernel = room(v.window.r * v.window.s * v.c / v.groups * v.k),
                   bias = room(v.k), y = room(wanted_.images * v.p * v.q * v.k);
        double best = HUGE_VAL;
        for (std::int64_t i = 0; i < graph_.get_execution_plan_count(); i++) {
            std::int64_t bytes = 0;
            if (graph_.get_workspace_size_plan_at_index(i, bytes).is_bad()) continue;
            try {
                const auto runs = [&](int count) {
                    for (int run = 0; run < count; run++)
                        execute(i, std::size_t(std::max<std::int64_t>(0, bytes)), x.get(), kernel.get(), bias.get(), y.get());
                };
                runs(1);
                double fastest = HUGE_VAL;
                for (int round = 0; round < 3; round++) fastest = std::min(fastest, gpu_->milliseconds([&] { runs(10); }));
                if (fastest >= best) continue;
                best = fastest, index_ = i, workspace = std::size_t(std::max<std::int64_t>(0, bytes));
                check(graph_.get_plan_name_at_index(i, engine), wanted_);
            } catch (const Error&) {  // a candidate that was filtered out, or does not run here
            }
        }
        LIMN_CHECK(index_ >= 0, "cuDNN {} has no plan that runs for {}", cudnn_version(), wanted_.key());
    }

    Attributes tensor(Uid uid, const char* name, const GraphTensor& dims, int alignment) {
        return graph_.tensor(fe::graph::Tensor_attributes()
                                 .set_name(name)
                                 .set_uid(uid)
                                 .set_dim(dims.sizes)
                                 .set_stride(dims.strides)
                                 .set_alignment(alignment));
    }
    static void set(const Attributes& to, const GraphTensor& dims) { to->set_dim(dims.sizes).set_stride(dims.strides); }
    template <class A> static A windowed(A attributes, const ConvGraph& g) {
        const Window& w = g.shape.window;
        return attributes.set_pre_padding({w.pad_top, w.pad_left})
            .set_post_padding({g.post_pad_h(), g.post_pad_w()})
            .set_stride({w.stride_h, w.stride_w})
            .set_dilation({w.dilation_h, w.dilation_w});
    }

    void define(const ConvGraph& g) {
        const GraphTensor x = x_of(g), y = y_of(g), kernel = kernel_of(g);
        graph_.set_io_data_type(type_of(g.precision))
            .set_intermediate_data_type(fe::DataType_t::FLOAT)
            .set_compute_data_type(fe::DataType_t::FLOAT);
        Attributes result;
        switch (g.pass) {
            case Pass::forward:
                result = graph_.conv_fprop(tensor(x_uid, "x", x, g.alignment), tensor(kernel_uid, "kernel", kernel, g.alignment),
                                           windowed(fe::graph::Conv_fprop_attributes(), g));
                if (g.bias) {
                    set(result, y);
                    result = graph_.pointwise(result, tensor(bias_uid, "bias", bias_of(g), g.alignment),
                                              fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
                }
                if (g.fused != Fused::none) {
                    set(result, y);
                    auto relu = fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::RELU_FWD);
                    if (g.fused == Fused::relu6) relu.set_relu_upper_clip(6.0f);
                    result = graph_.pointwise(result, relu);
                }
                set(result, y);
                break;
            case Pass::grad_input:
                result = graph_.conv_dgrad(tensor(y_uid, "dy", y, g.alignment), tensor(kernel_uid, "kernel", kernel, g.alignment),
                                           windowed(fe::graph::Conv_dgrad_attributes(), g));
                set(result, x);
                break;
            case Pass::grad_kernel:
                result = graph_.conv_wgrad(tensor(y_uid, "dy", y, g.alignment), tensor(x_uid, "x", x, g.alignment),
                                           windowed(fe::graph::Conv_wgrad_attributes(), g));
                set(result, kernel);
                break;
        }
        const std::int64_t uids[] = {y_uid, x_uid, kernel_uid};  // by pass
        result->set_output(true).set_uid(uids[int(g.pass)]).set_alignment(g.alignment);
        check(graph_.validate(), g);
    }

    // The first of cuDNN's candidates that computes as precisely as was asked, and gives the same bits each time.
    void choose(fe::BuildPlanPolicy_t policy) {
        check(graph_.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), wanted_);
        std::vector<fe::NumericalNote_t> unwanted{fe::NumericalNote_t::NONDETERMINISTIC};
        if (wanted_.precision == Precision::f32)
            unwanted.insert(unwanted.end(), {fe::NumericalNote_t::TENSOR_CORE, fe::NumericalNote_t::DOWN_CONVERT_INPUTS});
        graph_.deselect_numeric_notes(unwanted);
        graph_.deselect_workspace_greater_than(std::int64_t(1) << 30);
        check(graph_.check_support(), wanted_);
        check(graph_.build_plans(policy), wanted_);
        check(graph_.get_plan_name(engine), wanted_);
        workspace = std::size_t(std::max<std::int64_t>(0, graph_.get_workspace_size()));
        candidates = int(graph_.get_execution_plan_count());
    }

    const ConvGraph wanted_;
    cudnnHandle_t handle_ = nullptr;
    GpuDevice* gpu_ = nullptr;
    std::int64_t index_ = -1;  // -1: cuDNN's own choice
    fe::graph::Graph graph_;
};

}  // namespace

std::unique_ptr<ConvGraphPlan> plan_conv(const ConvGraph& graph, const DeviceDescription& device) {
    auto plan = std::make_unique<Plan>(graph);
    plan->build_for(device);
    return plan;
}

Cudnn::Cudnn(GpuDevice& gpu) : gpu_(gpu) {
    const cudnnStatus_t status = cudnnCreate(&handle_);
    LIMN_CHECK(status == CUDNN_STATUS_SUCCESS, "cuDNN {} does not start: {}", cudnn_version(), cudnnGetErrorString(status));
    LIMN_CHECK(cudnnSetStream(handle_, gpu.stream()) == CUDNN_STATUS_SUCCESS, "cuDNN does not take the stream");
}

Cudnn::~Cudnn() { cudnnDestroy(handle_); }

std::unique_ptr<ConvGraphPlan> Cudnn::plan(const ConvGraph& graph, bool autotune) const {
    auto plan = std::make_unique<Plan>(graph);
    plan->build_for(handle_, gpu_, autotune);
    return plan;
}

}  // namespace limn::cuda
