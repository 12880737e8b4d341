// One request for batch after batch, on the cpu and on a machine that the host plays: the same answers, what stays on the device, what is
// recorded.
#include "cam/explain.h"
#include "cam/verify.h"
#include "cli/cli.h"
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "view/colormap.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

// The methods that share one backward walk, and so can be recorded.
std::vector<Method> of_one_walk() {
    std::vector<Method> list;
    std::ranges::copy_if(methods(), std::back_inserter(list), [](const Method& method) { return !method.study; });
    return list;
}

struct Tiny : TinyModel {
    using TinyModel::TinyModel;
    Request request(const std::string& target = "auto", Score score = Score::logit) const {
        Request asked{of_one_walk(), {loaded.model.find("conv")}, target, score, {}};
        if (score != Score::logit) std::erase_if(asked.methods, [](const Method& method) { return method.name == "cam"; });
        return asked;
    }
};

Tensor photo(Index h, Index w, std::uint64_t seed) {
    const Tensor noise = random_tensor({h, w, 3}, seed, 0, 256);
    Tensor bytes({h, w, 3}, DType::u8);
    std::ranges::transform(noise.values(), bytes.data<std::uint8_t>(), [](float v) { return std::uint8_t(v); });
    return bytes;
}

void check_same(const std::vector<Explained>& found, const std::vector<Explained>& expected) {
    REQUIRE(found.size() == expected.size());
    for (std::size_t n = 0; n < found.size(); n++) {
        REQUIRE(found[n].predictions.size() == expected[n].predictions.size());
        for (std::size_t i = 0; i < found[n].predictions.size(); i++) {
            CHECK(found[n].predictions[i].index == expected[n].predictions[i].index);
            CHECK(found[n].predictions[i].score == doctest::Approx(expected[n].predictions[i].score).epsilon(1e-5));
        }
        REQUIRE(found[n].maps.size() == expected[n].maps.size());
        for (std::size_t i = 0; i < found[n].maps.size(); i++) {
            const Map &a = found[n].maps[i], &b = expected[n].maps[i];
            CAPTURE(b.method);
            CHECK(a.method == b.method);
            CHECK(a.target.index == b.target.index);
            CHECK(a.target.sign == b.target.sign);
            CHECK(relative_error(a.raw, b.raw) <= 1e-5);
            CHECK(a.diagnostics == b.diagnostics);
            REQUIRE(a.drawn.has_value() == b.drawn.has_value());
            if (!a.drawn) continue;
            CHECK(relative_error(a.drawn->heat, b.drawn->heat) <= 1e-5);
            const auto p = a.drawn->picture.values<std::uint8_t>(), q = b.drawn->picture.values<std::uint8_t>();
            REQUIRE(p.size() == q.size());
            std::size_t differing = 0, jumps = 0;  // a rounding decides on a colour's step (4 levels), or whether a cell is painted at all
            for (std::size_t j = 0; j < p.size(); j++) differing += p[j] != q[j], jumps += std::abs(p[j] - q[j]) > 4;
            CHECK(differing <= p.size() / 100);
            CHECK(jumps <= p.size() / 1000);
        }
    }
}

}  // namespace

TEST_CASE("every target, score, head and number of images: a device explains as the cpu does") {
    for (const auto& [classes, activation] : {std::pair(Index(3), "softmax"), {Index(1), "sigmoid"}, {Index(3), "linear"}}) {
        const Tiny tiny(classes, activation);
        LoadedModel on_device = load_model({(tiny.folder / "tiny.h5").string(), "", ""});
        on_device.model.move_to(played_gpu().device());
        for (const std::string target : {"auto", "0", "top:2"})
            for (Score score : {Score::logit, Score::output})
                for (Index images : {1, 3}) {
                    CAPTURE_PART(activation);
                    CAPTURE(target);
                    CAPTURE(images);
                    Request request = tiny.request(target, score);
                    request.drawing = {Normalize::max, Paint{}, colour_table(Colormap::jet)};
                    std::vector<Tensor> photos;
                    for (Index i = 0; i < images; i++) photos.push_back(photo(20 + 3 * i, 31, std::uint64_t(i)));
                    const Tensor x = random_tensor({images, 16, 16, 3}, 7);
                    Explainer cpu(cpu_backend(), tiny.loaded.model, request), gpu(played_gpu(), on_device.model, request);
                    check_same(gpu(x, photos), cpu(x, photos));
                }
    }
}

TEST_CASE("weights that are exchanged are used by every method, as if the explainer were new") {
    Tiny tiny;
    Request request = tiny.request("auto");
    request.methods.assign(methods().begin(), methods().end());
    request.samples = 3;
    const Tensor x = random_tensor({2, 16, 16, 3}, 7);
    Explainer explainer(cpu_backend(), tiny.loaded.model, request);
    explainer(x);
    std::uint64_t seed = 1;
    for (Layer* layer : tiny.loaded.model.weighted_layers())
        for (Weight& weight : layer->weights) weight.value = random_tensor(weight.value.shape(), seed++);
    check_same(explainer(x), explain(cpu_backend(), tiny.loaded.model, x, request));
    // a head of pooling and one dense layer: CAM is HiResCAM but for a factor, whatever the weights
    const auto after = explainer(x)[0];
    const auto raw = [&](const char* method) { return std::ranges::find(after.maps, method, &Map::method)->raw; };
    const Tensor cam = raw("cam"), hirescam = raw("hirescam");
    for (Index i = 0; i < cam.size(); i++)
        CHECK(cam.data()[i] == doctest::Approx(double(hirescam.data()[i]) * double(cam.size())).epsilon(1e-4));
}

TEST_CASE("CAM is about scores: what comes after a softmax, and logarithms, are refused") {
    const Tiny tiny;
    const Tensor x = random_tensor({1, 16, 16, 3}, 7);
    const auto ask = [&](const std::string& target, Score score) {
        explain(cpu_backend(), tiny.loaded.model, x, {{method_named("cam")}, {tiny.loaded.model.find("conv")}, target, score, {}});
    };
    CHECK_NOTHROW(ask("1", Score::logit));
    CHECK_THROWS_WITH_AS(ask("1", Score::output), doctest::Contains("CAM explains scores before the softmax"), Error);
    CHECK_THROWS_WITH_AS(ask("log(1)", Score::logit), doctest::Contains("nor logarithms: use --method grad-cam"), Error);
}

TEST_CASE("two classes of one name have a map each, fused and verified by themselves") {
    const Tiny tiny;
    const Tensor x = random_tensor({1, 16, 16, 3}, 7);
    Request request{{method_named("grad-cam")}, {tiny.loaded.model.find("conv")}, "0; 2", Score::logit, {"crane", "dog", "crane"}};
    const Explained both = explain(cpu_backend(), tiny.loaded.model, x, request)[0];
    REQUIRE(both.maps.size() == 2);
    CHECK(both.maps[0].target.label == both.maps[1].target.label);
    CHECK(relative_error(both.maps[0].raw, both.maps[1].raw) > 1e-3);
    const Model exact = load_model({(tiny.folder / "tiny.h5").string(), "", ""}).model;
    for (const auto& evidence : verify(cpu_backend(), tiny.loaded.model, exact, x, request, both))
        for (const Evidence& e : evidence) CHECK_MESSAGE(e.passed, e.check, ": ", e.text);
    request.layers = {tiny.loaded.model.find("conv"), tiny.loaded.model.find("conv")};
    request.fusion = Fusion::mean;
    const Explained fused = explain(cpu_backend(), tiny.loaded.model, x, request)[0];
    REQUIRE(fused.maps.size() == 2);
    CHECK(relative_error(fused.maps[0].raw, fused.maps[1].raw) > 1e-3);
}

TEST_CASE("from the second batch on an explanation is one launch and one copy back, with the new photo's numbers") {
    Tiny tiny;
    tiny.loaded.model.move_to(played_gpu().device());
    const Tiny same;
    Request request = tiny.request("top:2");
    request.drawing = {Normalize::max, Paint{}, colour_table(Colormap::jet)};
    Explainer gpu(played_gpu(), tiny.loaded.model, request), cpu(cpu_backend(), same.loaded.model, request);
    HostDevice& device = host_device();
    for (int run = 1; run <= 4; run++) {
        CAPTURE(run);
        const Tensor x = random_tensor({1, 16, 16, 3}, std::uint64_t(run));
        const std::vector<Tensor> photos{photo(24, 30, std::uint64_t(run))};
        device.launches = device.copies_in = device.copies_out = 0;
        const auto found = gpu(x, photos);
        CHECK(gpu.recorded() == (run >= 2));
        CHECK(device.copies_out == 1);
        if (run >= 3) CHECK(device.launches == 0);   // none but the recording's
        if (run >= 2) CHECK(device.copies_in == 2);  // the image and the photo
        check_same(found, cpu(x, photos));
    }
    // another size: planned anew; and back: the old recording still holds
    const Tensor x = random_tensor({2, 16, 16, 3}, 9);
    check_same(gpu(x, {photo(8, 8, 1), photo(9, 9, 2)}), cpu(x, {photo(8, 8, 1), photo(9, 9, 2)}));
    CHECK_FALSE(gpu.recorded());
    const Tensor again = random_tensor({1, 16, 16, 3}, 10);
    check_same(gpu(again, {photo(24, 30, 5)}), cpu(again, {photo(24, 30, 5)}));
    CHECK(gpu.recorded());
    CHECK_THROWS_WITH_AS(gpu(x, {photo(8, 8, 1)}), "1 photos for 2 images", Error);
}

TEST_CASE("weights that are exchanged are seen, also by what was recorded") {
    Tiny tiny;
    Model& model = tiny.loaded.model;
    model.move_to(played_gpu().device());
    Explainer gpu(played_gpu(), model, tiny.request());
    const Tensor x = random_tensor({1, 16, 16, 3}, 1);
    for (int i = 0; i < 3; i++) gpu(x);
    Layer* conv = model.weighted_layers()[0];
    for (Layer* layer : model.weighted_layers())
        if (layer->name == "conv") conv = layer;
    conv->weights[0].value = random_tensor(conv->weights[0].shape, 99).on(played_gpu().device());
    const auto changed = gpu(x);
    CHECK_FALSE(gpu.recorded());
    check_same(changed, explain(played_gpu(), model, x, tiny.request()));
}

TEST_CASE("an image that lies on the device already is not written to") {
    Tiny tiny;
    tiny.loaded.model.move_to(played_gpu().device());
    Explainer gpu(played_gpu(), tiny.loaded.model, tiny.request());
    const Tensor x = random_tensor({1, 16, 16, 3}, 1), there = x.on(played_gpu().device());
    gpu(there);
    gpu(random_tensor({1, 16, 16, 3}, 2));
    CHECK(same_bits(there.host(), x));
}

TEST_CASE("whole networks, fused and recorded: VGG16's shape of net, residual, depthwise, inception and U-net goldens") {
    if (!have_shared({"goldens"})) return;
    for (const std::string name : {"vgg_fc_softmax", "resnet_like", "mobilenet_like", "inception_like", "squeezenet_like", "squeeze_excite",
                                   "xception_like", "densenet_like", "seed_cam_binary", "channels_first", "activations"}) {
        CAPTURE(name);
        const ModelSource source{shared_data("goldens/" + name + ".h5").string(), "", ""};
        LoadedModel here = load_model(source), there = load_model(source);
        there.model.move_to(played_gpu().device());
        Request request{{method_named("grad-cam"), method_named("hirescam")}, {default_layer(here.model)}, "auto", Score::logit, {}};
        Explainer cpu(cpu_backend(), here.model, request), gpu(played_gpu(), there.model, request);
        const Shape shape = here.model.node(here.model.inputs[0]).shape;
        for (int run = 1; run <= 3; run++) {
            Shape sizes = shape.with(0, 2);
            for (int axis = 1; axis < 3; axis++)
                if (sizes[axis] < 0) sizes[axis] = 32;
            const Tensor x = random_tensor(sizes, std::uint64_t(run));
            check_same(gpu(x), cpu(x));
        }
        CHECK(gpu.recorded());
    }
}

TEST_CASE("what each precision costs a whole explanation") {
    if (!have_shared({"goldens"})) return;
    const ModelSource source{shared_data("goldens/vgg_fc_softmax.h5").string(), "", ""};
    const LoadedModel here = load_model(source);
    const Request request{{method_named("grad-cam")}, {default_layer(here.model)}, "0", Score::logit, {}};
    const Shape shape = here.model.node(here.model.inputs[0]).shape;
    const Tensor x = random_tensor(shape.with(0, 2), 1);
    const auto expected = explain(cpu_backend(), here.model, x, request);
    using cuda::Precision;
    std::vector<std::unique_ptr<HostBackend>> played;
    for (const auto& [precision, most] :
         {std::pair(Precision::f32, 2e-5), {Precision::tf32, 1e-2}, {Precision::bf16, 6e-2}, {Precision::fp16, 1e-2}}) {
        played.push_back(std::make_unique<HostBackend>(precision));
        std::vector<const Backend*> list{played.back().get()};
        if (cuda::problem().empty()) list.push_back(&cuda::backend({precision, false}));
        for (const Backend* backend : list) {
            LoadedModel there = load_model(source);
            there.model.move_to(backend->device());
            const auto found = explain(*backend, there.model, x, request);
            double score = 0, map = 0;
            for (std::size_t n = 0; n < 2; n++) {
                score = std::max(score, double(std::abs(found[n].predictions[0].score - expected[n].predictions[0].score)));
                map = std::max(map, relative_error(found[n].maps[0].raw, expected[n].maps[0].raw));
            }
            MESSAGE("precision ", std::string(name_of(precision)), " on ", backend->name(), ": a small VGG's probability differs by ",
                    score, ", its Grad-CAM by ", map, " of its largest value");
            CHECK(score <= most);
            CHECK(map <= most);
        }
    }
}

TEST_CASE("an explanation repeats bit for bit, planned, recorded and replayed") {
    if (!have_shared({"goldens"})) return;
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        LoadedModel loaded = load_model({shared_data("goldens/resnet_like.h5").string(), "", ""});
        loaded.model.move_to(backend->device());
        const Request request{{methods()[0], methods()[2]}, {default_layer(loaded.model)}, "auto", Score::logit, {}};
        Shape shape = loaded.model.node(loaded.model.inputs[0]).shape.with(0, 2);
        for (int axis = 1; axis < 3; axis++)
            if (shape[axis] < 0) shape[axis] = 32;
        const Tensor x = random_tensor(shape, 3);
        Explainer explainer(*backend, loaded.model, request);
        const auto first = explainer(x);
        for (int i = 0; i < 5; i++) {
            const auto again = explainer(x);
            for (std::size_t n = 0; n < first.size(); n++)
                for (std::size_t m = 0; m < first[n].maps.size(); m++) CHECK(same_bits(again[n].maps[m].raw, first[n].maps[m].raw));
        }
    }
}

TEST_CASE("too little memory on the device: one line, and what needs less still works; --device auto goes on with the cpu") {
    Tiny tiny;
    HostDevice& device = host_device();
    tiny.loaded.model.move_to(&device);
    const Request request = tiny.request();
    Explainer gpu(played_gpu(), tiny.loaded.model, request);
    const Tensor one = random_tensor({1, 16, 16, 3}, 1), many = random_tensor({64, 16, 16, 3}, 2);
    struct Limit {
        explicit Limit(std::size_t bytes) { host_device().most = bytes; }
        ~Limit() { host_device().most = std::size_t(-1); }
    } limit(50'000);
    const auto first = gpu(one);
    CHECK_THROWS_WITH_AS(gpu(many), doctest::Contains("out of memory on a GPU played by the host"), OutOfMemory);
    check_same(gpu(one), first);

    cli::Options options;
    cli::Ready ready;
    ready.loaded = tiny.loaded;
    ready.backend = &played_gpu();
    options.device = "cuda";
    CHECK_THROWS_AS(cli::Explaining(options, ready, request, 5)(many), OutOfMemory);
    options.device = "auto";
    cli::Explaining automatic(options, ready, request, 5);
    const auto found = automatic(many);
    CHECK(ready.backend == &cpu_backend());
    const Tiny same;
    check_same(found, explain(cpu_backend(), same.loaded.model, many, request));
    check_same(automatic(one), explain(cpu_backend(), same.loaded.model, one, request));
}
