// Another Keras importer's test files (Keras 1.1 to 2.3, TensorFlow and Theano): every configuration and every weights file loads, and
// what it predicted with them is reproduced.
#include <filesystem>
#include <sstream>

#include "engine/file.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/keras_config.h"
#include "weights/model_file.h"
#include "weights/npy.h"

using namespace limn;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_below(const std::string& folder, const std::string& kind) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(shared_data("import/" + folder)))
        if (entry.is_regular_file() && entry.path().string().ends_with(kind)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    CHECK_MESSAGE(!files.empty(), folder, " holds no ", kind);
    return files;
}

std::string text_of(const fs::path& path) {
    const auto bytes = read_file(path);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// What the Python code of its Lambda layers says in a comment.
const Lambdas lambdas = {{"space_to_depth_x2", "space_to_depth(x, 2)"}};

Tensor output_of(const Model& model, const Tensor& x) {
    Tape tape(cpu_backend());
    return model.forward(tape, {x})[std::size_t(model.outputs[0])].value;
}

}  // namespace

TEST_CASE("import: every configuration becomes a network") {
    if (!have_shared({"import"})) return;
    for (const fs::path& file : files_below("configs", ".json")) {
        CAPTURE(file.string());
        CHECK_NOTHROW(model_from_config(text_of(file), "", lambdas));
    }
}

TEST_CASE("import: every weights file of Keras 1 and 2, TensorFlow and Theano loads") {
    if (!have_shared({"import"})) return;
    for (const char* kind : {".h5", ".hdf5"})
        for (const fs::path& file : files_below("weights", kind)) {
            CAPTURE(file.string());
            if (file.filename() == "keras-attention.h5") {
                // attention between the images of a batch: what one photo says would depend on the others
                CHECK_THROWS_WITH_AS(load_model({file.string(), "", ""}),
                                     doctest::Contains("'attention' (Attention): its input should have 3 axes"), Error);
                continue;
            }
            CHECK_NOTHROW(load_model({file.string(), "", "", lambdas}));
        }
}

TEST_CASE("import: its stored predictions are reproduced") {
    if (!have_shared({"import"})) return;
    const auto path = [](const std::string& name) { return shared_data("import/fullconfigs/" + name); };
    const Model cnn = load_model({path("cnn/cnn_batch_norm.h5").string(), "", ""}).model;
    CHECK(relative_error(output_of(cnn, read_npy(path("cnn/input.npy"))), read_npy(path("cnn/predictions.npy"))) <= 1e-5);

    // 283 sequences of numbers, each of its own length; Theano wrote the weights
    const Model lstm =
        load_model({path("lstm/lstm_th_keras_2_weights.h5").string(), path("lstm/lstm_th_keras_2_config.json").string(), ""}).model;
    const Tensor expected = read_npy(path("lstm/predictions.npy"));
    Tensor found(expected.shape());
    for (Index i = 0; i < expected.size(); i++) {
        std::vector<float> numbers;
        std::istringstream lines(text_of(path("lstm/data/sequences/" + std::to_string(i) + ".csv")));
        for (std::string line; std::getline(lines, line);) {
            std::istringstream cells(line);
            std::string cell;
            for (int column = 0; column < 12 && std::getline(cells, cell, ';'); column++) numbers.push_back(std::stof(cell));
        }
        const Tensor sequence = Tensor::from({1, Index(numbers.size()) / 12, 12}, numbers);
        found.data()[i] = float(output_of(lstm, sequence).at_flat(0));
    }
    CHECK(relative_error(found, expected) <= 1e-5);
}
