// Every backward rule, in double: by finite differences, and where the function is linear by the adjoint identity.
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "layers/layer.h"
#include "tests/support.h"

using namespace limn;

namespace {

constexpr double finite_tolerance = 1e-6, adjoint_tolerance = 1e-12;

void check_layer(const char* what, const Config& config, const std::vector<Shape>& inputs, bool linear = false) {
    CAPTURE(what);
    const LayerPtr layer = make_layer(config);
    layer->build(inputs);
    std::vector<Tensor> all;
    for (std::size_t i = 0; i < inputs.size(); i++) all.push_back(random_tensor(inputs[i], 10 + i, -2, 2));
    for (std::size_t i = 0; i < layer->weights.size(); i++) {
        Weight& w = layer->weights[i];
        w.value = random_tensor(w.shape, 20 + i, w.name == "moving_variance" || w.name == "gamma" ? 0.5 : -1, 1.5, DType::f64);
    }
    const Function f = [&](Tape& tape, const std::vector<Var>& x) { return layer->forward(tape, x); };
    CHECK(finite_difference_error(f, all) <= finite_tolerance);
    if (linear) {
        for (Weight& w : layer->weights)
            if (w.name == "bias") w.value = Tensor::zeros(w.shape, DType::f64);
        CHECK(adjoint_error(f, inputs[0]) <= adjoint_tolerance);
    }
}

// The gradient of every weight of a layer against finite differences along a random direction.
void check_weights(const Config& config, const std::vector<Shape>& inputs) {
    CAPTURE(config.class_name);
    const LayerPtr layer = make_layer(config);
    layer->build(inputs);
    std::vector<Var> x;
    for (const Shape& shape : inputs) x.push_back(random_tensor(shape, 1 + x.size(), -1, 1, DType::f64));
    for (std::size_t i = 0; i < layer->weights.size(); i++)
        layer->weights[i].value = random_tensor(layer->weights[i].shape, 2 + i, -1, 1, DType::f64);
    for (Weight& w : layer->weights) {
        CAPTURE(w.name);
        Tape tape(reference_backend());
        const Tensor weight = w.value;
        tape.watch_parameter(weight);
        const Var y = layer->forward(tape, x);
        REQUIRE(y.recorded());
        const Tensor v = random_tensor(y.shape(), 7, -1, 1, DType::f64), u = random_tensor(weight.shape(), 8, -1, 1, DType::f64);
        const Var wanted = tape.parameter(weight);
        const double found = dot(tape.gradients(y, v, {&wanted, 1})[0], u);
        const auto score_at = [&](double by) {
            Tensor moved = weight.clone();
            for (Index j = 0; j < u.size(); j++) moved.data<double>()[j] += by * u.data<double>()[j];
            w.value = moved;
            Tape plain(reference_backend());
            const double score = dot(layer->forward(plain, x).value, v);
            w.value = weight;
            return score;
        };
        CHECK(found == doctest::Approx((score_at(1e-5) - score_at(-1e-5)) / 2e-5).epsilon(1e-6));
    }
}

}  // namespace

TEST_CASE("tensor functions: finite differences") {
    const Tensor a = random_tensor({2, 3, 4}, 1, 0.5, 2), b = random_tensor({2, 3, 4}, 2, 0.5, 2), row = random_tensor({4}, 3, 0.5, 2),
                 column = random_tensor({2, 3, 1}, 4, 0.5, 2);
    using Two = Var (*)(Tape&, const Var&, const Var&);
    for (const auto& [name, f] : {std::pair<const char*, Two>{"add", add},
                                  {"subtract", subtract},
                                  {"multiply", multiply},
                                  {"divide", divide},
                                  {"maximum", maximum},
                                  {"minimum", minimum}})
        for (const Tensor& other : {b, row, column}) {
            CAPTURE_PART(name);
            CAPTURE(other.shape().str());
            CHECK(finite_difference_error([f = f](Tape& t, const std::vector<Var>& x) { return f(t, x[0], x[1]); }, {a, other}) <=
                  finite_tolerance);
            CHECK(finite_difference_error([f = f](Tape& t, const std::vector<Var>& x) { return f(t, x[1], x[0]); }, {a, other}) <=
                  finite_tolerance);
        }
    using One = Var (*)(Tape&, const Var&);
    for (const auto& [name, f] :
         {std::pair<const char*, One>{"exp", exp}, {"log", log}, {"sqrt", sqrt}, {"softmax", softmax}, {"relu", relu}}) {
        CAPTURE_PART(name);
        CHECK(finite_difference_error([f = f](Tape& t, const std::vector<Var>& x) { return f(t, x[0]); }, {a}) <= finite_tolerance);
    }
    CHECK(finite_difference_error([](Tape& t, const std::vector<Var>& x) { return max(t, x[0], {1, 2}); }, {a}) <= finite_tolerance);
    CHECK(finite_difference_error([](Tape& t, const std::vector<Var>& x) { return multiply(t, x[0], x[0]); }, {a}) <=
          finite_tolerance);  // used twice
    CHECK(finite_difference_error([](Tape& t, const std::vector<Var>& x) { return matmul(t, x[0], x[1]); },
                                  {random_tensor({3, 5}, 5), random_tensor({5, 2}, 6)}) <= finite_tolerance);
    CHECK(finite_difference_error(
              [](Tape& t, const std::vector<Var>& x) {
                  return log(t, index(t, softmax(t, x[0]), std::vector<Index>{3, 0}));
              },
              {random_tensor({2, 4}, 7)}) <= finite_tolerance);
}

TEST_CASE("linear tensor functions: adjoint identity") {
    const Shape shape{2, 3, 4, 5};
    const auto adjoint = [&](auto f) { return adjoint_error([&](Tape& t, const std::vector<Var>& x) { return f(t, x[0]); }, shape); };
    CHECK(adjoint([](Tape& t, const Var& x) { return sum(t, x, {1, 2}); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return mean(t, x, {1, 2, 3}); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return transpose(t, x, {0, 3, 1, 2}); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return reshape(t, x, {2, 60}); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return pad(t, x, {0, 1, 2, 0}, {0, 3, 0, 1}); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return crop(t, x, {0, 1, 0, 2}, {2, 2, 3, 3}); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return concatenate(t, {x, scale(t, x, 3)}, -1); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return index(t, x, std::vector<Index>{7, 59}); }) <= adjoint_tolerance);
}

TEST_CASE("element-wise functions: the derivative beside each formula") {
    for (Unary kind :
         {Unary::relu,        Unary::elu,          Unary::selu,        Unary::softplus,   Unary::softsign,    Unary::tanh,
          Unary::sigmoid,     Unary::hard_sigmoid, Unary::silu,        Unary::hard_silu,  Unary::gelu,        Unary::gelu_tanh,
          Unary::exponential, Unary::mish,         Unary::celu,        Unary::clip,       Unary::log_sigmoid, Unary::tanh_shrink,
          Unary::soft_shrink, Unary::hard_shrink,  Unary::sparse_plus, Unary::squareplus, Unary::abs}) {
        CAPTURE(int(kind));
        const UnaryFn f{.kind = kind, .slope = kind == Unary::hard_sigmoid ? 0.2 : 0.3, .threshold = 0.1, .max_value = 1.7};
        CHECK(finite_difference_error([&](Tape& t, const std::vector<Var>& x) { return unary(t, f, x[0]); },
                                      {random_tensor({50}, 3, -4, 4)}) <= finite_tolerance);
    }
}

TEST_CASE("layers: finite differences, and the adjoint identity of the linear ones") {
    const Shape image{2, 7, 6, 4};
    check_layer("Conv2D", {"Conv2D", "l", {{"filters", 5.0}, {"kernel_size", 3.0}, {"padding", "same"}}}, {image}, true);
    check_layer("Conv2D with relu",
                {"Conv2D", "l", {{"filters", 5.0}, {"kernel_size", List{2.0, 3.0}}, {"strides", 2.0}, {"activation", "relu"}}}, {image});
    check_layer("Conv2D dilated", {"Conv2D", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"dilation_rate", 2.0}, {"padding", "same"}}},
                {image}, true);
    check_layer("Conv2D in groups", {"Conv2D", "l", {{"filters", 6.0}, {"kernel_size", 3.0}, {"groups", 2.0}}}, {image}, true);
    check_layer("DepthwiseConv2D", {"DepthwiseConv2D", "l", {{"kernel_size", 3.0}, {"depth_multiplier", 2.0}, {"padding", "same"}}},
                {image}, true);
    check_layer("SeparableConv2D", {"SeparableConv2D", "l", {{"filters", 5.0}, {"kernel_size", 3.0}, {"depth_multiplier", 2.0}}}, {image},
                true);
    check_layer("Conv2DTranspose",
                {"Conv2DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}, {"padding", "same"}}}, {image}, true);
    check_layer("Conv2DTranspose with relu",
                {"Conv2DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 4.0}, {"strides", List{1.0, 2.0}}, {"activation", "relu"}}},
                {image});
    check_layer("Dense", {"Dense", "l", {{"units", 3.0}}}, {Shape{4, 9}}, true);
    check_layer("Dense with relu, on the last of four axes", {"Dense", "l", {{"units", 3.0}, {"activation", "relu"}}}, {image});
    check_layer("MaxPooling2D", {"MaxPooling2D", "l", {{"pool_size", 3.0}, {"strides", 2.0}, {"padding", "same"}}}, {image});
    check_layer("AveragePooling2D", {"AveragePooling2D", "l", {{"pool_size", 3.0}, {"strides", 1.0}, {"padding", "same"}}}, {image}, true);
    check_layer("GlobalAveragePooling2D", {"GlobalAveragePooling2D", "l", {}}, {image}, true);
    check_layer("GlobalMaxPooling2D", {"GlobalMaxPooling2D", "l", {}}, {image});
    check_layer("BatchNormalization", {"BatchNormalization", "l", {}}, {image});
    check_layer("LayerNormalization", {"LayerNormalization", "l", {}}, {Shape{3, 8}});
    check_layer("PReLU", {"PReLU", "l", {{"shared_axes", List{1.0, 2.0}}}}, {image});
    check_layer("Softmax along another axis", {"Softmax", "l", {{"axis", 1.0}}}, {image});
    check_layer("UpSampling2D nearest", {"UpSampling2D", "l", {{"size", List{2.0, 3.0}}}}, {image}, true);
    check_layer("UpSampling2D bilinear", {"UpSampling2D", "l", {{"size", 2.0}, {"interpolation", "bilinear"}}}, {image}, true);
    check_layer("ZeroPadding2D", {"ZeroPadding2D", "l", {{"padding", List{List{1.0, 2.0}, List{0.0, 3.0}}}}}, {image}, true);
    check_layer("Cropping2D", {"Cropping2D", "l", {{"cropping", 1.0}}}, {image}, true);
    check_layer("Multiply", {"Multiply", "l", {}}, {image, Shape{2, 1, 1, 4}});
    check_layer("Average of three", {"Average", "l", {}}, {image, image, image});
    check_layer("Concatenate", {"Concatenate", "l", {{"axis", 2.0}}}, {image, Shape{2, 7, 3, 4}});
    check_layer("Permute", {"Permute", "l", {{"dims", List{2.0, 3.0, 1.0}}}}, {image}, true);
}

TEST_CASE("weights: their gradients too, when somebody watches them") {
    check_weights({"Conv2D", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}, {"padding", "same"}, {"activation", "relu"}}},
                  {Shape{2, 5, 6, 4}});
    check_weights({"Conv2DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}}}, {Shape{2, 5, 6, 4}});
    check_weights({"Dense", "l", {{"units", 3.0}, {"activation", "relu"}}}, {Shape{3, 5}});
}

TEST_CASE("layers along a line, in volumes, of attention and products: finite differences, and the adjoint identity of the linear ones") {
    const Shape line{2, 7, 4}, image{2, 5, 4, 4}, volume{2, 4, 5, 3, 2};
    check_layer("Conv1D", {"Conv1D", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}, {"padding", "same"}}}, {line}, true);
    check_layer(
        "Conv1D causal with relu",
        {"Conv1D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}, {"dilation_rate", 2.0}, {"padding", "causal"}, {"activation", "relu"}}},
        {line});
    check_layer("Conv1D on one step", {"Conv1D", "l", {{"filters", 2.0}, {"kernel_size", 3.0}, {"padding", "same"}}}, {Shape{1, 1, 1}},
                true);
    check_layer("Conv1DTranspose", {"Conv1DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}}}, {line}, true);
    check_layer("DepthwiseConv1D", {"DepthwiseConv1D", "l", {{"kernel_size", 3.0}}}, {line}, true);
    check_layer("SeparableConv1D", {"SeparableConv1D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}}}, {line}, true);
    check_layer("LocallyConnected1D", {"LocallyConnected1D", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}}}, {line});
    check_layer("LocallyConnected2D", {"LocallyConnected2D", "l", {{"filters", 3.0}, {"kernel_size", List{3.0, 2.0}}}}, {image});
    check_layer("MaxPooling1D", {"MaxPooling1D", "l", {{"pool_size", 2.0}}}, {line});
    check_layer("AveragePooling1D", {"AveragePooling1D", "l", {{"pool_size", 3.0}, {"strides", 1.0}, {"padding", "same"}}}, {line}, true);
    check_layer("UpSampling1D", {"UpSampling1D", "l", {{"size", 3.0}}}, {line}, true);
    check_layer("Conv3D", {"Conv3D", "l", {{"filters", 3.0}, {"kernel_size", List{2.0, 3.0, 1.0}}, {"strides", 2.0}, {"padding", "same"}}},
                {volume}, true);
    check_layer("Conv3D dilated, in groups, with relu",
                {"Conv3D", "l", {{"filters", 4.0}, {"kernel_size", 2.0}, {"dilation_rate", 2.0}, {"groups", 2.0}, {"activation", "relu"}}},
                {volume});
    check_layer("Conv3DTranspose",
                {"Conv3DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", List{2.0, 1.0, 2.0}}, {"padding", "same"}}},
                {volume}, true);
    check_layer("Conv3DTranspose dilated", {"Conv3DTranspose", "l", {{"filters", 2.0}, {"kernel_size", 2.0}, {"dilation_rate", 2.0}}},
                {volume}, true);
    check_layer("MaxPooling3D", {"MaxPooling3D", "l", {{"pool_size", 2.0}, {"strides", 1.0}}}, {volume});
    check_layer("AveragePooling3D", {"AveragePooling3D", "l", {{"pool_size", 2.0}, {"padding", "same"}}}, {volume}, true);
    check_layer("UpSampling3D", {"UpSampling3D", "l", {{"size", 2.0}}}, {volume}, true);
    check_layer("GlobalAveragePooling3D", {"GlobalAveragePooling3D", "l", {}}, {volume}, true);
    check_layer("ZeroPadding3D", {"ZeroPadding3D", "l", {{"padding", 1.0}}}, {volume}, true);
    check_layer("Cropping1D", {"Cropping1D", "l", {{"cropping", List{1.0, 2.0}}}}, {line}, true);
    check_layer("Resizing bicubic", {"Resizing", "l", {{"height", 3.0}, {"width", 7.0}, {"interpolation", "bicubic"}}}, {image}, true);
    check_layer("Resizing of one pixel", {"Resizing", "l", {{"height", 2.0}, {"width", 3.0}, {"interpolation", "lanczos3"}}},
                {Shape{1, 1, 1, 1}}, true);
    check_layer("CenterCrop", {"CenterCrop", "l", {{"height", 3.0}, {"width", 3.0}}}, {image}, true);
    check_layer("BatchNormalization along another axis", {"BatchNormalization", "l", {{"axis", 1.0}}}, {image});
    check_layer("RMSNormalization", {"RMSNormalization", "l", {}}, {line});
    check_layer("GroupNormalization", {"GroupNormalization", "l", {{"groups", 2.0}}}, {image});
    check_layer("UnitNormalization", {"UnitNormalization", "l", {}}, {line});
    check_layer("Normalization", {"Normalization", "l", {{"mean", 0.5}, {"variance", 2.0}}}, {image});
    check_layer("MultiHeadAttention", {"MultiHeadAttention", "l", {{"num_heads", 2.0}, {"key_dim", 3.0}}},
                {line, Shape{2, 5, 3}, Shape{2, 5, 2}});
    check_layer("MultiHeadAttention over an image", {"MultiHeadAttention", "l", {{"num_heads", 2.0}, {"key_dim", 2.0}}}, {image, image});
    check_layer("GroupedQueryAttention",
                {"GroupedQueryAttention", "l", {{"num_query_heads", 4.0}, {"num_key_value_heads", 2.0}, {"head_dim", 2.0}}}, {line, line});
    check_layer("Attention", {"Attention", "l", {{"use_scale", true}}}, {line, Shape{2, 5, 4}});
    check_layer("Attention concat", {"Attention", "l", {{"score_mode", "concat"}}}, {line, Shape{2, 5, 4}});
    check_layer("AdditiveAttention", {"AdditiveAttention", "l", {}}, {line, Shape{2, 5, 4}});
    check_layer("EinsumDense",
                {"EinsumDense", "l", {{"equation", "abc,cde->abde"}, {"output_shape", List{Value(), 2.0, 3.0}}, {"bias_axes", "de"}}},
                {line}, true);
    check_layer("Dot", {"Dot", "l", {{"axes", List{1.0, 2.0}}}}, {line, Shape{2, 3, 7}});
    check_layer("Dot of directions", {"Dot", "l", {{"axes", 1.0}, {"normalize", true}}}, {Shape{3, 4}, Shape{3, 4}});
    check_layer("LayerScale", {"LayerScale", "l", {{"projection_dim", 4.0}}}, {image}, true);
    check_layer("CustomScaleLayer", {"CustomScaleLayer", "l", {{"scale", 0.3}}}, {image, image});
    check_layer("sparsemax", {"Activation", "l", {{"activation", "sparsemax"}}}, {Shape{3, 5}});
    check_layer("glu", {"Activation", "l", {{"activation", "glu"}}}, {line});
    check_layer("log_softmax", {"Activation", "l", {{"activation", "log_softmax"}}}, {line});
    check_layer("Add of an image and a row", {"Add", "l", {}}, {image, Shape{2, 4}});
}

TEST_CASE("products by letters: finite differences of both operands, weights and values of each image") {
    const auto check = [](const char* equation, const Shape& a, const Shape& b) {
        CAPTURE(equation);
        CHECK(finite_difference_error([&](Tape& t, const std::vector<Var>& x) { return einsum(t, equation, x[0], x[1]); },
                                      {random_tensor(a, 1), random_tensor(b, 2)}) <= finite_tolerance);
    };
    check("bij,bjk->bik", {3, 2, 4}, {3, 4, 5});
    check("bij,kj->bik", {3, 2, 4}, {5, 4});
    check("bqhd,bkhd->bhqk", {2, 3, 2, 4}, {2, 5, 2, 4});
    check("npi,pik->npk", {2, 3, 4}, {3, 4, 2});
    check("bi,bi->b", {3, 4}, {3, 4});
    check("bi,bj->bji", {3, 4}, {3, 2});
    const Tensor x = random_tensor({2, 3, 4}, 1);
    Tape tape(reference_backend());
    for (const char* wrong : {"bij", "bij,jk", "bij,bjk->ijk", "bij,jk->bi", "bii,ik->bk", "bij,jk->bikk", "bijl,jk->bik", "bij,ik->bkj"})
        CHECK(complaint([&] { einsum(tape, wrong, x, random_tensor({4, 5}, 2)); }) != "");
}

TEST_CASE("places along an axis in steps, and back into zeros: adjoint identity, and each other's opposite") {
    const Shape shape{2, 7, 3, 4};
    const auto adjoint = [&](auto f) { return adjoint_error([&](Tape& t, const std::vector<Var>& x) { return f(t, x[0]); }, shape); };
    CHECK(adjoint([](Tape& t, const Var& x) { return slice(t, x, 1, 1, 3, 2); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return slice(t, x, -1, 1, 1, 3); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return spread(t, x, 2, 1, 9, 3); }) <= adjoint_tolerance);
    CHECK(adjoint([](Tape& t, const Var& x) { return resize(t, Interpolation::bilinear, x, 3, 5); }) <= adjoint_tolerance);
    Tape tape(reference_backend());
    const Tensor x = random_tensor(shape, 1);
    CHECK(same_bits(slice(tape, spread(tape, x, 1, 2, 30, 4), 1, 2, 7, 4).value, x));
    CHECK(spread(tape, x, 1, 2, 30, 4).value.at({1, 6, 2, 3}) == x.at({1, 1, 2, 3}));
    CHECK(spread(tape, x, 1, 2, 30, 4).value.at({1, 5, 2, 3}) == 0);
    CHECK(complaint([&] { slice(tape, x, 1, 1, 4, 2); }) != "");
}

TEST_CASE("the tape records from the watched value upward and nothing below") {
    Tape tape(reference_backend());
    const Var x = random_tensor({2, 3}, 1);
    const Var below = exp(tape, x);
    CHECK_FALSE(below.recorded());
    const Var watched = tape.watch(below);
    const Var y = log(tape, relu(tape, scale(tape, watched, 2)));
    CHECK(tape.recorded() == std::vector<std::string>{"watch", "multiply", "unary", "unary"});
    const Var unrelated = random_tensor({2, 3}, 2);
    const std::vector<Tensor> g = tape.gradients(y, Tensor::full({2, 3}, 1), std::vector<Var>{watched, unrelated});
    for (Index i = 0; i < 6; i++) CHECK(g[0].at_flat(i) == doctest::Approx(1 / watched.value.at_flat(i)));
    for (Index i = 0; i < 6; i++) CHECK(g[1].at_flat(i) == 0);  // what the score does not depend on gets zeros
}

TEST_CASE("gradients of the weights of layers that hand them on") {
    check_weights({"Conv1D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}, {"activation", "relu"}}}, {Shape{2, 5, 4}});
    check_weights({"SeparableConv1D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}}}, {Shape{2, 5, 4}});
    check_weights({"Conv3D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}, {"activation", "relu"}}}, {Shape{2, 4, 5, 3, 2}});
    check_weights({"Conv3DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 2.0}, {"strides", 2.0}}}, {Shape{2, 2, 3, 2, 2}});
    check_weights({"LocallyConnected2D", "l", {{"filters", 2.0}, {"kernel_size", 2.0}}}, {Shape{2, 3, 4, 2}});
    check_weights({"MultiHeadAttention", "l", {{"num_heads", 2.0}, {"key_dim", 3.0}}}, {Shape{2, 4, 3}, Shape{2, 4, 3}});
    check_weights({"AdditiveAttention", "l", {}}, {Shape{2, 4, 3}, Shape{2, 5, 3}});
    check_weights({"Attention", "l", {{"use_scale", true}, {"score_mode", "concat"}}}, {Shape{2, 4, 3}, Shape{2, 5, 3}});
    check_weights({"EinsumDense", "l", {{"equation", "...x,xy->...y"}, {"output_shape", 3.0}, {"bias_axes", "y"}}}, {Shape{2, 4, 3}});
    check_weights({"RMSNormalization", "l", {}}, {Shape{2, 4, 3}});
    check_weights({"GroupNormalization", "l", {{"groups", 2.0}}}, {Shape{2, 4, 4}});
    check_weights({"LayerScale", "l", {}}, {Shape{2, 4, 4}});
    check_weights({"PReLU", "l", {{"shared_axes", List{1.0}}}}, {Shape{2, 4, 3}});
}

TEST_CASE("several targets in one walk: T*N seeds give T*N gradients, the same as T walks") {
    for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
        const LayerPtr conv = make_layer({"Conv2D", "c", {{"filters", 4.0}, {"kernel_size", 3.0}, {"activation", "relu"}}});
        const LayerPtr pool = make_layer({"MaxPooling2D", "p", {}}), norm = make_layer({"LayerNormalization", "n", {}}),
                       dense = make_layer({"Dense", "d", {{"units", 5.0}}});
        conv->build({Shape{2, 8, 8, 3}}), pool->build({Shape{2, 6, 6, 4}}), norm->build({Shape{2, 36}}), dense->build({Shape{2, 36}});
        for (const LayerPtr& layer : {conv, norm, dense})
            for (Weight& w : layer->weights) w.value = random_tensor(w.shape, 5);
        Tape tape(*backend);
        const Var x = tape.watch(random_tensor({2, 8, 8, 3}, 1));
        const Var flat = reshape(tape, pool->forward(tape, {conv->forward(tape, {x})}), {2, 36});
        const Var y = softmax(tape, dense->forward(tape, {multiply(tape, norm->forward(tape, {flat}), flat)}));
        Tensor seeds = Tensor::zeros({6, 5});
        for (Index t = 0; t < 3; t++)
            for (Index n = 0; n < 2; n++) seeds.data()[(t * 2 + n) * 5 + t] = 1;
        const Tensor together = tape.gradients(y, seeds, {&x, 1})[0];
        REQUIRE(together.shape() == (Shape{6, 8, 8, 3}));
        for (Index t = 0; t < 3; t++)
            CHECK(relative_error(together.rows(t * 2, 2), tape.gradients(y, seeds.rows(t * 2, 2), {&x, 1})[0]) <= 1e-6);
    }
}

TEST_CASE("several targets in one walk: attention, volumes and products, too") {
    const auto check = [](const Config& config, const std::vector<Shape>& inputs) {
        CAPTURE(config.class_name);
        const LayerPtr layer = make_layer(config);
        layer->build(inputs);
        for (Weight& w : layer->weights) w.value = random_tensor(w.shape, 5);
        Tape tape(cpu_backend());
        std::vector<Var> x;
        for (const Shape& shape : inputs) x.push_back(tape.watch(random_tensor(shape, 1 + x.size())));
        const Var y = layer->forward(tape, x);
        const Tensor seeds = random_tensor(y.shape().with(0, 3 * y.shape()[0]), 9);
        const std::vector<Tensor> together = tape.gradients(y, seeds, x);
        for (Index t = 0; t < 3; t++) {
            const std::vector<Tensor> alone = tape.gradients(y, seeds.rows(t * y.shape()[0], y.shape()[0]), x);
            for (std::size_t i = 0; i < x.size(); i++)
                CHECK(relative_error(together[i].rows(t * inputs[i][0], inputs[i][0]), alone[i]) <= 1e-6);
        }
    };
    check({"MultiHeadAttention", "l", {{"num_heads", 2.0}, {"key_dim", 3.0}}}, {Shape{2, 5, 4}, Shape{2, 3, 4}});
    check({"Attention", "l", {}}, {Shape{2, 5, 4}, Shape{2, 3, 4}});
    check({"Conv3D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}, {"strides", 2.0}}}, {Shape{2, 4, 5, 3, 2}});
    check({"Conv3DTranspose", "l", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}}}, {Shape{2, 2, 3, 2, 2}});
    check({"MaxPooling3D", "l", {}}, {Shape{2, 4, 5, 3, 2}});
    check({"Conv1D", "l", {{"filters", 3.0}, {"kernel_size", 2.0}}}, {Shape{2, 5, 4}});
    check({"EinsumDense", "l", {{"equation", "abc,bcd->abd"}, {"output_shape", List{5.0, 2.0}}}}, {Shape{2, 5, 4}});
    check({"GroupNormalization", "l", {{"groups", 2.0}}}, {Shape{2, 3, 3, 4}});
    check({"Activation", "l", {{"activation", "sparsemax"}}}, {Shape{2, 6}});
}

TEST_CASE("the ReLU's rule belongs to the walk: plain, guided and deconvnet on the same tape") {
    Tape tape(reference_backend());
    const float inputs[] = {-2, -1, 1, 2}, weights[] = {1, -1, 1, -1};
    const Var x = tape.watch(Tensor::from({1, 4}, inputs));
    const Var y = sum(tape, multiply(tape, relu(tape, x), Tensor::from({1, 4}, weights)), {1});
    const Tensor one = Tensor::full({1, 1}, 1);
    const auto gradient = [&](ReluRule rule) {
        const Tensor g = tape.gradients(y, one, {&x, 1}, rule)[0];
        return std::vector<float>(g.values().begin(), g.values().end());
    };
    CHECK(gradient(ReluRule::plain) == std::vector<float>{0, 0, 1, -1});
    CHECK(gradient(ReluRule::guided) == std::vector<float>{0, 0, 1, 0});
    CHECK(gradient(ReluRule::deconvnet) == std::vector<float>{1, 0, 1, 0});
}
