// Recurrent layers and masks on their own: gradients by finite differences, the definitions in plain loops, and what is refused.
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/training.h"
#include "layers/model.h"
#include "layers/sequence.h"
#include "tests/support.h"

using namespace limn;

namespace {

Config config_of(const std::string& class_name, Dict settings, const std::string& name = "layer", int keras_major = 3) {
    return {class_name, name, std::move(settings), {}, keras_major};
}

Config cell(const std::string& class_name, Dict settings) {
    settings["units"] = 3.0;
    return config_of(class_name, std::move(settings));
}

Dict nested(const Config& inner) { return {{"class_name", inner.class_name}, {"config", inner.settings}}; }

void fill_weights(Layer& layer, std::uint64_t seed, DType dtype = DType::f64) {
    for (Weight& w : layer.weights) w.value = random_tensor(w.shape, seed++, -0.9, 0.9, dtype);
}

// Ones and zeros: steps that count and steps that do not, padded behind, between and throughout.
Tensor some_mask() { return Tensor::from({3, 4, 1}, std::vector<float>{1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0}); }

struct Case {
    const char* what;
    Config config;
};
std::vector<Case> all_layers() {
    const Value stacked =
        nested(config_of("StackedRNNCells",
                         {{"cells", List{nested(cell("LSTMCell", {})), nested(cell("GRUCell", {})), nested(cell("SimpleRNNCell", {}))}}}));
    return {{"SimpleRNN", cell("SimpleRNN", {})},
            {"SimpleRNN of an unusual activation", cell("SimpleRNN", {{"activation", "softplus"}, {"use_bias", false}})},
            {"LSTM", cell("LSTM", {})},
            {"LSTM without bias", cell("LSTM", {{"use_bias", false}, {"activation", "elu"}, {"recurrent_activation", "softsign"}})},
            {"GRU", cell("GRU", {})},
            {"GRU without bias", cell("GRU", {{"use_bias", false}})},
            {"GRU, reset before", cell("GRU", {{"reset_after", false}})},
            {"GRU, reset before, without bias", cell("GRU", {{"reset_after", false}, {"use_bias", false}})},
            {"RNN of a cell", config_of("RNN", {{"cell", nested(cell("LSTMCell", {}))}})},
            {"RNN of stacked cells", config_of("RNN", {{"cell", stacked}})}};
}

Index states_of(const std::string& what) { return what.find("LSTM") != std::string::npos || what == "RNN of a cell" ? 2 : 1; }

}  // namespace

TEST_CASE("recurrent layers: finite differences, of the sequence, the states to begin with and the weights") {
    for (const Case& one : all_layers())
        for (const bool sequences : {false, true})
            for (const bool backwards : {false, true})
                for (const bool masked : {false, true})
                    for (const bool given : {false, true}) {
                        if (given && std::string(one.what) == "RNN of stacked cells") continue;
                        Config config = one.config;
                        config.settings["return_sequences"] = sequences;
                        config.settings["go_backwards"] = backwards;
                        config.settings["zero_output_for_mask"] = masked && sequences && backwards;
                        CAPTURE(one.what);
                        CAPTURE(sequences);
                        CAPTURE(backwards);
                        CAPTURE(masked);
                        CAPTURE(given);
                        const LayerPtr layer = make_layer(config);
                        layer->build({{3, 4, 2}});
                        fill_weights(*layer, 30);
                        std::vector<Tensor> inputs{random_tensor({3, 4, 2}, 1)};
                        for (Index i = 0; given && i < states_of(one.what); i++)
                            inputs.push_back(random_tensor({3, 3}, 2 + std::uint64_t(i)));
                        const std::size_t variables = inputs.size();
                        const Function f = [&](Tape& tape, const std::vector<Var>& x) {
                            std::vector<Var> in(x.begin(), x.begin() + std::ptrdiff_t(variables));
                            if (masked) in.push_back(some_mask());
                            return layer->forward(tape, in);
                        };
                        CHECK(finite_difference_error(f, inputs) <= 1e-6);
                    }
}

TEST_CASE("recurrent layers: finite differences of the weights") {
    for (const Case& one : all_layers()) {
        CAPTURE(one.what);
        const LayerPtr layer = make_layer(one.config);
        layer->build({{3, 4, 2}});
        fill_weights(*layer, 40);
        const Tensor x = random_tensor({3, 4, 2}, 1, -1, 1, DType::f64), seed = random_tensor({3, 3}, 2, -1, 1, DType::f64);
        const auto score = [&] {
            Tape plain(reference_backend());
            return dot(layer->forward(plain, {x, some_mask()}).value, seed);
        };
        Tape tape(reference_backend());
        std::vector<Var> parameters;
        for (const Weight& w : layer->weights) tape.watch_parameter(w.value), parameters.push_back(tape.parameter(w.value));
        const std::vector<Tensor> gradients = tape.gradients(layer->forward(tape, {x, some_mask()}), seed, parameters);
        for (std::size_t i = 0; i < layer->weights.size(); i++) {
            CAPTURE(layer->weights[i].name);
            const Tensor kept = layer->weights[i].value, u = random_tensor(kept.shape(), 50 + i, -1, 1, DType::f64);
            const auto score_at = [&](double by) {
                layer->weights[i].value = kept.clone();
                for (Index j = 0; j < u.size(); j++) layer->weights[i].value.data<double>()[j] += by * u.data<double>()[j];
                return score();
            };
            const double expected = (score_at(1e-5) - score_at(-1e-5)) / 2e-5;
            layer->weights[i].value = kept;
            CHECK(dot(gradients[i], u) == doctest::Approx(expected).epsilon(1e-6));
        }
    }
}

TEST_CASE("an LSTM of Keras 2 is its definition, hard sigmoids of slope 0.2 and all") {
    const LayerPtr layer = make_layer(config_of("LSTM", {{"units", 3.0}, {"recurrent_activation", "hard_sigmoid"}}, "lstm", 2));
    layer->build({{2, 5, 4}});
    fill_weights(*layer, 60);
    const Tensor x = random_tensor({2, 5, 4}, 61, -2, 2, DType::f64);
    const auto weight = [&](const char* name, Index row, Index column) { return layer->weight(name).at({row, column}); };
    Tensor expected({2, 3}, DType::f64);
    for (Index n = 0; n < 2; n++) {
        double h[3] = {}, c[3] = {};
        for (Index t = 0; t < 5; t++) {
            double z[12];
            for (Index k = 0; k < 12; k++) {
                z[k] = layer->weight("bias").at({k});
                for (Index i = 0; i < 4; i++) z[k] += x.at({n, t, i}) * weight("kernel", i, k);
                for (Index i = 0; i < 3; i++) z[k] += h[i] * weight("recurrent_kernel", i, k);
            }
            const auto gate = [](double v) { return std::clamp(0.2 * v + 0.5, 0.0, 1.0); };
            for (Index u = 0; u < 3; u++) {
                c[u] = gate(z[3 + u]) * c[u] + gate(z[u]) * std::tanh(z[6 + u]);
                h[u] = gate(z[9 + u]) * std::tanh(c[u]);
            }
        }
        for (Index u = 0; u < 3; u++) expected.data<double>()[n * 3 + u] = h[u];
    }
    Tape tape(reference_backend());
    CHECK(relative_error(layer->forward(tape, {x}).value, expected) <= 1e-12);
}

TEST_CASE("what a GRU is without reset_after in its file depends on the Keras that wrote it") {
    const auto bias = [](const char* class_name, int keras_major) {
        const LayerPtr layer = make_layer(config_of(class_name, {{"units", 4.0}}, "gru", keras_major));
        layer->build({{-1, 5, 2}});
        return layer->weights[2].shape;
    };
    CHECK(bias("GRU", 2) == Shape{12});
    CHECK(bias("GRU", 3) == Shape{2, 12});
    CHECK(bias("CuDNNGRU", 2) == Shape{2, 12});
}

TEST_CASE("one step, one unit, one number; any number of steps") {
    const LayerPtr layer = make_layer(config_of("GRU", {{"units", 1.0}, {"return_sequences", true}}));
    layer->build({{-1, -1, 1}});
    CHECK(layer->output_shape({{-1, -1, 1}}) == Shape{-1, -1, 1});
    fill_weights(*layer, 70, DType::f32);
    const Tensor x = random_tensor({2, 7, 1}, 71);
    Tape tape(reference_backend());
    const Tensor all = layer->forward(tape, {x}).value;
    Tensor first({2, 1, 1});
    reference_backend().copy_box(x, {0, 0, 0}, {2, 1, 1}, first, {0, 0, 0});
    const Tensor one = layer->forward(tape, {first}).value;
    CHECK(all.shape() == Shape{2, 7, 1});
    for (Index n = 0; n < 2; n++) CHECK(one.at({n, 0, 0}) == all.at({n, 0, 0}));
}

TEST_CASE("an output and its states are parts of one packed value, each a node") {
    Model model;
    const int x = model.add_input("x", {-1, -1, 2});
    const int y = model.add("lstm", make_layer(cell("LSTM", {{"return_state", true}, {"return_sequences", true}})), {x});
    REQUIRE(model.nodes().size() == 5);
    CHECK(model.node(y).name == "lstm");
    CHECK(model.node(y - 1).name == "lstm:all");
    CHECK(model.node(y + 1).name == "lstm:1");
    CHECK(model.node(y + 2).name == "lstm:2");
    CHECK(model.node(y).shape == Shape{-1, -1, 3});
    CHECK(model.node(y + 2).shape == Shape{-1, 3});
    model.outputs = {y, y + 1};
    fill_weights(*model.node(y - 1).layer, 80, DType::f32);
    Tape tape(reference_backend());
    const std::vector<Var> values = model.forward(tape, {random_tensor({2, 4, 2}, 81)});
    for (Index n = 0; n < 2; n++)
        for (Index u = 0; u < 3; u++) CHECK(values[std::size_t(y)].value.at({n, 3, u}) == values[std::size_t(y + 1)].value.at({n, u}));
}

TEST_CASE("an Embedding takes ids of any number type, and complains about those it has no row for") {
    const LayerPtr layer = make_layer(config_of("Embedding", {{"input_dim", 4.0}, {"output_dim", 2.0}}, "words"));
    layer->build({{-1, 3}});
    fill_weights(*layer, 90, DType::f32);
    Tensor whole({2, 3}, DType::i32);
    for (Index i = 0; i < 6; i++) whole.data<std::int32_t>()[i] = std::int32_t(i % 4);
    const auto looked_up = [&](const Tensor& ids) {
        Tape tape(reference_backend());
        return layer->forward(tape, {ids}).value;
    };
    const Tensor y = looked_up(whole);
    CHECK(y.shape() == Shape{2, 3, 2});
    for (Index i = 0; i < 6; i++)
        for (Index k = 0; k < 2; k++) CHECK(y.at_flat(i * 2 + k) == layer->weights[0].value.at({i % 4, k}));
    CHECK(same_bits(looked_up(Tensor::from({2, 3}, std::vector<float>{0, 1, 2, 3, 0, 1})), y));
    CHECK(looked_up(Tensor::from({1}, std::vector<float>{3})).shape() == Shape{1, 2});
    for (const float id : {4.0f, -1.0f, float(NAN), 300.0f})
        CHECK(complaint([&] {
                  looked_up(Tensor::from({1, 1}, std::vector<float>{id}));
              }).starts_with(fmt::format("layer 'words' (Embedding): the id {} is not in its table: ids are 0 to 3", id)));
}

TEST_CASE("the gradient of a table adds up the words that were used twice") {
    const Tensor table = random_tensor({4, 3}, 1);
    CHECK(finite_difference_error([](Tape& t, const std::vector<Var>& x) { return gather(t, x[0], {2, 0, 2, 3, 2}); }, {table}) <= 1e-6);
}

TEST_CASE("parts, reversals and steps: adjoint identity") {
    const auto adjoint = [](const LayerPtr& layer, const Shape& shape) {
        return adjoint_error([&](Tape& t, const std::vector<Var>& x) { return layer->forward(t, {x[0]}); }, shape);
    };
    CHECK(adjoint(make_steps("s", 0, -2), {2, 5, 3}) <= 1e-12);
    CHECK(adjoint(make_step("s", 1), {2, 5, 3}) <= 1e-12);
    CHECK(adjoint(make_step("s", -1), {2, 5, 3}) <= 1e-12);
    CHECK(adjoint(make_reversal("r"), {2, 5, 3}) <= 1e-12);
    CHECK(adjoint(make_layer(config_of("RepeatVector", {{"n", 4.0}})), {2, 3}) <= 1e-12);
    CHECK(adjoint_error(
              [](Tape& t, const std::vector<Var>& x) {
                  const std::vector<Var> parts = split(t, x[0], -1, 3);  // one is used twice, one not at all
                  return concatenate(t, {parts[2], add(t, parts[0], parts[2])}, -1);
              },
              {2, 3, 6}) <= 1e-12);
}

TEST_CASE("what recurrent layers refuse, in one line that says what to do") {
    const auto made = [](const std::string& class_name, Dict settings) {
        return complaint([&] { make_layer(config_of(class_name, std::move(settings), "rnn")); });
    };
    CHECK(made("LSTM", {{"units", 4.0}, {"stateful", true}}) ==
          "layer 'rnn' (LSTM): it keeps its states from batch to batch (stateful), limn starts each from zeros: save the model with "
          "stateful=False");
    CHECK(made("GRU", {{"units", 4.0}, {"time_major", true}}) ==
          "layer 'rnn' (GRU): its sequences have their steps first (time_major): save the model with time_major=False");
    CHECK(made("LSTM", {{"units", 0.0}}) == "layer 'rnn' (LSTM): 0 units make no sense");
    CHECK(made("RNN", {}) ==
          "layer 'rnn' (RNN): its cells are not known; SimpleRNNCell, LSTMCell, GRUCell and StackedRNNCells of them are");
    CHECK(made("RNN", {{"cell", nested(config_of("PeepholeLSTMCell", {{"units", 4.0}}))}}) ==
          "layer 'rnn' (PeepholeLSTMCell): its cells are not known; SimpleRNNCell, LSTMCell, GRUCell and StackedRNNCells of them are");
    CHECK(made("RNN", {{"cell", 7.0}}) == "layer 'rnn' (RNN): it should say what its cell is");
    CHECK(made("Embedding", {{"input_dim", 1e12}, {"output_dim", 3.0}}).find("makes no sense") != std::string::npos);
    CHECK(made("Masking", {{"mask_value", double(INFINITY)}}).find("makes no sense") != std::string::npos);

    const LayerPtr lstm = make_layer(config_of("LSTM", {{"units", 4.0}, {"dropout", 0.5}}, "rnn"));
    CHECK(complaint([&] { lstm->build({{-1, 8}}); }) == "layer 'rnn' (LSTM): its input should have 3 axes (batch included), not (?,8)");
    lstm->build({{-1, 3, 2}});
    fill_weights(*lstm, 1, DType::f32);
    const Tensor x = random_tensor({1, 3, 2}, 2), state = random_tensor({1, 4}, 3);
    Tape tape(reference_backend());
    CHECK(complaint([&] { lstm->forward(tape, {x, state}); }) == "layer 'rnn' (LSTM): it begins with 2 states, 1 were given");
    TrainingStep training{1, {}};
    tape.training = &training;
    CHECK(complaint([&] { lstm->forward(tape, {x}); }) ==
          "layer 'rnn' (LSTM): dropout inside a recurrent layer is not known in training: freeze the layer, or set it to 0");
}

TEST_CASE("masks: who passes them on, who stops them, who is told, who refuses") {
    Model model;
    const int words = model.add_input("words", {-1, 4});
    const auto add = [&](const std::string& class_name, Dict settings, std::vector<int> reads, int keras_major = 3) {
        const std::string name = fmt::format("{}{}", class_name, model.nodes().size());
        return model.add(name, make_layer(config_of(class_name, std::move(settings), name, keras_major)), std::move(reads));
    };
    const auto mask = [&](int node) { return model.node(node).mask; };
    const int e = add("Embedding", {{"input_dim", 9.0}, {"output_dim", 3.0}, {"mask_zero", true}}, {words});
    const int plain = add("Embedding", {{"input_dim", 9.0}, {"output_dim", 3.0}}, {words});
    REQUIRE(mask(e) >= 0);
    CHECK(model.node(mask(e)).name == model.node(e).name + ":mask");
    CHECK(model.node(mask(e)).shape == Shape{-1, 4, 1});
    CHECK(mask(plain) == -1);

    CHECK(mask(add("Dense", {{"units", 2.0}, {"activation", "tanh"}}, {e})) == mask(e));
    CHECK(mask(add("Dropout", {{"rate", 0.5}}, {e})) == mask(e));
    CHECK(mask(add("LayerNormalization", {}, {e})) == mask(e));
    CHECK(mask(add("LSTM", {{"units", 2.0}, {"return_sequences", true}}, {e})) == mask(e));
    CHECK(mask(add("LSTM", {{"units", 2.0}}, {e})) == -1);
    CHECK(mask(add("Flatten", {}, {e})) == -1);
    CHECK(mask(add("Reshape", {{"target_shape", List{12.0}}}, {e})) == -1);
    CHECK(model.node(add("LSTM", {{"units", 2.0}}, {e})).inputs == std::vector<int>{e, mask(e)});
    CHECK(model.node(add("BatchNormalization", {}, {e})).inputs == std::vector<int>{e, mask(e)});
    CHECK(model.node(add("LSTM", {{"units", 2.0}}, {plain})).inputs == std::vector<int>{plain});

    CHECK(mask(add("Add", {}, {e, e})) == mask(e));
    CHECK(mask(add("Add", {}, {e, plain})) == -1);
    CHECK(mask(add("Add", {}, {e, plain}, 2)) == mask(e));  // Keras 2 asked those that have one
    const int other = add("Embedding", {{"input_dim", 9.0}, {"output_dim", 3.0}, {"mask_zero", true}}, {words});
    const int either = add("Add", {}, {e, other}), both = add("Add", {}, {e, other}, 2);
    CHECK(model.node(mask(either)).layer->class_name == "Mask");
    CHECK(model.node(mask(both)).layer->class_name == "Mask");
    CHECK(complaint([&] { add("Softmax", {}, {e}); }).find("a softmax over the steps that a mask leaves is not known") !=
          std::string::npos);

    // A part of the model keeps what it needs.
    const int last = add("GRU", {{"units", 2.0}}, {e});
    const Model part = model.up_to(last);
    CHECK(part.nodes().size() == 4);
    CHECK(part.node(part.find(model.node(e).name)).mask == part.find(model.node(e).name + ":mask"));
}
