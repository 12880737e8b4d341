// What older Keras versions wrote: their words, their order of axes, Theano's kernels.
#include <hdf5.h>

#include <tuple>

#include "engine/file.h"
#include "tests/support_models.h"
#include "weights/keras1.h"
#include "weights/keras_config.h"
#include "weights/keras_writer.h"
#include "weights/older_layouts.h"

using namespace limn;

namespace {

Tensor output_of(const Model& model, const Tensor& x) {
    Tape tape(reference_backend());
    return model.forward(tape, {x})[std::size_t(model.outputs[0])].value;
}

// As Keras 1 wrote files: no backend, names "conv_W" or "conv_W:0".
void write_keras1(const std::filesystem::path& path, const std::string& config, const std::vector<StoredArray>& arrays,
                  const std::string& ending) {
    Hdf5Writer file(path);
    write_arrays(file, arrays, [&](const StoredArray& a) { return a.layer + "_" + a.name + ending; });
    file.attribute("/", "model_config", config);
    file.attribute("/", "keras_version", std::string("1.2.2"));
    file.commit();
}

Json convolution1(const char* ordering, Json input) {
    return Json{{"class_name", "Sequential"},
                {"config",
                 {layer_json("Convolution2D", "conv",
                             {{"nb_filter", 1},
                              {"nb_row", 2},
                              {"nb_col", 2},
                              {"subsample", {1, 1}},
                              {"border_mode", "valid"},
                              {"dim_ordering", ordering},
                              {"bias", true},
                              {"activation", "linear"},
                              {"batch_input_shape", input}})}}};
}

// 1 2 3        0 1
// 4 5 6   and  0 0
// 7 8 9
const float photo[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, upper_right[] = {0, 1, 0, 0}, no_bias[] = {0}, turned_kernel[] = {0, 0, 1, 0};

}  // namespace

TEST_CASE("Keras 1 on TensorFlow: a kernel is laid over the image as it is") {
    const TemporaryFolder folder;
    write_keras1(folder / "m.h5", convolution1("tf", {nullptr, 3, 3, 1}).dump(),
                 {{"conv", "W", Tensor::from({2, 2, 1, 1}, upper_right)}, {"conv", "b", Tensor::from({1}, no_bias)}}, ":0");
    const LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
    const float expected[] = {2, 3, 5, 6};
    CHECK(same_bits(output_of(loaded.model, Tensor::from({1, 3, 3, 1}, photo)), Tensor::from({1, 2, 2, 1}, expected)));
    CHECK(loaded.notes.empty());
}

TEST_CASE("Keras 1 on Theano: names without ':0' tell, the kernel is turned by 180 degrees, and a note says so") {
    const TemporaryFolder folder;
    write_keras1(folder / "m.h5", convolution1("th", {nullptr, 1, 3, 3}).dump(),
                 {{"conv", "W", Tensor::from({1, 1, 2, 2}, upper_right)}, {"conv", "b", Tensor::from({1}, no_bias)}}, "");
    const LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
    const float expected[] = {4, 5, 7, 8};  // the 1 comes to the lower left
    CHECK(same_bits(output_of(loaded.model, Tensor::from({1, 3, 3, 1}, photo)), Tensor::from({1, 2, 2, 1}, expected)));
    REQUIRE(loaded.notes.size() == 1);
    CHECK(loaded.notes[0].find("Theano") != std::string::npos);
}

TEST_CASE("Keras 1 with channels first on TensorFlow: (filters, channels, rows, columns), not turned") {
    const TemporaryFolder folder;
    write_keras1(folder / "m.h5", convolution1("th", {nullptr, 1, 3, 3}).dump(),
                 {{"conv", "W", Tensor::from({1, 1, 2, 2}, upper_right)}, {"conv", "b", Tensor::from({1}, no_bias)}}, ":0");
    const float expected[] = {2, 3, 5, 6};
    CHECK(same_bits(output_of(load_model({(folder / "m.h5").string(), "", ""}).model, Tensor::from({1, 3, 3, 1}, photo)),
                    Tensor::from({1, 2, 2, 1}, expected)));
}

TEST_CASE("weights before Keras 1.1: layers and arrays have numbers only") {
    const TemporaryFolder folder;
    const std::string path = (folder / "w.h5").string();
    {
        Hdf5Writer file(path);
        file.dataset("/layer_0/param_0", Tensor::from({2, 2, 1, 1}, upper_right));
        file.dataset("/layer_0/param_1", Tensor::from({1}, no_bias));
        file.commit();
    }
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), number = H5Screate(H5S_SCALAR);
    for (const auto& [group, name, value] : {std::tuple("/", "nb_layers", 1), std::tuple("/layer_0", "nb_params", 2)}) {
        const hid_t a = H5Acreate_by_name(file, group, name, H5T_NATIVE_INT, number, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        REQUIRE(H5Awrite(a, H5T_NATIVE_INT, &value) >= 0);
        H5Aclose(a);
    }
    H5Sclose(number), H5Fclose(file);

    write_file(folder / "config.json", convolution1("tf", {nullptr, 3, 3, 1}).dump());
    const LoadedModel loaded = load_model({path, (folder / "config.json").string(), ""});
    CHECK(same_bits(loaded.model.weighted_layers().at(0)->weight("kernel").reshaped({4}).clone(), Tensor::from({4}, turned_kernel)));
    CHECK_FALSE(loaded.notes.empty());  // matched by order, and turned: names without ":0" are Theano's
}

TEST_CASE("an HDF5 file without either kind of list is none of Keras's") {
    const TemporaryFolder folder;
    {
        Hdf5Writer file(folder / "w.h5");
        file.attribute("/", "something", std::string("else"));
        file.commit();
    }
    CHECK_THROWS_WITH_AS(load_model({(folder / "w.h5").string(), "", ""}), doctest::Contains("not one Keras wrote"), Error);
}

TEST_CASE("Keras 1's words become Keras 2's; Keras 2's stay") {
    std::string name = "AtrousConvolution2D";
    Dict settings{{"nb_filter", 8.0},
                  {"nb_row", 3.0},
                  {"nb_col", 5.0},
                  {"atrous_rate", List{2.0, 2.0}},
                  {"border_mode", std::string("same")},
                  {"dim_ordering", std::string("th")}};
    translate_keras1(name, settings);
    CHECK(name == "Conv2D");
    CHECK(*settings.at("kernel_size").as<List>()->at(1).as<double>() == 5);
    CHECK(*settings.at("filters").as<double>() == 8);
    CHECK(*settings.at("data_format").as<std::string>() == "channels_first");
    CHECK(settings.contains("dilation_rate"));

    name = "Merge", settings = {{"mode", std::string("concat")}, {"concat_axis", 1.0}};
    translate_keras1(name, settings);
    CHECK(name == "Concatenate");
    CHECK(*settings.at("axis").as<double>() == 1);
    name = "Merge", settings = {{"mode", std::string("cos")}};
    CHECK_THROWS_WITH_AS(translate_keras1(name, settings), doctest::Contains("'cos' is not known"), Error);

    name = "ZeroPadding2D", settings = {{"padding", List{1.0, 2.0, 3.0, 4.0}}};
    translate_keras1(name, settings);
    CHECK(*settings.at("padding").as<List>()->at(1).as<List>()->at(0).as<double>() == 3);

    name = "Embedding", settings = {{"output_dim", 4.0}, {"input_dim", 9.0}};
    translate_keras1(name, settings);
    CHECK(settings.contains("output_dim"));
    CHECK_FALSE(settings.contains("units"));
}

TEST_CASE("Keras 1 kept the gates of an LSTM apart: i, f, c, o side by side are today's kernel") {
    CHECK(gate_name("lstm_1_W_i").array == "lstm_1_W");
    CHECK(gate_name("lstm_1_b_o").gate == 'o');
    CHECK(gate_name("conv_W").gate == 0);
    CHECK(gate_name("W_i").gate == 'i');
    CHECK(gate_place('c') == 2);
    CHECK(gate_place('h') == 2);

    const TemporaryFolder folder;
    const Json config = {
        {"class_name", "Sequential"},
        {"config",
         {layer_json(
             "LSTM", "lstm",
             {{"output_dim", 2}, {"inner_activation", "hard_sigmoid"}, {"activation", "tanh"}, {"batch_input_shape", {nullptr, 3, 1}}})}}};
    std::vector<StoredArray> arrays;
    std::uint64_t seed = 1;
    for (const char gate : {'i', 'c', 'f', 'o'})  // in the order in which Keras 1 listed them
        for (const auto& [array, shape] : {std::pair("W_", Shape{1, 2}), std::pair("U_", Shape{2, 2}), std::pair("b_", Shape{2})})
            arrays.push_back({"lstm", std::string(array) + gate, random_tensor(shape, seed++)});
    write_keras1(folder / "m.h5", config.dump(), arrays, ":0");
    const Model model = load_model({(folder / "m.h5").string(), "", ""}).model;
    const Layer& lstm = *model.weighted_layers().at(0);
    const Tensor& kernel = lstm.weight("kernel");
    REQUIRE(kernel.shape() == Shape{1, 8});
    const auto gate = [&](std::size_t place) { return arrays[place * 3].values; };
    for (Index i = 0; i < 2; i++) {
        CHECK(kernel.data()[i] == gate(0).data()[i]);
        CHECK(kernel.data()[2 + i] == gate(2).data()[i]);
        CHECK(kernel.data()[4 + i] == gate(1).data()[i]);
        CHECK(kernel.data()[6 + i] == gate(3).data()[i]);
    }
    CHECK(lstm.weight("recurrent_kernel").data()[8 + 2] == arrays[7].values.data()[2]);  // second row, gate f
}

TEST_CASE("layers with channels first beside others with channels last are moved there and back") {
    const Json config = sequential_json({layer_json("InputLayer", "image", {{"batch_input_shape", {nullptr, 4, 6, 2}}}),
                                         layer_json("AveragePooling2D", "last", {{"pool_size", {1, 1}}, {"data_format", "channels_last"}}),
                                         layer_json("MaxPooling2D", "first", {{"pool_size", {2, 2}}, {"data_format", "channels_first"}})});
    const Model model = model_from_config(config.dump(), "2.0.6");
    CHECK(model.node(model.outputs[0]).shape == Shape{-1, 4, 3, 1});  // the pool ran along the last two axes
    Tensor x({1, 4, 6, 2});
    for (Index i = 0; i < x.size(); i++) x.data()[i] = float(i);
    CHECK(output_of(model, x).at({0, 0, 0, 0}) == 3);
}

TEST_CASE("cuDNN's cells: each gate's kernel lies row by row as (units, inputs), biases of both products follow one another") {
    for (const char* kind : {"CuDNNLSTM", "CuDNNGRU"}) {
        CAPTURE(kind);
        const bool gru = kind == std::string("CuDNNGRU");
        const Index gates = gru ? 3 : 4, inputs = 3, units = 2;
        const Json config = {{"class_name", "Sequential"},
                             {"config", {layer_json(kind, "cell", {{"units", units}, {"batch_input_shape", {nullptr, 4, inputs}}})}}};
        const std::vector<StoredArray> arrays = {{"cell", "kernel", random_tensor({inputs, gates * units}, 1)},
                                                 {"cell", "recurrent_kernel", random_tensor({units, gates * units}, 2)},
                                                 {"cell", "bias", random_tensor({2 * gates * units}, 3)}};
        const TemporaryFolder folder;
        write_keras1(folder / "m.h5", config.dump(), arrays, ":0");
        const LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
        const Layer& cell = *loaded.model.weighted_layers().at(0);
        for (const StoredArray& a : arrays) {
            CAPTURE(a.name);
            const Tensor& found = cell.weight(a.name);
            const float *from = a.values.data(), *to = found.data();
            if (a.name == "bias") {
                REQUIRE(found.shape() == (gru ? Shape{2, gates * units} : Shape{gates * units}));
                for (Index i = 0; i < found.size(); i++) CHECK(to[i] == (gru ? from[i] : from[i] + from[gates * units + i]));
                continue;
            }
            const Index rows = found.shape()[0], columns = gates * units;
            for (Index g = 0; g < gates; g++)
                for (Index r = 0; r < rows; r++)
                    for (Index u = 0; u < units; u++) {
                        const Index place = u * rows + r;  // in the gate's numbers, read row by row
                        CHECK(to[r * columns + g * units + u] == from[place / units * columns + g * units + place % units]);
                    }
        }

        // written for Keras 3 it is a plain cell that says what cuDNN took for granted
        convert_model(folder / "plain.h5", loaded, Precision::f32);
        const LoadedModel plain = load_model({(folder / "plain.h5").string(), "", ""});
        const Tensor x = random_tensor({1, 4, inputs}, 4);
        CHECK(plain.config.find(gru ? "\"GRU\"" : "\"LSTM\"") != std::string::npos);
        CHECK(relative_error(output_of(plain.model, x), output_of(loaded.model, x)) == 0);
    }
}

TEST_CASE("what Keras 2 took for granted is said when a network is written for Keras 3") {
    // A GRU without reset_after, its gates with hard_sigmoid; a ThresholdedReLU, which Keras 3 no longer has.
    const Json config = sequential_json({layer_json("InputLayer", "words", {{"batch_input_shape", {nullptr, 3, 2}}}),
                                         layer_json("GRU", "gru", {{"units", 2}, {"activation", "tanh"}}),
                                         layer_json("ThresholdedReLU", "threshold", {{"theta", 0.125}})});
    const std::vector<StoredArray> arrays = {{"gru", "kernel", random_tensor({2, 6}, 1)},
                                             {"gru", "recurrent_kernel", random_tensor({2, 6}, 2)},
                                             {"gru", "bias", random_tensor({6}, 3)}};
    const TemporaryFolder folder;
    write_keras1(folder / "m.h5", config.dump(), arrays, ":0");
    const LoadedModel loaded = load_model({(folder / "m.h5").string(), "", ""});
    convert_model(folder / "m.keras", loaded, Precision::f32);
    const LoadedModel written = load_model({(folder / "m.keras").string(), "", ""});
    const Tensor x = random_tensor({2, 3, 2}, 4);
    CHECK(relative_error(output_of(written.model, x), output_of(loaded.model, x)) <= 1e-6);
    const Json layers = Json::parse(written.config)["config"]["layers"];
    CHECK(layers[1]["config"]["reset_after"] == false);
    CHECK(layers[1]["config"]["recurrent_activation"] == "hard_sigmoid");
    CHECK(layers[2]["class_name"] == "ReLU");
    CHECK(layers[2]["config"]["threshold"] == 0.125);
}
