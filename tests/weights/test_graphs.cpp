// What a configuration says of who reads whom, in the ways of each Keras; and arrays that find their layers by name, place or order.
// Each case is one that opened without a word and answered wrongly.
#include "tests/support_models.h"
#include "weights/keras_config.h"
#include "weights/modern_config.h"
#include "weights/preprocessing.h"

using namespace limn;

namespace {

// Weights of their own, in the order of the layers.
Model with_weights(const Json& config, const std::string& version) {
    Model model = model_from_config(config.dump(), version);
    std::uint64_t seed = 1;
    for (Layer* layer : model.weighted_layers())
        for (Weight& weight : layer->weights) weight.value = random_tensor(weight.shape, seed++, 0.1f, 1);
    return model;
}

std::vector<Tensor> answers(const Model& model, const std::vector<Tensor>& inputs) {
    Tape tape(cpu_backend());
    const std::vector<Var> values = model.forward(tape, {inputs.begin(), inputs.end()});
    std::vector<Tensor> found;
    for (int output : model.outputs) found.push_back(values[std::size_t(output)].value);
    return found;
}

Json keras_3_call(const std::vector<std::pair<std::string, int>>& reads) {
    Json tensors = Json::array();
    for (const auto& [layer, call] : reads)
        tensors.push_back({{"class_name", "__keras_tensor__"}, {"config", {{"keras_history", {layer, call, 0}}}}});
    return {{"args", Json::array({reads.size() == 1 ? tensors[0] : tensors})}, {"kwargs", Json::object()}};
}
Json keras_2_call(const std::vector<std::pair<std::string, int>>& reads) {
    Json tensors = Json::array();
    for (const auto& [layer, call] : reads) tensors.push_back({layer, call, 0, Json::object()});
    return tensors;
}

Json dense(const std::string& name, int units) { return layer_json("Dense", name, {{"units", units}, {"activation", "tanh"}}); }

}  // namespace

TEST_CASE("a model that is called twice: Keras 2 counts its calls from 1, Keras 3 in its outputs only, and each gets its own input") {
    const Json functional =
        functional_json({input_json("t", {nullptr, 5}), called(dense("d", 4), {keras_2_call({{"t", 0}})})}, {{"t", 0, 0}}, {{"d", 0, 0}});
    const Json with_input = sequential_json({input_json("t", {nullptr, 5}), dense("d", 4)}), without = sequential_json({dense("d", 4)});
    struct Form {
        const char* version;
        Json tower;
        int inside, outputs;  // numbers of the first call
    };
    const Tensor a = random_tensor({2, 5}, 11), c = random_tensor({2, 5}, 12);
    const Model alone = with_weights(functional, "2.4.0");
    const Tensor of_a = answers(alone, {a})[0], of_c = answers(alone, {c})[0];
    for (const Form& form : {Form{"2.4.0", functional, 1, 1},
                             {"2.4.0", with_input, 1, 1},
                             {"2.4.0", without, 0, 0},
                             {"1.2.2", with_input, 1, 1},
                             {"3.5.0", functional, 0, 1},
                             {"3.5.0", with_input, 0, 0},
                             {"3.5.0", without, 0, 0}}) {
        CAPTURE(form.version);
        CAPTURE(form.tower.dump());
        CAPTURE(form.inside);
        const auto call = form.version[0] == '3' ? keras_3_call : keras_2_call;
        Json tower = form.tower;
        tower["config"]["name"] = "tower";
        const Json layers = {
            input_json("a", {nullptr, 5}), input_json("c", {nullptr, 5}), called(tower, {call({{"a", 0}}), call({{"c", 0}})}),
            called(layer_json("Subtract", "less", {{"trainable", true}}), {call({{"tower", form.inside}, {"tower", form.inside + 1}})})};
        const auto both =
            answers(with_weights(functional_json(layers, {{"a", 0, 0}, {"c", 0, 0}},
                                                 {{"tower", form.outputs, 0}, {"tower", form.outputs + 1, 0}, {"less", 0, 0}}),
                                 form.version),
                    {a, c});
        CHECK(same_bits(both[0], of_a));
        CHECK(same_bits(both[1], of_c));
        for (Index i = 0; i < both[2].size(); i++) CHECK(both[2].data()[i] == of_a.data()[i] - of_c.data()[i]);
    }
}

TEST_CASE("a model whose second call alone is read") {
    const Json tower = [] {
        Json model = functional_json({input_json("t", {nullptr, 5}), called(dense("d", 4), {keras_2_call({{"t", 0}})})}, {{"t", 0, 0}},
                                     {{"d", 0, 0}});
        model["config"]["name"] = "tower";
        return called(model, {keras_2_call({{"a", 0}}), keras_2_call({{"c", 0}})});
    }();
    const Json layers = {input_json("a", {nullptr, 5}), input_json("c", {nullptr, 5}), tower};
    const Tensor a = random_tensor({2, 5}, 11), c = random_tensor({2, 5}, 12);
    for (int call : {1, 2}) {
        const Tensor found =
            answers(with_weights(functional_json(layers, {{"a", 0, 0}, {"c", 0, 0}}, {{"tower", call, 0}}), "2.4.0"), {a, c})[0];
        const Tensor other =
            answers(with_weights(functional_json(layers, {{"a", 0, 0}, {"c", 0, 0}}, {{"tower", call, 0}}), "2.4.0"), {c, a})[0];
        CHECK(!same_bits(found, other));
        CHECK(same_bits(found, answers(with_weights(functional_json(layers, {{"a", 0, 0}, {"c", 0, 0}}, {{"tower", 3 - call, 0}}), "2.4.0"),
                                       {c, a})[0]));
    }
}

TEST_CASE("dictionaries and nested lists as inputs and outputs stand in the order of their sorted keys") {
    const Json layers = {input_json("x", {nullptr, 3}), input_json("y", {nullptr, 3}), called(dense("p", 2), {keras_2_call({{"x", 0}})}),
                         called(dense("q", 4), {keras_2_call({{"y", 0}})}), called(dense("r", 5), {keras_2_call({{"y", 0}})})};
    const Json inputs = {{"second", {"y", 0, 0}}, {"first", {"x", 0, 0}}};
    const Json outputs = {{"b", {"p", 0, 0}}, {"a", {{"q", 0, 0}, {"r", 0, 0}}}};
    const Model model = model_from_config(functional_json(layers, inputs, outputs).dump(), "3.5.0");
    CHECK(model.node(model.inputs[0]).name == "x");
    CHECK(model.node(model.inputs[1]).name == "y");
    REQUIRE(model.outputs.size() == 3);
    CHECK(model.node(model.outputs[0]).shape[1] == 4);
    CHECK(model.node(model.outputs[1]).shape[1] == 5);
    CHECK(model.node(model.outputs[2]).shape[1] == 2);
    check_says(complaint([&] { model_from_config(functional_json(layers, "x", outputs).dump(), "3.5.0"); }), "should list its inputs");
}

TEST_CASE("batch normalisation by the batch at hand is refused: training=True of Keras 2, the modes of Keras 1") {
    const auto config = [](Json norm, const char* keyword) {
        Json reads = {"x", 0, 0, Json::object()};
        if (*keyword) reads[3][keyword] = true;
        return functional_json({input_json("x", {nullptr, 3}), called(std::move(norm), {{reads}})}, {{"x", 0, 0}}, {{"norm", 0, 0}}).dump();
    };
    const Json norm = layer_json("BatchNormalization", "norm", Json::object());
    CHECK_NOTHROW(model_from_config(config(norm, ""), "2.4.0"));
    check_says(complaint([&] { model_from_config(config(norm, "training"), "2.4.0"); }), "called with training=True");
    CHECK_NOTHROW(model_from_config(config(norm, "training"), "3.5.0"));  // there the caller of the model decides anew
    CHECK_NOTHROW(model_from_config(config(layer_json("BatchNormalization", "norm", {{"trainable", false}}), "training"), "2.4.0"));
    Json inside = sequential_json({layer_json("BatchNormalization", "b", Json::object())});
    inside["config"]["name"] = "norm";
    check_says(complaint([&] { model_from_config(config(inside, "training"), "2.4.0"); }), "called with training=True");
    check_says(complaint([&] {
                   model_from_config(config(layer_json("BatchNormalization", "norm", {{"mode", 2}}), ""), "1.2.2");
               }),
               "Keras 1's modes");
}

TEST_CASE("functions hand no mask on, layers do; Rescaling only in Keras 3") {
    const auto mask_after = [](Json layer, const std::string& version) {
        const Model model = model_from_config(
            functional_json({input_json("words", {nullptr, 5}),
                             called(layer_json("Embedding", "e", {{"input_dim", 9}, {"output_dim", 2}, {"mask_zero", true}}),
                                    {keras_2_call({{"words", 0}})}),
                             called(std::move(layer), {{{"e", 0, 0, Json::object()}}})},
                            {{"words", 0, 0}}, {{"after", 0, 0}})
                .dump(),
            version);
        return model.node(model.outputs[0]).mask >= 0;
    };
    CHECK(mask_after(layer_json("Activation", "after", {{"activation", "relu"}}), "2.4.0"));
    CHECK_FALSE(mask_after(layer_json("TFOpLambda", "after", {{"function", "nn.relu"}}), "2.4.0"));
    CHECK(mask_after(layer_json("UnitNormalization", "after", Json::object()), "2.4.0"));
    CHECK(mask_after(layer_json("Rescaling", "after", {{"scale", 2.0}}), "3.5.0"));
    CHECK_FALSE(mask_after(layer_json("Rescaling", "after", {{"scale", 2.0}}), "2.4.0"));
    CHECK(mask_after(layer_json("GroupNormalization", "after", {{"groups", 2}}), "3.5.0"));
}

TEST_CASE("Flatten that is told the channels are first moves them last, also where no other layer has them first") {
    const Model model = model_from_config(sequential_json({layer_json("InputLayer", "x", {{"batch_input_shape", {nullptr, 2, 3}}}),
                                                           layer_json("Flatten", "f", {{"data_format", "channels_first"}})})
                                              .dump(),
                                          "2.4.0");
    Tape tape(reference_backend());
    const Tensor x = Tensor::from({1, 2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5});
    const Tensor y = model.forward(tape, {x})[std::size_t(model.outputs[0])].value;
    CHECK(std::ranges::equal(y.values(), std::vector<float>{0, 3, 1, 4, 2, 5}));
}

TEST_CASE("preprocessing: by the network's name, or none where it calculates with its input itself") {
    const auto chosen = [](const std::string& name, const Json& first = {}) {
        std::vector<Json> layers{input_json("x", {nullptr, 8, 8, 3})};
        if (!first.is_null())
            layers.push_back(
                called(first, {{"x", 0, 0, first["config"].contains("function") ? Json{{"y", {1.0, 2.0, 3.0}}} : Json::object()}}));
        layers.push_back(
            called(layer_json("Conv2D", "c", {{"filters", 2}, {"kernel_size", 3}}), {keras_2_call({{first.is_null() ? "x" : "f", 0}})}));
        Json config = functional_json(layers, {{"x", 0, 0}}, {{"c", 0, 0}});
        config["config"]["name"] = name;
        return choose_preprocess(model_from_config(config.dump(), "2.4.0")).mode;
    };
    for (const char* name : {"resnet50v2", "resnet101v2", "resnet152v2", "mobilenetv2_1.00_224", "xception"})
        CHECK(chosen(name) == Preprocess::tf);
    for (const char* name : {"resnet50", "vgg16"}) CHECK(chosen(name) == Preprocess::caffe);
    CHECK(chosen("mine") == Preprocess::unit);
    CHECK(chosen("mine", layer_json("TFOpLambda", "f", {{"function", "math.subtract"}})) == Preprocess::raw);
    CHECK(chosen("mine", layer_json("ReLU", "f", Json::object())) == Preprocess::unit);
}

TEST_CASE("convert: a Sequential that was built late keeps the shape of its input") {
    Json config = sequential_json({layer_json("Dense", "d", {{"units", 3}})});
    config["config"]["build_input_shape"] = {nullptr, 16};
    const Json said = Json::parse(modern_config(config.dump(), model_from_config(config.dump(), "2.1.0")));
    CHECK(said["config"]["layers"][0]["class_name"] == "InputLayer");
    const Model again = model_from_config(said.dump(), "3.0.0");
    CHECK(again.node(again.inputs[0]).shape == (Shape{-1, 16}));
}

TEST_CASE("functions of TensorFlow 2.0 to 2.3: what the graph's node says beside its inputs counts, or is refused") {
    const auto built = [](const std::string& op, const Json& attributes) {
        const Json layer = layer_json("TensorFlowOpLayer", "f",
                                      {{"node_def", {{"name", "f"}, {"op", op}, {"attr", attributes}}}, {"constants", Json::object()}});
        return model_from_config(functional_json({input_json("x", {nullptr, 8, 8, 1}), called(layer, {{{"x", 0, 0, Json::object()}}})},
                                                 {{"x", 0, 0}}, {{"f", 0, 0}})
                                     .dump(),
                                 "2.3.0");
    };
    const Json type = {{"type", "DT_FLOAT"}}, none = {{"list", Json::object()}};
    const auto sizes = [](std::vector<std::string> numbers) { return Json{{"list", {{"i", numbers}}}}; };
    const Model leaky = built("LeakyRelu", {{"T", type}, {"alpha", {{"f", 0.1}}}});
    Tape tape(reference_backend());
    const Tensor x = Tensor::full({1, 8, 8, 1}, -2);
    CHECK(leaky.forward(tape, {x})[std::size_t(leaky.outputs[0])].value.at_flat(0) == doctest::Approx(-0.2));
    const auto shape = [&](const Model& model) { return model.node(model.outputs[0]).shape; };
    const Json pooled = {{"T", type},
                         {"ksize", sizes({"1", "3", "3", "1"})},
                         {"strides", sizes({"1", "1", "1", "1"})},
                         {"padding", {{"s", "U0FNRQ=="}}},
                         {"data_format", {{"s", "TkhXQw=="}}},
                         {"explicit_paddings", none}};
    CHECK(shape(built("MaxPool", pooled)) == (Shape{-1, 8, 8, 1}));
    Json other = pooled;
    other["data_format"]["s"] = "TkNIVw==";
    check_says(complaint([&] { built("MaxPool", other); }), "'data_format'");
    CHECK(shape(built("Squeeze", {{"T", type}, {"squeeze_dims", sizes({"3"})}})) == (Shape{-1, 8, 8}));
    CHECK_NOTHROW(built("Cast", {{"SrcT", type}, {"DstT", type}}));
    check_says(complaint([&] { built("Cast", {{"SrcT", type}, {"DstT", {{"type", "DT_INT32"}}}}); }), "DT_INT32");
    check_says(complaint([&] { built("Relu", {{"T", type}, {"secret", {{"s", "????"}}}}); }), "the attribute 'secret'");
    check_says(complaint([&] { built("DivNoNan", {{"T", type}}); }), "DivNoNan");
}

TEST_CASE("arguments of functions that nobody reads are refused, unless they change nothing") {
    const auto said = [](const std::string& function, const std::string& key, Json value) {
        return complaint([&] {
            model_from_config(
                functional_json({input_json("x", {nullptr, 4, 4, 3}),
                                 called(layer_json("TFOpLambda", "f", {{"function", function}}), {{"x", 0, 0, {{key, value}}}})},
                                {{"x", 0, 0}}, {{"f", 0, 0}})
                    .dump(),
                "2.4.0");
        });
    };
    check_says(said("nn.silu", "beta", 2.0), "layer 'f' (silu): it is called with 'beta', which limn does not know");
    check_says(said("nn.relu", "axis", 1), "it is called with 'axis'");
    for (const auto& [key, value] :
         {std::pair<std::string, Json>{"name", "act"}, {"beta", nullptr}, {"beta", false}, {"data_format", "NHWC"}})
        CHECK(said("nn.silu", key, value) == "");
    check_says(said("nn.silu", "data_format", "NCHW"), "'data_format'");
}

TEST_CASE("among channels-first layers, one on the last axis works on the file's last axis") {
    const auto conv = layer_json("Conv2D", "c", {{"filters", 4}, {"kernel_size", 1}, {"data_format", "channels_first"}});
    const Json config = functional_json(
        {input_json("x", {nullptr, 3, 5, 4}), called(conv, {keras_2_call({{"x", 0}})}), called(dense("d", 6), {keras_2_call({{"c", 0}})})},
        {{"x", 0, 0}}, {{"d", 0, 0}});
    Model model = with_weights(config, "3.5.0");
    CHECK(model.node(model.outputs[0]).shape == Shape{-1, 5, 6, 4});  // (n,4,5,6) in the file: rows, what were columns, channels
    const Tensor x = random_tensor({1, 5, 4, 3}, 9), y = answers(model, {x})[0];
    Tape tape(cpu_backend());
    const Tensor seen = model.forward(tape, {x}, {}, std::vector{model.find("c")})[std::size_t(model.find("c"))].value;  // (1,5,4,4)
    const std::vector<Weight>& weights = model.weighted_layers().at(1)->weights;
    for (Index row = 0; row < 5; row++)
        for (Index unit = 0; unit < 6; unit++)
            for (Index channel = 0; channel < 4; channel++) {
                double sum = weights[1].value.at_flat(unit);
                for (Index column = 0; column < 4; column++)
                    sum += seen.at_flat((row * 4 + column) * 4 + channel) * weights[0].value.at_flat(column * 6 + unit);
                CHECK(y.at_flat((row * 6 + unit) * 4 + channel) == doctest::Approx(std::tanh(sum)).epsilon(1e-5));
            }
    Json wrapped = config;
    wrapped["config"]["layers"][2] =
        called(layer_json("TimeDistributed", "d", {{"layer", layer_json("LSTM", "l", {{"units", 2}})}}), {keras_2_call({{"c", 0}})});
    wrapped["config"]["layers"][2]["name"] = "d";
    check_says(complaint([&] { model_from_config(wrapped.dump(), "3.5.0"); }), "come from layers with channels first");
}

TEST_CASE("a frozen part inside a model: arrays by their exact names, else in Keras's order, which frozen layers end") {
    const TemporaryFolder folder;
    const auto file = [&](bool frozen, const std::string& first, const std::string& second) {
        Json base = sequential_json({layer_json("Conv2D", "conv2d", {{"filters", 3}, {"kernel_size", 1}, {"trainable", !frozen}}),
                                     layer_json("Conv2D", "conv2d_1", {{"filters", 3}, {"kernel_size", 1}})});
        base["config"]["name"] = "base";
        const Json config = sequential_json({layer_json("InputLayer", "image", {{"batch_input_shape", {nullptr, 2, 2, 3}}}), base});
        std::vector<StoredArray> arrays;
        for (const std::string& name : {first, second})
            for (const char* role : {"kernel", "bias"})
                arrays.push_back({"base", name + "/" + role,
                                  random_tensor(std::string(role) == "bias" ? Shape{3} : Shape{1, 1, 3, 3}, arrays.size() + 1)});
        write_model(folder / "m.h5", config.dump(), arrays);
        return load_model({(folder / "m.h5").string(), "", ""});
    };
    const auto first_kernel = [](const LoadedModel& loaded) {
        return loaded.model.node(loaded.model.find("base/conv2d")).layer->weights[0].value;
    };
    const Tensor one = random_tensor({1, 1, 3, 3}, 1), other = random_tensor({1, 1, 3, 3}, 3);
    CHECK(same_bits(first_kernel(file(false, "conv2d", "conv2d_1")), one));
    CHECK(same_bits(first_kernel(file(true, "conv2d_1", "conv2d")), other));  // frozen ones are written last
    CHECK(file(true, "conv2d_1", "conv2d").notes.empty());
    // names of another process tell nothing: the order does, and that is said
    CHECK(same_bits(first_kernel(file(false, "conv2d_7", "conv2d_8")), one));
    CHECK(same_bits(first_kernel(file(true, "conv2d_8", "conv2d_7")), other));
    CHECK(file(true, "conv2d_8", "conv2d_7").notes.size() == 1);
}

TEST_CASE("convert says calls of models as Keras 3 counts them, functions as layers, and refuses what cannot be said") {
    const auto modern = [](const Json& config, const std::string& version) {
        return Json::parse(modern_config(config.dump(), model_from_config(config.dump(), version)))["config"];
    };
    for (const bool sequential : {false, true}) {
        Json tower = sequential ? sequential_json({input_json("t", {nullptr, 5}), dense("d", 4)})
                                : functional_json({input_json("t", {nullptr, 5}), called(dense("d", 4), {keras_2_call({{"t", 0}})})},
                                                  {{"t", 0, 0}}, {{"d", 0, 0}});
        tower["config"]["name"] = "tower", tower["module"] = "keras.src.engine.functional";
        const Json said =
            modern(functional_json({input_json("a", {nullptr, 5}), called(tower, {keras_2_call({{"a", 0}}), keras_2_call({{"a", 0}})}),
                                    called(layer_json("Add", "sum", Json::object()), {keras_2_call({{"tower", 1}, {"tower", 2}})})},
                                   {{"a", 0, 0}}, {{"tower", 1, 0}, {"tower", 2, 0}, {"sum", 0, 0}}),
                   "2.4.0");
        CHECK(said["layers"][2]["inbound_nodes"][0][0][1] == 0);
        CHECK(said["layers"][2]["inbound_nodes"][0][1][1] == 1);
        CHECK(said["output_layers"][0][1] == (sequential ? 0 : 1));
        CHECK(said["output_layers"][1][1] == (sequential ? 1 : 2));
        CHECK(!said["layers"][1].contains("module"));
    }
    const auto after = [&](Json layer, Json keywords) {
        return functional_json({input_json("x", {nullptr, 4, 4, 2}), called(std::move(layer), {{"x", 0, 0, std::move(keywords)}})},
                               {{"x", 0, 0}}, {{"f", 0, 0}});
    };
    const auto function = [](const char* name) { return layer_json("TFOpLambda", "f", {{"function", name}}); };
    const Json scaled = modern(after(function("math.multiply"), {{"y", 2.5}}), "2.4.0")["layers"][1];
    CHECK(scaled["class_name"] == "Rescaling");
    CHECK(scaled["config"]["scale"] == 2.5);
    CHECK(scaled["inbound_nodes"] == Json::parse(R"([[["x", 0, 0, {}]]])"));
    check_says(complaint([&] { modern(after(function("math.square"), Json::object()), "2.4.0"); }),
               "layer 'f' calls a function (math.square) that limn cannot say to Keras 3");
    const Json transposed =
        modern(after(layer_json("Conv2DTranspose", "f", {{"filters", 2}, {"kernel_size", 3}, {"groups", 1}}), Json::object()),
               "2.4.0")["layers"][1];
    CHECK(!transposed["config"].contains("groups"));
    const Json grouped = modern(after(layer_json("GroupNormalization", "f", {{"groups", 2}}), Json::object()), "2.12.0")["layers"][1];
    CHECK(grouped["config"]["groups"] == 2);
}
