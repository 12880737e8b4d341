// Attention's masks and calls: what fits, and what is refused. (The numbers are Keras's: test_layer_goldens.cpp, test_recurrent_goldens.cpp.)
#include "tests/support_models.h"
#include "weights/keras_config.h"

using namespace limn;

namespace {

Json tensor_of(const std::string& layer) { return {{"class_name", "__keras_tensor__"}, {"config", {{"keras_history", {layer, 0, 0}}}}}; }
Json input(const std::string& name, const Json& shape) {
    return {{"class_name", "InputLayer"},
            {"name", name},
            {"config", {{"name", name}, {"batch_shape", shape}}},
            {"inbound_nodes", Json::array()}};
}
Json attention(const std::vector<Json>& calls, Json more = Json::object()) {
    Json config = {{"name", "mha"}, {"trainable", true}, {"num_heads", 2}, {"key_dim", 3}};
    config.update(more);
    return {{"class_name", "MultiHeadAttention"}, {"name", "mha"}, {"config", config}, {"inbound_nodes", calls}};
}
Json call(const std::vector<std::string>& tensors, Json keywords = Json::object()) {
    Json args = Json::array();
    for (const std::string& name : tensors) args.push_back(tensor_of(name));
    return {{"args", args}, {"kwargs", keywords}};
}

// The layers, of which the last is the output.
Model network(const Json& layers, Index call_of_output = 0) {
    Json inputs = Json::array();
    for (const Json& layer : layers)
        if (layer["class_name"] == "InputLayer") inputs.push_back({layer["name"], 0, 0});
    const Json config = {
        {"name", "m"}, {"layers", layers}, {"input_layers", inputs}, {"output_layers", {{layers.back()["name"], call_of_output, 0}}}};
    Model model = model_from_config(Json{{"class_name", "Functional"}, {"config", config}}.dump(), "3.15.1");
    std::uint64_t seed = 1;
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) w.value = random_tensor(w.shape, seed++);
    return model;
}
Tensor output_of(const Model& model, const std::vector<Tensor>& inputs) {
    Tape tape(reference_backend());
    return model.forward(tape, inputs, model.inputs)[std::size_t(model.outputs[0])].value;
}

const Json x5 = input("x", {nullptr, 5, 4});

}  // namespace

TEST_CASE("a mask given to attention: axes of size 1 repeat, other sizes are refused") {
    const auto with_mask = [](const Json& shape) {
        return network({x5, input("m", shape), attention({call({"x", "x"}, {{"attention_mask", tensor_of("m")}})})});
    };
    const Tensor x = random_tensor({2, 5, 4}, 7);
    Tensor row({2, 1, 5}), all({2, 5, 5}), column({2, 5, 1});
    for (Index i = 0; i < all.size(); i++) all.data()[i] = float(row.data()[i / 25 * 5 + i % 5] = float(i % 5 % 3 != i / 25));
    for (Index i = 0; i < column.size(); i++) column.data()[i] = 1;
    const Tensor expected = output_of(with_mask({nullptr, 5, 5}), {x, all});
    CHECK(same_bits(output_of(with_mask({nullptr, 1, 5}), {x, row}), expected));
    const Tensor plain = output_of(network({x5, attention({call({"x", "x"})})}), {x});
    CHECK(relative_error(expected, plain) > 0.01);
    CHECK(same_bits(output_of(with_mask({nullptr, 5, 1}), {x, column}), plain));  // it leaves nothing out

    CHECK_THROWS_WITH_AS(output_of(with_mask({nullptr, nullptr, nullptr}), {x, random_tensor({2, 5, 3}, 1)}),
                         doctest::Contains("a mask (2,5,3) does not fit (2,5,5)"), Error);
    CHECK_THROWS_WITH_AS(output_of(with_mask({nullptr, 5}), {x, random_tensor({2, 5}, 1)}), doctest::Contains("does not fit"), Error);
}

TEST_CASE("attention refuses calls that it would misunderstand") {
    const Json q = input("q", {nullptr, 3, 4});
    const auto problem = [](const Json& layers, Index call_of_output = 0) { return complaint([&] { network(layers, call_of_output); }); };
    CHECK(problem({x5, attention({call({"x"})})}).find("it needs a query and a value") != std::string::npos);
    CHECK(problem({x5, q, attention({call({"x", "x"}), call({"x", "x", "x"})})}, 1).find("it is called in several ways") !=
          std::string::npos);
    CHECK(problem({x5, q, attention({call({"x", "x"}), call({"q", "q"}, {{"use_causal_mask", true}})})}, 1)
              .find("it is called in several ways") != std::string::npos);
    CHECK(problem({x5, q, attention({call({"x", "x", "q"})})}).find("do not fit together") != std::string::npos);
    const Json constant = {{"class_name", "__numpy__"}, {"config", {{"value", {1, 0}}, {"dtype", "int32"}}}};
    CHECK(problem({x5, attention({call({"x", "x"}, {{"attention_mask", constant}})})}).find("it is called with 'attention_mask'") !=
          std::string::npos);
    CHECK(problem({x5, attention({call({"x", "x"}, {{"return_attention_scores", true}})})}).find("'return_attention_scores'") !=
          std::string::npos);
    // a setting of the builder's own name does not count, whatever it holds
    CHECK(problem({x5, attention({call({"x", "x"})}, {{"call", 5}})}).empty());
    CHECK(problem({x5, attention({call({"x", "x"})}, {{"call", {{"keywords", 3}}}})}).empty());
}
