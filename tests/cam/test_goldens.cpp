// Small networks saved by Keras, with everything Keras computed for them: outputs, activations, gradients and maps.
#include <nlohmann/json.hpp>

#include "autograd/ops.h"
#include "cam/cam.h"
#include "cam/grad_cam.h"
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

const char* const names[] = {"activations",    "captioner",       "captioner_steps", "channels_first",      "densenet_like",
                             "geometry",       "inception_like",  "mobilenet_like",  "nested_frozen_base",  "nested_shared_two_outputs",
                             "q_network",      "resnet_like",     "seed_cam_binary", "seed_gradcam_binary", "segmentation_unet",
                             "squeeze_excite", "squeezenet_like", "vgg_fc_logits",   "vgg_fc_softmax",      "visual_question",
                             "xception_like"};
constexpr double tolerance = 2e-5;  // of each array's largest magnitude

// The scalar a golden file explains: an element of an output (of one of its steps) or its logarithm, or the sum of a class over the
// pixels where it wins.
Var target_of(Tape& tape, const nlohmann::json& target, const Model& model, const std::vector<Var>& values) {
    const Var& output = values[std::size_t(model.outputs[target["output"].get<std::size_t>()])];
    if (!target.contains("masked_sum")) {
        const Index step = target.value("step", Index(0)), element = target["index"].get<Index>();
        const Var score = index(tape, output, step * output.shape()[-1] + element);
        return target.value("log", false) ? log(tape, score) : score;
    }
    const Index K = output.shape()[3], wanted = target["masked_sum"].get<Index>();
    Tensor mask = Tensor::zeros(output.shape());
    const Tensor scores = output.value.host();
    for (Index i = 0; i < output.value.size() / K; i++) {
        const float* pixel = scores.data() + i * K;
        if (std::max_element(pixel, pixel + K) - pixel == wanted) mask.data()[i * K + wanted] = 1;
    }
    const Var total = sum(tape, multiply(tape, output, mask.on(tape.backend().device())), {1, 2, 3});
    return reshape(tape, total, {output.shape()[0]});
}

void compare(const ModelSource& source, const std::string& name, const Backend& backend) {
    const Hdf5File golden(shared_data("goldens/" + name + ".golden.h5"));
    const nlohmann::json spec = nlohmann::json::parse(golden.text("/", "target"));
    LoadedModel loaded = load_model(source);
    loaded.model.move_to(backend.device());
    const Model& model = loaded.model;
    const auto check = [&](const char* what, const Tensor& found, const std::string& dataset) {
        INFO(name, ": ", what);
        CHECK(relative_error(found.host(), golden.read(dataset)) <= tolerance);
    };

    std::vector<Tensor> images;
    for (const std::string& i : golden.children("/input")) images.push_back(golden.read("/input/" + i));
    std::vector<int> watch(model.inputs.begin(), model.inputs.end());
    std::vector<std::string> layers;
    if (golden.has("/layer")) layers = golden.children("/layer");
    for (const std::string& layer : layers) watch.push_back(model.find(layer));

    Tape tape(backend);
    const std::vector<Var> values = model.forward(tape, images, watch);
    for (std::size_t i = 0; i < model.outputs.size(); i++)
        check("output", values[std::size_t(model.outputs[i])].value, "/output/" + std::to_string(i));
    const Var target = target_of(tape, spec, model, values);
    check("target", target.value, "/target");

    std::vector<Var> wanted;
    for (int node : watch) wanted.push_back(values[std::size_t(node)]);
    const Tensor ones = Tensor::full(target.shape(), 1);
    const std::vector<Tensor> gradients = tape.gradients(target, ones, wanted);
    for (std::size_t i = 0; i < model.inputs.size(); i++)
        if (const std::string dataset = "/input_gradient/" + std::to_string(i); golden.has(dataset))  // words have none
            check("input gradient", gradients[i], dataset);
    for (std::size_t i = 0; i < layers.size(); i++) {
        const std::string group = "/layer/" + layers[i];
        const Tensor &activation = wanted[model.inputs.size() + i].value, &gradient = gradients[model.inputs.size() + i];
        check((layers[i] + " activation").c_str(), activation, group + "/activation");
        check((layers[i] + " gradient").c_str(), gradient, group + "/gradient");
        if (golden.has(group + "/gradcam")) {
            check((layers[i] + " Grad-CAM").c_str(), grad_cam(backend, activation, gradient), group + "/gradcam");
            check((layers[i] + " HiResCAM").c_str(), hires_cam(backend, activation, gradient), group + "/hirescam");
        }
    }
    for (const auto& [rule, dataset] : {std::pair(ReluRule::guided, "/guided/0"), std::pair(ReluRule::deconvnet, "/deconv/0")})
        if (golden.has(dataset)) check(dataset, tape.gradients(target, ones, {&wanted[0], 1}, rule)[0], dataset);
    if (golden.has("/cam")) {
        const Head head = find_head(model);
        std::string reason;
        const auto cam_head = find_cam_head(model, head, reason);
        REQUIRE_MESSAGE(cam_head.has_value(), reason);
        Tape plain(backend);
        const Tensor activation = model.forward(plain, images, {}, {&cam_head->layer, 1})[std::size_t(cam_head->layer)].value;
        const std::vector<std::vector<Target>> targets(std::size_t(images[0].shape()[0]), {{spec["index"].get<Index>(), 1, ""}});
        check("CAM", cam(backend, *cam_head, activation, seed_of(targets, {images[0].shape()[0], head.classes})), "/cam");
    }
}

}  // namespace

TEST_CASE("goldens: whole models (.h5) compute what Keras computes, with every backend") {
    if (!have_shared({"goldens"})) return;
    for (const std::string name : names)
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            compare({shared_data("goldens/" + name + ".h5").string(), "", ""}, name, *backend);
        }
}

TEST_CASE("goldens: weights-only files (.legacy.h5) with the config of the whole model") {
    if (!have_shared({"goldens"})) return;
    for (const std::string name : names)
        compare({shared_data("goldens/" + name + ".legacy.h5").string(), shared_data("goldens/" + name + ".h5").string(), ""}, name,
                cpu_backend());
}

TEST_CASE("goldens: Keras 3's archives (.keras) and weights-only files (.weights.h5)") {
    if (!have_shared({"goldens"})) return;
    for (const std::string name : names) {
        compare({shared_data("goldens/" + name + ".keras").string(), "", ""}, name, cpu_backend());
        compare({shared_data("goldens/" + name + ".weights.h5").string(), shared_data("goldens/" + name + ".keras").string(), ""}, name,
                cpu_backend());
    }
}
