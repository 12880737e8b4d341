// Whole models written and read again: the same network, the same numbers. (That real Keras opens them: tests/keras/run.)
#include "engine/backend.h"
#include "engine/file.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "train/initialise.h"
#include "weights/architectures/architectures.h"
#include "weights/keras_config.h"
#include "weights/keras_writer.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

Tensor output_of(const Model& model, const Tensor& x) {
    Tape tape(cpu_backend());
    return model.forward(tape, {x})[std::size_t(model.outputs[0])].value;
}

}  // namespace

TEST_CASE("a saved model is read back as the same network: layers, weights, freezing, notes") {
    const TemporaryFolder folder;
    Model model = build_paws();
    initialise_for_training(model, 3);
    freeze_below(model, model.find("block2_conv1"));
    save_model(folder / "m.h5", model, {{"cat", "dog"}, "raw", "128x96", "bilinear"});
    const LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
    REQUIRE(loaded.model.nodes().size() == model.nodes().size());
    for (std::size_t i = 0; i < model.nodes().size(); i++) {
        CHECK(loaded.model.nodes()[i].name == model.nodes()[i].name);
        CHECK(loaded.model.nodes()[i].shape == model.nodes()[i].shape);
        if (!model.nodes()[i].inputs.empty()) CHECK(loaded.model.nodes()[i].layer->trainable == model.nodes()[i].layer->trainable);
    }
    CHECK(loaded.labels == std::vector<std::string>{"cat", "dog"});
    CHECK(loaded.size == "128x96");
    CHECK(loaded.resize == "bilinear");
    CHECK(preprocess_of(loaded).mode == Preprocess::raw);
    const Tensor x = random_tensor({2, 40, 33, 3}, 1, 0, 255);
    CHECK(same_bits(output_of(loaded.model, x), output_of(model, x)));
}

TEST_CASE("float16 files are half the size and lose no more than float16 does") {
    const TemporaryFolder folder;
    Model model = build_paws();
    initialise_for_training(model, 3);
    save_model(folder / "32.h5", model, {});
    save_model(folder / "16.h5", model, {}, Precision::f16);
    CHECK(std::filesystem::file_size(folder / "16.h5") < 0.55 * double(std::filesystem::file_size(folder / "32.h5")));
    const Model half = load_model({(folder / "16.h5").string(), "", ""}).model;
    for (std::size_t i = 0; i < half.weighted_layers().size(); i++)
        for (std::size_t j = 0; j < half.weighted_layers()[i]->weights.size(); j++)
            CHECK(relative_error(half.weighted_layers()[i]->weights[j].value, model.weighted_layers()[i]->weights[j].value) <= 0x1p-11);

    Hdf5Writer writer(folder / "numbers.h5");  // exact ones, rounding up into the next exponent, ties, smallest ones
    const float numbers[] = {0, -0.0f, 1, 0.12498181f, -0.0624921f, 2049, 2051, 65504, 6e-8f, 3e-8f, 2e-8f, 1e-6f, 6.1e-5f, INFINITY};
    const float expected[] = {0, -0.0f, 1, 0.125f, -0.0625f, 2048, 2052, 65504, 0x1p-24f, 0x1p-24f, 0, 0x1.1p-20f, 0x1.ff8p-15f, INFINITY};
    writer.dataset("/x", Tensor::from({14}, numbers), true);
    writer.commit();
    const Tensor back = Hdf5File(folder / "numbers.h5").read("/x");
    for (Index i = 0; i < back.size(); i++) CHECK(back.data()[i] == expected[i]);

    model.weighted_layers()[0]->weights[0].value.data()[0] = 1e6f;
    CHECK_THROWS_WITH_AS(save_model(folder / "16.h5", model, {}, Precision::f16), doctest::Contains("too large for float16"), Error);
}

TEST_CASE("branches, shared layers, nested names and split activations survive") {
    const TemporaryFolder folder;
    Model model;
    const int x = model.add_input("image", {-1, 8, 8, 3});
    const LayerPtr shared = make_layer({"Conv2D", "base/shared", {{"filters", 3.0}, {"kernel_size", 1.0}, {"activation", "tanh"}}});
    const int a = model.add("base/shared", shared, {x}), b = model.add("base/shared#2", shared, {a});
    const int sum = model.add("sum", make_layer({"Add", "sum", {}}), {a, b});
    const int both = model.add("both", make_layer({"Concatenate", "both", {{"axis", -1.0}}}), {sum, a});
    const int gap = model.add("gap", make_layer({"GlobalAveragePooling2D", "gap", {}}), {both});
    model.outputs = {model.add("scores", make_layer({"Dense", "scores", {{"units", 4.0}, {"activation", "softmax"}}}), {gap})};
    initialise_for_training(model, 1);
    save_model(folder / "m.h5", model, {});
    const LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
    const Tensor input = random_tensor({2, 8, 8, 3}, 1);
    CHECK(same_bits(output_of(loaded.model, input), output_of(model, input)));
    CHECK(loaded.model.find("base_shared") >= 0);
    CHECK(loaded.model.weighted_layers().size() == 2);
}

TEST_CASE("a model read from a Keras file is written as one") {
    const TemporaryFolder folder;
    write_model(folder / "a.h5", tiny_config().dump(), tiny_weights());
    const LoadedModel first = load_model({(folder / "a.h5").string(), "", ""});
    save_model(folder / "b.h5", first.model, {});
    const LoadedModel second = load_model({(folder / "b.h5").string(), "", ""});
    const Tensor x = random_tensor({1, 16, 16, 3}, 1);
    CHECK(same_bits(output_of(first.model, x), output_of(second.model, x)));
}

TEST_CASE("layers are written in Keras's order, by their distance from the output: branches side by side, not one after the other") {
    Model model;
    model.name = "branches";
    const auto dense = [&](const char* name, int from) {
        const LayerPtr layer = make_layer({"Dense", name, {{"units", 3.0}}});
        const int node = model.add(name, layer, {from});
        for (Weight& w : layer->weights) w.value = random_tensor(w.shape, std::size_t(node));
        return node;
    };
    const int x = model.add_input("x", {-1, 3}), a = dense("a2", dense("a1", x)), b = dense("b3", dense("b2", dense("b1", x)));
    model.outputs = {dense("last", model.add("sum", make_layer({"Add", "sum", {}}), {a, b}))};
    const Json config = Json::parse(keras_config_of(model));
    std::vector<std::string> names;
    for (const Json& layer : config["config"]["layers"]) names.push_back(layer["name"]);
    CHECK(names == std::vector<std::string>{"x", "b1", "a1", "b2", "a2", "b3", "sum", "last"});
    const TemporaryFolder folder;
    save_model(folder / "m.h5", model, {});
    const Tensor input = random_tensor({2, 3}, 1);
    CHECK(same_bits(output_of(load_model({(folder / "m.h5").string(), "", ""}).model, input), output_of(model, input)));
}

TEST_CASE("what Keras refuses is not written: words of the builder, of other versions, and of classes that take none of them") {
    const TemporaryFolder folder;
    Json config = tiny_config();
    Json& layers = config["config"]["layers"];
    layers[1]["config"]["kernel_initializer"] = {{"class_name", "GlorotUniform"}};
    layers.insert(layers.begin() + 2, layer_json("SpatialDropout2D", "drop", {{"rate", 0.5}, {"trainable", true}}));
    layers.insert(layers.begin() + 3,
                  layer_json("DepthwiseConv2D", "depthwise", {{"kernel_size", {1, 1}}, {"groups", 1}, {"use_bias", false}}));
    auto weights = tiny_weights();
    weights.insert(weights.begin() + 2, {"depthwise", "depthwise_kernel", random_tensor({1, 1, 6, 1}, 9)});
    write_model(folder / "old.h5", config.dump(), weights);
    const LoadedModel old = load_model({(folder / "old.h5").string(), "", ""});
    save_model(folder / "new.h5", old.model, {});
    const Hdf5File file(folder / "new.h5");
    CHECK(file.text("/model_weights", "keras_version") == file.text("/", "keras_version"));  // where Keras 2 and 3 look for it
    const Json said = Json::parse(file.text("/", "model_config"));
    for (const Json& layer : said["config"]["layers"]) {
        CHECK(!layer["config"].contains("groups"));
        CHECK(!layer["config"].contains("kernel_initializer"));
        CHECK(layer["config"].contains("trainable") == (layer["class_name"] != "InputLayer" && layer["class_name"] != "SpatialDropout2D"));
    }
    const Tensor x = random_tensor({1, 16, 16, 3}, 1);
    CHECK(same_bits(output_of(load_model({(folder / "new.h5").string(), "", ""}).model, x), output_of(old.model, x)));
}

TEST_CASE("a file that cannot be written leaves the old one") {
    const TemporaryFolder folder;
    Model model = build_paws();
    CHECK_THROWS_AS(save_model(folder / "m.h5", model, {}), Error);  // it has no weights yet
    CHECK_FALSE(std::filesystem::exists(folder / "m.h5"));
    initialise_for_training(model, 1);
    CHECK_THROWS_AS(save_model(folder / "none" / "m.h5", model, {}), Error);
    save_model(folder / "m.h5", model, {});
    const auto good = read_file(folder / "m.h5");
    CHECK_THROWS_AS(save_model(folder / "m.h5", build_paws(), {}), Error);
    CHECK(read_file(folder / "m.h5") == good);
}

namespace {

// The network of a configuration, with random weights, is written as .h5 and as .keras: each gives the same numbers. Returns what was noted.
std::vector<std::string> check_converted(const Json& config, const std::string& keras_version, const Shape& input,
                                         const std::vector<std::string>& layers = {}) {  // with weights, in the new file
    std::vector<std::string> notes;
    const TemporaryFolder folder;
    LoadedModel loaded;
    loaded.config = config.dump();
    loaded.model = model_from_config(loaded.config, keras_version);
    std::uint64_t seed = 1;
    for (Layer* layer : loaded.model.weighted_layers())
        for (Weight& w : layer->weights) w.value = random_tensor(w.shape, seed++);
    const Tensor x = random_tensor(input, 99);
    for (const char* name : {"m.h5", "m.keras"}) {
        CAPTURE(name);
        notes = convert_model(folder / name, loaded, Precision::f32);
        LoadedModel again = load_model({(folder / name).string(), "", ""});
        CHECK(relative_error(output_of(again.model, x), output_of(loaded.model, x)) <= 1e-6);
        std::vector<std::string> names;
        for (const Layer* layer : again.model.weighted_layers()) names.push_back(layer->name);
        if (!layers.empty()) CHECK(names == layers);
    }
    return notes;
}

Json behind_input(const Json& shape, const Json& layer) {
    return sequential_json({layer_json("InputLayer", "x", {{"batch_input_shape", shape}}), layer});
}

}  // namespace

TEST_CASE("names with a '/', which Keras 3 refuses, get '_': here, in models within, in wrappers; no two layers of a model become one") {
    const Json dense = layer_json("Dense", "all/scores", {{"units", 3}});
    const Json conv = layer_json("Conv2D", "conv1/conv", {{"filters", 3}, {"kernel_size", {1, 1}}});
    Json inner =
        functional_json({called(layer_json("InputLayer", "in/put", {{"batch_input_shape", {nullptr, 4, 4, 3}}}), Json::array()),
                         called(conv, {{{"in/put", 0, 0, Json::object()}}}),
                         called(layer_json("BatchNormalization", "conv1_conv", Json::object()), {{{"conv1/conv", 0, 0, Json::object()}}}),
                         called(layer_json("Add", "add/both", Json::object()),
                                {{{"conv1/conv", 0, 0, Json::object()}, {"conv1_conv", 0, 0, Json::object()}}})},
                        {{"in/put", 0, 0}}, {{"add/both", 0, 0}});
    inner["config"]["name"] = "a/base";
    const Json outer =
        functional_json({called(layer_json("InputLayer", "x", {{"batch_input_shape", {nullptr, 4, 4, 3}}}), Json::array()),
                         called(inner, {{{"x", 0, 0, Json::object()}}}),
                         called(layer_json("TimeDistributed", "each/row", {{"layer", dense}}), {{{"a/base", 1, 0, Json::object()}}})},
                        {{"x", 0, 0}}, {{"each/row", 0, 0}});
    const std::vector<std::string> layers = {"a_base/conv1_conv_2", "a_base/conv1_conv", "each_row"};
    CHECK(check_converted(outer, "2.4.0", {1, 4, 4, 3}, layers) ==
          std::vector<std::string>{"Keras 3 takes no '/' in names; renamed: 'a/base' is 'a_base', and 6 more"});
    CHECK(check_converted(tiny_config(), "2.4.0", {1, 16, 16, 3}, {"conv", "scores"}).empty());
}

TEST_CASE("layers with parts keep their arrays apart in both forms") {
    const Json dense = layer_json("Dense", "dense", {{"units", 2}, {"trainable", true}});
    const Json spectral = layer_json("SpectralNormalization", "sn", {{"layer", dense}, {"trainable", true}});
    check_converted(behind_input({nullptr, 3}, spectral), "3.15.1", {2, 3});
    check_converted(behind_input({nullptr, 4, 3}, layer_json("TimeDistributed", "td", {{"layer", spectral}, {"trainable", true}})),
                    "3.15.1", {2, 4, 3});
    const Json cells = {layer_json("LSTMCell", "lstm_cell", {{"units", 2}}), layer_json("GRUCell", "gru_cell", {{"units", 3}}),
                        layer_json("LSTMCell", "lstm_cell_1", {{"units", 2}, {"use_bias", false}})};
    check_converted(
        behind_input({nullptr, 4, 3},
                     layer_json("RNN", "rnn", {{"cell", layer_json("StackedRNNCells", "cells", {{"cells", cells}})}, {"trainable", true}})),
        "3.15.1", {2, 4, 3});
    for (const Json& layer :
         {layer_json("MultiHeadAttention", "mha", {{"num_heads", 2}, {"key_dim", 3}, {"use_gate", true}, {"trainable", true}}),
          layer_json("GroupQueryAttention", "gqa",
                     {{"num_query_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 3}, {"trainable", true}})}) {
        Json attention = layer, input = layer_json("InputLayer", "x", {{"batch_shape", {nullptr, 4, 3}}});
        const Json x = {{"class_name", "__keras_tensor__"}, {"config", {{"keras_history", {"x", 0, 0}}}}};
        input["name"] = "x", input["inbound_nodes"] = Json::array();
        attention["name"] = attention["config"]["name"];
        attention["inbound_nodes"] = Json::array({{{"args", {x, x}}, {"kwargs", Json::object()}}});
        check_converted({{"class_name", "Functional"},
                         {"config",
                          {{"name", "m"},
                           {"layers", {input, attention}},
                           {"input_layers", {{"x", 0, 0}}},
                           {"output_layers", {{attention["name"], 0, 0}}}}}},
                        "3.15.1", {2, 4, 3});
    }
}

TEST_CASE("a network without weights, and a layer that does not say whether it is trainable, can be converted") {
    check_converted(behind_input({nullptr, 4, 4, 2}, layer_json("MaxPooling2D", "pool", {{"pool_size", {2, 2}}, {"trainable", true}})),
                    "3.15.1", {1, 4, 4, 2});
    Json dropout = layer_json("SpatialDropout2D", "drop", {{"rate", 0.5}, {"dtype", "float32"}});
    Json input = layer_json("InputLayer", "x", {{"batch_shape", {nullptr, 4, 4, 2}}});
    const Json x = {{"class_name", "__keras_tensor__"}, {"config", {{"keras_history", {"x", 0, 0}}}}};
    input["name"] = "x", input["inbound_nodes"] = Json::array();
    dropout["name"] = "drop", dropout["inbound_nodes"] = Json::array({{{"args", {x}}, {"kwargs", Json::object()}}});
    check_converted(
        {{"class_name", "Functional"},
         {"config", {{"name", "m"}, {"layers", {input, dropout}}, {"input_layers", {{"x", 0, 0}}}, {"output_layers", {{"drop", 0, 0}}}}}},
        "3.15.1", {1, 4, 4, 2});
}

TEST_CASE("cells of Keras 1 and 2: what they took for granted is said; their own hard_sigmoid is refused") {
    const auto rnn = [](const char* cell, const Json& settings) {
        return behind_input({nullptr, 3, 2}, layer_json("RNN", "rnn", {{"cell", layer_json(cell, "cell", settings)}}));
    };
    check_converted(rnn("GRUCell", {{"units", 2}, {"recurrent_activation", "sigmoid"}}), "2.0.8", {2, 3, 2});
    for (const Json& config : {rnn("LSTMCell", {{"units", 2}, {"recurrent_activation", "hard_sigmoid"}}), rnn("GRUCell", {{"units", 2}})})
        CHECK_THROWS_WITH_AS(check_converted(config, "2.2.4", {2, 3, 2}), doctest::Contains("a cell's hard_sigmoid"), Error);
}

TEST_CASE("what was trained on a network of Keras 2 is written with all that Keras 2 took for granted") {
    const TemporaryFolder folder;
    const Json gated = layer_json("GRUCell", "gru_cell", {{"units", 2}, {"recurrent_activation", "sigmoid"}}),
               stack = layer_json("StackedRNNCells", "cells", {{"cells", {gated, layer_json("SimpleRNNCell", "above", {{"units", 2}})}}});
    for (const Json& layer : {layer_json("CuDNNLSTM", "cell", {{"units", 2}}), layer_json("CuDNNGRU", "cell", {{"units", 2}}),
                              layer_json("GRU", "cell", {{"units", 2}}), layer_json("RNN", "cell", {{"cell", gated}}),
                              layer_json("RNN", "cell", {{"cell", stack}})}) {
        CAPTURE(layer.dump());
        Model model = model_from_config(behind_input({nullptr, 4, 3}, layer).dump(), "2.2.4");
        std::uint64_t seed = 1;
        for (Weight& w : model.weighted_layers().at(0)->weights) w.value = random_tensor(w.shape, seed++);
        const Tensor x = random_tensor({2, 4, 3}, 9);
        const Tensor before = output_of(model, x);
        save_model(folder / "base.h5", model, {});
        CHECK(same_bits(output_of(load_model({(folder / "base.h5").string(), "", ""}).model, x), before));
        const int head = model.add("head", make_layer({"Activation", "head", {{"activation", std::string("linear")}}}), {model.outputs[0]});
        model.outputs = {head};  // of today's Keras
        save_model(folder / "head.h5", model, {});
        CHECK(relative_error(output_of(load_model({(folder / "head.h5").string(), "", ""}).model, x), before) <= 1e-6);
    }
}

TEST_CASE("a slice with '...' is for .keras files: Keras reads it from no .h5") {
    const TemporaryFolder folder;
    Json config = tiny_config();
    config["config"]["layers"][1]["config"]["note"] = {{"class_name", "__ellipsis__"}};
    LoadedModel loaded;
    loaded.config = config.dump();
    loaded.model = model_from_config(tiny_config().dump(), "3.15.1");
    CHECK_THROWS_WITH_AS(convert_model(folder / "m.h5", loaded, Precision::f32), doctest::Contains("write one"), Error);
}
