// What users of other libraries suffer from (blank maps, NaN, wrong layers...): handled, or named in one line with what to try.
// Blank, saturated, 1x1 and flat maps are in test_maps.cpp, wrong counts of targets in test_targets.cpp.
#include "cam/explain.h"
#include "tests/support.h"
#include "tests/support_models.h"

using namespace limn;

namespace {

// conv (3x3, relu) -> max pool -> GAP -> Dense
struct Pooled {
    TemporaryFolder folder;
    Model model;
    explicit Pooled(const std::vector<StoredArray>& weights = tiny_weights()) {
        write_model(folder / "pooled.h5", pooled_config(16, 24).dump(), weights);
        model = load_model({(folder / "pooled.h5").string(), "", ""}).model;
    }
    Map map(const std::string& method, const std::string& layer, const Tensor& image) const {
        return explain(cpu_backend(), model, image, {{method_named(method)}, {model.find(layer)}, "0", Score::logit, {}})[0].maps[0];
    }
};

bool says(const Map& map, const std::string& words) {
    return std::ranges::any_of(map.diagnostics, [&](const std::string& d) { return d.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("grids: pixel by pixel methods right before a max pool say why only one cell in four is lit") {
    const Pooled net;
    const Tensor image = random_tensor({1, 16, 24, 3}, 1);
    for (const char* method : {"hirescam", "layercam"}) {
        CHECK(says(net.map(method, "conv", image), "a max pool follows 'conv'"));
        CHECK_FALSE(says(net.map(method, "pool", image), "max pool"));
    }
    CHECK_FALSE(says(net.map("grad-cam", "conv", image), "max pool"));
}

TEST_CASE("corners: a map whose peak lies in a corner warns of zero padding") {
    auto weights = tiny_weights();  // only the middle tap sees anything, so that the map's peak is the bright pixel
    Tensor &kernel = weights[0].values, &bias = weights[1].values;
    for (Index i = 0; i < kernel.size(); i++) kernel.data()[i] = i / 18 == 4 ? 1.f : 0.f;
    for (float& b : bias.values()) b = 0;
    const Pooled net(weights);
    for (const auto& [row, column, corner] : {std::tuple(Index(0), Index(23), true), {15, 0, true}, {0, 10, false}, {8, 12, false}}) {
        Tensor image = Tensor::zeros({1, 16, 24, 3});
        for (Index c = 0; c < 3; c++) image.data()[(row * 24 + column) * 3 + c] = 5;
        const Map map = net.map("saliency", "conv", image);
        CHECK_FALSE(says(map, "corner"));  // the input itself has no padding before it
        const Map at_layer = net.map("eigen-cam", "conv", image);
        CHECK(at_layer.stats.peak_row == row);
        CHECK(at_layer.stats.peak_column == column);
        CHECK(says(at_layer, "corner") == corner);
    }
}

TEST_CASE("misalignment, width and height: a bright pixel is found where it is, in wide images, too") {
    const Pooled net;
    Tensor image = Tensor::zeros({1, 16, 24, 3});
    for (Index c = 0; c < 3; c++) image.data()[(3 * 24 + 19) * 3 + c] = 8;
    const Map map = net.map("eigen-cam", "pool", image);  // 8x12 cells
    CHECK(std::abs(map.stats.peak_row - 1) <= 1);
    CHECK(std::abs(map.stats.peak_column - 9) <= 1);
    const Tensor heat = resize_map(cpu_backend(), normalized(cpu_backend(), map.raw, Normalize::max), 160, 240);
    double row = 0, column = 0, sum = 0;
    for (Index r = 0; r < 160; r++)
        for (Index c = 0; c < 240; c++) {
            const double v = std::pow(heat.data()[r * 240 + c], 4);  // about the peak
            sum += v, row += v * (double(r) + 0.5), column += v * (double(c) + 0.5);
        }
    CHECK(std::abs(row / sum - 35) <= 10);  // the pixel's centre is at (35, 195) of the enlarged photo, a cell is 20 wide
    CHECK(std::abs(column / sum - 195) <= 10);
}

TEST_CASE("magnitudes are not hidden: the raw map of a score twice as large is twice as large, its picture the same") {
    const TinyModel tiny;
    const Tensor image = random_tensor({1, 16, 16, 3}, 2);
    const auto map = [&](const std::string& target) {
        return explain(cpu_backend(), tiny.loaded.model, image,
                       {{method_named("grad-cam")}, {tiny.loaded.model.find("conv")}, target, Score::logit, {}})[0]
            .maps[0];
    };
    const Map one = map("1"), two = map("2*1");
    for (Index i = 0; i < one.raw.size(); i++) CHECK(two.raw.data()[i] == 2 * one.raw.data()[i]);
    CHECK(same_bits(normalized(cpu_backend(), one.raw, Normalize::max), normalized(cpu_backend(), two.raw, Normalize::max)));
    CHECK(two.stats.max == 2 * one.stats.max);
}

TEST_CASE("dropout and batch statistics of training play no part: a map repeats, whatever is frozen") {
    const TinyModel tiny;
    const Tensor image = random_tensor({1, 16, 16, 3}, 2);
    const Request request{{method_named("grad-cam")}, {tiny.loaded.model.find("conv")}, "1", Score::logit, {}};
    const Tensor once = explain(cpu_backend(), tiny.loaded.model, image, request)[0].maps[0].raw;
    for (Layer* layer : tiny.loaded.model.weighted_layers()) layer->trainable = false;
    CHECK(same_bits(explain(cpu_backend(), tiny.loaded.model, image, request)[0].maps[0].raw, once));

    // a dropout does nothing; a batch normalisation by its moving averages is a factor and a summand for the layer after it
    Json config = tiny_config();
    Json& layers = config["config"]["layers"];
    layers.insert(layers.begin() + 2,
                  {layer_json("BatchNormalization", "norm", {{"epsilon", 1e-3}}), layer_json("Dropout", "drop", {{"rate", 0.5}})});
    std::vector<StoredArray> arrays = tiny_weights(), folded = tiny_weights();
    const Tensor gamma = random_tensor({6}, 10), beta = random_tensor({6}, 11), mean = random_tensor({6}, 12),
                 variance = random_tensor({6}, 13, 0.5, 2);
    arrays.insert(arrays.begin() + 2,
                  {{"norm", "gamma", gamma}, {"norm", "beta", beta}, {"norm", "moving_mean", mean}, {"norm", "moving_variance", variance}});
    Tensor &kernel = folded[2].values, &bias = folded[3].values;
    for (Index k = 0; k < 6; k++)
        for (Index j = 0; j < 3; j++) {
            const float factor = gamma.data()[k] / std::sqrt(variance.data()[k] + 1e-3f), w = kernel.data()[k * 3 + j];
            kernel.data()[k * 3 + j] = factor * w;
            bias.data()[j] += (beta.data()[k] - factor * mean.data()[k]) * w;
        }
    const auto explained = [&](const char* name, const Json& json, const std::vector<StoredArray>& weights) {
        write_model(tiny.folder / name, json.dump(), weights);
        return explain(cpu_backend(), load_model({(tiny.folder / name).string(), "", ""}).model, image, request)[0];
    };
    const Explained normalised = explained("norm.h5", config, arrays), plain = explained("plain.h5", tiny_config(), folded);
    CHECK(relative_error(normalised.maps[0].raw, plain.maps[0].raw) <= 1e-5);
    CHECK(normalised.predictions[0].logit == doctest::Approx(plain.predictions[0].logit).epsilon(1e-5));
}

TEST_CASE("the signed view: 0.5 is nothing, both signs keep their proportion; nothing at all is 0.5 everywhere") {
    const float raw[] = {2, -4, 0, 1};
    const Tensor view = normalized(cpu_backend(), Tensor::from({2, 2}, raw), Normalize::signed_);
    const std::vector<float> found(view.values().begin(), view.values().end());
    CHECK(found == std::vector<float>{0.75f, 0, 0.5f, 0.625f});
    for (const Tensor& nothing : {Tensor::zeros({2, 2}), Tensor::full({2, 2}, std::nan(""))}) {
        const Tensor grey = normalized(cpu_backend(), nothing, Normalize::signed_);
        for (float v : grey.values()) CHECK(v == 0.5f);
    }
}

TEST_CASE("fusion: the mean of normalised maps, or the largest after LayerCAM's tanh, at the finest layer's size") {
    const float coarse[] = {4, -1, 0, 2}, fine[] = {1, 0, 0, 0};
    const Tensor a = Tensor::from({2, 2}, coarse), b = Tensor::from({2, 2}, fine);
    const Tensor mean = fused(cpu_backend(), {a, b}, Fusion::mean), most = fused(cpu_backend(), {a, b}, Fusion::max);
    CHECK(mean.at_flat(0) == doctest::Approx(1));
    CHECK(mean.at_flat(3) == doctest::Approx(0.25));
    CHECK(most.at_flat(0) == doctest::Approx(std::tanh(2.)));
    CHECK(most.at_flat(1) == 0);
    CHECK(most.at_flat(3) == doctest::Approx(std::tanh(1.)));
    CHECK(fused(cpu_backend(), {a, Tensor::full({4, 6}, 1)}, Fusion::mean).shape() == (Shape{4, 6}));
}

TEST_CASE("several objects: all boxes, the largest first") {
    Tensor heat = Tensor::zeros({10, 12});
    const auto fill = [&](Index top, Index left, Index bottom, Index right) {
        for (Index r = top; r < bottom; r++)
            for (Index c = left; c < right; c++) heat.data()[r * 12 + c] = 0.8f;
    };
    fill(0, 0, 2, 2), fill(4, 5, 9, 11), fill(0, 9, 1, 12);
    const auto all = bounding_boxes(heat, 0.5f, true);
    REQUIRE(all.size() == 3);
    CHECK(all[0].top == 4);
    CHECK(all[0].right == 11);
    CHECK(all[1].bottom == 2);
    CHECK(all[2].left == 9);
    CHECK(bounding_boxes(heat, 0.5f).size() == 1);
}
