// The methods that ask questions of their own, each against its paper: closed forms where a network is simple enough to have one, else the
// paper's loops once more, in double, on whole runs of the network.
#include "autograd/ops.h"
#include "cam/explain.h"
#include "tests/cam/networks.h"

using namespace limn;

namespace {

const Tensor class_of_3(Index k) {
    Tensor t = Tensor::zeros({1, 3});
    t.data()[k] = 1;
    return t;
}

// conv with stride 2 and ReLU -> global average -> dense: score_k = b_k + sum_c w[c,k] * mean(A_c)
Network pooled(const std::string& activation = "relu") {
    Network net({1, 8, 6, 2});
    Dict strided = same_conv(5, 3, activation);
    strided["strides"] = 2.0;
    return net.add("Conv2D", "conv", strided).add("GlobalAveragePooling2D", "gap").add("Dense", "scores", {{"units", 3.0}});
}
const Tensor pooled_image = random_tensor({1, 8, 6, 2}, 5);

// A network whose upper part reads, beside the layer "c2", a map and a row of numbers from below it. Its twin has a second input that the
// layer is multiplied by, so that whole runs show what happens to an altered layer.
Network residual(bool twin = false) {
    Network net({1, 8, 8, 2});
    net.add("Conv2D", "c1", same_conv(4, 3, "relu")).add("Conv2D", "c2", same_conv(4, 3, "relu"));
    if (twin) {
        net.model.add_input("mask", {-1, 8, 8, 4});
        net.add("Multiply", "seen", {}, {}, {"c2", "mask"});
    }
    net.add("Add", "sum", {}, {}, {"c1", twin ? "seen" : "c2"}).add("BatchNormalization", "bn").relu("active").add("MaxPooling2D", "pool");
    net.add("Conv2D", "c3", same_conv(5, 3, "relu")).add("GlobalAveragePooling2D", "of_c3");
    net.add("GlobalAveragePooling2D", "of_c1", {}, {}, {"c1"}).add("Concatenate", "both", {}, {}, {"of_c3", "of_c1"});
    return net.add("Dense", "scores", {{"units", 3.0}});
}
const Tensor residual_image = random_tensor({1, 8, 8, 2}, 6);

// A network by the definitions, in double.
struct Exact {
    Network net;
    explicit Exact(Network network) : net(std::move(network)) { net.model.convert(DType::f64); }
    std::vector<Tensor> run(const std::vector<Tensor>& inputs, const std::vector<std::string>& names) const {
        Tape tape(reference_backend());
        std::vector<Tensor> wide, values;
        for (const Tensor& t : inputs) wide.push_back(t.to(DType::f64));
        std::vector<int> keep;
        for (const std::string& name : names) keep.push_back(net[name]);
        const auto all = net.model.forward(tape, wide, {}, keep);
        for (int node : keep) values.push_back(all[std::size_t(node)].value);
        return values;
    }
    double score(const std::vector<Tensor>& inputs, Index k) const { return run(inputs, {"scores"})[0].at_flat(k); }
    const Tensor& weight(const std::string& node, std::size_t i) const { return net.model.node(net[node]).layer->weights[i].value; }
};

// Rounding of a score: of `layers` sums of up to `terms` products each, relative to the magnitudes that the last one adds up.
double score_rounding(const Exact& exact, const std::string& features, const std::vector<Tensor>& inputs, Index k, int layers,
                      Index terms) {
    const Tensor x = exact.run(inputs, {features})[0], &w = exact.weight("scores", 0);
    double sum = std::abs(exact.weight("scores", 1).at_flat(k));
    for (Index c = 0; c < x.size(); c++) sum += std::abs(x.at_flat(c) * w.at({c, k}));
    return layers * rounding(terms) * sum;
}

using Doubles = std::vector<double>;

void check_close(const Tensor& found, const Doubles& expected, double tolerance) {
    REQUIRE(found.size() == Index(expected.size()));
    for (Index i = 0; i < found.size(); i++) CHECK(std::abs(found.at_flat(i) - expected[std::size_t(i)]) <= tolerance);
}
double largest(const Doubles& v) {
    double most = 0;
    for (double x : v) most = std::max(most, std::abs(x));
    return most;
}

// Weights of the cells along a side at pixel i of the enlarged side: half-pixel bilinear.
Doubles cells_at(Index i, Index cells, Index pixels) {
    const double at = std::clamp((double(i) + 0.5) * double(cells) / double(pixels) - 0.5, 0.0, double(cells - 1));
    const Index low = Index(at), high = std::min(low + 1, cells - 1);
    Doubles weights(std::size_t(cells), 0.0);
    weights[std::size_t(low)] += 1 - (at - double(low));
    weights[std::size_t(high)] += at - double(low);
    return weights;
}

// plane (h,w) -> (H,W)
Doubles enlarged(const Doubles& plane, Index h, Index w, Index H, Index W) {
    Doubles large;
    for (Index r = 0; r < H; r++)
        for (Index c = 0; c < W; c++) {
            const Doubles rows = cells_at(r, h, H), columns = cells_at(c, w, W);
            double v = 0;
            for (Index i = 0; i < h * w; i++) v += rows[std::size_t(i / w)] * columns[std::size_t(i % w)] * plane[std::size_t(i)];
            large.push_back(v);
        }
    return large;
}

// The 3x3 weights around (row, column), 0 elsewhere.
double gauss(Index row, Index column, Index r, Index c) {
    const Index dr = std::abs(r - row), dc = std::abs(c - column);
    return dr > 1 || dc > 1 ? 0 : (dr ? 0.25 : 0.5) * (dc ? 0.25 : 0.5);
}

// One number of one linear layer on all pixels: w (h,w,c).
Network linear_of(const Tensor& w, Index units = 1) {
    Network net({1, w.shape()[0], w.shape()[1], w.shape()[2]});
    return net.add("Flatten", "flat")
        .add("Dense", "scores", {{"units", double(units)}}, {w.reshaped({w.size() / units, units}), Tensor::full({units}, 0.25)});
}
const Tensor one = Tensor::full({1, 1}, 1);

}  // namespace

// ---- at a layer, by trying things out there

TEST_CASE("on global average pooling and a dense layer, a channel's ablation costs its weight times its mean") {
    const Exact exact(pooled());
    for (const Backend* backend : network_backends())
        for (Index k = 0; k < 3; k++) {
            CAPTURE(backend->name());
            const Tensor A = exact.run({pooled_image}, {"conv"})[0], &w = exact.weight("scores", 0);
            Doubles map(12, 0.0);
            double most = 0;
            for (Index c = 0; c < 5; c++) {
                double mean = 0, top = 0;
                for (Index i = 0; i < 12; i++) mean += A.at_flat(i * 5 + c) / 12, top = std::max(top, A.at_flat(i * 5 + c));
                for (Index i = 0; i < 12; i++) map[std::size_t(i)] += w.at({c, k}) * mean * A.at_flat(i * 5 + c);
                most += top;
            }
            Network net = pooled();
            // each weight is a difference of two scores
            check_close(ask(*backend, net, ablation_cam, pooled_image, class_of_3(k), "conv"), map,
                        2 * most * score_rounding(exact, "gap", {pooled_image}, k, 3, 18));
        }
}

TEST_CASE("on such a head Recipro-CAM is CAM / (h*w), smoothed by its 3x3 weights") {
    const Exact exact(pooled());
    for (const Backend* backend : network_backends())
        for (Index k = 0; k < 3; k++) {
            CAPTURE(backend->name());
            const Tensor A = exact.run({pooled_image}, {"conv"})[0], &w = exact.weight("scores", 0);
            Doubles map(12, 0.0);
            for (Index i = 0; i < 12; i++)
                for (Index j = 0; j < 12; j++)
                    for (Index c = 0; c < 5; c++)
                        map[std::size_t(i)] += gauss(i / 3, i % 3, j / 3, j % 3) * A.at_flat(j * 5 + c) * w.at({c, k}) / 12;
            Network net = pooled();
            check_close(ask(*backend, net, recipro_cam, pooled_image, class_of_3(k), "conv"), map,
                        2 * score_rounding(exact, "gap", {pooled_image}, k, 3, 18));
        }
}

TEST_CASE("where the network above a layer also reads nodes below it, trials equal whole runs with the layer altered") {
    const Exact twin(residual(true)), exact(residual());
    const Tensor A = exact.run({residual_image}, {"c2"})[0];
    const auto score = [&](Index k, auto kept) {  // kept(row, column, channel)
        Tensor mask({1, 8, 8, 4});
        for (Index i = 0; i < 256; i++) mask.data()[i] = float(kept(i / 32, i / 4 % 8, i % 4));
        return twin.score({residual_image, mask}, k);
    };
    for (Index k = 0; k < 3; k++) {
        Doubles ablation(64, 0.0), recipro;
        double most = 0;
        const double whole = score(k, [](Index, Index, Index) { return 1; }), nothing = score(k, [](Index, Index, Index) { return 0; });
        CHECK(whole == exact.score({residual_image}, k));
        for (Index c = 0; c < 4; c++) {
            const double without = score(k, [&](Index, Index, Index channel) { return channel != c; });
            double top = 0;
            for (Index i = 0; i < 64; i++) {
                ablation[std::size_t(i)] += (whole - without) * A.at_flat(i * 4 + c);
                top = std::max(top, A.at_flat(i * 4 + c));
            }
            most += top;
        }
        for (Index i = 0; i < 64; i++)
            recipro.push_back(score(k, [&](Index r, Index c, Index) { return gauss(i / 8, i % 8, r, c); }) - nothing);
        const double tolerance = 2 * score_rounding(exact, "both", {residual_image}, k, 6, 36);
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            Network net = residual();
            check_close(ask(*backend, net, ablation_cam, residual_image, class_of_3(k), "c2"), ablation, most * tolerance);
            check_close(ask(*backend, net, recipro_cam, residual_image, class_of_3(k), "c2"), recipro, tolerance);
        }
    }
}

TEST_CASE("Score-CAM: every channel in turn, enlarged and from 0 to 1, covers the image; softmax of the scores") {
    const Exact exact(pooled());
    const Tensor A = exact.run({pooled_image}, {"conv"})[0];
    for (Index k = 0; k < 3; k++) {
        Doubles scores, map(12, 0.0);
        for (Index c = 0; c < 5; c++) {
            Doubles plane;
            for (Index i = 0; i < 12; i++) plane.push_back(A.at_flat(i * 5 + c));
            const Doubles large = enlarged(plane, 4, 3, 8, 6);
            const auto [low, high] = std::minmax_element(large.begin(), large.end());
            REQUIRE(*high > *low);
            Tensor masked = pooled_image.to(DType::f64).clone();
            for (Index i = 0; i < 96; i++) masked.data<double>()[i] *= (large[std::size_t(i / 2)] - *low) / (*high - *low);
            scores.push_back(exact.score({masked}, k));
        }
        double sum = 0, most = 0;
        for (double s : scores) sum += std::exp(s);
        for (Index c = 0; c < 5; c++)
            for (Index i = 0; i < 12; i++) {
                map[std::size_t(i)] += std::exp(scores[std::size_t(c)]) / sum * A.at_flat(i * 5 + c);
                most = std::max(most, A.at_flat(i * 5 + c));
            }
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            Network net = pooled();
            // e^s and the sum of the e^s each move by as much as the scores
            check_close(ask(*backend, net, score_cam, pooled_image, class_of_3(k), "conv"), map,
                        2 * most * score_rounding(exact, "gap", {pooled_image}, k, 4, 18));
        }
    }
}

TEST_CASE("Score-CAM leaves out channels that are the same everywhere; if all are, nothing is left") {
    // at the input itself: channel 0 is flat, channel 1 is not
    const Tensor image = tensor({1, 1, 2, 2}, {3, 0, 3, 2});
    for (const Backend* backend : network_backends()) {
        Network net = linear_of(random_tensor({1, 2, 2}, 1));
        CHECK(numbers(ask(*backend, net, score_cam, image, one)) == std::vector<float>{0, 2});
        CHECK(numbers(ask(*backend, net, score_cam, Tensor::full({1, 1, 2, 2}, 7), one)) == std::vector<float>{0, 0});
    }
}

// ---- at a layer, from its activations

TEST_CASE("Eigen-CAM of a matrix of rank one, by hand: A = u v^T gives |v| u, its sign that of the sum over the channels") {
    Network net = linear_of(Tensor::full({1, 3, 2}, 1));
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        const auto map = [&](std::vector<float> A) { return ask(*backend, net, eigen_cam, tensor({1, 1, 3, 2}, A), one); };
        check_close(map({3, 4, 6, 8, 6, 8}), {5, 10, 10}, 10 * 3e-7);        // u = (1,2,2), v = (3,4)
        check_close(map({3, -4, 6, -8, 6, -8}), {-5, -10, -10}, 10 * 3e-7);  // v = (3,-4): the channels' sum is negative
        check_close(map({4, -3, -8, 6, 8, -6}), {5, -10, 10}, 10 * 3e-7);    // u = (1,-2,2), v = (4,-3)
        check_close(map({0, 0, 0, 0, 0, 0}), {0, 0, 0}, 0);
    }
}

TEST_CASE("EigenGrad-CAM: the same of gradient times activation") {
    // gradients (1,2) at each of three pixels; times A: (3,4), (6,8), (6,8)
    Network net = linear_of(tensor({1, 3, 2}, {1, 2, 1, 2, 1, 2}));
    for (const Backend* backend : network_backends()) {
        const Tensor A = tensor({1, 1, 3, 2}, {3, 2, 6, 4, 6, 4});
        check_close(ask(*backend, net, eigen_grad_cam, A, one), {5, 10, 10}, 10 * 3e-7);
        check_close(ask(*backend, net, eigen_grad_cam, A, Tensor::full({1, 1}, -1)), {-5, -10, -10}, 10 * 3e-7);
    }
}

TEST_CASE("Eigen-CAM agrees with power iteration, with more pixels than channels and with fewer; no target changes it") {
    for (const auto& [h, w, channels] : {std::tuple<Index, Index, Index>{6, 5, 4}, {2, 3, 11}, {1, 1, 3}, {3, 3, 1}}) {
        const Tensor A = random_tensor({1, h, w, channels}, 3, -0.2, 1);
        const auto at = [&, C = channels](Index i, Index k) { return A.at_flat(i * C + k); };
        Doubles v(std::size_t(channels), 1.0), component;
        for (int step = 0; step < 10000; step++) {  // v := A^T A v / |...|
            component.assign(std::size_t(h * w), 0.0);
            for (Index i = 0; i < h * w; i++)
                for (Index k = 0; k < channels; k++) component[std::size_t(i)] += at(i, k) * v[std::size_t(k)];
            double norm = 0;
            for (Index k = 0; k < channels; k++) {
                v[std::size_t(k)] = 0;
                for (Index i = 0; i < h * w; i++) v[std::size_t(k)] += at(i, k) * component[std::size_t(i)];
                norm += v[std::size_t(k)] * v[std::size_t(k)];
            }
            for (double& x : v) x /= std::sqrt(norm);
        }
        double agreement = 0;
        for (Index i = 0; i < h * w; i++)
            for (Index k = 0; k < channels; k++) agreement += at(i, k) * component[std::size_t(i)];
        if (agreement < 0)
            for (double& x : component) x = -x;
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            Network net = linear_of(random_tensor({h, w, channels}, 4), 1);
            const Tensor maps = ask(*backend, net, eigen_cam, A, tensor({2, 1}, {1, -3}));
            REQUIRE(maps.shape() == Shape{2, h, w});
            check_close(maps.rows(0, 1), component, 1.2e-7 * largest(component));  // a float's rounding of a double
            CHECK(same_bits(maps.rows(0, 1), maps.rows(1, 1)));
        }
    }
}

// ---- at the input, by walking backward to it

TEST_CASE("on a linear network the gradient is its weights: saliency, SmoothGrad, gradient times input, guided or not") {
    const Index h = 4, w = 3, C = 3;
    const Tensor weights = random_tensor({h, w, C}, 1), image = random_tensor({1, h, w, C}, 2);
    Doubles most, product, sum;
    for (Index i = 0; i < h * w; i++) {
        most.push_back(0), product.push_back(0), sum.push_back(0);
        for (Index c = 0; c < C; c++) {
            const double g = weights.at_flat(i * C + c);
            most.back() = std::max(most.back(), std::abs(g)), sum.back() += g, product.back() += g * image.at_flat(i * C + c);
        }
    }
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Network net = linear_of(weights);
        const auto map = [&](Study* study) { return ask(*backend, net, study, image, one); };
        check_close(map(saliency), most, 0);
        check_close(map(smooth_grad), most, 50 * 6e-8);  // the mean of 50 equal numbers
        check_close(map(guided_backpropagation), sum, rounding(C));
        check_close(map(deconvnet), sum, rounding(C));
        check_close(map(gradient_x_input), product, rounding(C));
        check_close(map(integrated_gradients), product, rounding(C) + C * 50 * 6e-8);  // weights of 50 points, rounded
    }
}

TEST_CASE("SmoothGrad's noise: the mean slope of relu(x + noise) is the share of a normal distribution above -x") {
    const Index n = 41, samples = 4000;
    Tensor image({1, 1, n, 1});
    for (Index i = 0; i < n; i++) image.data()[i] = float(i) / float(n - 1) - 0.5f;  // a range of 1: a deviation of 0.15
    Network net({1, 1, n, 1});
    net.relu("positive");
    const Tensor all = Tensor::full({1, 1, n, 1}, 1);
    const auto map = [&](const Tensor& x, std::uint64_t seed) {
        return ask(cpu_backend(), net, smooth_grad, x, all, "image", [&](Asked& asked) { asked.samples = samples, asked.seed = seed; });
    };
    const Tensor found = map(image, 1);
    for (Index i = 0; i < n; i++) {
        const double p = 0.5 * std::erfc(-image.at_flat(i) / 0.15 / std::sqrt(2.0));
        CHECK(std::abs(found.at_flat(i) - p) <=
              5 * std::sqrt(p * (1 - p) / double(samples)) + 1e-3);  // 5 deviations; 1e-3: where p is 0 or 1
    }
    CHECK(same_bits(map(image, 1), found));
    CHECK_FALSE(same_bits(map(image, 2), found));
    Tensor twice = image.clone();
    for (float& x : twice.values()) x *= 2;
    CHECK(same_bits(map(twice, 1), found));  // the noise grows with the range
}

TEST_CASE("integrated gradients of 2 and 3 points: Gauss's points and weights, by hand") {
    const double near = (1 - std::sqrt(1. / 3)) / 2, nearer = (1 - std::sqrt(0.6)) / 2;
    const std::vector<std::vector<std::pair<double, double>>> rules{
        {{0.5, 1}}, {{near, 0.5}, {1 - near, 0.5}}, {{nearer, 5. / 18}, {0.5, 8. / 18}, {1 - nearer, 5. / 18}}};
    // f = x^3 + y^4 by a function of one's own: the mean of 3 x^3 t^2 over t is exact from two points on, that of 4 y^4 t^3 too
    Network net({1, 1, 2, 1});
    net.add("Flatten", "x");
    const Tensor image = tensor({1, 1, 2, 1}, {1.5f, -2});
    for (const auto& rule : rules) {
        Doubles expected(2, 0.0);
        for (const auto& [t, weight] : rule) {
            expected[0] += weight * 3 * std::pow(1.5, 3) * t * t;
            expected[1] += weight * 4 * std::pow(2.0, 4) * t * t * t;
        }
        if (rule.size() > 1) {
            CHECK(expected[0] == doctest::Approx(std::pow(1.5, 3)));
            CHECK(expected[1] == doctest::Approx(std::pow(2.0, 4)));
        }
        for (const Backend* backend : network_backends()) {
            const Tensor map = ask(*backend, net, integrated_gradients, image, Tensor::zeros({1, 2}), "image", [&](Asked& asked) {
                asked.samples = Index(rule.size());
                asked.function = [](Tape& tape, const Var& v) {
                    const Var x = index(tape, v, 0), y = index(tape, v, 1), y2 = multiply(tape, y, y);
                    return add(tape, multiply(tape, x, multiply(tape, x, x)), multiply(tape, y2, y2));
                };
            });
            check_close(map, expected, rounding(10) * 16);
        }
    }
}

TEST_CASE("integrated gradients are complete: their sum is the score less the score of nothing") {
    const Exact exact(pooled());
    // On the way t*x the score bends where a cell's sum s*t + b crosses 0, by w*s/12. Gauss's error at each bend is at most the largest weight
    // of a point, below pi / (2 * 50) (Chebyshev, Markov, Stieltjes).
    const Exact linear(pooled("linear"));
    const Tensor at_x = linear.run({pooled_image}, {"conv"})[0], at_0 = linear.run({Tensor::zeros({1, 8, 6, 2})}, {"conv"})[0];
    for (Index k = 0; k < 3; k++) {
        double bends = 0;
        for (Index i = 0; i < 60; i++)
            if (at_x.at_flat(i) * at_0.at_flat(i) < 0)
                bends += std::abs(exact.weight("scores", 0).at({i % 5, k}) * (at_x.at_flat(i) - at_0.at_flat(i))) / 12;
        REQUIRE(bends > 0);
        const double change = exact.score({pooled_image}, k) - exact.score({Tensor::zeros({1, 8, 6, 2})}, k);
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            Network net = pooled();
            const Tensor map = ask(*backend, net, integrated_gradients, pooled_image, class_of_3(k));
            double sum = 0;
            for (float v : map.values()) sum += double(v);
            CHECK(std::abs(sum - change) <= bends * M_PI / 100 + score_rounding(exact, "gap", {pooled_image}, k, 3, 96));
        }
    }
}

// ---- FullGrad

namespace {

// Convolutions with and without fused ReLU, with and without bias, a batch normalisation, a pool, a dense layer.
Network with_biases() {
    Network net({1, 8, 6, 2});
    Dict bare = same_conv(4, 3);
    bare["use_bias"] = false;
    net.add("Conv2D", "c1", same_conv(3, 3, "relu")).add("MaxPooling2D", "pool").add("Conv2D", "c2", bare);
    net.add("BatchNormalization", "bn").relu("active").add("Conv2D", "c3", same_conv(3, 1)).relu("also_active");
    return net.add("GlobalAveragePooling2D", "gap").add("Dense", "scores", {{"units", 3.0}});
}

// In double: x times its gradient, and each bias times the gradient of the sum it is added to.
struct Parts {
    std::vector<Tensor> all;  // (1,h,w,c): of the input, of c1, bn, c3
    double dense_bias, score;
};
Parts parts_of(const Tensor& image, Index k) {
    const Exact exact(with_biases());
    Tape tape(reference_backend());
    const std::vector<std::string> names{"image", "c1", "bn", "c3"};
    std::vector<int> nodes;
    for (const std::string& name : names) nodes.push_back(exact.net[name]);
    const auto values = exact.net.model.forward(tape, {image.to(DType::f64)}, nodes);
    std::vector<Var> watched;
    for (int node : nodes) watched.push_back(values[std::size_t(node)]);
    const Var& scores = values[std::size_t(exact.net.last())];
    const auto gradients = tape.gradients(scores, class_of_3(k).to(DType::f64), watched);
    Parts parts{{}, exact.weight("scores", 1).at_flat(k), scores.value.at_flat(k)};
    for (std::size_t n = 0; n < names.size(); n++) {
        Tensor part = gradients[n].clone();
        const Index C = part.shape()[3];
        for (Index i = 0; i < part.size(); i++) {
            const auto c = i % C;
            double& p = part.data<double>()[i];
            if (n == 0) p *= image.at_flat(i);
            if (n == 1) p *= watched[n].value.at_flat(i) > 0 ? exact.weight("c1", 1).at_flat(c) : 0;  // before its ReLU
            if (n == 2) {                                                                             // gamma, beta, mean, variance
                const auto w = [&](std::size_t j) { return exact.weight("bn", j).at_flat(c); };
                p *= w(1) - w(2) * w(0) / std::sqrt(w(3) + 1e-3);
            }
            if (n == 3) p *= exact.weight("c3", 1).at_flat(c);
        }
        parts.all.push_back(part);
    }
    return parts;
}

}  // namespace

TEST_CASE("FullGrad's parts are complete: input and biases, the dense layer's too, sum to the score") {
    for (Index k = 0; k < 3; k++) {
        const Parts parts = parts_of(random_tensor({1, 8, 6, 2}, 9), k);
        double sum = parts.dense_bias;
        for (const Tensor& part : parts.all)
            for (double v : part.values<double>()) sum += v;
        CHECK(sum == doctest::Approx(parts.score).epsilon(1e-12));
    }
}

TEST_CASE("FullGrad: each part's magnitudes from 0 to 1, enlarged, over all channels") {
    const Tensor image = random_tensor({1, 8, 6, 2}, 9);
    Tensor weights({3, 3});
    for (Index k = 0; k < 3; k++) weights.rows(k, 1).assign(class_of_3(k));
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Network net = with_biases();
        const Tensor maps = ask(*backend, net, full_grad, image, weights);
        for (Index k = 0; k < 3; k++) {
            Doubles expected(48, 0.0);
            for (const Tensor& part : parts_of(image, k).all) {
                const Shape& s = part.shape();
                double low = HUGE_VAL, high = 0;
                for (double v : part.values<double>()) low = std::min(low, std::abs(v)), high = std::max(high, std::abs(v));
                for (Index c = 0; c < s[3]; c++) {
                    Doubles plane;
                    for (Index i = 0; i < s[1] * s[2]; i++) plane.push_back((std::abs(part.at_flat(i * s[3] + c)) - low) / (high - low));
                    const Doubles large = enlarged(plane, s[1], s[2], 8, 6);
                    for (std::size_t i = 0; i < 48; i++) expected[i] += large[i];
                }
            }
            check_close(maps.rows(k, 1), expected, 4 * rounding(36) * largest(expected));  // four layers of gradients
        }
    }
}

TEST_CASE("FullGrad: what normalisations and rescaling add counts, at each place its own") {
    const Tensor image = random_tensor({1, 4, 3, 2}, 9);
    const Tensor everywhere = random_tensor({2}, 4), at_each_place = random_tensor({4, 3, 2}, 5), offset = tensor({1}, {0.7f});
    const List all_axes{Value(1.0), Value(2.0), Value(3.0)};
    for (const auto& [layer, settings, added] :
         std::vector<std::tuple<std::string, Dict, Tensor>>{{"LayerNormalization", {}, everywhere},
                                                            {"LayerNormalization", {{"axis", all_axes}}, at_each_place},
                                                            {"GroupNormalization", {{"groups", 1.0}}, everywhere},
                                                            {"BatchNormalization", {}, everywhere},
                                                            {"Rescaling", {{"scale", 0.0}, {"offset", 0.7}}, offset}}) {
        CAPTURE_PART(layer);
        const Shape& shape = added.shape();
        CAPTURE(shape);
        Network net({1, 4, 3, 2});
        net.add(layer, "norm", settings).add("Flatten", "flat").add("Dense", "scores", {{"units", 3.0}});
        // nothing of the image: gamma is 0, and the moving mean
        for (Weight& w : net.model.node(net["norm"]).layer->weights)
            w.value = w.name == "beta" ? added : w.name == "moving_variance" ? Tensor::full(w.shape, 1) : Tensor::zeros(w.shape);
        const Tensor& kernel = net.model.node(net["scores"]).layer->weights[0].value;
        Doubles parts, expected(12, 0.0);
        for (Index i = 0; i < 24; i++) parts.push_back(std::abs(double(kernel.at({i, 1})) * added.at_flat(i % added.size())));
        const auto [low, high] = std::minmax_element(parts.begin(), parts.end());
        for (std::size_t i = 0; i < 24; i++) expected[i / 2] += (parts[i] - *low) / (*high - *low);
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            check_close(ask(*backend, net, full_grad, image, class_of_3(1)), expected, rounding(8) * 2);
        }
    }
}

// ---- at the input, by covering it

TEST_CASE("occlusion of a linear network: a pixel's mean of what the windows over it hide, for images of all sizes") {
    for (const auto& [H, W] : {std::pair<Index, Index>{21, 14}, {20, 9}, {28, 3}, {6, 5}, {1, 2}, {1, 1}}) {
        CAPTURE_PART(H);
        CAPTURE_PART(W);
        const Tensor weights = random_tensor({H, W, 2}, 1), image = random_tensor({1, H, W, 2}, 2);
        const auto hidden = [&](Index pixel) {
            return weights.at_flat(2 * pixel) * image.at_flat(2 * pixel) + weights.at_flat(2 * pixel + 1) * image.at_flat(2 * pixel + 1);
        };
        const auto size = [](Index side) { return std::max<Index>(1, std::lround(double(side) / 7)); };
        const auto step = [](Index window) { return std::max<Index>(1, window / 2); };
        Doubles drops(std::size_t(H * W), 0.0), covers(std::size_t(H * W), 0.0);
        for (Index top = 0; top == 0 || top - step(size(H)) + size(H) < H; top += step(size(H)))
            for (Index left = 0; left == 0 || left - step(size(W)) + size(W) < W; left += step(size(W))) {
                double drop = 0;
                const auto each = [&, H = H, W = W](auto f) {
                    for (Index r = top; r < std::min(H, top + size(H)); r++)
                        for (Index c = left; c < std::min(W, left + size(W)); c++) f(r * W + c);
                };
                each([&](Index pixel) { drop += hidden(pixel); });
                each([&](Index pixel) { drops[std::size_t(pixel)] += drop, covers[std::size_t(pixel)]++; });
            }
        double scale = 0.25;  // of the sums that the scores are
        for (Index i = 0; i < image.size(); i++) scale += std::abs(weights.at_flat(i) * image.at_flat(i));
        for (std::size_t i = 0; i < drops.size(); i++) drops[i] /= covers[i];
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            Network net = linear_of(weights);
            check_close(ask(*backend, net, occlusion, image, one), drops, 2 * rounding(image.size()) * scale);
        }
    }
}

namespace {

// RISE's masks M have cells that are open with probability 1/2, independently; a pixel is the bilinear mean of its cells, its mean 1/2.
// Covariance of two pixels along one side: sum over the cells of the products of their weights, averaged over the shifts.
double covariance(Index p, Index q, Index side) {
    const Index cell = (side + 6) / 7;
    double sum = 0;
    for (Index shift = 0; shift < cell; shift++) {
        const Doubles a = cells_at(p + shift, 7, side + cell), b = cells_at(q + shift, 7, side + cell);
        for (std::size_t i = 0; i < 7; i++) sum += a[i] * b[i];
    }
    return sum / double(cell);
}

Tensor rise_of(const Backend& backend, Network& net, const Tensor& image, Index samples, std::uint64_t seed = 1) {
    return ask(backend, net, rise, image, one, "image", [&](Asked& asked) { asked.samples = samples, asked.seed = seed; });
}

}  // namespace

TEST_CASE("RISE's masks: 0 to 1, half of every pixel, each drawn on its own") {
    const Index samples = 2000;
    Network net({1, 7, 7, 1});  // nothing but its input: the image of ones shows the masks
    std::vector<Tensor> masks;
    ask(reference_backend(), net, rise, Tensor::full({1, 7, 7, 1}, 1), Tensor::zeros({1, 7, 7, 1}), "image", [&](Asked& asked) {
        asked.samples = samples;
        asked.function = [&](Tape& tape, const Var& shown) {
            for (Index i = 0; i < shown.shape()[0]; i++) masks.push_back(shown.value.rows(i, 1).clone());
            return index(tape, shown, 0);
        };
    });
    masks.resize(std::size_t(samples));
    const auto at = [&](std::size_t i, Index r, Index c) { return double(masks[i].data()[r * 7 + c]) - 0.5; };
    const auto mean_product = [&](Index r, Index c, std::size_t lag, Index other_r, Index other_c) {
        double sum = 0;
        for (std::size_t i = 0; i + lag < masks.size(); i++) sum += at(i, r, c) * at(i + lag, other_r, other_c);
        return sum / double(masks.size() - lag);
    };
    for (const Tensor& mask : masks)
        for (float v : mask.values()) CHECK((v >= 0 && v <= 1));
    for (Index r = 0; r < 7; r++)
        for (Index c = 0; c < 7; c++) {
            double mean = 0;
            for (std::size_t i = 0; i < masks.size(); i++) mean += at(i, r, c) / double(samples);
            const double variance = 0.25 * covariance(r, r, 7) * covariance(c, c, 7);
            CHECK(std::abs(mean) <= 5 * std::sqrt(variance / double(samples)));
            CHECK(std::abs(mean_product(r, c, 0, r, c) - variance) <= 5 * 0.25 / std::sqrt(double(samples)));
        }
    // Masks that follow each other have nothing in common, shifted or not.
    for (std::size_t lag : {1, 2, 7})
        for (Index r = 2; r < 5; r++)
            for (Index c = 2; c < 5; c++)
                for (Index dr = -1; dr <= 1; dr++)
                    for (Index dc = -2; dc <= 2; dc++)
                        CHECK(std::abs(mean_product(r, c, lag, r + dr, c + dc)) <= 5 * 0.25 / std::sqrt(double(samples)));
}

TEST_CASE("RISE of a linear network tends to the masks' covariance with what each pixel adds") {
    for (const auto& [H, W] : {std::pair<Index, Index>{14, 20}, {7, 9}, {3, 5}, {1, 1}}) {
        CAPTURE_PART(H);
        CAPTURE_PART(W);
        const Index samples = 4000;
        const Tensor weights = random_tensor({H, W, 1}, 1), image = random_tensor({1, H, W, 1}, 2);
        const auto table = [](Index side) {
            Doubles all;
            for (Index i = 0; i < side * side; i++) all.push_back(covariance(i / side, i % side, side));
            return all;
        };
        const Doubles rows = table(H), columns = table(W);
        // E[(score - mean) M_p] / E[M_p] with E[M_p] = 1/2; and the score's variance
        Doubles map;
        double variance = 0;
        for (Index p = 0; p < H * W; p++) {
            double sum = 0;
            for (Index q = 0; q < H * W; q++)
                sum += 0.25 * rows[std::size_t(p / W * H + q / W)] * columns[std::size_t(p % W * W + q % W)] * weights.at_flat(q) *
                       image.at_flat(q);
            map.push_back(2 * sum);
            variance += sum * weights.at_flat(p) * image.at_flat(p);
        }
        // A pixel is the mean of (score - mean) M / (1/2) over the trials, M at most 1: within 5 deviations.
        const double tolerance = 5 * 2 * std::sqrt(variance / double(samples));
        Network net = linear_of(weights);
        check_close(rise_of(cpu_backend(), net, image, samples), map, tolerance);
        CHECK(largest(map) > tolerance / 2);
    }
}

TEST_CASE("RISE repeats bit for bit, another seed gives other masks, and more samples go on with the same ones") {
    const Tensor weights = random_tensor({9, 12, 1}, 1), image = random_tensor({1, 9, 12, 1}, 2);
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Network net = linear_of(weights);
        const Tensor map = rise_of(*backend, net, image, 100);
        CHECK(same_bits(rise_of(*backend, net, image, 100), map));
        CHECK_FALSE(same_bits(rise_of(*backend, net, image, 101), map));
        // independent: two maps are no more alike than chance allows
        const Tensor other = rise_of(*backend, net, image, 100, 2);
        CHECK(relative_error(other, map) > 0.1);
    }
}

TEST_CASE("RISE: what is not seen does not matter, a constant changes nothing, and a corner that is looked at is the peak") {
    const Index H = 14, W = 21;
    const Tensor image = random_tensor({1, H, W, 1}, 2, 0.5, 1);
    Tensor corner = Tensor::zeros({H, W, 1});
    for (Index r = 0; r < 2; r++)
        for (Index c = 0; c < 3; c++) corner.data()[r * W + c] = 1;
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        Network blind = linear_of(Tensor::zeros({H, W, 1})), looking = linear_of(corner), shifted = linear_of(corner);
        for (float v : numbers(rise_of(*backend, blind, image, 200))) CHECK(v == 0);
        const Tensor map = rise_of(*backend, looking, image, 1000).reshaped({H, W});
        const MapStatistics s = statistics(map);
        CHECK(s.peak_row < 4);
        CHECK(s.peak_column < 6);
        CHECK(map.at({0, 0}) > 0.5 * s.max);
        CHECK(std::abs(map.at({H - 1, W - 1})) < 0.2 * s.max);
        shifted.model.node(shifted["scores"]).layer->weights[1].value = Tensor::full({1}, 8);
        // scores of up to 14, which a float rounds by 2^-21
        const Tensor same = rise_of(*backend, shifted, image, 1000);
        for (Index i = 0; i < map.size(); i++) CHECK(std::abs(same.at_flat(i) - map.at_flat(i)) <= 4 * 0x1p-21);
    }
}

// ---- all of them

namespace {

std::vector<Method> studies() {
    std::vector<Method> list;
    std::ranges::copy_if(methods(), std::back_inserter(list), [](const Method& method) { return method.study != nullptr; });
    return list;
}

Request request_for(const Network& net, const std::string& target) {
    return {.methods = studies(), .layers = {net["c2"]}, .target = target, .labels = {}, .samples = 20};
}

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) { return std::ranges::find(names, name) != names.end(); }

}  // namespace

TEST_CASE("all backends agree on every method, within 1e-4 of its largest value") {
    const Tensor images = random_tensor({2, 8, 8, 2}, 3);
    Network net = residual();
    const Request request = request_for(net, "top:2");
    const auto expected = explain(reference_backend(), net.model, images, request);
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        net.model.move_to(backend->device());
        const auto found = explain(*backend, net.model, images, request);
        for (std::size_t n = 0; n < 2; n++) {
            REQUIRE(found[n].maps.size() == studies().size() * 2);
            for (std::size_t m = 0; m < found[n].maps.size(); m++) {
                CAPTURE(found[n].maps[m].method);
                CHECK(found[n].maps[m].target.index == expected[n].maps[m].target.index);
                CHECK(relative_error(found[n].maps[m].raw, expected[n].maps[m].raw) <= 1e-4);
            }
        }
    }
}

TEST_CASE("several images and targets give the same bits as one image and one target at a time") {
    const Tensor images = random_tensor({3, 8, 8, 2}, 3);
    Network net = residual();
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        net.model.move_to(backend->device());
        const auto together = explain(*backend, net.model, images, request_for(net, "top:3"));
        for (Index n = 0; n < 3; n++)
            for (std::size_t t = 0; t < 3; t++) {
                const auto& all = together[std::size_t(n)];
                const auto alone =
                    explain(*backend, net.model, images.rows(n, 1), request_for(net, std::to_string(all.targets[t].index)))[0];
                for (std::size_t m = 0; m < studies().size(); m++) {
                    CAPTURE(alone.maps[m].method);
                    CHECK(same_bits(alone.maps[m].raw, all.maps[m * 3 + t].raw));
                }
            }
    }
}

TEST_CASE("maps of the input are as large as it, the others as large as the layer") {
    Network net = pooled();
    Request request{.methods = studies(), .layers = {net["conv"]}, .target = "auto", .labels = {}, .samples = 20};
    const auto result = explain(cpu_backend(), net.model, pooled_image, request);
    for (const Map& map : result[0].maps) {
        CAPTURE(map.method);
        CHECK(map.raw.shape() == (method_named(map.method).of_input ? Shape{8, 6} : Shape{4, 3}));
    }
}

TEST_CASE("a function of one's own: a class's score gives the class's maps, a difference the difference, a square the chain rule") {
    const Tensor image = random_tensor({1, 8, 8, 2}, 3);
    Network net = residual();
    const auto with = [&](std::optional<OwnScore> own, const std::string& target = "0") {
        Request request = request_for(net, target);
        request.own = std::move(own);
        return explain(cpu_backend(), net.model, image, request)[0];
    };
    const auto one_class = with(OwnScore{net.last(), [](Tape& tape, const Var& v) { return index(tape, v, 1); }, "mine"});
    const auto class_1 = with({}, "1"), class_2 = with({}, "2"), difference = with({}, "1 - 2");
    const auto own_difference =
        with(OwnScore{net.last(), [](Tape& tape, const Var& v) { return subtract(tape, index(tape, v, 1), index(tape, v, 2)); }, "1 - 2"});
    const auto square = with(OwnScore{net.last(),
                                      [](Tape& tape, const Var& v) {
                                          const Var s = index(tape, v, 1);
                                          return multiply(tape, s, s);
                                      },
                                      "square"});
    Tape tape(reference_backend());
    const double score = net.model.forward(tape, {image})[std::size_t(net.last())].value.at_flat(1);
    for (std::size_t m = 0; m < studies().size(); m++) {
        const std::string& method = class_1.maps[m].method;
        CAPTURE(method);
        CHECK(one_class.maps[m].target.label == "mine");
        CHECK(relative_error(one_class.maps[m].raw, class_1.maps[m].raw) <= 1e-5);
        CHECK(relative_error(own_difference.maps[m].raw, difference.maps[m].raw) <= 1e-5);
        if (is_one_of(method, {"ablation-cam", "recipro-cam", "gradient-x-input", "integrated-gradients", "occlusion", "rise"})) {
            Tensor subtracted = class_1.maps[m].raw.clone();
            for (Index i = 0; i < subtracted.size(); i++) subtracted.data()[i] -= class_2.maps[m].raw.data()[i];
            CHECK(relative_error(difference.maps[m].raw, subtracted) <= 1e-5);
        }
        if (is_one_of(method, {"saliency", "gradient-x-input"})) {
            Tensor chain = class_1.maps[m].raw.clone();
            for (float& v : chain.values()) v *= float(2 * (method == "saliency" ? std::abs(score) : score));
            CHECK(relative_error(square.maps[m].raw, chain) <= 1e-5);
        }
    }
}

TEST_CASE("counterfactual: what speaks against the target is the negative where a map is linear in the score") {
    const Tensor image = random_tensor({1, 8, 8, 2}, 3);
    Network net = residual();
    const OwnScore own{net.last(), [](Tape& tape, const Var& v) { return index(tape, v, 1); }, "mine"};
    for (const std::optional<OwnScore>& function : {std::optional<OwnScore>(), std::optional(own)})
        for (const std::string target : {"auto", "1", "1 - 2"}) {
            Request request = request_for(net, target);
            request.own = function;
            const auto for_it = explain(cpu_backend(), net.model, image, request)[0];
            request.counterfactual = true;
            const auto against = explain(cpu_backend(), net.model, image, request)[0];
            for (std::size_t m = 0; m < studies().size(); m++) {
                const std::string& method = for_it.maps[m].method;
                CAPTURE(method);
                CAPTURE(target);
                Tensor negative = for_it.maps[m].raw.clone();
                for (float& v : negative.values()) v = -v;
                if (is_one_of(method, {"ablation-cam", "recipro-cam", "eigengrad-cam", "gradient-x-input", "integrated-gradients",
                                       "occlusion", "rise"}))
                    CHECK(relative_error(against.maps[m].raw, negative) <= 1e-6);
                if (is_one_of(method, {"eigen-cam", "saliency", "smoothgrad", "fullgrad"}))
                    CHECK(same_bits(against.maps[m].raw, for_it.maps[m].raw));
                if (!function) CHECK(against.maps[m].target.label == "against " + for_it.maps[m].target.label);
            }
        }
}

TEST_CASE("methods of many trials tell how far they are, image by image, sixteen trials at a time") {
    Network net = residual();
    const Request request = request_for(net, "0");
    Explainer explainer(cpu_backend(), net.model, request);
    std::map<std::string, std::vector<std::pair<Index, Index>>> told;
    explainer.progress = [&](const Method& method, Index done, Index of) { told[method.name].emplace_back(done, of); };
    explainer(random_tensor({2, 8, 8, 2}, 3));
    const std::map<std::string, Index> trials{{"score-cam", 4},  {"ablation-cam", 5},          {"recipro-cam", 65}, {"smoothgrad", 20},
                                              {"occlusion", 65}, {"integrated-gradients", 20}, {"rise", 20}};
    CHECK(told.size() == trials.size());
    for (const auto& [name, of] : trials) {
        CAPTURE_PART(name);
        std::vector<std::pair<Index, Index>> expected;
        for (int image = 0; image < 2; image++)
            for (Index done = 0; done < of;) expected.emplace_back(done = std::min(of, done + Question::batch), of);
        CHECK(told[name] == expected);
    }
}

// ---- the ugly ones

TEST_CASE("images and layers of one cell, one channel, one class") {
    for (const auto& [H, W, C] : {std::tuple<Index, Index, Index>{1, 1, 1}, {1, 1, 3}, {2, 1, 1}, {5, 6, 1}}) {
        Network net({1, H, W, C});
        net.add("Conv2D", "c2", same_conv(1, 3, "relu"), {Tensor::full({3, 3, C, 1}, 1)}).add("GlobalAveragePooling2D", "gap");
        net.add("Dense", "scores", {{"units", 1.0}});
        for (const Backend* backend : network_backends()) {
            net.model.move_to(backend->device());
            const auto result = explain(*backend, net.model, random_tensor({1, H, W, C}, 1, 0.5, 1), request_for(net, "0"));
            for (const Map& map : result[0].maps) {
                CAPTURE(map.method);
                CHECK(map.raw.shape() == Shape{H, W});
                CHECK(map.stats.finite);
            }
        }
    }
}

TEST_CASE("a layer that is zero everywhere, or the same everywhere: finite maps that say so") {
    const Tensor image = random_tensor({1, 8, 8, 2}, 3);
    for (float bias : {-1000.0f, 1000.0f}) {  // dead; and with a kernel of zeros flat
        Network net({1, 8, 8, 2});
        net.add("Conv2D", "c2", same_conv(4, 3, "relu"), {Tensor::zeros({3, 3, 2, 4}), Tensor::full({4}, bias)});
        net.add("GlobalAveragePooling2D", "gap").add("Dense", "scores", {{"units", 3.0}});
        for (const Backend* backend : network_backends()) {
            net.model.move_to(backend->device());
            const auto result = explain(*backend, net.model, image, request_for(net, "0"));
            for (const Map& map : result[0].maps) {
                CAPTURE(backend->name());
                CAPTURE(map.method);
                CAPTURE(bias);
                CHECK(map.stats.finite);
                REQUIRE(map.diagnostics.size() <= 1);
                // Recipro-CAM's 3x3 hangs over the borders, and FullGrad's bias is spread over the plane
                if (bias < 0 || !is_one_of(map.method, {"recipro-cam", "fullgrad"})) {
                    CHECK(map.stats.min == map.stats.max);
                    REQUIRE(map.diagnostics.size() == 1);
                    CHECK(map.diagnostics[0].find("the map is the same everywhere") == 0);
                }
            }
        }
    }
}

TEST_CASE("broken weights are an error in one line, for every method") {
    const Tensor image = random_tensor({1, 8, 8, 2}, 3);
    for (const Method& method : studies()) {
        Network net = residual();
        net.model.node(net["c2"]).layer->weights[1].value = Tensor::full({4}, NAN);
        Request request = request_for(net, "0");
        request.methods = {method};
        CAPTURE(method.name);
        CHECK_THROWS_WITH_AS(explain(cpu_backend(), net.model, image, request), doctest::Contains("answers with NaN or infinite numbers"),
                             Error);
        // asked directly, they come back with what they have
        CHECK(ask(cpu_backend(), net, method.study, image, class_of_3(0), "c2", [](Asked& asked) { asked.samples = 4; }).size() == 64);
    }
}

TEST_CASE("a layer that the score does not depend on") {
    Network net = residual();
    net.add("Conv2D", "aside", same_conv(3, 3, "relu"), {}, {"c1"});
    net.model.outputs = {net["scores"]};
    Request request = request_for(net, "0");
    request.layers = {net["aside"]};
    for (const char* method : {"ablation-cam", "recipro-cam", "score-cam", "eigen-cam", "eigengrad-cam", "guided-grad-cam"}) {
        CAPTURE(method);
        request.methods = {method_named(method)};
        CHECK_THROWS_WITH_AS(explain(cpu_backend(), net.model, residual_image, request),
                             "the output 'scores' does not depend on layer 'aside'", Error);
    }
    request.methods = {method_named("grad-cam")};
    const Map map = explain(cpu_backend(), net.model, residual_image, request)[0].maps[0];
    CHECK(largest({map.raw.values().begin(), map.raw.values().end()}) == 0);
    REQUIRE(map.diagnostics.size() == 1);
    CHECK(map.diagnostics[0].find("the score does not depend on this layer") != std::string::npos);
}
