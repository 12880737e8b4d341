// Fused layers give the numbers of the layers they replace; and where somebody looks, nothing is fused.
#include "layers/fusion.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "weights/keras_config.h"

using namespace limn;

namespace {

// Padding, depthwise and pointwise convolutions with normalisation and ReLU6, a residual branch, a pool of odd size.
Model network() {
    std::vector<std::pair<std::string, Json>> layers = {
        {"ZeroPadding2D", {{"padding", {{0, 1}, {2, 1}}}}},
        {"Conv2D", {{"filters", 24}, {"kernel_size", {3, 3}}, {"strides", {2, 2}}, {"use_bias", false}}},
        {"BatchNormalization", {{"axis", {3}}}},
        {"ReLU", {{"max_value", 6.0}}},
        {"DepthwiseConv2D", {{"kernel_size", {3, 3}}, {"padding", "same"}, {"use_bias", false}}},
        {"BatchNormalization", {{"axis", {3}}, {"scale", false}}},
        {"ReLU", {{"max_value", 6.0}}},
        {"Conv2D", {{"filters", 32}, {"kernel_size", {1, 1}}}},
        {"BatchNormalization", {{"axis", {3}}, {"center", false}}},
        {"Conv2D", {{"filters", 20}, {"kernel_size", {3, 3}}, {"padding", "same"}, {"activation", "relu"}}},
        {"MaxPooling2D", {{"pool_size", {2, 2}}}},
        {"Conv2D", {{"filters", 17}, {"kernel_size", {1, 1}}, {"activation", "relu"}}},
        {"MaxPooling2D", {{"pool_size", {2, 2}}}},
    };
    Json all = Json::array({layer_json("InputLayer", "image", {{"batch_input_shape", {nullptr, 58, 62, 3}}})});
    for (std::size_t i = 0; i < layers.size(); i++) all.push_back(layer_json(layers[i].first, fmt::format("layer{}", i), layers[i].second));
    Model model = model_from_config(sequential_json(all).dump(), "2.4.0");
    std::uint64_t seed = 1;
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights)
            w.value =
                random_tensor(w.shape, seed++, w.name == "moving_variance" || w.name == "gamma" ? 0.5 : -0.5, w.name == "bias" ? 1 : 0.6);
    return model;
}

std::vector<int> all_nodes(const Model& model) {
    std::vector<int> nodes(model.nodes().size());
    for (std::size_t i = 0; i < nodes.size(); i++) nodes[i] = int(i);
    return nodes;
}

Tensor output(const Model& model, const Tensor& x, std::span<const int> watch = {}, std::span<const int> keep = {}) {
    Tape tape(cpu_backend());
    return model.forward(tape, {x}, watch, keep)[std::size_t(model.outputs[0])].value;
}

}  // namespace

TEST_CASE("fused layers give what the layers one by one give") {
    const Model model = network();
    const Tensor x = random_tensor({2, 58, 62, 3}, 99);
    CHECK(relative_error(output(model, x), output(model, x, {}, all_nodes(model))) <= 2e-6);
    CHECK(same_bits(output(model, x).rows(1, 1), output(model, x.rows(1, 1))));
}

TEST_CASE("what is fused: padding, normalisation, ReLU and pool, each into its convolution") {
    const Model model = network();
    const std::vector<int> readers(model.nodes().size(), 1);
    std::vector<bool> seen(model.nodes().size());
    std::vector<std::string> ends;
    for (const Step& step : fused_steps(model.nodes(), readers, seen)) ends.push_back(model.node(step.node).name);
    CHECK(ends == std::vector<std::string>{"layer3", "layer6", "layer8", "layer10", "layer12"});

    seen[std::size_t(model.find("layer2"))] = true;  // somebody looks at a normalised value
    ends.clear();
    for (const Step& step : fused_steps(model.nodes(), readers, seen)) ends.push_back(model.node(step.node).name);
    CHECK(ends == std::vector<std::string>{"layer2", "layer3", "layer6", "layer8", "layer10", "layer12"});
    CHECK(plain_steps(model.nodes(), readers).size() == model.nodes().size() - 1);
}

TEST_CASE("what is watched is there, recorded, and of the same value") {
    const Model model = network();
    const Tensor x = random_tensor({1, 58, 62, 3}, 98);
    const int watched[] = {model.find("layer4")};
    Tape tape(cpu_backend());
    const std::vector<Var> values = model.forward(tape, {x}, watched);
    const Var& y = values[std::size_t(model.outputs[0])];
    REQUIRE(values[std::size_t(watched[0])].recorded());
    CHECK(relative_error(y.value, output(model, x)) <= 2e-6);
    const std::vector<Tensor> gradients = tape.gradients(y, Tensor::full(y.shape(), 1), std::array{values[std::size_t(watched[0])]});
    // as where nothing is fused
    const std::vector<int> all = all_nodes(model);
    Tape plain(cpu_backend());
    const std::vector<Var> each = model.forward(plain, {x}, watched, all);
    const auto at = std::size_t(watched[0]);
    CHECK(relative_error(values[at].value, each[at].value) <= 2e-6);
    const Var& end = each[std::size_t(model.outputs[0])];
    const std::vector<Tensor> expected = plain.gradients(end, Tensor::full(end.shape(), 1), std::array{each[at]});
    CHECK(relative_error(gradients[0], expected[0]) <= 2e-6);
}

TEST_CASE("new weights are folded anew, wherever in memory they lie") {
    const auto scale = [](Model& model) {  // as training does: each weight is replaced, and the memory of old ones is used again
        for (Layer* layer : model.weighted_layers())
            for (Weight& w : layer->weights) {
                const std::vector<float> old(w.value.values().begin(), w.value.values().end());
                w.value = {};
                w.value = Tensor::from(w.shape, old);
                for (float& v : w.value.values()) v *= 0.9f;
            }
    };
    // Every convolution is folded, so nothing keeps the old kernels alive; and arrays of 64 KB come back at the same place
    // (engine/memory.h).
    const auto normalised = [] {
        const Json image = {{"batch_input_shape", {nullptr, 2, 2, 1}}},
                   conv = {{"filters", 1 << 14}, {"kernel_size", {1, 1}}, {"use_bias", false}};
        Model model = model_from_config(sequential_json({layer_json("InputLayer", "image", image), layer_json("Conv2D", "conv", conv),
                                                         layer_json("BatchNormalization", "norm", Json::object())})
                                            .dump(),
                                        "2.4.0");
        for (Layer* layer : model.weighted_layers())
            for (Weight& w : layer->weights) w.value = random_tensor(w.shape, 5, 0.5, 1);
        return model;
    };
    Model model = normalised();
    const Tensor x = random_tensor({1, 2, 2, 1}, 96);
    output(model, x);
    scale(model);
    Model fresh = normalised();
    scale(fresh);
    CHECK(same_bits(output(model, x), output(fresh, x)));
}

TEST_CASE("new weights are folded anew") {
    Model model = network();
    const Tensor x = random_tensor({1, 58, 62, 3}, 97), before = output(model, x);
    for (Weight& w : model.node(model.find("layer2")).layer->weights)
        if (w.name == "gamma") w.value = random_tensor(w.shape, 1234, 0.5, 2);
    const Tensor after = output(model, x);
    CHECK_FALSE(same_bits(before, after));
    CHECK(relative_error(after, output(model, x, {}, all_nodes(model))) <= 2e-6);
}

TEST_CASE("a convolution that is shared, once behind a border and once without, has a plan for each") {
    const auto shared_twice = [](bool border_first) {
        Model model;
        model.name = "shared";
        const int a = model.add_input("a", {-1, 32, 32, 3}), b = model.add_input("b", {-1, 32, 32, 3});
        const LayerPtr conv = make_layer({"Conv2D", "conv", {{"filters", 8.0}, {"kernel_size", 3.0}}});
        const int bordered = model.add("border", make_layer({"ZeroPadding2D", "border", {{"padding", 1.0}}}), {a});
        const int first = model.add("first", conv, {border_first ? bordered : b}),
                  second = model.add("second", conv, {border_first ? b : bordered});
        model.outputs = {first, second};
        for (Weight& w : conv->weights) w.value = random_tensor(w.shape, 5);
        return model;
    };
    const Tensor a = random_tensor({1, 32, 32, 3}, 1), b = random_tensor({1, 32, 32, 3}, 2);
    for (const bool border_first : {true, false}) {
        const Model model = shared_twice(border_first);
        Tape fast(cpu_backend()), truth(reference_backend());
        const auto found = model.forward(fast, {a, b}), expected = model.forward(truth, {a, b}, {}, all_nodes(model));
        for (int output : model.outputs) {
            REQUIRE(found[std::size_t(output)].shape() == expected[std::size_t(output)].shape());
            CHECK(relative_error(found[std::size_t(output)].value, expected[std::size_t(output)].value) <= 1e-5);
        }
    }
}

TEST_CASE("a border wider than all that the convolution reads") {
    const Json layers = {layer_json("InputLayer", "x", {{"batch_input_shape", {nullptr, 8, 1, 3}}}),
                         layer_json("ZeroPadding2D", "border", {{"padding", {{0, 0}, {4, 0}}}}),
                         layer_json("Conv2D", "conv", {{"filters", 8}, {"kernel_size", {1, 2}}, {"strides", {1, 4}}})};
    Model model = model_from_config(sequential_json(layers).dump(), "2.4.0");
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) w.value = random_tensor(w.shape, 5);
    const Tensor photo = random_tensor({1, 8, 1, 3}, 1);
    CHECK(relative_error(output(model, photo), output(model, photo, {}, all_nodes(model))) <= 1e-5);
}

TEST_CASE("a Rescaling that is shared by photos and masks scales each") {
    const LayerPtr layer = make_layer({"Rescaling", "scale", {{"scale", 0.5}, {"offset", 1.0}}});
    layer->build({{-1, 10, 10, 3}});
    const LayerPtr three = make_layer({"Rescaling", "three", {{"scale", List{1.0, 2.0, 3.0}}}});
    three->build({{-1, 10, 10, 3}});
    Tape tape(cpu_backend());
    (void)three->forward(tape, {Tensor::full({1, 10, 10, 3}, 1)});
    CHECK_THROWS_WITH_AS(three->forward(tape, {Tensor::full({1, 10, 10, 1}, 1)}), doctest::Contains("3 numbers for 1 channels"), Error);
    for (Index c : {3, 1, 3}) {
        const Tensor y = layer->forward(tape, {Tensor::full({1, 10, 10, c}, 4)}).value;
        for (float v : y.values()) CHECK(v == 3);
    }
}
