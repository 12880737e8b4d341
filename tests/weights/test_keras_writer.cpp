// Whole models written and read again: the same network, the same numbers. (That real Keras opens them: tests/keras/run.)
#include "engine/backend.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "train/initialise.h"
#include "weights/architectures/architectures.h"
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

TEST_CASE("a file that cannot be written leaves the old one") {
    const TemporaryFolder folder;
    Model model = build_paws();
    CHECK_THROWS_AS(save_model(folder / "m.h5", model, {}), Error);  // it has no weights yet
    CHECK_FALSE(std::filesystem::exists(folder / "m.h5"));
    initialise_for_training(model, 1);
    CHECK_THROWS_AS(save_model(folder / "none" / "m.h5", model, {}), Error);
}
