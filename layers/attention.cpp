// Attention: each query takes a mean of the values, weighted by a softmax of how well it fits their keys.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/mask.h"

namespace limn {

namespace {

// Which input is the query, the value and the key, and a mask given to the call. A call may name them; everything else it names is refused
// unless it is a plain flag.
struct Roles {
    std::size_t query = 0, value = 0, key = 0;  // their places among the inputs
    std::optional<std::size_t> mask;
    bool causal = false;  // not at later steps
    Index window = 0;     // only at nearer ones
    std::size_t inputs = 0;

    Roles() = default;
    Roles(const Config& config, std::size_t count) : inputs(count) {
        static const std::string names[] = {"query", "value", "key", "attention_mask"};
        std::optional<std::size_t> place[4];
        std::size_t next = 0;
        const auto argument = [&](const std::string& name, const Value& given) {
            const auto role = std::find(std::begin(names), std::end(names), name) - std::begin(names);
            const bool* flag = given.as<bool>();
            const std::string* text = given.as<std::string>();
            if (name == "training" || (text && *text == "None")) return;
            if (given.is_null() && role < 4)
                place[role] = next++;
            else if (flag && name == "use_causal_mask")
                causal = *flag;
            else if (!flag || *flag)
                config.reject(fmt::format("it is called with '{}', which limn does not know here", name));
        };
        const Value *call = config.find("call"), *given = call ? call->find("arguments") : nullptr,
                    *keywords = call ? call->find("keywords") : nullptr;
        List positional = given && given->as<List>() ? *given->as<List>() : List(count);
        if (positional.size() == 1 && positional[0].as<List>()) positional = List(*positional[0].as<List>());  // Keras 2 lists its inputs
        for (std::size_t i = 0; i < positional.size(); i++) argument(i < 3 ? names[i] : "a further argument", positional[i]);
        if (keywords && keywords->as<Dict>())
            for (const auto& [name, value_given] : *keywords->as<Dict>()) argument(name, value_given);
        if (!place[0] || !place[1] || next != count) config.reject("it needs a query and a value");
        query = *place[0], value = *place[1], key = place[2].value_or(value), mask = place[3];
    }
    // Of a layer that is called several times, the roles are those of the first call.
    void check(const Layer& layer, std::size_t count) const {
        if (count != inputs) layer.reject(fmt::format("it is called with {} tensors, and with {} elsewhere", count, inputs));
    }

    bool may_look(Index at, Index key_step) const { return !(causal && key_step > at) && !(window && std::abs(at - key_step) >= window); }

    // What a query may look at, (N,queries,keys), by the masks of the inputs and the one that is given: 1, or 0 for steps that do not
    // count, or `left_out` for all steps where the query itself is such a step. Nothing: it may look at all.
    LayerPtr seen(const Layer& layer, const std::vector<int>& masks, float left_out, bool with_key) const {
        if (!mask && std::ranges::all_of(masks, [](int m) { return m < 0; })) return {};
        const auto shape = [*this](const std::vector<Shape>& in) { return Shape{in[query][0], in[query][1], in[value][1]}; };
        const auto computed = [*this, masks, left_out, with_key, config = layer.keras_config](const Backend&, const std::vector<Var>& in) {
            const Shape all{in[query].shape()[0], in[query].shape()[1], in[value].shape()[1]};
            // by input; of values and keys (N,T,1) becomes (N,1,T)
            std::vector<Tensor> of(masks.size());
            for (std::size_t i = 0, next = masks.size(); i < masks.size(); i++)
                if (masks[i] >= 0) of[i] = in[next++].value.host();
            const auto turned = [](const Tensor& m) {
                return m.empty() || m.shape().rank() != 3 ? m : m.reshaped({m.shape()[0], m.shape()[2], m.shape()[1]});
            };
            const Tensor of_query = of[query], of_value = turned(of[value]), of_key = with_key ? turned(of[key]) : Tensor(),
                         given = mask ? in[*mask].value.host() : Tensor();
            for (const Tensor* m : {&of_query, &of_value, &of_key, &given}) check_mask(config, *m, all);
            Tensor m(all);
            for (Index n = 0, i = 0; n < all[0]; n++)
                for (Index q = 0; q < all[1]; q++)
                    for (Index k = 0; k < all[2]; k++, i++) {
                        const bool may = may_look(q, k) && counts(of_value, n, q, k) && counts(of_key, n, q, k) && counts(given, n, q, k);
                        m.data()[i] = counts(of_query, n, q, k) ? float(may) : left_out;
                    }
            return m.to(in[query].value.dtype()).on(in[query].value.device());
        };
        return std::make_shared<Mask>(layer.name, shape, computed);
    }

private:
    static void check_mask(const Config& config, const Tensor& m, const Shape& all) {
        if (m.empty()) return;
        const Shape& s = m.shape();
        for (int axis = 0; axis < 3; axis++)
            if (s.rank() != 3 || (s[axis] != 1 && s[axis] != all[axis]))
                config.reject(fmt::format("a mask {} does not fit {} (images, queries, keys)", s.str(), all.str()));
    }
    static bool counts(const Tensor& m, Index n, Index q, Index k) {  // axes of size 1 repeat
        if (m.empty()) return true;
        const Shape& s = m.shape();
        return m.at_flat(((s[0] == 1 ? 0 : n) * s[1] + (s[1] == 1 ? 0 : q)) * s[2] + (s[2] == 1 ? 0 : k)) != 0;
    }
};

// The same without any of these masks: (queries,keys).
Tensor in_reach(const Roles& roles, Index queries, Index keys, const Tensor& beside) {
    Tensor m({queries, keys});
    for (Index i = 0; i < m.size(); i++) m.data()[i] = float(roles.may_look(i / keys, i % keys));
    return m.to(beside.dtype()).on(beside.device());
}

Tensor element_wise(const Tensor& m, double (*f)(double)) {
    Tensor y = m.host().clone();
    with_type(y.dtype(), [&](auto zero) {
        for (auto& v : y.values<decltype(zero)>()) v = decltype(zero)(f(double(v)));
    });
    return y.on(m.device());
}
// What to add to scores: so little that nothing is left after softmax of what may not be looked at.
Tensor hidden(const Tensor& seen) {
    return element_wise(seen, [](double v) { return v == 1 ? 0 : -1e9; });
}

// Forgets, in training, some of what is looked at.
LayerPtr dropout_of_shares(const Config& config) {
    return make_dropout({"Dropout", config.name + "/dropout", {{"rate", config.number("dropout", 0)}}});
}

// MultiHeadAttention (Vaswani et al. 2017) and GroupedQueryAttention (Ainslie et al. 2023: several heads share a key and a value).
// Axes that are not attended to count as a batch. Letters: b image, e heads, d one head's channels, c channels.
class MultiHeadAttention : public Layer {
public:
    explicit MultiHeadAttention(const Config& config)
        : Layer(config), grouped_(config.class_name != "MultiHeadAttention"),
          heads_(config.integer(grouped_ ? "num_query_heads" : "num_heads", 0)),
          shared_heads_(grouped_ ? config.integer("num_key_value_heads", 0) : heads_),
          key_dim_(config.integer(grouped_ ? "head_dim" : "key_dim", 0)), value_dim_(config.integer("value_dim", key_dim_)),
          with_bias_(config.flag("use_bias", true)), gated_(config.flag("use_gate", false)) {
        for (Index size : {heads_, shared_heads_, key_dim_, value_dim_})
            if (size < 1 || size > 1 << 20) reject(fmt::format("a number of heads or channels of {} makes no sense", size));
        if (heads_ % shared_heads_) reject(fmt::format("{} heads cannot share {}", heads_, shared_heads_));
        if (config.each("output_shape", 1, 1).size() != 1) reject("only one axis of output is known");
    }
    bool takes_keywords() const override { return true; }
    bool random_in_training() const override { return dropout_->random_in_training(); }
    void build(const std::vector<Shape>& inputs) override {
        roles_ = Roles(keras_config, inputs.size());
        roles_.window = keras_config.integer("sliding_window", 0);
        const Shape &query = inputs[roles_.query], &value = inputs[roles_.value], &key = inputs[roles_.key];
        const int rank = query.rank();
        if (rank < 3 || rank > 5 || value.rank() != rank || key.rank() != rank)
            reject(fmt::format("a query {}, a value {} and a key {} do not fit together", query.str(), value.str(), key.str()));
        for (int axis = 1; axis < rank - 1; axis++)
            if (value[axis] != key[axis] && value[axis] >= 0 && key[axis] >= 0)
                reject(fmt::format("a value {} and a key {} do not fit together", value.str(), key.str()));
        for (Index axis : keras_config.integers("attention_axes", {})) {
            if (axis < 0) axis += rank;
            if (axis < 1 || axis > rank - 2) reject(fmt::format("it cannot attend along axis {} of {}", axis, query.str()));
            axes_.push_back(int(axis));
        }
        if (axes_.empty())
            for (int axis = 1; axis < rank - 1; axis++) axes_.push_back(axis);
        if ((roles_.causal || roles_.window) && (rank != 3 || axes_.size() != 1)) reject("a mask is known along a single axis only");
        output_ = keras_config.each("output_shape", 1, query[-1])[0];
        project("query", query[-1], heads_, key_dim_);
        project("key", key[-1], shared_heads_, key_dim_);
        if (gated_) project("gate", query[-1], heads_, value_dim_);
        project("value", value[-1], shared_heads_, value_dim_);
        if (output_ < 1) reject("the number of output channels is not known");
        weights.push_back({"attention_output/kernel", {heads_, value_dim_, output_}, {}});
        if (with_bias_) weights.push_back({"attention_output/bias", {output_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[roles_.query].with(-1, output_); }
    // The mask that is given to the call has no mask of its own.
    MaskUse mask_use(const std::vector<int>& masks) const override {
        roles_.check(*this, masks.size());
        return {.passes = int(roles_.query), .reads_made = roles_.seen(*this, masks, 0, true)};
    }

    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var& x = in[roles_.query];
        const Var query = projected(tape, "query", x);
        const Var key = repeated(tape, projected(tape, "key", in[roles_.key])),
                  value = repeated(tape, projected(tape, "value", in[roles_.value]));

        // the axes of a query, "bxyed", those of a key, "bzwed", and of the scores, "beXxyzw": X are the axes that count as a batch
        std::string queries = "b", keys = "b", batch = "b", attended, seen;
        for (int axis = 1; axis < x.shape().rank() - 1; axis++) {
            const bool free = std::find(axes_.begin(), axes_.end(), axis) == axes_.end();
            queries += char('p' + axis);
            keys += free ? char('p' + axis) : char('u' + axis);
            if (free) batch += char('p' + axis);
        }
        for (int axis : axes_) attended += queries[std::size_t(axis)], seen += keys[std::size_t(axis)];
        const std::string scores_axes = batch + "e" + attended + seen;

        Var scores = einsum(tape, queries + "ed," + keys + "ed->" + scores_axes, scale(tape, query, 1 / std::sqrt(double(key_dim_))), key);
        const Shape shape = scores.shape();
        const Var may = in.size() > roles_.inputs ? reshape(tape, in.back(), {shape[0], 1, shape[-2], shape[-1]}) : Var();
        if (!may.value.empty())  // Keras 3 exchanges hidden scores, so that nothing flows back to them; before, it added to them
            scores = add(tape, keras_config.keras_major >= 3 ? multiply(tape, scores, may) : scores, hidden(may.value));
        else if (roles_.causal || roles_.window)
            scores = add(tape, scores, hidden(in_reach(roles_, shape[-2], shape[-1], scores.value)));
        Shape rows = shape;  // all that a query sees in one row
        for (std::size_t i = 1; i < axes_.size(); i++) {
            rows[-2] *= rows[-1];
            rows = rows.without(-1);
        }
        Var shares = reshape(tape, softmax(tape, reshape(tape, scores, rows)), shape);
        // who may look at nothing gets the mean of all; in Keras 3 nothing, if the layer has dropout for training
        if (!may.value.empty() && keras_config.keras_major >= 3 && keras_config.number("dropout", 0) > 0)
            shares = multiply(tape, shares, may);
        if (trainable) shares = dropout_->forward(tape, {shares});  // in training only
        Var y = einsum(tape, scores_axes + "," + keys + "ed->" + queries + "ed", shares, value);
        if (gated_) y = multiply(tape, y, unary(tape, {.kind = Unary::sigmoid}, projected(tape, "gate", x)));
        y = einsum(tape, queries + "ed,edc->" + queries + "c", y, tape.parameter(weight("attention_output/kernel")));
        return with_bias_ ? add(tape, y, tape.parameter(weight("attention_output/bias"))) : y;
    }

private:
    void project(const std::string& part, Index channels, Index heads, Index size) {
        if (channels < 1) reject("the number of input channels is not known");
        weights.push_back({part + "/kernel", {channels, heads, size}, {}});
        if (with_bias_) weights.push_back({part + "/bias", {heads, size}, {}});
    }
    Var projected(Tape& tape, const std::string& part, const Var& x) const {
        const std::string axes = std::string("bqrst").substr(0, std::size_t(x.shape().rank()) - 1);
        const Var y = einsum(tape, axes + "c,ced->" + axes + "ed", x, tape.parameter(weight(part + "/kernel")));
        return with_bias_ ? add(tape, y, tape.parameter(weight(part + "/bias"))) : y;
    }
    Var repeated(Tape& tape, const Var& x) const {  // (...,shared heads,d) -> (...,heads,d), each several times
        if (heads_ == shared_heads_) return x;
        std::vector<Index> sizes(x.shape().begin(), x.shape().end());
        sizes.insert(sizes.end() - 1, 1);
        const std::vector<Var> copies(std::size_t(heads_ / shared_heads_), reshape(tape, x, Shape(std::span<const Index>(sizes))));
        return reshape(tape, concatenate(tape, copies, -2), x.shape().with(-2, heads_));
    }
    bool grouped_;
    Index heads_, shared_heads_, key_dim_, value_dim_;
    bool with_bias_, gated_;
    Index output_ = 0;
    Roles roles_;
    std::vector<int> axes_;
    LayerPtr dropout_ = dropout_of_shares(keras_config);
};

// Attention (Luong et al. 2015: scores are products) and AdditiveAttention (Bahdanau et al. 2015: scores are sums of a tanh).
class Attention : public Layer {
public:
    explicit Attention(const Config& config)
        : Layer(config), additive_(config.class_name == "AdditiveAttention"), scaled_(config.flag("use_scale", additive_)) {
        const std::string mode = config.text("score_mode", "dot");
        if (mode != "dot" && mode != "concat") reject(fmt::format("the score_mode '{}' is not known; dot and concat are", mode));
        concat_ = mode == "concat" && !additive_;
    }
    bool takes_keywords() const override { return true; }
    bool random_in_training() const override { return dropout_->random_in_training(); }
    void build(const std::vector<Shape>& inputs) override {
        Config listed = keras_config;  // its inputs stand in one list
        const Value* call = keras_config.find("call");
        listed.settings["call"] = Dict{{"arguments", List(inputs.size())}, {"keywords", call ? *call->find("keywords") : Value(Dict{})}};
        roles_ = Roles(listed, inputs.size());
        roles_.causal = roles_.causal || keras_config.flag("causal", false);
        if (inputs.size() < 2 || inputs.size() > 3) reject("it needs a query, a value and perhaps a key");
        for (const Shape& shape : inputs) expect_rank(shape, 3);
        if (additive_ && inputs[0][-1] < 1) reject("the number of channels is not known");
        if (scaled_) weights.push_back({"scale", additive_ ? Shape{inputs[0][-1]} : Shape{}, {}});
        if (concat_) weights.push_back({"concat_score_weight", {}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0].with(-1, in[1][-1]); }
    MaskUse mask_use(const std::vector<int>& masks) const override {
        roles_.check(*this, masks.size());
        return {.passes = int(roles_.query), .reads_made = roles_.seen(*this, masks, -1, false)};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Var &query = in[roles_.query], &value = in[roles_.value], &key = in[roles_.key];
        Var scores;
        if (additive_ || concat_) {
            const Shape &q = query.shape(), &k = key.shape();
            Var sums = add(tape, reshape(tape, query, {q[0], q[1], 1, q[2]}), reshape(tape, key, {k[0], 1, k[1], k[2]}));
            if (concat_ && scaled_) sums = multiply(tape, sums, tape.parameter(weight("scale")));
            Var each = unary(tape, {.kind = Unary::tanh}, sums);
            if (additive_ && scaled_) each = multiply(tape, each, tape.parameter(weight("scale")));
            scores = reshape(tape, sum(tape, each, {3}), {q[0], q[1], k[1]});
            if (concat_) scores = multiply(tape, scores, tape.parameter(weight("concat_score_weight")));
        } else {
            scores = einsum(tape, "bqc,bkc->bqk", query, key);
            if (scaled_) scores = multiply(tape, scores, tape.parameter(weight("scale")));
        }
        const Tensor seen = in.size() > roles_.inputs ? in.back().value : Tensor();
        if (!seen.empty())
            scores = add(tape, scores, hidden(seen));
        else if (roles_.causal)
            scores = add(tape, scores, hidden(in_reach(roles_, scores.shape()[1], scores.shape()[2], scores.value)));
        Var shares = softmax(tape, scores);
        if (!seen.empty()) shares = multiply(tape, shares, element_wise(seen, [](double v) { return v < 0 ? 0.0 : 1.0; }));
        if (trainable) shares = dropout_->forward(tape, {shares});  // in training only
        return einsum(tape, "bqk,bkc->bqc", shares, value);
    }

private:
    bool additive_, scaled_, concat_ = false;
    Roles roles_;
    LayerPtr dropout_ = dropout_of_shares(keras_config);
};

}  // namespace

LayerPtr make_multi_head_attention(const Config& config) { return std::make_shared<MultiHeadAttention>(config); }
LayerPtr make_attention(const Config& config) { return std::make_shared<Attention>(config); }

}  // namespace limn
