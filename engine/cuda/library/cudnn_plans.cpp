// The only file that knows cuDNN.
#include "engine/cuda/library/cudnn_plans.h"

#include <cudnn_frontend.h>

#include <algorithm>

namespace limn::cuda {

namespace fe = cudnn_frontend;

namespace {

using Attributes = std::shared_ptr<fe::graph::Tensor_attributes>;
using Sizes = std::vector<std::int64_t>;

// cuDNN names axes N,C,H,W whatever their order in memory; strides say that channels lie side by side.
struct Dims {
    Sizes sizes, strides;
    Dims(Index n, Index c, Index h, Index w) : sizes{n, c, h, w}, strides{c * h * w, 1, c * w, c} {}
};

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

class Plan : public ConvGraphPlan {
public:
    Plan(const ConvGraph& wanted, const DeviceDescription& device) {
        auto description = std::make_shared<fe::DeviceProperties>();
        const std::string json = device.json();
        check(description->deserialize(std::vector<std::uint8_t>(json.begin(), json.end())), wanted);
        graph_.set_device_properties(description).set_sm_version(device.sm);
        build(wanted);
    }

    void run(void*, void*, void*, void*, void*) const override { fail("a plan for a described GPU cannot run"); }

private:
    Attributes tensor(const char* name, const Dims& dims, int alignment) {
        return graph_.tensor(
            fe::graph::Tensor_attributes().set_name(name).set_dim(dims.sizes).set_stride(dims.strides).set_alignment(alignment));
    }
    static void set(const Attributes& to, const Dims& dims) { to->set_dim(dims.sizes).set_stride(dims.strides); }
    template <class A> static A windowed(A attributes, const ConvGraph& g) {
        const Window& w = g.shape.window;
        return attributes.set_pre_padding({w.pad_top, w.pad_left})
            .set_post_padding({g.post_pad_h(), g.post_pad_w()})
            .set_stride({w.stride_h, w.stride_w})
            .set_dilation({w.dilation_h, w.dilation_w});
    }

    void build(const ConvGraph& g) {
        const ConvShape& v = g.shape;
        const Dims x(g.images, v.c, v.h, v.w), y(g.images, v.k, v.p, v.q), kernel(v.k, v.c / v.groups, v.window.r, v.window.s);
        graph_.set_io_data_type(type_of(g.precision))
            .set_intermediate_data_type(fe::DataType_t::FLOAT)
            .set_compute_data_type(fe::DataType_t::FLOAT);
        Attributes result;
        switch (g.pass) {
            case Pass::forward:
                result = graph_.conv_fprop(tensor("x", x, g.alignment), tensor("kernel", kernel, g.alignment),
                                           windowed(fe::graph::Conv_fprop_attributes(), g));
                if (g.bias) {
                    set(result, y);
                    result = graph_.pointwise(result, tensor("bias", Dims(1, v.k, 1, 1), g.alignment),
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
                result = graph_.conv_dgrad(tensor("dy", y, g.alignment), tensor("kernel", kernel, g.alignment),
                                           windowed(fe::graph::Conv_dgrad_attributes(), g));
                set(result, x);
                break;
            case Pass::grad_kernel:
                result = graph_.conv_wgrad(tensor("dy", y, g.alignment), tensor("x", x, g.alignment),
                                           windowed(fe::graph::Conv_wgrad_attributes(), g));
                set(result, kernel);
                break;
        }
        result->set_output(true);
        check(graph_.validate(), g);
        check(graph_.build_operation_graph(), g);
        check(graph_.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), g);
        std::vector<fe::NumericalNote_t> unwanted{fe::NumericalNote_t::NONDETERMINISTIC};
        if (g.precision == Precision::f32)
            unwanted.insert(unwanted.end(), {fe::NumericalNote_t::TENSOR_CORE, fe::NumericalNote_t::DOWN_CONVERT_INPUTS});
        graph_.deselect_numeric_notes(unwanted);
        check(graph_.check_support(), g);
        check(graph_.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE), g);
        check(graph_.get_plan_name(engine), g);
        workspace = std::size_t(std::max<std::int64_t>(0, graph_.get_workspace_size()));
        candidates = int(graph_.get_execution_plan_count());
    }

    fe::graph::Graph graph_;
};

}  // namespace

std::string cudnn_version() {
    const std::size_t v = cudnnGetVersion();
    return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

std::unique_ptr<ConvGraphPlan> plan_conv(const ConvGraph& graph, const DeviceDescription& device) {
    return std::make_unique<Plan>(graph, device);
}

}  // namespace limn::cuda
