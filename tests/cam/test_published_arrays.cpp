// Arrays that other projects publish in their tests, from networks so small that anybody can follow them by hand. limn's methods, on all
// backends, must give the same numbers. Numbers and facts only; each case names the file that holds them.
#include "autograd/ops.h"
#include "cam/explain.h"
#include "tests/cam/networks.h"

using namespace limn;

namespace {

const std::string relu_name = "relu";

// What is added to the input of a network of one input, so that it stands for one of two inputs that are added.
void add_constant(Network& net, const Tensor& constant, Shape image) {
    if (constant.empty()) return;
    const Index n = image.size();
    net.add("Flatten", "flat").add("Dense", "plus", {{"units", double(n)}}, {identity(n), constant.reshaped({n})});
    List sides;
    for (Index i = 1; i < image.rank(); i++) sides.emplace_back(double(image[i]));
    net.add("Reshape", "sum", {{"target_shape", sides}});
}

// captum/testing/helpers/basic_models.py, BasicModel_ConvNet_One_Conv: a 4x4 image, conv 1 -> 2 of ones with bias (-50, -75), ReLU, dense
// 8 -> 4 whose rows are five 1 and three -1 over (channel, row, column), ReLU. limn flattens (row, column, channel).
Network one_conv(const Tensor& other_input = {}) {
    Tensor dense({8, 4});
    for (Index channel = 0; channel < 2; channel++)
        for (Index cell = 0; cell < 4; cell++)
            for (Index k = 0; k < 4; k++) dense.data()[(cell * 2 + channel) * 4 + k] = channel * 4 + cell < 5 ? 1.0f : -1.0f;
    Network net({1, 4, 4, 1});
    add_constant(net, other_input, {1, 4, 4, 1});
    net.add("Conv2D", "conv1", {{"filters", 2.0}, {"kernel_size", 3.0}}, {Tensor::full({3, 3, 1, 2}, 1), tensor({2}, {-50, -75})});
    net.relu("relu1").add("Flatten", "view").add("Dense", "fc1", {{"units", 4.0}}, {dense, Tensor::zeros({4})}).relu("relu2");
    return net;
}
const Tensor class_0 = tensor({1, 4}, {1, 0, 0, 0});

Tensor counting() {
    Tensor t({1, 4, 4, 1});
    for (Index i = 0; i < 16; i++) t.data()[i] = float(i);
    return t;
}
const Tensor ones = Tensor::full({1, 4, 4, 1}, 1);

// The same file, BasicModel_MultiLayer: dense 3 -> 3 (identity), dense 3 -> 4 of ones with bias (-10, 1, 1, 1), ReLU, dense 4 -> 2 of ones
// with bias (-1, 1). Its multi_input_module has a second such dense layer and ReLU beside the first, added; and a ReLU that nobody reads.
Network multi_layer(bool two_relus = false) {
    Network net({1, 1, 3, 1});
    const std::vector<Tensor> linear1{Tensor::full({3, 4}, 1), tensor({4}, {-10, 1, 1, 1})};
    net.add("Flatten", "input").add("Dense", "linear0", {{"units", 3.0}}, {identity(3), Tensor::zeros({3})});
    net.add("Dense", "linear1", {{"units", 4.0}}, linear1).relu("relu");
    if (two_relus) {
        net.add("Dense", "linear1_alt", {{"units", 4.0}}, linear1, {"input"}).relu("multi_relu2");
        net.add("Activation", "multi_relu1", {{"activation", relu_name}}, {}, {"linear1"});
        net.add("Add", "relus", {}, {}, {"multi_relu1", "multi_relu2"});
    }
    net.add("Dense", "linear2", {{"units", 2.0}}, {Tensor::full({4, 2}, 1), tensor({2}, {-1, 1})});
    return net;
}
const Tensor first_of_two = tensor({1, 2}, {1, 0});
Tensor three(float a, float b, float c) { return tensor({1, 1, 3, 1}, {a, b, c}); }

using Numbers = std::vector<float>;

}  // namespace

// ---- captum

// tests/attr/test_guided_backprop.py, tests/attr/test_deconvolution.py
TEST_CASE("captum: guided backpropagation and deconvolution to the input, of one input and of two") {
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Network alone = one_conv(), added = one_conv(ones);
        CHECK(numbers(ask(*backend, alone, guided_backpropagation, counting(), class_0)) ==
              Numbers{0, 1, 1, 1, 1, 3, 3, 2, 1, 3, 3, 2, 1, 2, 2, 1});
        CHECK(numbers(ask(*backend, added, guided_backpropagation, counting(), class_0)) ==
              Numbers{1, 2, 2, 1, 2, 4, 4, 2, 2, 4, 4, 2, 1, 2, 2, 1});
        const Numbers deconvolved{2, 3, 3, 1, 3, 5, 5, 2, 3, 5, 5, 2, 1, 2, 2, 1};
        CHECK(numbers(ask(*backend, alone, deconvnet, counting(), class_0)) == deconvolved);
        CHECK(numbers(ask(*backend, added, deconvnet, counting(), class_0)) == deconvolved);
    }
}

// tests/attr/test_guided_grad_cam.py: enlarged by repeating cells, where limn interpolates. Both are made of the same two parts.
TEST_CASE("captum: Guided Grad-CAM is guided backpropagation times the enlarged positive Grad-CAM") {
    const Numbers one_input{0, 0, 4, 4, 0, 0, 12, 8, 28, 84, 97.5f, 65, 28, 56, 65, 32.5f};
    const Numbers two_inputs{14.5f, 29, 38, 19, 29, 58, 76, 38, 65, 130, 148, 74, 32.5f, 65, 74, 37};
    for (const Backend* backend : network_backends())
        for (const auto& [other, layer, published] : {std::tuple(Tensor(), "relu1", one_input), {ones, "conv1", two_inputs}}) {
            CAPTURE(backend->name());
            CAPTURE_PART(layer);
            Network net = one_conv(other);
            const auto at_layer = walk(*backend, net, counting(), class_0, {layer});
            const Tensor map = grad_cam(*backend, at_layer.values[0], at_layer.gradients[0]).host();
            const Tensor positive = normalized(*backend, map.reshaped({2, 2}), Normalize::none).host();
            const Tensor guided = ask(*backend, net, guided_backpropagation, counting(), class_0);
            const auto enlarged_by = [&](Interpolation how) {
                Tensor large({1, 4, 4, 1}), product({1, 4, 4});
                backend->resize(how, positive.reshaped({1, 2, 2, 1}), large);
                backend->binary(Binary::multiply, guided, large.reshaped({1, 4, 4}), product);
                return numbers(product);
            };
            CHECK(enlarged_by(Interpolation::nearest) == published);
            CHECK(enlarged_by(Interpolation::bilinear) == numbers(ask(*backend, net, guided_grad_cam, counting(), class_0, layer)));
        }
}

// tests/attr/layer/test_grad_cam.py (its other arrays: tests/cam/test_maps.cpp)
TEST_CASE("captum: Grad-CAM of two inputs, of frozen layers, of the input with and without ReLU") {
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Network added = one_conv(ones), frozen = one_conv();
        for (Layer* layer : frozen.model.weighted_layers()) layer->trainable = false;
        const auto map = [&](Network& net, const std::string& layer, const Tensor& image) {
            const auto found = walk(*backend, net, image, class_0, {layer});
            return grad_cam(*backend, found.values[0], found.gradients[0]).host();
        };
        CHECK(numbers(map(added, "conv1", counting())) == Numbers{14.5f, 19, 32.5f, 37});
        CHECK(numbers(map(frozen, "conv1", counting())) == Numbers{11.25f, 13.5f, 20.25f, 22.5f});

        Tensor image = counting();
        image.data()[5] = -4;
        Numbers of_input;
        for (float x : image.values()) of_input.push_back(0.5625f * x);
        const Tensor raw = map(frozen, "image", image);
        CHECK(numbers(raw) == of_input);
        of_input[5] = 0;
        CHECK(numbers(normalized(*backend, raw.reshaped({4, 4}), Normalize::none)) == of_input);
    }
}

// the same file: 400, 21 and 21; tests/attr/layer/test_layer_gradient_x_activation.py: zeros of a layer that nobody reads
TEST_CASE("captum: Grad-CAM of dense layers, whose units are channels of a single cell") {
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        const auto map = [&](Network& net, const std::string& layer, const Tensor& image) {
            const auto found = walk(*backend, net, image, first_of_two, {layer});
            const Shape cell{1, 1, 1, found.values[0].size()};
            return numbers(grad_cam(*backend, found.values[0].reshaped(cell), found.gradients[0].reshaped(cell)));
        };
        Network plain = multi_layer(), two = multi_layer(true);
        CHECK(map(plain, "linear0", three(0, 100, 0)) == Numbers{400});
        CHECK(map(two, "multi_relu1", three(0, 6, 0)) == Numbers{21});
        CHECK(map(two, "multi_relu2", three(0, 6, 0)) == Numbers{21});
        CHECK(map(two, "relu", three(0, 6, 0)) == Numbers{0});
    }
}

// tests/attr/layer/test_layer_gradient_x_activation.py: the units laid out as pixels of one channel, so that HiResCAM does not add them up
TEST_CASE("captum: gradient times activation, unit by unit") {
    struct Case {
        bool two_relus;
        std::string layer;
        Tensor image;
        Numbers expected;
    };
    for (const Backend* backend : network_backends())
        for (const auto& [two_relus, layer, image, expected] : {Case{false, "linear0", three(0, 100, 0), {0, 400, 0}},
                                                                {false, "linear1", three(0, 100, 0), {90, 101, 101, 101}},
                                                                {false, "relu", three(3, 4, 0), {0, 8, 8, 8}},
                                                                {false, "linear2", three(0, 100, 0), {392, 0}},
                                                                {true, "multi_relu1", three(3, 4, 0), {0, 8, 8, 8}},
                                                                {true, "multi_relu2", three(3, 4, 0), {0, 8, 8, 8}},
                                                                {true, "linear0", three(3, 4, 0), {9, 12, 0}},
                                                                {true, "relu", three(3, 4, 0), {0, 0, 0, 0}}}) {
            CAPTURE(backend->name());
            CAPTURE_PART(layer);
            Network net = multi_layer(two_relus);
            const auto found = walk(*backend, net, image, first_of_two, {layer});
            const Shape pixels{1, 1, found.values[0].size(), 1};
            CHECK(numbers(hires_cam(*backend, found.values[0].reshaped(pixels), found.gradients[0].reshaped(pixels))) == expected);
        }
}

// tests/attr/test_occlusion.py
TEST_CASE("captum: occlusion with windows of its own") {
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        const auto drop = [&](Network net, const Tensor& image, const Tensor& weights, Sliding rows, Sliding columns) {
            net.model.move_to(backend->device());
            const Asked asked(*backend, net.model, net.last());
            return numbers(occlusion_under(Question(asked, image, weights.on(backend->device()), 0), rows, columns));
        };
        CHECK(drop(one_conv(ones), counting(), class_0, {4, 1}, {4, 1}) == Numbers(16, 67));
        CHECK(drop(one_conv(counting()), ones, class_0, {4, 1}, {4, 1}) == Numbers(16, 13));
        CHECK(drop(one_conv(ones), counting(), class_0, {2, 2}, {3, 1}) ==
              Numbers{17, 17, 17, 17, 17, 17, 17, 17, 64, 65.5f, 65.5f, 67, 64, 65.5f, 65.5f, 67});
        CHECK(drop(one_conv(counting()), ones, class_0, {1, 1}, {2, 2}) == Numbers{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0});
        CHECK(drop(multi_layer(), three(20, 50, 30), first_of_two, {1, 1}, {1, 1}) == Numbers{80, 200, 120});
        CHECK(drop(multi_layer(), three(20, 50, 30), first_of_two, {1, 1}, {2, 2}) == Numbers{280, 280, 120});
        CHECK(drop(multi_layer(), three(2, 10, 3), first_of_two, {1, 1}, {1, 1}) == Numbers{8, 35, 12});
        CHECK_THROWS_WITH_AS(drop(one_conv(), counting(), class_0, {1, 1}, {2, 3}),
                             "occlusion: a window of 2 pixels that moves by 3 leaves pixels out", Error);
    }
}

// tests/attr/test_saliency.py and test_input_x_gradient.py: 1 - relu(1 - x), element by element, with its gradients by hand
TEST_CASE("captum: saliency and input times gradient of 1 - relu(1 - x)") {
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        const std::vector<Tensor> from_one{Tensor::full({1, 1, 1, 1}, -1), Tensor::full({1}, 1)};
        Network net({1, 1, 6, 1});
        net.add("Conv2D", "inner", same_conv(1, 1, "relu"), from_one).add("Conv2D", "outer", same_conv(1, 1), from_one);
        const Tensor image = tensor({1, 1, 6, 1}, {1, 2, 3, 0, -1, 7}), all = Tensor::full({1, 1, 6, 1}, 1);
        CHECK(numbers(ask(*backend, net, saliency, image, all)) == Numbers{0, 0, 0, 1, 1, 0});
        CHECK(numbers(ask(*backend, net, gradient_x_input, image, all)) == Numbers{0, 0, 0, 0, -1, 0});
    }
}

// tests/attr/test_integrated_gradients_basic.py: the two networks of Sundararajan et al. 2017, equal as functions (BasicModel2, BasicModel3).
// On the way from (0,0) to (3,1) both have the gradient (1,-1) in the second half and none in the first.
TEST_CASE("captum: integrated gradients of two implementations of one function are (1.5, -0.5)") {
    Network one({1, 1, 2, 1}), other({1, 1, 2, 1});
    one.add("Flatten", "x")
        .relu("positive")
        .add("Dense", "f", {{"units", 1.0}, {"activation", relu_name}}, {tensor({2, 1}, {1, -1}), tensor({1}, {-1})});
    other.add("Flatten", "x").add("Dense", "positive", {{"units", 2.0}, {"activation", relu_name}}, {identity(2), tensor({2}, {-1, 0})});
    other.add("Dense", "f", {{"units", 1.0}, {"activation", relu_name}}, {tensor({2, 1}, {1, -1}), tensor({1}, {0})});
    for (const Backend* backend : network_backends())
        for (Network* net : {&one, &other}) {
            CAPTURE(backend->name());
            const Tensor map = ask(*backend, *net, integrated_gradients, tensor({1, 1, 2, 1}, {3, 1}), tensor({1, 1}, {1}));
            // half of 50 points, which lie symmetrically: their weights sum to 1/2 up to the rounding of 50 floats
            CHECK(map.at_flat(0) == doctest::Approx(1.5).epsilon(50 * 6e-8));
            CHECK(map.at_flat(1) == doctest::Approx(-0.5).epsilon(50 * 6e-8));
        }
}

// ---- PAIR saliency

// saliency/tf1/grad_cam_test.py: a real network, a detector of horizontal lines on a white square, its pixels summed by a dense layer;
// saliency/core/grad_cam_test.py: the same layer with gradients of its own, positive on average. Both: rows of .33 .67 1 .67 .33, +-.01.
TEST_CASE("PAIR: Grad-CAM finds the two horizontal edges of a square") {
    Tensor square = Tensor::zeros({1, 5, 5, 1}), gradients = Tensor::zeros({1, 5, 5, 1});
    for (Index r = 1; r < 4; r++)
        for (Index c = 1; c < 4; c++) square.data()[r * 5 + c] = 1;
    for (Index i : {0, 24}) gradients.data()[i] = 2;
    for (Index i : {6, 7, 8, 21, 22, 23}) gradients.data()[i] = 3;
    Network net({1, 5, 5, 1});
    net.add("Conv2D", "conv", same_conv(1, 3), {tensor({3, 3, 1, 1}, {-1, -1, -1, 2, 2, 2, -1, -1, -1}), Tensor::zeros({1})});
    net.add("Flatten", "flat").add("Dense", "logits", {{"units", 2.0}}, {Tensor::full({25, 2}, 1), Tensor::zeros({2})});
    const double edge[] = {1. / 3, 2. / 3, 1, 2. / 3, 1. / 3};
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        const auto found = walk(*backend, net, square, first_of_two, {"conv"});
        for (const Tensor& g : {found.gradients[0], gradients}) {
            const Tensor map = grad_cam(*backend, found.values[0], g).host();
            const Tensor mask = normalized(*backend, map.reshaped({5, 5}), Normalize::max).host();
            for (Index i = 0; i < 25; i++)
                CHECK(mask.at_flat(i) == doctest::Approx(i / 5 == 1 || i / 5 == 3 ? edge[i % 5] : 0).epsilon(1e-6));
        }
    }
}

// saliency/core/occlusion_test.py, saliency/tf1/occlusion_test.py: the drops under all 3x3 windows, added up where limn takes the mean
TEST_CASE("PAIR: occlusion of two bright pixels") {
    Tensor image = Tensor::zeros({1, 5, 5, 1});
    for (Index i : {6, 18}) image.data()[i] = 1;
    Network net({1, 5, 5, 1});
    net.add("Flatten", "flat").add("Dense", "f", {{"units", 1.0}}, {Tensor::full({25, 1}, 3), Tensor::zeros({1})});
    const Numbers published{3, 6, 6, 3, 0, 6, 15, 18, 12, 3, 6, 18, 24, 18, 6, 3, 12, 18, 15, 6, 0, 3, 6, 6, 3};
    const float covering[] = {1, 2, 3, 2, 1};  // windows over a row or column
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        net.model.move_to(backend->device());
        const Asked asked(*backend, net.model, net.last());
        const Question question(asked, image, Tensor::full({1, 1}, 1).on(backend->device()), 0);
        const Numbers mean = numbers(occlusion_under(question, {3, 1}, {3, 1}));
        for (std::size_t i = 0; i < 25; i++)
            CHECK(mean[i] * covering[i / 5] * covering[i % 5] == doctest::Approx(published[i]).epsilon(1e-6));
        net.model.move_to(nullptr);
    }
}

// saliency/core/gradients_test.py, saliency/core/integrated_gradients_test.py and tf1: f = 5 x + y^2 (+ sin z, for which limn has no
// function). The way leads from (0.5, 1) to (1, 2); limn's leads from zeros, so that the start is the network's constant.
TEST_CASE("PAIR: gradients and integrated gradients of 5 x + y^2") {
    Network plain({1, 1, 2, 1}), shifted({1, 1, 2, 1});
    plain.add("Flatten", "values");
    add_constant(shifted, tensor({2}, {0.5f, 1}), {1, 1, 2, 1});
    shifted.add("Flatten", "values");
    const auto f = [](Asked& asked) {
        asked.function = [](Tape& tape, const Var& v) {
            const Var y = index(tape, v, 1);
            return add(tape, scale(tape, index(tape, v, 0), 5), multiply(tape, y, y));
        };
    };
    const Tensor unused = Tensor::zeros({1, 2});
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        CHECK(numbers(ask(*backend, plain, saliency, tensor({1, 1, 2, 1}, {3, 2}), unused, "image", f)) == Numbers{5, 4});
        const Tensor map = ask(*backend, shifted, integrated_gradients, tensor({1, 1, 2, 1}, {0.5f, 1}), unused, "image", f);
        CHECK(map.at_flat(0) == doctest::Approx(5 * 1 - 5 * 0.5).epsilon(50 * 6e-8));
        CHECK(map.at_flat(1) == doctest::Approx(2 * 2 - 1 * 1).epsilon(50 * 6e-8));
    }
}

// ---- xplique

namespace {

// channels (2x2 each) -> (1,2,2,c)
Tensor channels(const std::vector<Numbers>& planes) {
    const Index c = Index(planes.size());
    Tensor t({1, 2, 2, c});
    for (Index k = 0; k < c; k++)
        for (Index i = 0; i < 4; i++) t.data()[i * c + k] = planes[std::size_t(k)][std::size_t(i)];
    return t;
}

}  // namespace

// tests/attributions/test_grad_cam.py
TEST_CASE("xplique: Grad-CAM's weights are the mean gradients") {
    const Tensor both = channels({{1, 1, 1, 1}, {1, 1, 0, 0}, {1, 0.5f, 0, 0}, {0.5f, 0, 0, 0}});  // activations and gradients
    const Numbers weights{1, 0.5f, 0.375f, 0.125f};
    for (const Backend* backend : network_backends()) {
        for (Index k = 0; k < 4; k++) {  // a channel of ones alone shows its weight
            Tensor alone = Tensor::zeros({1, 2, 2, 4});
            for (Index i = 0; i < 4; i++) alone.data()[i * 4 + k] = 1;
            CHECK(numbers(grad_cam(*backend, alone, both)) == Numbers(4, weights[std::size_t(k)]));
        }
        CHECK(numbers(grad_cam(*backend, both, both)) == Numbers{1 + 0.5f + 0.375f + 0.0625f, 1 + 0.5f + 0.1875f, 1, 1});
    }
}

// tests/attributions/test_grad_cam_pp.py. Theirs: w = mean over the pixels of alpha g, alpha = g^2 / (2 g^2 + g^3 mean(A)). The authors' code,
// limn's: the alphas are divided by their sum, and w = sum of alpha g. Where a channel's gradient is the same g on n of P pixels and else 0,
// this sum is g itself, and theirs is n/P g / (2 + g mean(A)).
TEST_CASE("xplique: Grad-CAM++'s weights, as far as they are the authors'") {
    const Tensor both = channels({{1, 1, 1, 1}, {1, 1, 0, 0}, {0, 0, 0, 0}, {0.5f, 0, 0, 0}});  // activations and gradients
    const double published[] = {4. / (2 * 4 + 4) * (4. / 4), 2. / (2 * 2 + 1) * (2. / 4), 0, 0.25 / (2 * 0.25 + 0.125 * 0.125) * 0.125};
    const double share[] = {1, 0.5, 0, 0.25}, gradient[] = {1, 1, 0, 0.5}, mean[] = {1, 0.5, 0, 0.125};
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        // (w1, w2, w3, w4) = (1, 1, 0, 1/2)
        CHECK(numbers(grad_cam_plus_plus(*backend, both, both)) == Numbers{1 + 1 + 0.25f, 1 + 1, 1, 1});
        for (Index k = 0; k < 4; k++) {
            Tensor A = both.clone(), g = both.clone();  // the channel alone
            for (Index i = 0; i < 16; i++)
                if (i % 4 != k) A.data()[i] = 0;
            const Tensor map = grad_cam_plus_plus(*backend, A, g).host();
            const double weight = k == 2 ? 0 : map.at_flat(0) / A.at_flat(k);
            CHECK(weight == doctest::Approx(gradient[k]));
            // xplique's test asks for three digits
            CHECK(weight * share[k] / (2 + gradient[k] * mean[k]) == doctest::Approx(published[k]).epsilon(1e-6));
        }
    }
}

// ---- tf-explain

// tests/core/test_grad_cam.py
TEST_CASE("tf-explain: channels of 1, 2, 4 with gradients 1, 2, 3 weigh 1*1 + 2*2 + 3*4 everywhere") {
    Tensor A({1, 3, 3, 3}), g({1, 3, 3, 3});
    for (Index i = 0; i < 27; i++) A.data()[i] = i % 3 == 2 ? 4.0f : float(i % 3 + 1), g.data()[i] = float(i % 3 + 1);
    for (const Backend* backend : network_backends()) CHECK(numbers(grad_cam(*backend, A, g)) == Numbers(9, 17));
}

// ---- keras-vis

// tests/vis/backend/test_backend.py: dense 2 -> 2 with ReLU, rows (-1,1), (-1,1), then dense 2 -> 1 (-1,1); the ReLU in the dense layer or
// after it. For each image the gradient, and guided backpropagation.
TEST_CASE("keras-vis: what a guided ReLU lets pass, in a dense layer and on its own") {
    const Tensor kernel = tensor({2, 2}, {-1, 1, -1, 1}), scores = tensor({2, 1}, {-1, 1});
    Network inside({1, 1, 2, 1}), after({1, 1, 2, 1});
    inside.add("Flatten", "x").add("Dense", "hidden", {{"units", 2.0}, {"use_bias", false}, {"activation", relu_name}}, {kernel});
    after.add("Flatten", "x").add("Dense", "hidden", {{"units", 2.0}, {"use_bias", false}}, {kernel}).relu("relu");
    for (Network* net : {&inside, &after}) net->add("Dense", "score", {{"units", 1.0}, {"use_bias", false}}, {scores});
    struct Case {
        Numbers image, gradient, guided;
    };
    for (const Backend* backend : network_backends())
        for (Network* net : {&inside, &after})
            for (const auto& [x, gradient, guided] : {Case{{0, 0}, {0, 0}, {0, 0}},
                                                      {{1, 0}, {1, 1}, {1, 1}},
                                                      {{0, 1}, {1, 1}, {1, 1}},
                                                      {{1, 1}, {1, 1}, {1, 1}},
                                                      {{-1, 0}, {1, 1}, {0, 0}},
                                                      {{0, -1}, {1, 1}, {0, 0}},
                                                      {{-1, -1}, {1, 1}, {0, 0}}}) {
                CAPTURE(backend->name());
                CAPTURE_PART(x);
                const Tensor image = tensor({1, 1, 2, 1}, x), one = tensor({1, 1}, {1});
                CHECK(numbers(walk(*backend, *net, image, one, {"image"}).gradients[0]) == gradient);
                CHECK(numbers(walk(*backend, *net, image, one, {"image"}, ReluRule::guided).gradients[0]) == guided);
                CHECK(numbers(ask(*backend, *net, guided_backpropagation, image, one)) == guided);
            }
}
