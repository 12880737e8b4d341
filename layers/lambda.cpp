// Lambda: a file holds it as Python code, which limn never runs. Whoever knows what it computes says so in words:
//     x/127.5 - 1      x - [103.939, 116.779, 123.68]      x[..., ::-1]      relu(x) * 2      space_to_depth(x, 2)
// x is the input; numbers, lists (one number a channel), + - * /, brackets, x[..., ::-1] (channels in reverse), the names of
// activations and of exp, log, sqrt, abs as functions. Evaluated in this order in float32, as Keras would; differentiable.
#include <charconv>

#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

struct Expression {
    std::function<Var(Tape&, const Var&)> value;
    std::function<Shape(const Shape&)> shape;  // of the value, from that of x
};

Expression constant(std::vector<float> numbers) {
    const Shape shape{Index(numbers.size())};
    return {[=](Tape&, const Var& x) { return Var(Tensor::from(shape, numbers).to(x.value.dtype()).on(x.value.device())); },
            [=](const Shape&) { return shape; }};
}

Expression binary(Var (*f)(Tape&, const Var&, const Var&), const Expression& a, const Expression& b) {
    return {[=](Tape& tape, const Var& x) { return f(tape, a.value(tape, x), b.value(tape, x)); },
            [=](const Shape& x) {
                const Shape left = a.shape(x), right = b.shape(x);
                const Index p = left.rank() ? left[-1] : 1, q = right.rank() ? right[-1] : 1;
                LIMN_CHECK(p == q || p == 1 || q == 1 || p < 0 || q < 0, "{} numbers and {} channels do not fit together", std::min(p, q),
                           std::max(p, q));
                return left.rank() >= right.rank() ? left : right;
            }};
}

Expression applied(const UnaryFn& f, const Expression& a) {
    return {[=](Tape& tape, const Var& x) { return unary(tape, f, a.value(tape, x)); }, a.shape};
}

Expression reversed_channels(const Expression& a) {
    return {[=](Tape& tape, const Var& x) {
                const Var in = a.value(tape, x);
                std::vector<Var> channels;
                Shape from = in.shape();
                for (int axis = 0; axis < from.rank(); axis++) from[axis] = 0;
                for (Index c = in.shape()[-1]; c-- > 0;) channels.push_back(crop(tape, in, from.with(-1, c), in.shape().with(-1, 1)));
                return concatenate(tape, channels, in.shape().rank() - 1);
            },
            a.shape};
}

// (N,h,w,c) -> (N,h/b,w/b,b*b*c): each block of b x b pixels becomes one (tf.nn.space_to_depth)
Expression space_to_depth(const Expression& a, Index b) {
    const auto smaller = [b](const Shape& x) {
        LIMN_CHECK(x.rank() == 4 && (x[1] < 0 || x[1] % b == 0) && (x[2] < 0 || x[2] % b == 0), "space_to_depth(x, {}) of {}", b, x.str());
        return Shape{x[0], x[1] < 0 ? -1 : x[1] / b, x[2] < 0 ? -1 : x[2] / b, x[3] < 0 ? -1 : x[3] * b * b};
    };
    return {[=](Tape& tape, const Var& x) {
                const Var in = a.value(tape, x);
                const Shape out = smaller(in.shape());
                const Var blocks = reshape(tape, in, {out[0], out[1], b, out[2], b, in.shape()[3]});
                return reshape(tape, transpose(tape, blocks, {0, 1, 3, 2, 4, 5}), out);
            },
            [=](const Shape& x) { return smaller(a.shape(x)); }};
}

// sum = product {(+|-) product}; product = factor {(*|/) factor}; factor = [-] atom; atom = number | list | x | f(sum) | (sum), {[..., ::-1]}
class Parser {
public:
    Parser(const Config& config, const std::string& text) : config_(config), text_(text) {}

    Expression all() {
        const Expression e = sum();
        if (at_ != text_.size() || !reads_x_) complain();
        return e;
    }

private:
    Expression sum() {
        if (++depth_ > 100) complain();
        Expression e = product();
        for (;;) {
            if (take("+"))
                e = binary(add, e, product());
            else if (take("-"))
                e = binary(subtract, e, product());
            else
                break;
        }
        depth_--;
        return e;
    }
    Expression product() {
        Expression e = factor();
        for (;;) {
            if (take("*"))
                e = binary(multiply, e, factor());
            else if (take("/"))
                e = binary(divide, e, factor());
            else
                return e;
        }
    }
    Expression factor() { return take("-") ? binary(multiply, constant({-1}), atom()) : atom(); }

    Expression atom() {
        Expression e;
        if (take("(")) {
            e = sum();
            want(")");
        } else if (take("[")) {
            std::vector<float> numbers{number()};
            while (take(",")) numbers.push_back(number());
            want("]");
            return constant(numbers);
        } else if (at_ < text_.size() && (std::isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.')) {
            return constant({number()});
        } else {
            e = named(word());
        }
        while (take("[...,::-1]") || take("[:,:,:,::-1]")) e = reversed_channels(e);
        return e;
    }
    Expression named(const std::string& name) {
        if (name == "x") {
            reads_x_ = true;
            return {[](Tape&, const Var& x) { return x; }, [](const Shape& x) { return x; }};
        }
        if (name.empty()) complain();
        want("(");
        const Expression argument = sum();
        if (name == "space_to_depth") {
            want(",");
            const float block = number();
            want(")");
            if (block < 1 || block > 1024 || block != float(Index(block))) complain();
            return space_to_depth(argument, Index(block));
        }
        want(")");
        static const std::map<std::string, UnaryFn> functions = {{"exp", {.kind = Unary::exponential}},
                                                                 {"log", {.kind = Unary::log}},
                                                                 {"sqrt", {.kind = Unary::sqrt}},
                                                                 {"abs", {.kind = Unary::abs}}};
        if (const auto it = functions.find(name); it != functions.end()) return applied(it->second, argument);
        const ActivationFn activation = activation_named(name, config_.keras_major);
        if (activation.along != ActivationFn::Along::nothing) complain();
        return applied(activation.fn, argument);
    }

    float number() {
        const bool negative = take("-");
        float value = 0;
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
        if (error != std::errc()) complain();
        at_ = std::size_t(end - text_.data());
        return negative ? -value : value;
    }
    std::string word() {
        const std::size_t from = at_;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) at_++;
        return text_.substr(from, at_ - from);
    }
    bool take(std::string_view token) {
        if (text_.compare(at_, token.size(), token) != 0) return false;
        at_ += token.size();
        return true;
    }
    void want(std::string_view token) {
        if (!take(token)) complain();
    }
    [[noreturn]] void complain() const {
        config_.reject(
            fmt::format("'{}' is not understood from '{}' on; what can be said is like x/127.5 - 1, x - [1, 2, 3], "
                        "x[..., ::-1], relu(x), space_to_depth(x, 2)",
                        text_, text_.substr(at_)));
    }

    const Config& config_;
    std::string text_;
    std::size_t at_ = 0;
    int depth_ = 0;
    bool reads_x_ = false;
};

class Lambda : public Layer {
public:
    Lambda(const Config& config, const std::string& text) : Layer(config), expression_(Parser(config, text).all()) {}
    Shape output_shape(const std::vector<Shape>& in) const override {
        try {
            return expression_.shape(in[0]);
        } catch (const Error& e) {
            reject(e.what());
        }
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override { return expression_.value(tape, in[0]); }

private:
    Expression expression_;
};

}  // namespace

LayerPtr make_lambda(const Config& config) {
    if (!config.has("expression"))
        config.reject(
            fmt::format("holds Python code, which limn never runs; if you know what it computes, say so: --lambda '{}: x/127.5 - 1'",
                        config.name.substr(config.name.rfind('/') + 1)));
    std::string text = config.text("expression", "");
    std::erase_if(text, [](unsigned char c) { return std::isspace(c); });
    return std::make_shared<Lambda>(config, text);
}

}  // namespace limn
