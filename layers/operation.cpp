// Functions called on tensors without a layer around them: x + 3.0, keras.ops.mean(x, axis=1), tf.nn.relu6(x). A file holds each call as a
// node of its own; weights/keras_config.cpp makes it the layer "Operation" with the settings operation, arguments, keywords (null stands
// for a tensor: an input). What a layer does, too, becomes that layer; the others stand in the class Operation.
#include <algorithm>
#include <cmath>

#include "layers/axis.h"
#include "layers/operation.h"

namespace limn {

using namespace operations;

namespace {

// ---- element by element

Tensor constant(const Call& call, const char* key) {
    const Tensor c = call.array(key);
    return c.empty() || c.shape().rank() ? c : c.reshaped({1});
}

Var power(Tape& tape, const Var& x, double p) {
    if (p == 0.5) return sqrt(tape, x);
    if (p < 0) return divide(tape, Tensor::full({1}, 1, x.value.dtype()), power(tape, x, -p));
    if (p != std::floor(p) || p < 1 || p > 64) return exp(tape, scale(tape, log(tape, x), p));  // not a number where x < 0
    Var y = x;
    for (int i = 1; i < int(p); i++) y = multiply(tape, y, x);
    return y;
}

LayerPtr make_binary(const Call& call) {
    const std::string& f = call.class_name;
    const Value *left = call.find("x1"), *right = call.find("x2");
    if (left && right) call.reject("it reads no tensor");
    const double* number = left ? left->as<double>() : right ? right->as<double>() : nullptr;
    if (number) {
        const double c = *number;
        const auto affine = [&](double scale, double offset) { return call.layer("Rescaling", {{"scale", scale}, {"offset", offset}}); };
        if (f == "add") return affine(1, c);
        if (f == "subtract") return left ? affine(-1, c) : affine(1, -c);
        if (f == "multiply") return affine(c, 0);
        if (f == "divide" && right) return affine(1 / c, 0);
        if (f == "power" && right) return element_wise(call, [c](Tape& tape, const Var& x) { return power(tape, x, c); });
    }
    using Two = Var (*)(Tape&, const Var&, const Var&);
    static const std::map<std::string, std::pair<Two, const char*>> functions = {
        {"add", {add, "Add"}},
        {"subtract", {subtract, "Subtract"}},
        {"multiply", {multiply, "Multiply"}},
        {"divide", {divide, nullptr}},
        {"maximum", {maximum, "Maximum"}},
        {"minimum", {minimum, "Minimum"}},
        {"power", {[](Tape& tape, const Var& a, const Var& b) { return exp(tape, multiply(tape, b, log(tape, a))); }, nullptr}}};
    const auto [apply, layer] = functions.at(f);
    const Tensor fixed = constant(call, left ? "x1" : "x2");
    const auto shapes = [call, fixed](const std::vector<Shape>& in) {
        if (in.size() != (fixed.empty() ? 2u : 1u)) call.reject("it needs two operands");
        const Shape& other = fixed.empty() ? in[1] : fixed.shape();
        Shape out = in[0];
        const bool ranks_fit =
            fixed.empty() ? other.rank() == out.rank() : other.rank() < out.rank() || (other.rank() == out.rank() && other[0] == 1);
        for (int i = 1; ranks_fit && i <= other.rank(); i++) {
            if (out[-i] != other[-i] && out[-i] != 1 && other[-i] != 1 && out[-i] >= 0 && other[-i] >= 0)
                call.reject(fmt::format("{} and {} do not fit together", in[0].str(), other.str()));
            if (out[-i] == 1) out[-i] = other[-i];
        }
        if (!ranks_fit) call.reject(fmt::format("{} and {} do not fit together", in[0].str(), other.str()));
        return out;
    };
    if (fixed.empty() && layer) return call.layer(layer, {});
    return operation(call, shapes, [f = apply, fixed, first = left != nullptr](Tape& tape, const std::vector<Var>& in) {
        if (fixed.empty()) return f(tape, in[0], in[1]);
        const Tensor c = fixed.to(in[0].value.dtype()).on(in[0].value.device());
        return first ? f(tape, c, in[0]) : f(tape, in[0], c);
    });
}

LayerPtr make_elementary(const Call& call) {  // exp, log, sqrt, abs and what follows from them
    using One = Var (*)(Tape&, const Var&);
    static const std::map<std::string, One> functions = {
        {"log", log},
        {"sqrt", sqrt},
        {"abs", [](Tape& tape, const Var& x) { return unary(tape, {.kind = Unary::abs}, x); }},
        {"negative", [](Tape& tape, const Var& x) { return scale(tape, x, -1); }},
        {"square", [](Tape& tape, const Var& x) { return multiply(tape, x, x); }},
        {"rsqrt", [](Tape& tape, const Var& x) { return power(tape, x, -0.5); }},
        {"reciprocal", [](Tape& tape, const Var& x) { return power(tape, x, -1); }},
        {"stop_gradient", [](Tape&, const Var& x) { return Var(x.value); }}};
    return element_wise(call, functions.at(call.class_name));
}

LayerPtr make_function(const Call& call) {  // Keras's activations, under their names
    const std::string& f = call.class_name;
    if (f == "relu" || f == "leaky_relu") {
        Dict settings;
        for (const char* key : {"negative_slope", "max_value", "threshold"})
            if (const Value* v = call.find(key)) settings[key] = *v;
        if (f == "leaky_relu") settings.emplace("negative_slope", 0.2);
        return call.layer("ReLU", settings);
    }
    ActivationFn fn = activation_named(f, 3);
    if (f == "gelu" && call.flag("approximate", false)) fn.fn.kind = Unary::gelu_tanh;
    if (f == "elu" || f == "celu") fn.fn.slope = call.number("alpha", fn.fn.slope);
    if (f == "squareplus") fn.fn.slope = call.number("b", fn.fn.slope);
    if (f == "soft_shrink" || f == "hard_shrink") fn.fn.threshold = call.number("threshold", fn.fn.threshold);
    fn.axis = call.integer("axis", -1);
    if (fn.along == ActivationFn::Along::softmax) return call.layer("Softmax", {{"axis", double(fn.axis)}});
    return make_activation(call.stored, fn);
}

LayerPtr make_clip(const Call& call) {
    const double low = call.number("low", -HUGE_VAL), high = call.number("high", HUGE_VAL);
    if (low > high) call.reject(fmt::format("nothing lies from {} to {}", low, high));
    return make_activation(call.stored, {.fn = {.kind = Unary::clip, .threshold = low, .max_value = high}});
}

LayerPtr make_same(const Call& call) {
    const std::string type = call.text("dtype", "float32");
    if (type.find("float") == std::string::npos) call.reject(fmt::format("numbers of type {} are not known", type));
    return call.activation("linear");
}

// ---- along axes

LayerPtr make_reduction(const Call& call) {
    using Reduce = Var (*)(Tape&, const Var&, std::vector<int>);
    static const auto variance = [](Tape& tape, const Var& x, std::vector<int> axes) {
        const Var centred = subtract(tape, x, mean(tape, x, axes));
        return mean(tape, multiply(tape, centred, centred), axes);
    };
    static const std::map<std::string, Reduce> functions = {
        {"sum", sum},
        {"mean", mean},
        {"max", max},
        {"min", [](Tape& tape, const Var& x, std::vector<int> axes) { return scale(tape, max(tape, scale(tape, x, -1), axes), -1); }},
        {"var", variance},
        {"std", [](Tape& tape, const Var& x, std::vector<int> axes) { return sqrt(tape, variance(tape, x, axes)); }}};
    if (!call.has("axis")) call.reject("it would join the images of a batch: it needs 'axis'");
    const auto axes = [call](int rank) {
        std::vector<int> list;
        for (Index axis : call.integers("axis", {})) list.push_back(axis_of(call, axis, rank));
        std::sort(list.begin(), list.end(), std::greater<int>());
        return list;
    };
    const auto shapes = [axes, keep = call.flag("keepdims", false)](const std::vector<Shape>& in) {
        Shape out = in[0];
        for (int axis : axes(in[0].rank())) out = keep ? out.with(axis, 1) : out.without(axis);
        return out;
    };
    return operation(call, shapes, [shapes, axes, f = functions.at(call.class_name)](Tape& tape, const std::vector<Var>& in) {
        return reshape(tape, f(tape, in[0], axes(in[0].shape().rank())), shapes({in[0].shape()}));
    });
}

LayerPtr make_normalize(const Call& call) {
    if (call.class_name == "l2_normalize" && !call.has("axis"))
        call.reject("without an axis it is of the whole batch: limn knows it along axes");
    if (call.integer("order", 2) != 2) call.reject("only lengths of order 2 are known");
    // Keras names the least length, TensorFlow the least sum of squares
    const double least = call.has("least_square") ? call.number("least_square", 0) : std::pow(call.number("epsilon", 1e-6), 2);
    return element_wise(call, [call, least](Tape& tape, const Var& x) {
        std::vector<int> axes;
        for (Index axis : call.integers("axis", {-1})) axes.push_back(axis_of(call, axis, x.shape().rank()));
        return unit_length(tape, x, axes, least);
    });
}

// ---- images

LayerPtr make_resize_to(const Call& call) {
    const auto [height, width] = call.pair("size", 0);
    Dict settings{{"height", double(height)}, {"width", double(width)}};
    for (const char* key : {"interpolation", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value"})
        if (const Value* v = call.find(key)) settings[key] = *v;
    return call.layer("Resizing", settings);
}

LayerPtr make_pool(const Call& call) {
    Dict settings;
    for (const char* key : {"pool_size", "strides"})
        if (call.has(key)) {
            const std::vector<Index> given = call.integers(key, {});
            List sizes;  // TensorFlow may name all four axes
            for (std::size_t i = given.size() == 4 ? 1 : 0; i < (given.size() == 4 ? 3 : given.size()); i++)
                sizes.push_back(double(given[i]));
            settings[key] = sizes.size() == 1 ? sizes[0] : Value(sizes);
        }
    std::string padding = call.text("padding", "valid");
    std::transform(padding.begin(), padding.end(), padding.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    settings["padding"] = padding;
    return call.layer(call.class_name == "max_pool" ? "MaxPooling2D" : "AveragePooling2D", settings);
}

// ---- products

LayerPtr make_matmul(const Call& call) {
    const Tensor fixed = constant(call, "x2");
    if (call.has("x1")) call.reject("its first operand should be a tensor");
    const auto equation = [call, fixed](const Shape& a, const Shape& b) {
        const bool weight = !fixed.empty() && b.rank() == 2;
        if (a.rank() < 2 || (!weight && (a.rank() != b.rank() || a.rank() < 3)))
            call.reject(fmt::format("{} and {} cannot be multiplied as matrices", a.str(), b.str()));
        const std::string batch = std::string("bcdefg").substr(0, std::size_t(a.rank()) - 2);
        const bool turn_a = call.flag("transpose_a", false), turn_b = call.flag("transpose_b", false);
        return batch + (turn_a ? "ki" : "ik") + "," + (weight ? "" : batch) + (turn_b ? "jk" : "kj") + "->" + batch + "ij";
    };
    const auto shapes = [call, fixed, equation](const std::vector<Shape>& in) {
        if (in.size() != (fixed.empty() ? 2u : 1u)) call.reject("it needs two operands");
        const Shape &a = in[0], &b = fixed.empty() ? in[1] : fixed.shape();
        equation(a, b);
        return a.with(-2, a[call.flag("transpose_a", false) ? -1 : -2]).with(-1, b[call.flag("transpose_b", false) ? -2 : -1]);
    };
    return operation(call, shapes, [fixed, equation](Tape& tape, const std::vector<Var>& in) {
        const Var b = fixed.empty() ? in[1] : Var(fixed.to(in[0].value.dtype()).on(in[0].value.device()));
        return einsum(tape, equation(in[0].shape(), b.shape()), in[0], b);
    });
}

// ---- all of them

struct Known {
    const char *names, *parameters;  // of Keras and TensorFlow, in order; alternatives are separated by |
    LayerPtr (*make)(const Call&);
};
constexpr Known known[] = {
    {"add|add_v2|bias_add", "x1|x|value x2|y|bias", make_binary},
    {"subtract|sub", "x1|x x2|y", make_binary},
    {"multiply|mul", "x1|x x2|y", make_binary},
    {"divide|true_divide|truediv|real_div", "x1|x x2|y", make_binary},
    {"maximum", "x1|x x2|y", make_binary},
    {"minimum", "x1|x x2|y", make_binary},
    {"power|pow", "x1|x x2|y", make_binary},
    {"log", "x", make_elementary},
    {"sqrt", "x", make_elementary},
    {"abs|absolute", "x", make_elementary},
    {"negative|neg", "x", make_elementary},
    {"square", "x", make_elementary},
    {"rsqrt", "x", make_elementary},
    {"reciprocal", "x", make_elementary},
    {"stop_gradient", "x", make_elementary},
    {"exponential|exp", "x", make_function},
    {"relu|re_lu", "x|features negative_slope|alpha max_value threshold", make_function},
    {"leaky_relu", "x|features negative_slope|alpha", make_function},
    {"relu6", "x|features", make_function},
    {"elu", "x|features alpha", make_function},
    {"celu", "x alpha", make_function},
    {"selu", "x|features", make_function},
    {"softplus", "x|features", make_function},
    {"softsign|soft_sign", "x|features", make_function},
    {"tanh", "x", make_function},
    {"hard_tanh", "x", make_function},
    {"tanh_shrink", "x", make_function},
    {"soft_shrink", "x threshold", make_function},
    {"hard_shrink", "x threshold", make_function},
    {"sigmoid", "x", make_function},
    {"log_sigmoid", "x", make_function},
    {"hard_sigmoid", "x", make_function},
    {"sparse_sigmoid", "x", make_function},
    {"silu|swish", "x|features", make_function},
    {"hard_silu|hard_swish", "x", make_function},
    {"gelu", "x|features approximate", make_function},
    {"mish", "x", make_function},
    {"sparse_plus", "x", make_function},
    {"squareplus", "x b", make_function},
    {"softmax", "x|logits axis", make_function},
    {"log_softmax", "x|logits axis", make_function},
    {"sparsemax", "x axis", make_function},
    {"glu", "x axis", make_function},
    {"clip|clip_by_value", "x|t low|x_min|clip_value_min high|x_max|clip_value_max", make_clip},
    {"identity|cast|convert_to_tensor", "x dtype", make_same},
    {"sum|reduce_sum", "x|input_tensor axis keepdims|keep_dims", make_reduction},
    {"mean|reduce_mean", "x|input_tensor axis keepdims|keep_dims", make_reduction},
    {"max|amax|reduce_max", "x|input_tensor axis keepdims|keep_dims", make_reduction},
    {"min|amin|reduce_min", "x|input_tensor axis keepdims|keep_dims", make_reduction},
    {"var|reduce_variance", "x|input_tensor axis keepdims|keep_dims", make_reduction},
    {"std|reduce_std", "x|input_tensor axis keepdims|keep_dims", make_reduction},
    {"normalize", "x axis order epsilon", make_normalize},
    {"l2_normalize", "x axis least_square|epsilon", make_normalize},
    {"reshape", "x|tensor shape|newshape", make_reshape_to},
    {"transpose", "x|a axes|perm", make_transpose_to},
    {"concatenate|concat", "xs|values axis",
     [](const Call& call) {
         return call.layer("Concatenate", {{"axis", call.number("axis", 0)}});
     }},
    {"stack", "xs|values axis", make_stack},
    {"expand_dims", "x|input axis", make_expand_dims},
    {"squeeze", "x|input axis", make_squeeze},
    {"get_item|getitem", "x key|slice_spec", make_get_item},
    {"pad", "x|tensor pad_width|paddings mode constant_values", make_pad},
    {"resize", "images|image size interpolation|method antialias crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value",
     make_resize_to},
    {"max_pool|max_pool2d", "x|inputs|input pool_size|ksize strides padding", make_pool},
    {"average_pool|avg_pool|avg_pool2d", "x|inputs|input pool_size|ksize strides padding", make_pool},
    {"matmul|mat_mul|batch_mat_mul_v2", "x1|a x2|b transpose_a|adj_x transpose_b|adj_y", make_matmul},
};

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> parts;
    while (true) {
        const auto end = text.find(at);
        parts.emplace_back(text.substr(0, end));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

// "math.reduce_mean" -> "reduce_mean", "TrueDivide" -> "true_divide", "ReLU" -> "re_lu"
std::string plain_name(std::string name) {
    name.erase(0, name.rfind('.') + 1);
    std::string plain;
    char before = 0;
    for (char c : name) {
        const bool upper = c >= 'A' && c <= 'Z';
        if (upper && before >= 'a' && before <= 'z') plain += '_';
        plain += upper ? char(c - 'A' + 'a') : c;
        before = c;
    }
    return plain;
}

}  // namespace

static const Known* find_known(const std::string& name) {
    const std::string plain = plain_name(name.substr(0, 128));
    const auto found = std::ranges::find_if(known, [&](const Known& entry) {
        const std::vector<std::string> names = split(entry.names, '|');
        return std::ranges::count(names, plain) > 0;
    });
    return found == std::end(known) ? nullptr : &*found;
}

bool is_known_function(const std::string& name) { return find_known(name); }

static bool is_parameter(const Known& entry, const std::string& name) {
    const std::vector<std::string> parameters = split(entry.parameters, ' ');
    return std::ranges::any_of(parameters, [&](const std::string& p) { return std::ranges::count(split(p, '|'), name) > 0; });
}

// Does an argument leave the function as it is?
static bool says_nothing(const std::string& name, const Value& value) {
    const std::string* text = value.as<std::string>();
    if (value == Value(false) || (text && *text == "None")) return true;
    if (name == "name" || name == "dtype") return true;
    if (name == "data_format") return text && (*text == "NHWC" || *text == "channels_last");
    return name == "ddof" && value == Value(0.0);
}

LayerPtr make_operation(const Config& config) {
    const std::string given = config.text("operation", "");
    if (const Known* entry = find_known(given)) {
        const std::vector<std::string> names = split(entry->names, '|');
        const Value *arguments = config.find("arguments"), *keywords = config.find("keywords");
        Call call{{names[0], config.name, {}, config.channels_first, config.keras_major}, config};
        std::size_t position = 0;
        for (const std::string& parameter : split(entry->parameters, ' ')) {
            const std::vector<std::string> alternatives = split(parameter, '|');
            const List* list = arguments ? arguments->as<List>() : nullptr;
            const Value* value = list && position < list->size() ? &(*list)[position] : nullptr;
            for (const std::string& alternative : alternatives)
                if (!value && keywords) value = keywords->find(alternative);
            const std::string* text = value ? value->as<std::string>() : nullptr;
            if (value && !value->is_null() && !(text && *text == "None")) call.settings[alternatives[0]] = *value;
            position++;
        }
        if (const List* list = arguments ? arguments->as<List>() : nullptr)
            for (; position < list->size(); position++)
                if (!says_nothing("", (*list)[position])) call.reject("it is called with more arguments than limn knows of");
        if (const Dict* dict = keywords ? keywords->as<Dict>() : nullptr)
            for (const auto& [name, value] : *dict)
                if (!is_parameter(*entry, name) && !says_nothing(name, value))
                    call.reject(fmt::format("it is called with '{}', which limn does not know", name));
        return entry->make(call);
    }
    std::string list;
    for (const Known& entry : known) list += (list.empty() ? "" : ", ") + split(entry.names, '|')[0];
    fail("layer '{}' calls the function '{}', which limn does not know; it knows {}", config.name, given.substr(0, 128), list);
}

}  // namespace limn
