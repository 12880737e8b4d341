// The maps themselves: exact arrays from captum's test of Grad-CAM, and the identities that tie the methods together.
#include "autograd/ops.h"
#include "cam/explain.h"
#include "cam/grad_cam.h"
#include "layers/conv2d.h"
#include "layers/core.h"
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "weights/architectures/architectures.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

// captum's BasicModel_ConvNet_One_Conv: a 4x4 image, conv 1 -> 2 of ones with bias (-50, -75), ReLU, dense 8 -> 4 with rows
// of 1 and of -1, ReLU. captum flattens (c,h,w), limn (h,w,c): the dense rows are laid out accordingly.
struct CaptumNet {
    LayerPtr conv = make_conv2d({"Conv2D", "conv1", {{"filters", 2.0}, {"kernel_size", 3.0}}});
    LayerPtr fc = make_dense({"Dense", "fc1", {{"units", 4.0}}});
    CaptumNet() {
        conv->build({Shape{1, 4, 4, 1}});
        conv->weights[0].value = Tensor::full({3, 3, 1, 2}, 1);
        const float bias[] = {-50, -75};
        conv->weights[1].value = Tensor::from({2}, bias);
        fc->build({Shape{1, 8}});
        fc->weights[0].value = Tensor({8, 4});
        fc->weights[1].value = Tensor::zeros({4});
        // captum: weight row of class k = five ones, then three minus ones, over (channel, row, column)
        for (Index channel = 0; channel < 2; channel++)
            for (Index cell = 0; cell < 4; cell++)
                for (Index k = 0; k < 4; k++)
                    fc->weights[0].value.data()[(cell * 2 + channel) * 4 + k] = channel * 4 + cell < 5 ? 1.0f : -1.0f;
    }
    struct Values {
        Var input, conv1, relu1, score;
    };
    Values run(Tape& tape, const Tensor& image) const {
        Values v;
        v.input = tape.watch(image.on(tape.backend().device()));
        v.conv1 = tape.watch(conv->forward(tape, {v.input}));
        v.relu1 = relu(tape, v.conv1);
        v.score = relu(tape, fc->forward(tape, {reshape(tape, v.relu1, {v.relu1.shape()[0], 8})}));
        return v;
    }
};

Tensor counting(float from) {
    Tensor t({1, 4, 4, 1});
    for (Index i = 0; i < 16; i++) t.data()[i] = from + float(i);
    return t;
}

std::vector<float> numbers(const Tensor& t) {
    const Tensor here = t.host();
    return {here.values().begin(), here.values().end()};
}

Tensor class_0(const Var& score) {
    Tensor seed = Tensor::zeros(score.shape());
    seed.data()[0] = 1;
    return seed;
}

struct Tiny : TinyModel {
    using TinyModel::TinyModel;
    std::vector<Explained> explain(const Tensor& images, const std::string& methods, const std::string& target = "auto",
                                   Score score = Score::logit, const Backend& backend = cpu_backend()) const {
        Request request{{}, {loaded.model.find("conv")}, target, score, {}};
        for (const Method& m : limn::methods())
            if (methods == "all" || methods == m.name) request.methods.push_back(m);
        return limn::explain(backend, loaded.model, images, request);
    }
};

}  // namespace

TEST_CASE("captum's exact arrays: Grad-CAM at the convolution, after its ReLU, and by channel") {
    const CaptumNet net;
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Tape tape(*backend);
        const auto v = net.run(tape, counting(0));
        const std::vector<Var> wanted{v.conv1, v.relu1};
        const auto g = tape.gradients(v.score, class_0(v.score), wanted);
        CHECK(numbers(grad_cam(*backend, v.conv1.value, g[0])) == std::vector<float>{11.25f, 13.5f, 20.25f, 22.5f});
        CHECK(numbers(grad_cam(*backend, v.relu1.value, g[1])) == std::vector<float>{0, 4, 28, 32.5f});
        // channel by channel: mean gradient times activation
        for (int channel = 0; channel < 2; channel++) {
            double alpha = 0;
            std::vector<float> map;
            for (Index i = 0; i < 4; i++) alpha += g[0].host().at_flat(i * 2 + channel) / 4;
            for (Index i = 0; i < 4; i++) map.push_back(float(alpha * v.conv1.value.host().at_flat(i * 2 + channel)));
            CHECK(map == (channel == 0 ? std::vector<float>{-3.75f, 3, 23.25f, 30} : std::vector<float>{15, 10.5f, -3, -7.5f}));
        }
    }
}

TEST_CASE("captum's exact arrays: two inputs added, and Grad-CAM of the input itself") {
    const CaptumNet net;
    Tape tape(reference_backend());
    const auto v = net.run(tape, counting(1));  // captum's second input is all ones: the network sees x + 1
    CHECK(numbers(grad_cam(reference_backend(), v.conv1.value, tape.gradients(v.score, class_0(v.score), {&v.conv1, 1})[0])) ==
          std::vector<float>{14.5f, 19, 32.5f, 37});

    Tape again(reference_backend());
    Tensor input = counting(0);
    input.data()[5] = -4;
    const auto w = net.run(again, input);
    const Tensor map = grad_cam(reference_backend(), w.input.value, again.gradients(w.score, class_0(w.score), {&w.input, 1})[0]);
    for (Index i = 0; i < 16; i++) CHECK(map.at_flat(i) == doctest::Approx(0.5625 * input.at_flat(i)));
}

TEST_CASE("on a head of global average pooling and one dense layer, Grad-CAM = CAM / (h*w) = HiResCAM") {
    const Tiny tiny;
    const auto result = tiny.explain(random_tensor({2, 16, 16, 3}, 5), "all", "top:2");
    for (const Explained& image : result) {
        const auto map = [&](const std::string& method, std::size_t target) -> const Map& {
            std::size_t seen = 0;
            for (const Map& m : image.maps)
                if (m.method == method && seen++ == target) return m;
            throw Error("no map");
        };
        for (std::size_t t : {0u, 1u}) {
            Tensor scaled = map("cam", t).raw.clone();
            for (float& f : scaled.values()) f /= 16 * 16;
            CHECK(relative_error(map("grad-cam", t).raw, scaled) <= 1e-5);
            CHECK(relative_error(map("hirescam", t).raw, scaled) <= 1e-5);
        }
    }
}

TEST_CASE("on such a head the sum of HiResCAM plus the bias is the logit, and so is the mean of CAM") {
    const Tiny tiny;
    const Tensor bias = tiny.loaded.model.node(tiny.loaded.model.find("scores:linear")).layer->weight("bias");
    const auto result = tiny.explain(random_tensor({1, 16, 16, 3}, 6), "all");
    for (const Map& map : result[0].maps) {
        if (map.method != "cam" && map.method != "hirescam") continue;
        const double sum = double(map.stats.mean) * (map.method == "hirescam" ? 256 : 1);
        CHECK(sum + bias.at_flat(map.target.index) == doctest::Approx(result[0].predictions[0].logit).epsilon(1e-5));
    }
}

TEST_CASE("a batch explains its images exactly as they are explained alone") {
    const Tiny tiny;
    const Tensor images = random_tensor({5, 16, 16, 3}, 7);
    const auto together = tiny.explain(images, "all", "top:2");
    for (Index n = 0; n < 5; n++) {
        const auto alone = tiny.explain(images.rows(n, 1), "all", "top:2");
        REQUIRE(alone[0].maps.size() == together[std::size_t(n)].maps.size());
        for (std::size_t i = 0; i < alone[0].maps.size(); i++) CHECK(same_bits(alone[0].maps[i].raw, together[std::size_t(n)].maps[i].raw));
    }
}

TEST_CASE("VGG16: thirteen convolutions in one backward walk, the same bits as thirteen walks of their own") {
    Model model = build_vgg(16, false);
    initialise(model, 4);
    const std::vector<int> layers = convolutions(model);
    REQUIRE(layers.size() == 13);
    const Tensor images = random_tensor({2, 48, 32, 3}, 1);
    const auto maps = [&](const std::vector<int>& watch) {
        Tape tape(cpu_backend());
        const auto values = model.forward(tape, {images}, watch);
        const Var score = sum(tape, values[std::size_t(model.outputs[0])], {1, 2, 3});
        std::vector<Var> wanted;
        for (int layer : watch) wanted.push_back(values[std::size_t(layer)]);
        const auto gradients = tape.gradients(score, Tensor::full(score.shape(), 1), wanted);
        std::vector<Tensor> result;
        for (std::size_t i = 0; i < watch.size(); i++) result.push_back(grad_cam(cpu_backend(), wanted[i].value, gradients[i]));
        return result;
    };
    const std::vector<Tensor> together = maps(layers);
    for (std::size_t i = 0; i < layers.size(); i++) CHECK(same_bits(maps({layers[i]})[0], together[i]));
}

TEST_CASE("watching the last convolution of VGG16 records pool, and nothing below") {
    Model model = build_vgg(16, false);
    initialise(model, 4);
    Tape tape(cpu_backend());
    const int last = model.find("block5_conv3");
    model.forward(tape, {random_tensor({1, 32, 32, 3}, 1)}, {&last, 1});
    CHECK(tape.recorded() == std::vector<std::string>{"watch", "max_pool"});
}

TEST_CASE("one sigmoid: auto explains the side that is predicted, the score or its negative") {
    const Tiny tiny(1, "sigmoid");
    const Tensor image = random_tensor({1, 16, 16, 3}, 9);
    const auto automatic = tiny.explain(image, "grad-cam"), positive = tiny.explain(image, "grad-cam", "1"),
               negative = tiny.explain(image, "grad-cam", "0");
    const float p = positive[0].predictions[0].index == 1 ? positive[0].predictions[0].score : 1 - positive[0].predictions[0].score;
    CHECK(same_bits(automatic[0].maps[0].raw, (p >= 0.5f ? positive : negative)[0].maps[0].raw));
    for (Index i = 0; i < 256; i++) CHECK(positive[0].maps[0].raw.at_flat(i) == -negative[0].maps[0].raw.at_flat(i));
    CHECK(automatic[0].predictions[0].score >= 0.5f);
    CHECK_THROWS_AS(tiny.explain(image, "grad-cam", "7"), Error);
}

TEST_CASE("score output explains the value after the softmax: the logit's map by the softmax's slope") {
    const Tiny tiny(1, "sigmoid");
    const Tensor image = random_tensor({1, 16, 16, 3}, 10);
    const auto logit = tiny.explain(image, "grad-cam", "1"), output = tiny.explain(image, "grad-cam", "1", Score::output);
    const float p = logit[0].predictions[0].score;
    Tensor scaled = logit[0].maps[0].raw.clone();
    for (float& f : scaled.values()) f *= p * (1 - p);
    CHECK(relative_error(output[0].maps[0].raw, scaled) <= 1e-5);
}

TEST_CASE("a map that cannot be drawn says why and what to try") {
    const auto only = [](const std::vector<Explained>& r) {
        return r[0].maps[0].diagnostics.empty() ? std::string() : r[0].maps[0].diagnostics[0];
    };
    SUBCASE("nothing speaks for the class") {
        const Tiny tiny;
        Weight& w = tiny.loaded.model.node(tiny.loaded.model.find("scores:linear")).layer->weights[0];
        w.value = Tensor::full(w.shape, -1);
        CHECK(only(tiny.explain(random_tensor({1, 16, 16, 3}, 1), "grad-cam")).find("nothing speaks for") == 0);
    }
    SUBCASE("saturated softmax") {
        const Tiny tiny;
        Weight& w = tiny.loaded.model.node(tiny.loaded.model.find("scores:linear")).layer->weights[1];
        const float bias[] = {500, 0, 0};
        w.value = Tensor::from({3}, bias);
        CHECK(only(tiny.explain(random_tensor({1, 16, 16, 3}, 1), "grad-cam", "auto", Score::output)).find("saturated") !=
              std::string::npos);
        CHECK(only(tiny.explain(random_tensor({1, 16, 16, 3}, 1), "grad-cam")).empty());
    }
    SUBCASE("a layer of one cell") {
        const Tiny tiny(3, "softmax", 1);
        CHECK(only(tiny.explain(random_tensor({1, 1, 1, 3}, 1), "grad-cam")).find("1x1") != std::string::npos);
    }
    SUBCASE("dead ReLUs") {
        const Tiny tiny;
        Weight& w = tiny.loaded.model.node(tiny.loaded.model.find("conv")).layer->weights[1];
        w.value = Tensor::full(w.shape, -1000);
        CHECK(only(tiny.explain(random_tensor({1, 16, 16, 3}, 1), "grad-cam")).find("same everywhere") != std::string::npos);
    }
    SUBCASE("NaN in the weights is an error, not a picture") {
        const Tiny tiny;
        Weight& w = tiny.loaded.model.node(tiny.loaded.model.find("conv")).layer->weights[1];
        w.value = Tensor::full(w.shape, NAN);
        CHECK_THROWS_WITH_AS(tiny.explain(random_tensor({1, 16, 16, 3}, 1), "grad-cam"), doctest::Contains("NaN"), Error);
    }
}

TEST_CASE("CAM is refused where it does not apply, with the reason and what to use instead") {
    if (!have_shared({"goldens"})) return;
    const LoadedModel loaded = load_model({shared_data("goldens/vgg_fc_softmax.h5").string(), "", ""});
    const Request request{{method_named("cam")}, {default_layer(loaded.model)}, "auto", Score::logit, {}};
    CHECK_THROWS_WITH_AS(explain(cpu_backend(), loaded.model, random_tensor({1, 32, 32, 3}, 1), request),
                         doctest::Contains("use --method grad-cam"), Error);
}

TEST_CASE("the layer chosen by itself: CAM's where CAM applies, else the last with a map before the head, or the coarsest") {
    CHECK(Tiny().loaded.model.node(default_layer(Tiny().loaded.model)).name == "conv");
    if (!have_shared({"goldens"})) return;
    const auto chosen = [](const std::string& name) {
        const LoadedModel loaded = load_model({shared_data("goldens/" + name + ".h5").string(), "", ""});
        return loaded.model.node(default_layer(loaded.model)).name;
    };
    CHECK(chosen("seed_cam_binary") == "block3_conv2");
    CHECK(chosen("seed_gradcam_binary") == "block3_conv2");
    CHECK(chosen("vgg_fc_softmax") == "block3_conv2");
    CHECK(chosen("resnet_like") == "out2");
    CHECK(chosen("mobilenet_like") == "pw2");
    CHECK(chosen("squeezenet_like") == "conv10");
    CHECK(chosen("nested_frozen_base") == "features/base/sum");
    CHECK(chosen("segmentation_unet") == "bottleneck");  // its last layers are pictures of the scores
}

TEST_CASE("resizing a map: half-pixel bilinear, as OpenCV and torch (align_corners=False) do it") {
    const float cells[] = {0, 1, 2, 3};
    const Tensor big = resize_map(cpu_backend(), Tensor::from({2, 2}, cells), 4, 4);
    CHECK(numbers(big.rows(0, 1)) == std::vector<float>{0, .25f, .75f, 1});
    CHECK(numbers(big.rows(1, 1)) == std::vector<float>{.5f, .75f, 1.25f, 1.5f});
}

TEST_CASE("normalisation: ReLU and division by the largest; a map without positive cells stays black") {
    const float cells[] = {-2, 0, 1, 4};
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        const auto of = [&](const Tensor& map, Normalize mode) { return numbers(normalized(*backend, map.on(backend->device()), mode)); };
        const Tensor map = Tensor::from({2, 2}, cells);
        CHECK(of(map, Normalize::max) == std::vector<float>{0, 0, .25f, 1});
        CHECK(of(map, Normalize::minmax) == std::vector<float>{0, 1.0f / 3, .5f, 1});
        CHECK(of(map, Normalize::none) == std::vector<float>{0, 0, 1, 4});
        CHECK(of(Tensor::full({1, 2}, -1), Normalize::max) == std::vector<float>{0, 0});
        for (Normalize mode : {Normalize::max, Normalize::minmax, Normalize::none}) {
            CHECK(of(Tensor::full({1, 1}, NAN), mode) == std::vector<float>{0});
            CHECK(of(Tensor::full({1, 1}, 0), mode) == std::vector<float>{0});
        }
        CHECK(of(Tensor::full({1, 1}, 5), Normalize::minmax) == std::vector<float>{0});
        CHECK(of(Tensor::full({1, 1}, 5), Normalize::max) == std::vector<float>{1});
    }
}

TEST_CASE("the box of a map: its largest connected part above the threshold") {
    Tensor heat = Tensor::zeros({5, 7});
    for (Index i : {8, 9, 16, 34}) heat.data()[i] = 1;  // (1,1) (1,2) (2,2), and (4,6) on its own
    const auto boxes = bounding_boxes(heat, 0.2f);
    REQUIRE(boxes.size() == 1);
    CHECK(boxes[0].top == 1);
    CHECK(boxes[0].left == 1);
    CHECK(boxes[0].bottom == 3);
    CHECK(boxes[0].right == 3);
    CHECK(bounding_boxes(Tensor::zeros({3, 3}), 0.2f).empty());
}
