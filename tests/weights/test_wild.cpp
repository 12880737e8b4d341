// Keras files as they were found in public repositories, of many versions: every one loads, and computes what Keras computed with it.
#include <nlohmann/json.hpp>
#include <random>

#include "autograd/ops.h"
#include "engine/file.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

std::string wild(const std::string& name) { return shared_data("wild/" + name).string(); }

// What to open, and which golden says what it computes; empty: no Keras at hand opens it.
struct Found {
    std::string file, golden, config;
    std::map<std::string, std::string> lambdas;
};
const Found found[] = {
    {"oarriaga-face__fer2013_mini_XCEPTION.102-0.66.hdf5", "oarriaga-face__fer2013_mini_XCEPTION.102-0.66.hdf5", "", {}},
    {"oarriaga-face__tiny_XCEPTION_KDEF.hdf5", "oarriaga-face__tiny_XCEPTION_KDEF.hdf5", "", {}},
    {"car-behavioral-cloning__model.h5", "", "", {{"lambda_1", "x/127.5 - 1"}}},
    {"catdog-alexx__dogs_vs_cats.h5", "catdog-alexx__dogs_vs_cats.h5", "", {}},
    {"catdog-arnab__catdog.h5", "catdog-arnab__catdog.h5", "", {}},
    {"catdog-sujith__cat_dog.h5", "catdog-sujith__cat_dog.h5", "", {}},
    {"catdog-engineer0940__cats_vs_dogs_aug.keras", "catdog-engineer0940__cats_vs_dogs_aug.keras", "", {}},  // HDF5 in spite of its name
    {"mlnd-capstone__full_CNN_model.h5", "mlnd-capstone__full_CNN_model.h5", "", {}},
    {"keras2cpp__my_nn_weights.h5", "", "keras2cpp__my_nn_arch.json", {}},
    {"tensorspace__mnist.h5", "tensorspace__mnist.h5", "", {}},
    {"owuor7-cifar-10__cnn_model.keras", "owuor7-cifar-10__cnn_model.keras", "", {}},
    {"edwin5354-handwritten-digit-recognition__cnn_model.keras", "edwin5354-handwritten-digit-recognition__cnn_model.keras", "", {}},
    {"stm32-modelzoo__mobilenet_v1_0.25_96.h5", "stm32-modelzoo__mobilenet_v1_0.25_96.h5", "", {}},
    {"stm32-modelzoo__mobilenet_v1_0.25_96.keras", "stm32-modelzoo__mobilenet_v1_0.25_96.keras", "", {}},
    {"tm-waste__keras_model.h5", "tm-waste__keras_model.h5", "", {}},
    {"catdog-srencat__cat_dog.h5", "", "catdog-srencat__cat_dog.json", {}},
    {"faceai__simple_colorize.h5", "faceai__simple_colorize.h5", "", {}},
    {"shreyansh-mnist__model.weights.h5", "shreyansh-mnist__model.keras", "shreyansh-mnist__model.keras", {}},
    {"shreyansh-mnist__model.keras", "shreyansh-mnist__model.keras", "", {}},
    {"stm32-modelzoo__resnet_v1_8_32_tfs.h5", "stm32-modelzoo__resnet_v1_8_32_tfs.h5", "", {}},
    {"emopy__conv_model_012.hdf5", "", "", {}},  // convolutions with channels last, pools with channels first
    {"catdog-small1__cats_and_dogs_small_1.h5", "catdog-small1__cats_and_dogs_small_1.h5", "", {}},
};

}  // namespace

TEST_CASE("wild files: every one loads, and gives Keras's outputs and gradients to 1e-4 of their maximum") {
    if (!have_shared({"wild"})) return;
    for (const Found& f : found) {
        CAPTURE(f.file);
        LoadedModel loaded = load_model({wild(f.file), f.config.empty() ? "" : wild(f.config), "", f.lambdas});
        const Model& model = loaded.model;
        if (f.golden.empty()) {
            Tape tape(cpu_backend());
            const Tensor input = Tensor::full(model.node(model.inputs[0]).shape.with(0, 1), .5);
            const Tensor output = model.forward(tape, {input})[std::size_t(model.outputs[0])].value;
            for (Index i = 0; i < output.size(); i++) CHECK(std::isfinite(output.at_flat(i)));
            continue;
        }
        const Hdf5File golden(wild(f.golden + ".golden.h5"));
        const nlohmann::json target = nlohmann::json::parse(golden.text("/", "target"));
        const auto run = [&](const Backend& backend, const Tensor& input) {
            Tape tape(backend);
            const auto values = model.forward(tape, {input}, model.inputs);
            const Var& output = values[std::size_t(model.outputs[target.at("output").get<std::size_t>()])];
            const Var score = index(tape, output, target.at("flat_index").get<Index>());
            const Var& image = values[std::size_t(model.inputs[0])];
            return std::pair(output.value, tape.gradients(score, Tensor::full({1}, 1, input.dtype()), {&image, 1})[0]);
        };
        const auto [output, gradient] = run(cpu_backend(), golden.read("/input/0"));
        CHECK(relative_error(output, golden.read("/output/0")) <= 1e-4);
        if (!golden.has("/input_gradient/0")) continue;
        const Tensor expected = golden.read("/input_gradient/0");
        double error = relative_error(gradient, expected);
        if (error > 1e-4) {
            // Units so near the kink of a ReLU (or so equal in a pool) that rounding decides their side, in Keras's float and in ours.
            // Then double precision is the judge, or Keras's gradient must be that of an input some 1e-7 away.
            loaded.model.convert(DType::f64);
            error = relative_error(gradient, run(reference_backend(), golden.read("/input/0").to(DType::f64)).second.to(DType::f32));
            loaded.model.convert(DType::f32);
            std::mt19937 random(1);
            for (int trial = 0; trial < 24 && error > 1e-4; trial++) {
                Tensor nudged = golden.read("/input/0").clone();
                for (float& x : nudged.values()) x += 1e-7f * (float(random() % 2001) / 1000 - 1);
                error = relative_error(run(cpu_backend(), nudged).second, expected);
            }
        }
        CHECK(error <= 1e-4);
    }
}

TEST_CASE("wild files: a Lambda's code is never run; the error says how to state what it computes") {
    if (!have_shared({"wild"})) return;
    CHECK_THROWS_WITH_AS(load_model({wild("car-behavioral-cloning__model.h5"), "", ""}),
                         doctest::Contains("--lambda 'lambda_1: x/127.5 - 1'"), Error);
}

TEST_CASE("wild files: weights alone load with a configuration written for them") {
    if (!have_shared({"wild"})) return;
    // Five convolutions with batch normalisation, two dense layers: nothing in the file says what lies between them.
    nlohmann::json layers = nlohmann::json::array();
    const auto add = [&](const char* class_name, nlohmann::json config) {
        layers.push_back({{"class_name", class_name}, {"config", config}});
    };
    add("InputLayer", {{"name", "input"}, {"batch_shape", {nullptr, 64, 64, 3}}});
    int number = 0;
    for (int filters : {32, 64, 64, 96, 32}) {
        const std::string suffix = number ? "_" + std::to_string(number) : "";
        add("Conv2D", {{"name", "conv2d" + suffix}, {"filters", filters}, {"kernel_size", 3}, {"padding", "same"}, {"activation", "relu"}});
        add("BatchNormalization", {{"name", "batch_normalization" + suffix}});
        add("MaxPooling2D", {{"name", "max_pooling2d" + suffix}, {"pool_size", 2}});
        number++;
    }
    add("Flatten", {{"name", "flatten"}});
    add("Dense", {{"name", "dense"}, {"units", 128}});
    add("Dense", {{"name", "dense_1"}, {"units", 25}, {"activation", "softmax"}});
    const TemporaryFolder folder;
    write_file(folder / "config.json",
               nlohmann::json{{"class_name", "Sequential"}, {"config", {{"name", "leaf"}, {"layers", layers}}}}.dump());
    const LoadedModel loaded = load_model({wild("antlewheels-leaf__model.weights.h5"), (folder / "config.json").string(), ""});
    CHECK(loaded.model.parameters() ==
          3 * 9 * 32 + 32 * 9 * 64 + 64 * 9 * 64 + 64 * 9 * 96 + 96 * 9 * 32 + 288 * 5 + 128 * 128 + 128 + 128 * 25 + 25);
    CHECK(loaded.notes.empty());
}
