// Keras 3's forms: .keras archives and .weights.h5, their names, and how limn writes them.
#include "engine/file.h"
#include "tests/support_models.h"
#include "weights/keras3_weights.h"
#include "weights/keras_config.h"
#include "weights/keras_writer.h"
#include "weights/zip_file.h"

using namespace limn;

namespace {

Tensor output_of(const Model& model) {
    Tape tape(cpu_backend());
    return model.forward(tape, {random_tensor({1, 16, 16, 3}, 9)})[std::size_t(model.outputs[0])].value;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// A file of weights only, in Keras 3's layout, of two convolutions and a dense layer; the groups' and layers' names as given.
void write_weights(const std::filesystem::path& path, const std::string& container,
                   const std::vector<std::pair<std::string, std::string>>& convs) {
    Hdf5Writer file(path);
    std::uint64_t seed = 1;
    for (const auto& [group, name] : convs) {
        const std::string vars = "/" + container + "/" + group + "/vars";
        file.group(vars);
        if (!name.empty()) file.attribute(vars, "name", name);
        file.dataset(vars + "/0", random_tensor({1, 1, 3, 3}, seed++));
        file.dataset(vars + "/1", random_tensor({3}, seed++));
    }
    file.commit();
}

const Json two_convolutions =
    sequential_json({layer_json("InputLayer", "image", {{"batch_shape", {nullptr, 4, 4, 3}}}),
                     layer_json("Conv2D", "first", {{"filters", 3}, {"kernel_size", 1}}), layer_json("Dropout", "drop", {{"rate", 0.5}}),
                     layer_json("Conv2D", "second", {{"filters", 3}, {"kernel_size", 1}})});

}  // namespace

TEST_CASE("classes are named in files as Keras names them") {
    CHECK(snake_case("Conv2D") == "conv2d");
    CHECK(snake_case("GlobalAveragePooling2D") == "global_average_pooling2d");
    CHECK(snake_case("ReLU") == "re_lu");
    CHECK(snake_case("PReLU") == "p_re_lu");
    CHECK(snake_case("LSTM") == "lstm");
    CHECK(snake_case("Conv2DTranspose") == "conv2d_transpose");
    CHECK(snake_case("InputLayer") == "input_layer");
}

TEST_CASE("each model counts its classes anew; a Sequential does not count its input") {
    const Json inner = sequential_json({layer_json("InputLayer", "i", Json::object()), layer_json("Conv2D", "a", Json::object()),
                                        layer_json("Conv2D", "b", Json::object())});
    Json nested = inner;
    nested["config"]["name"] = "base";
    const StorePaths paths = store_paths(
        sequential_json({layer_json("Conv2D", "stem", Json::object()), nested, layer_json("Conv2D", "last", Json::object())}).dump());
    CHECK(paths.at("stem") == "/layers/conv2d");
    CHECK(paths.at("last") == "/layers/conv2d_1");
    CHECK(paths.at("base/a") == "/layers/sequential/layers/conv2d");
    CHECK(paths.at("base/b") == "/layers/sequential/layers/conv2d_1");
}

TEST_CASE("weights-only files of Keras 3: names decide; without names the place; of tf.keras 2.12 the order") {
    const TemporaryFolder folder;
    write_file(folder / "config.json", two_convolutions.dump());
    const auto first_kernel = [&](const char* container, const std::vector<std::pair<std::string, std::string>>& convs,
                                  std::vector<std::string>& notes) {
        write_weights(folder / "w.weights.h5", container, convs);
        const LoadedModel loaded = load_model({(folder / "w.weights.h5").string(), (folder / "config.json").string(), ""});
        notes = loaded.notes;
        return loaded.model.weighted_layers().at(0)->weights[0].value;
    };
    const Tensor one = random_tensor({1, 1, 3, 3}, 1), other = random_tensor({1, 1, 3, 3}, 3);
    std::vector<std::string> notes;
    CHECK(same_bits(first_kernel("layers", {{"conv2d", ""}, {"conv2d_1", ""}}, notes), one));
    CHECK(notes.empty());
    CHECK(same_bits(first_kernel("layers", {{"conv2d", "second"}, {"conv2d_1", "first"}}, notes), other));
    CHECK(notes.empty());
    CHECK(same_bits(first_kernel("layers", {{"conv2d", "conv2d_7"}, {"conv2d_1", "conv2d_8"}}, notes), one));
    REQUIRE(notes.size() == 1);  // other names: inferred, and said
    CHECK(notes[0].find("matched by their places") != std::string::npos);
    // names counted on from another model of the process: "second" is another layer there
    CHECK(same_bits(first_kernel("layers", {{"conv2d", "second"}, {"conv2d_1", "third"}}, notes), one));
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("matched by their places") != std::string::npos);
    // HDF5 lists conv2d_10 before conv2d_2
    CHECK(same_bits(first_kernel("_layer_checkpoint_dependencies", {{"conv2d_2", ""}, {"conv2d_10", ""}}, notes), one));
    CHECK(same_bits(first_kernel("_layer_checkpoint_dependencies", {{"conv2d_10", ""}, {"conv2d_2", ""}}, notes), other));
}

TEST_CASE("weights-only files of Keras 3: too few, too many, misshapen") {
    const TemporaryFolder folder;
    write_file(folder / "config.json", two_convolutions.dump());
    const auto error = [&](const std::vector<std::pair<std::string, std::string>>& convs) {
        write_weights(folder / "w.weights.h5", "layers", convs);
        return complaint([&] { load_model({(folder / "w.weights.h5").string(), (folder / "config.json").string(), ""}); });
    };
    CHECK(error({{"conv2d", ""}}).find("no weights for layer 'second'") != std::string::npos);
    CHECK(error({{"conv2d", ""}, {"conv2d_1", ""}, {"conv2d_2", ""}}).find("for which the model has no layer") != std::string::npos);
    CHECK(error({{"dense", ""}, {"conv2d_1", ""}}).find("no weights for layer") != std::string::npos);
    CHECK(complaint([&] { load_model({(folder / "w.weights.h5").string(), "", ""}); }).find("--config") != std::string::npos);
    CHECK(complaint([&] {
              load_model({(folder / "config.json").string(), "", ""});
          }).find("holds a configuration, but no weights") != std::string::npos);
}

TEST_CASE("convert: .h5 and .keras hold the same network, with its own names and the file's notes") {
    const TemporaryFolder folder;
    TinyModel tiny;
    tiny.loaded.labels = {"cat", "dog", "owl"}, tiny.loaded.preprocess = "tf", tiny.loaded.size = "16x16", tiny.loaded.resize = "bilinear";
    for (const char* name : {"m.h5", "m.keras"}) {
        CAPTURE(name);
        convert_model(folder / name, tiny.loaded);
        const LoadedModel again = load_model({(folder / name).string(), "", ""});
        CHECK(same_bits(output_of(again.model), output_of(tiny.loaded.model)));
        CHECK(again.model.find("conv") >= 0);
        CHECK(keras_major(again.keras_version) == 3);
        CHECK(again.notes.empty());
        CHECK(again.labels == tiny.loaded.labels);
        CHECK(again.preprocess == "tf");
        CHECK(again.size == "16x16");
        CHECK(again.resize == "bilinear");
    }
    CHECK_THROWS_WITH_AS(convert_model(folder / "m.onnx", tiny.loaded), doctest::Contains(".h5 or .keras"), Error);
    CHECK_THROWS_AS(convert_model(folder / "m.keras", tiny.loaded, Precision::f16), Error);
    CHECK_THROWS_AS(convert_model(folder / "none" / "m.keras", tiny.loaded), Error);
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path)) files += entry.is_regular_file();
    CHECK(files == 2);  // nothing half-written, nothing left over
}

TEST_CASE("convert: hard_sigmoid of Keras 2 is another function than Keras 3's; the numbers make up for it") {
    const TemporaryFolder folder;
    write_model(folder / "old.h5", tiny_config(16, 3, "hard_sigmoid").dump(), tiny_weights());
    const LoadedModel old = load_model({(folder / "old.h5").string(), "", ""});
    convert_model(folder / "new.keras", old);
    CHECK(relative_error(output_of(load_model({(folder / "new.keras").string(), "", ""}).model), output_of(old.model)) <= 1e-6);
    save_model(folder / "saved.h5", old.model, {});
    CHECK(relative_error(output_of(load_model({(folder / "saved.h5").string(), "", ""}).model), output_of(old.model)) <= 1e-6);
}

TEST_CASE("convert: a hard_sigmoid of Keras 2 that no numbers can make up for is refused") {
    const TemporaryFolder folder;
    Json config = tiny_config(16, 3, "linear");
    config["config"]["layers"].push_back(layer_json("Activation", "squashed", {{"activation", "hard_sigmoid"}}));
    write_model(folder / "old.h5", config.dump(), tiny_weights());
    const LoadedModel old = load_model({(folder / "old.h5").string(), "", ""});
    CHECK_THROWS_WITH_AS(convert_model(folder / "new.keras", old), doctest::Contains("layer 'squashed': its hard_sigmoid"), Error);
    CHECK_FALSE(std::filesystem::exists(folder / "new.keras"));
}

TEST_CASE("archives that are none of Keras's are refused in one line that says what they look like") {
    const TemporaryFolder folder;
    const auto error = [&](const std::vector<ZipMember>& members) {
        write_zip(folder / "m.keras", members);
        return complaint([&] { load_model({(folder / "m.keras").string(), "", ""}); });
    };
    const std::string text = "nothing";
    CHECK(error({{"archive/data.pkl", bytes_of(text)}}).find("PyTorch") != std::string::npos);
    CHECK(error({{"hello.txt", bytes_of(text)}}).find("not one Keras wrote") != std::string::npos);
    CHECK(error({{"config.json", bytes_of(text)}, {"model.weights.npz", bytes_of(text)}}).find(".npz") != std::string::npos);
    CHECK(error({{"config.json", bytes_of(text)}, {"model.weights.h5", bytes_of(text)}}).find("HDF5") != std::string::npos);
    CHECK(error({{"config.json", bytes_of(text)}}).find("no weights") != std::string::npos);
}

TEST_CASE("damaged archives are refused, wherever they are damaged") {
    const TemporaryFolder folder;
    TinyModel tiny;
    convert_model(folder / "m.keras", tiny.loaded);
    const std::vector<std::byte> whole = read_file(folder / "m.keras");
    const auto loads = [&](std::span<const std::byte> bytes) {
        write_file(folder / "damaged.keras", bytes);
        try {
            load_model({(folder / "damaged.keras").string(), "", ""});
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    REQUIRE(loads(whole));
    for (std::size_t keep : {std::size_t(4), std::size_t(30), whole.size() / 2, whole.size() - 1})
        CHECK_FALSE(loads(std::span(whole).first(keep)));
    std::vector<std::byte> changed = whole;  // a weight, changed after the archive was made: the checksum tells
    const std::string head = "\x89HDF";
    const auto at = std::search(changed.begin(), changed.end(), bytes_of(head).begin(), bytes_of(head).end());
    REQUIRE(at != changed.end());
    at[3000] ^= std::byte(1);
    CHECK_FALSE(loads(changed));
}

TEST_CASE("a zip member that unpacks to far more than it holds is refused before memory is filled") {
    const TemporaryFolder folder;
    const std::string small = "{}";
    write_zip(folder / "m.zip", std::vector<ZipMember>{{"config.json", bytes_of(small)}});
    CHECK(ZipFile::looks_like_one(folder / "m.zip"));
    const ZipFile zip(folder / "m.zip");
    CHECK(zip.text("config.json", 10) == "{}");
    CHECK_THROWS_WITH_AS(zip.text("config.json", 1), doctest::Contains("more than"), Error);
    CHECK_THROWS_WITH_AS(zip.text("none", 10), doctest::Contains("holds no 'none'"), Error);
}
