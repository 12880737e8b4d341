// Real networks and photos: what they answer here is what they answer elsewhere.
#include "autograd/ops.h"
#include "cam/explain.h"
#include "engine/threads.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "view/image.h"
#include "weights/architectures/architectures.h"
#include "weights/model_file.h"
#include "weights/preprocessing.h"

using namespace limn;

namespace {

std::vector<Prediction> predict(const LoadedModel& loaded, const std::string& photo, Index size, const Backend& backend = cpu_backend()) {
    Tensor pixels = to_tensor(resize(read_image(shared_data("photos/" + photo)), size, size, Resampling::nearest), 3);
    preprocess(choose_preprocess(loaded.model).mode, pixels);
    const Request request{{}, {}, "auto", Score::logit, loaded.labels};
    return explain(backend, loaded.model, pixels.reshaped({1, size, size, 3}), request)[0].predictions;
}

// The model's output, and the gradient of its largest element with respect to its input.
std::pair<Tensor, Tensor> output_and_gradient(const Model& model, const Tensor& input, const Backend& backend) {
    Tape tape(backend);
    const auto values = model.forward(tape, {input}, model.inputs);
    const Var& output = values[std::size_t(model.outputs[0])];
    Index best = 0;
    for (Index i = 1; i < output.value.size(); i++)
        if (output.value.at_flat(i) > output.value.at_flat(best)) best = i;
    const Var target = index(tape, output, best);
    return {output.value, tape.gradients(target, Tensor::full({1}, 1, input.dtype()), {&values[std::size_t(model.inputs[0])], 1})[0]};
}

}  // namespace

TEST_CASE("MobileNet 0.25 as Keras 2.8 saved it (Keras 3 refuses the file): its golden, and the photo of a cat") {
    if (!have_shared({"models/mobilenet_v1_0.25_224.h5", "models/mobilenet_v1_0.25_224.golden.h5", "photos/cat.jpeg"})) return;
    LoadedModel loaded = load_model({shared_data("models/mobilenet_v1_0.25_224.h5").string(), "", ""});
    const Hdf5File golden(shared_data("models/mobilenet_v1_0.25_224.golden.h5"));
    const Model& model = loaded.model;
    std::vector<Tensor> gradients;
    for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
        CAPTURE(backend->name());
        const auto [output, gradient] = output_and_gradient(model, golden.read("/input/0"), *backend);
        CHECK(relative_error(output, golden.read("/output/0")) <= 2e-5);
        gradients.push_back(gradient);
    }
    loaded.model.convert(DType::f64);
    const Tensor exact = output_and_gradient(model, golden.read("/input/0").to(DType::f64), reference_backend()).second;
    // One unit of conv_dw_7 lies 5e-7 from the kink of its ReLU: rounding decides on which side, and 5e-3 of the gradient
    // with it. TensorFlow's float took one side, double precision takes the other. Each of our gradients is one of the two.
    for (const Tensor& gradient : gradients) {
        CHECK(relative_error(gradient, golden.read("/input_gradient/0")) <= 1e-2);
        CHECK(std::min(relative_error(gradient, golden.read("/input_gradient/0")), relative_error(gradient, exact)) <= 2e-5);
    }
    loaded.model.convert(DType::f32);
    CHECK(choose_preprocess(model).mode == Preprocess::tf);
    const auto best = predict(loaded, "cat.jpeg", 224);
    CHECK(best[0].label == "tabby");
    CHECK(best[0].score == doctest::Approx(.6307).epsilon(0.01));
    CHECK(best[1].label == "Egyptian_cat");
    CHECK(std::abs(best[1].score - .2385f) <= 0.01);
    CHECK(best[2].label == "tiger_cat");
    CHECK(std::abs(best[2].score - .1291f) <= 0.01);
}

TEST_CASE("MobileNet ends in global average pooling and a 1x1 convolution: Grad-CAM = CAM / (h*w)") {
    if (!have_shared({"models/mobilenet_v1_0.25_224.h5", "photos/cat.jpeg"})) return;
    const LoadedModel loaded = load_model({shared_data("models/mobilenet_v1_0.25_224.h5").string(), "", ""});
    Tensor pixels = to_tensor(resize(read_image(shared_data("photos/cat.jpeg")), 224, 224, Resampling::nearest), 3);
    preprocess(Preprocess::tf, pixels);
    const Request request{{method_named("cam"), method_named("grad-cam")}, {default_layer(loaded.model)}, "auto", Score::logit, {}};
    const auto result = explain(cpu_backend(), loaded.model, pixels.reshaped({1, 224, 224, 3}), request);
    Tensor scaled = result[0].maps[0].raw.clone();
    for (float& f : scaled.values()) f /= 49;
    CHECK(relative_error(result[0].maps[1].raw, scaled) <= 1e-5);
}

TEST_CASE("SqueezeNet 1.1: the scores its authors published for the photo of a cat") {
    if (!have_shared({"models/squeezenet11_full.h5", "photos/cat.jpeg"})) return;
    const auto best = predict(load_model({shared_data("models/squeezenet11_full.h5").string(), "", ""}), "cat.jpeg", 227);
    const std::pair<const char*, float> published[] = {{"tabby", .82134342f},
                                                       {"Egyptian_cat", .12180641f},
                                                       {"tiger_cat", .05682119f},
                                                       {"lynx", 2.2597995e-05f},
                                                       {"tiger", 5.1768461e-06f}};
    for (std::size_t i = 0; i < 5; i++) {
        CHECK(best[i].label == published[i].first);
        CHECK(std::abs(best[i].score - published[i].second) <= 5e-4);
    }
}

TEST_CASE("a file with weights only is recognised by its layers: SqueezeNet 1.1 without its classifier") {
    if (!have_shared({"models/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5", "models/squeezenet11_full.h5"})) return;
    const LoadedModel loaded = load_model({shared_data("models/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5").string(), "", ""});
    CHECK(loaded.notes.at(0) == "the file holds weights only; its layers are those of squeezenet-notop");
    const LoadedModel full = load_model({shared_data("models/squeezenet11_full.h5").string(), "", ""});
    const Tensor photo = random_tensor({1, 227, 227, 3}, 1, -100, 100);
    Tape tape(cpu_backend());
    const int concat = full.model.find("fire9_concat");
    const Tensor expected = full.model.forward(tape, {photo}, {}, {&concat, 1})[std::size_t(concat)].value;
    CHECK(relative_error(loaded.model.forward(tape, {photo})[std::size_t(loaded.model.outputs[0])].value, expected) <= 1e-5);
}

TEST_CASE("known networks keep their weights through a file, and are recognised in it") {
    const TemporaryFolder folder;
    for (const char* name : {"squeezenet", "squeezenet-notop"}) {
        Model model = find_architecture(name)->build();
        initialise(model, 3);
        save_weights(folder / "w.h5", model);
        const LoadedModel loaded = load_model({(folder / "w.h5").string(), "", ""});
        CHECK(loaded.notes.at(0).ends_with(name));
        const auto before = model.weighted_layers(), after = loaded.model.weighted_layers();
        REQUIRE(before.size() == after.size());
        for (std::size_t i = 0; i < before.size(); i++)
            for (std::size_t w = 0; w < before[i]->weights.size(); w++)
                CHECK(same_bits(before[i]->weights[w].value, after[i]->weights[w].value));
        const Hdf5File file(folder / "w.h5");
        CHECK(file.mapped("/conv1/conv1/kernel:0"));  // large arrays are looked at where they lie
    }
}

TEST_CASE("He-normal weights: mean 0, standard deviation sqrt(2 / fan-in), the same for every number of threads") {
    Model model = find_architecture("squeezenet")->build();
    initialise(model, 3);
    const Tensor& kernel = model.node(model.find("conv10")).layer->weights[0].value;  // (1,1,512,1000)
    double sum = 0, squares = 0;
    for (float v : kernel.values()) sum += double(v), squares += double(v) * double(v);
    CHECK(std::abs(sum / double(kernel.size())) < 1e-3);
    CHECK(std::sqrt(squares / double(kernel.size())) == doctest::Approx(std::sqrt(2.0 / 512)).epsilon(0.01));
    for (int threads : {1, 3}) {
        set_thread_count(threads);
        Model again = find_architecture("squeezenet")->build();
        initialise(again, 3);
        CHECK(same_bits(again.node(again.find("conv10")).layer->weights[0].value, kernel));
    }
    set_thread_count(0);
}

TEST_CASE("the networks of the published files have the shapes and sizes they are known by") {
    struct Known {
        const char* name;
        Index parameters;
        Shape output;
    };
    for (const Known& k : {Known{"vgg16", 138357544, {-1, 1000}},
                           {"vgg16-notop", 14714688, {-1, -1, -1, 512}},
                           {"vgg19", 143667240, {-1, 1000}},
                           {"vgg19-notop", 20024384, {-1, -1, -1, 512}},
                           {"squeezenet", 1235496, {-1, 1000}}}) {
        CAPTURE(k.name);
        const Model model = find_architecture(k.name)->build();
        CHECK(model.parameters() == k.parameters);
        CHECK(model.node(model.outputs[0]).shape == k.output);
    }
    CHECK(choose_preprocess(find_architecture("vgg16")->build()).mode == Preprocess::caffe);
}

TEST_CASE("preprocessing modes, a pixel each") {
    const float pixel[] = {10, 20, 30};
    const auto apply = [&](Preprocess mode) {
        Tensor t = Tensor::from({1, 1, 3}, pixel);
        preprocess(mode, t);
        return t;
    };
    const auto close = [](const Tensor& t, double a, double b, double c) {
        CHECK(t.at_flat(0) == doctest::Approx(a));
        CHECK(t.at_flat(1) == doctest::Approx(b));
        CHECK(t.at_flat(2) == doctest::Approx(c));
    };
    close(apply(Preprocess::caffe), 30 - 103.939, 20 - 116.779, 10 - 123.68);
    close(apply(Preprocess::tf), 10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1);
    close(apply(Preprocess::torch), (10 / 255.0 - .485) / .229, (20 / 255.0 - .456) / .224, (30 / 255.0 - .406) / .225);
    close(apply(Preprocess::unit), 10 / 255.0, 20 / 255.0, 30 / 255.0);
    close(apply(Preprocess::raw), 10, 20, 30);
    CHECK_THROWS_AS(preprocess_named("imagenet"), Error);
}
