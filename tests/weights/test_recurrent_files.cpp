// Recurrent models as older Keras versions wrote them, and configurations that make no sense.
#include <fstream>

#include "engine/repeated.h"
#include "tests/engine/backends.h"
#include "tests/support_models.h"
#include "weights/keras_config.h"

using namespace limn;

namespace {

std::string complaint_of(const Json& config, const std::string& version = "2.4.0") {
    return complaint([&] { model_from_config(config.dump(), version); });
}

}  // namespace

TEST_CASE("states to begin with, in the ways of Keras 2: further inputs, or by name") {
    for (const Json& inbound : {Json{{{"x", 0, 0, Json::object()}, {"h", 0, 0, Json::object()}, {"c", 0, 0, Json::object()}}},
                                Json{{{"x", 0, 0, {{"initial_state", {{"h", 0, 0}, {"c", 0, 0}}}}}}}}) {
        CAPTURE(inbound.dump());
        const Model model = model_from_config(
            functional_json({input_json("x", {nullptr, 5, 2}), input_json("h", {nullptr, 3}), input_json("c", {nullptr, 3}),
                             called(layer_json("LSTM", "lstm", {{"units", 3}, {"return_state", true}}), inbound)},
                            {{"x", 0, 0}, {"h", 0, 0}, {"c", 0, 0}}, {{"lstm", 0, 0}, {"lstm", 0, 2}})
                .dump(),
            "2.4.0");
        CHECK(model.node(model.find("lstm:all")).inputs == model.inputs);
        CHECK(model.node(model.outputs[0]).name == "lstm");
        CHECK(model.node(model.outputs[1]).name == "lstm:2");
    }
}

TEST_CASE("Keras 2 hands the mask of words to a layer that also gets a state to begin with") {
    const Model model = model_from_config(
        functional_json({input_json("words", {nullptr, 5}), input_json("h", {nullptr, 3}),
                         called(layer_json("Embedding", "e", {{"input_dim", 9}, {"output_dim", 2}, {"mask_zero", true}}),
                                {{{"words", 0, 0, Json::object()}}}),
                         called(layer_json("GRU", "gru", {{"units", 3}}), {{{"e", 0, 0, Json::object()}, {"h", 0, 0, Json::object()}}})},
                        {{"words", 0, 0}, {"h", 0, 0}}, {{"gru", 0, 0}})
            .dump(),
        "2.4.0");
    CHECK(model.node(model.outputs[0]).inputs == std::vector<int>{model.find("e"), model.find("h"), model.find("e:mask")});
}

TEST_CASE("wrappers are taken apart into nodes that can be named") {
    const Json cnn =
        sequential_json({layer_json("Conv2D", "conv", {{"filters", 2}, {"kernel_size", {3, 3}}, {"batch_input_shape", {nullptr, 8, 8, 1}}}),
                         layer_json("GlobalAveragePooling2D", "gap", Json::object())});
    const Json lstm = layer_json("LSTM", "lstm_1", {{"units", 3}, {"return_sequences", true}});
    const Model model = model_from_config(
        sequential_json(
            {layer_json("TimeDistributed", "frames", {{"layer", cnn}, {"batch_input_shape", {nullptr, nullptr, 8, 8, 1}}}),
             layer_json("Bidirectional", "bi", {{"layer", lstm}}),
             layer_json("TimeDistributed", "out", {{"layer", layer_json("Dense", "d", {{"units", 4}, {"activation", "softmax"}})}})})
            .dump(),
        "2.4.0");
    std::vector<std::string> names;
    for (const Node& node : model.nodes()) names.push_back(node.name + " " + node.shape.str());
    CHECK(names == std::vector<std::string>{"frames_input (?,?,8,8,1)", "frames/folded (?,8,8,1)", "frames/tiny/conv (?,6,6,2)",
                                            "frames/tiny/gap (?,2)", "frames (?,?,2)", "bi/forward_lstm_1 (?,?,3)",
                                            "bi/backward_lstm_1 (?,?,3)", "bi/reversed (?,?,3)", "bi (?,?,6)", "out:linear (?,?,4)",
                                            "out (?,?,4)"});
    CHECK(model.logits(model.outputs[0]) == model.find("out:linear"));
    CHECK(model.node(model.find("backward_lstm_1")).layer->keras_config.flag("go_backwards", false));
}

TEST_CASE("wrappers and sequences that make no sense are refused in one line") {
    const auto wrapped = [](const char* kind, Json settings) {
        settings["batch_input_shape"] = {nullptr, 5, 2};
        return complaint_of(sequential_json({layer_json(kind, "w", settings)}));
    };
    const Json lstm = layer_json("LSTM", "lstm", {{"units", 3}});
    CHECK(wrapped("Bidirectional", Json::object()) == "layer 'w': its configuration does not say what layer it is around");
    CHECK(wrapped("TimeDistributed", {{"layer", 3}}) == "layer 'w': its configuration does not say what layer it is around");
    CHECK(wrapped("Bidirectional", {{"layer", lstm}, {"merge_mode", "max"}}) ==
          "layer 'w' (Bidirectional): merge_mode should be concat, sum, mul, ave or null");
    CHECK(
        wrapped("Bidirectional", {{"layer", layer_json("Wavelet", "x", Json::object())}}).starts_with("layer 'w/forward_x' is a Wavelet"));
    CHECK(wrapped("Bidirectional", {{"layer", layer_json("LSTM", "x", {{"units", 3}, {"stateful", true}})}})
              .starts_with("layer 'w/forward_x' (LSTM): it keeps its states from batch to batch (stateful)"));
    CHECK(complaint_of(sequential_json({layer_json(
              "TimeDistributed", "w", {{"layer", layer_json("Flatten", "f", Json::object())}, {"batch_input_shape", {nullptr, 5}}})})) ==
          "layer 'w' (Fold): its input should have at least 3 axes (batch included), not (?,5)");

    CHECK(wrapped("Bidirectional", {{"layer", layer_json("Bidirectional", "b", {{"layer", lstm}})}}) ==
          "layer 'w' (Bidirectional): it should be around a recurrent layer");
    Json deep = lstm;
    for (int i = 0; i < 100; i++)
        deep = layer_json("TimeDistributed", "w", {{"layer", sequential_json({input_json("y", {nullptr, nullptr, nullptr, 1}), deep})}});
    CHECK(complaint_of(sequential_json({input_json("x", {nullptr, 5, 5, 5, 5, 5}), deep})) != "");

    const auto masked_by_hand =
        functional_json({input_json("x", {nullptr, 5, 2}), input_json("m", {nullptr, 5}),
                         called(layer_json("LSTM", "lstm", {{"units", 3}}), {{{"x", 0, 0, {{"mask", {"m", 0, 0}}}}}})},
                        {{"x", 0, 0}, {"m", 0, 0}}, {{"lstm", 0, 0}});
    CHECK(complaint_of(masked_by_hand) ==
          "layer 'lstm' is given a mask of the model's own; limn knows those of Embedding (mask_zero) and Masking");
}

TEST_CASE("a recording does not remember the words it was made with") {
    TemporaryFolder folder;
    const Json config = sequential_json(
        {layer_json("Embedding", "words", {{"input_dim", 9}, {"output_dim", 2}, {"mask_zero", true}, {"batch_input_shape", {nullptr, 4}}}),
         layer_json("GRU", "gru", {{"units", 3}})});
    write_model(folder / "m.h5", config.dump(),
                {{"words", "embeddings", random_tensor({9, 2}, 1)},
                 {"gru", "kernel", random_tensor({2, 9}, 2)},
                 {"gru", "recurrent_kernel", random_tensor({3, 9}, 3)},
                 {"gru", "bias", random_tensor({9}, 4)}});
    LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
    const auto answer = [&](const Backend& backend, const Tensor& ids) {
        Tape tape(backend);
        return loaded.model.forward(tape, {ids})[std::size_t(loaded.model.outputs[0])].value;
    };
    std::vector<Tensor> ids, expected;
    for (std::uint64_t i = 0; i < 4; i++) {
        ids.push_back(random_tensor({2, 4}, 10 + i, 0, 9));
        expected.push_back(answer(cpu_backend(), ids.back()));
    }
    const Backend& gpu = played_gpu();
    loaded.model.move_to(gpu.device());
    Tensor input = ids[0].on(gpu.device()), y;
    Repeated run(gpu, [&] { y = answer(gpu, input); });
    for (std::size_t i = 0; i < ids.size(); i++) {
        input.assign(ids[i]);
        run.run();
        CHECK(relative_error(y, expected[i]) <= 1e-6);
    }
}

TEST_CASE("files and configurations of Keras 2 that another importer is tested with") {
    if (!have_shared({"import"})) return;
    struct Stored {
        const char* name;
        Shape input, output;
    };
    for (const Stored& stored : {Stored{"lstm", {2, 4, 1}, {2, 6}},
                                 {"simple_rnn", {2, 4, 1}, {2, 6}},
                                 {"bidirectional_lstm", {2, 4, 10}, {2, 4, 20}},
                                 {"bidirectional_lstm_no_return_sequences", {2, 4, 10}, {2, 20}},
                                 {"embedding_lstm", {2, 10}, {2, 10, 6}}})
        for (const char* backend : {"tensorflow", "theano"}) {
            const std::string name = fmt::format("import/weights/{}_{}_2.h5", stored.name, backend);
            CAPTURE(name);
            const LoadedModel loaded = load_model({shared_data(name).string(), "", ""});
            CHECK(loaded.notes.empty());  // all found by name
            Tape tape(cpu_backend());
            const Tensor x = random_tensor(stored.input, 1, 0, 3);
            const Tensor y = loaded.model.forward(tape, {x})[std::size_t(loaded.model.outputs[0])].value;
            CHECK(y.shape() == stored.output);
            CHECK(std::ranges::all_of(y.values(), [](float v) { return std::abs(v) < 1; }));
        }
    for (const char* name :
         {"bidirectional_last_timeStep", "keras2/bidirectional_lstm_tf_keras_2_config", "keras2/imdb_lstm_tf_keras_2_config",
          "keras2/imdb_lstm_th_keras_2_config", "keras2/one_lstm_no_sequences_tf_keras_2", "keras2/simple_rnn_tf_keras_2_config"}) {
        CAPTURE(name);
        std::ifstream file(shared_data(fmt::format("import/configs/{}.json", name)));
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        CHECK(model_from_config(text, "2.2.0").weighted_layers().size() >= 1);
    }
}
