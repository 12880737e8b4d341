// What of the cuda backend needs no GPU: graphs and their keys, descriptions of GPUs, and the plans cuDNN has for them. Its own kernels
// are tested in test_backends.cpp and test_training_verbs.cpp.
#include <map>
#include <nlohmann/json.hpp>

#include "bench/shapes.h"
#include "engine/cuda/cuda.h"
#include "tests/support.h"

using namespace limn;
using namespace limn::cuda;

TEST_CASE("a graph's key tells apart all that a plan depends on") {
    const ConvShape shape{{3, 3, 2, 2, 1, 1, 0, 0}, 224, 224, 3, 112, 112, 32};
    const ConvGraph graph{Pass::forward, shape};
    CHECK(graph.key() == "forward 1x224x224x3:32 3x3 stride 2x2 dilation 1x1 pad 0,1,0,1 groups 1 f32 align 16");
    std::vector<ConvGraph> others(10, graph);
    others[0].pass = Pass::grad_input, others[1].pass = Pass::grad_kernel, others[2].images = 2, others[3].fused = Fused::relu;
    others[4].fused = Fused::relu6, others[5].bias = true, others[6].precision = Precision::tf32, others[7].alignment = 4;
    others[8].shape.window.pad_top = 1, others[9].shape.groups = 3;
    std::map<std::string, int> keys{{graph.key(), 1}};
    for (const ConvGraph& other : others) keys[other.key()]++;
    CHECK(keys.size() == 11);
}

TEST_CASE("what a window reads behind the plane follows from its outputs, also where it reads less than all") {
    const auto pads = [](Index h, Index taps, Index stride, Index dilation, Index pad, Index p) {
        const ConvGraph g{Pass::forward, {{taps, taps, stride, stride, dilation, dilation, pad, pad}, h, h, 8, p, p, 8}};
        CHECK(g.post_pad_h() == g.post_pad_w());
        return g.post_pad_h();
    };
    CHECK(pads(56, 3, 1, 1, 1, 56) == 1);    // same
    CHECK(pads(224, 3, 2, 1, 0, 112) == 1);  // same with a stride: one more behind
    CHECK(pads(224, 7, 2, 1, 3, 112) == 2);  // ResNet's first layer: the last row of its padding is never read
    CHECK(pads(56, 1, 2, 1, 0, 28) == 0);    // 1x1 with a stride leaves a row unread
    CHECK(pads(20, 3, 1, 2, 2, 20) == 2);    // dilated
}

TEST_CASE("descriptors: the place of each number by cuDNN's strides is its place in a dense NHWC tensor, or (k,r,s,c) kernel") {
    const ConvGraph graph{Pass::forward, {{2, 3, 1, 1, 1, 1, 0, 1}, 6, 7, 8, 5, 7, 10, 2}, 3};
    const auto check = [](const GraphTensor& t, const Shape& nhwc) {
        CAPTURE(nhwc.str());
        CHECK(t.sizes == std::vector<std::int64_t>{nhwc[0], nhwc[3], nhwc[1], nhwc[2]});
        Index place = 0;
        for (Index n = 0; n < nhwc[0]; n++)
            for (Index h = 0; h < nhwc[1]; h++)
                for (Index w = 0; w < nhwc[2]; w++)
                    for (Index c = 0; c < nhwc[3]; c++)
                        REQUIRE(n * t.strides[0] + c * t.strides[1] + h * t.strides[2] + w * t.strides[3] == place++);
    };
    check(x_of(graph), {3, 6, 7, 8});
    check(y_of(graph), {3, 5, 7, 10});
    check(kernel_of(graph), {10, 2, 3, 4});  // 8 channels in 2 groups
    check(bias_of(graph), {1, 1, 1, 10});
}

TEST_CASE("precisions and GPUs by name") {
    for (Precision p : {Precision::f32, Precision::tf32, Precision::bf16, Precision::fp16}) CHECK(precision_named(name_of(p)) == p);
    CHECK_THROWS_WITH_AS(precision_named("f8"), "precision 'f8' is not known; f32, tf32, bf16 and fp16 are", Error);
    CHECK_THROWS_WITH_AS(device_description(70), "GPUs of sm 70 are not described here; these are: 75, 80, 86, 89, 90, 100, 120", Error);
    for (const DeviceDescription& device : known_devices()) {
        const auto json = nlohmann::json::parse(device.json());
        CHECK(json["deviceVer"] == device.sm * 10);
        CHECK(json["multiProcessorCount"] == device.multiprocessors);
    }
}

TEST_CASE("without CUDA, or without a driver, there is one clear line") {
    if (!built_with_cuda()) CHECK_THROWS_WITH_AS(library(), doctest::Contains("built without CUDA"), Error);
    if (problem().empty()) return;
    CHECK(problem().find('\n') == std::string::npos);
    CHECK_THROWS_WITH_AS(backend_named("cuda"), ("--device cuda: " + problem() + "; or use --device cpu").c_str(), Error);
}

TEST_CASE("cuDNN has a plan for every convolution of VGG16, ResNet-50, MobileNet and SqueezeNet, in every direction, for every GPU") {
    if (!built_with_cuda()) {
        MESSAGE("skipped: built without CUDA");
        return;
    }
    for (const DeviceDescription& device : known_devices()) {
        std::string line;
        for (Precision precision : {Precision::f32, Precision::tf32, Precision::bf16, Precision::fp16}) {
            int plans = 0, graphs = 0;
            std::string missing;
            for (const char* name : {"vgg16", "resnet50", "mobilenet", "squeezenet"})
                for (const Case& c : network(name))
                    for (Pass pass : {Pass::forward, Pass::grad_input, Pass::grad_kernel}) {
                        ConvGraph graph{pass, c.shape()};
                        graph.precision = precision;
                        if (pass == Pass::forward)
                            graph.bias = true, graph.fused = std::string(name) == "mobilenet" ? Fused::relu6 : Fused::relu;
                        graphs++;
                        try {
                            const auto plan = library().plan(graph, device);
                            CHECK(!plan->engine.empty());
                            plans++;
                        } catch (const Error& e) {
                            missing += "\n" + std::string(e.what());
                        }
                    }
            CAPTURE(device.sm);
            CAPTURE(std::string(name_of(precision)));
            CAPTURE(missing);
            line += fmt::format(", {} {} of {}", name_of(precision), plans, graphs);
            if (device.sm == 75 && precision == Precision::bf16)
                CHECK(plans == 0);  // Turing has no bf16
            else
                CHECK(plans == graphs);
        }
        MESSAGE("cuDNN's plans: sm ", device.sm, " (", std::string(device.name), ")", line);
    }
}

TEST_CASE("strict float32 and tf32 are different engines where there are tensor cores for tf32") {
    if (!built_with_cuda()) {
        MESSAGE("skipped: built without CUDA");
        return;
    }
    ConvGraph graph{Pass::forward, {{3, 3, 1, 1, 1, 1, 1, 1}, 56, 56, 256, 56, 56, 256}};
    for (int sm : {80, 86, 89, 90, 100, 120}) {
        graph.precision = Precision::f32;
        const std::string strict = library().plan(graph, device_description(sm))->engine;
        graph.precision = Precision::tf32;
        CHECK(library().plan(graph, device_description(sm))->engine != strict);
    }
}
