// Layers that walk along a sequence (N,T,c) and remember: SimpleRNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997),
// GRU (Cho et al. 2014), and RNN, which is given its cells.
//
// A cell makes one step: from what it sees and its states to its next states, the first of which is its output. All of it is
// written in differentiable functions: backward through time follows by itself.
#include <algorithm>

#include "autograd/ops.h"
#include "autograd/training.h"
#include "layers/core.h"
#include "layers/sequence.h"

namespace limn {

namespace {

using States = std::vector<Var>;
using Step = std::function<States(const Var& seen, const States& before)>;

Var apply(Tape& tape, const ActivationFn& f, const Var& x) {
    return f.along == ActivationFn::Along::softmax ? softmax(tape, x) : unary(tape, f.fn, x);
}

ActivationFn cell_activation(const Config& config, const char* key, const char* otherwise) {
    const ActivationFn f = config.activation(key, otherwise);
    if (f.along != ActivationFn::Along::nothing && f.along != ActivationFn::Along::softmax)
        config.reject(fmt::format("'{}' is not known inside a cell", config.text(key, otherwise)));
    return f;
}

// a in the rows where m is 1, b in those where its complement is
Var select(Tape& tape, const Var& m, const Var& a, const Var& complement, const Var& b) {
    return add(tape, multiply(tape, a, m), multiply(tape, b, complement));
}

class Cell {
public:
    // `gates` blocks of `units` columns stand side by side in its kernels
    Cell(const Config& config, Index gates, std::size_t how_many_states)
        : name(config.name), units(config.integer("units", 0)), states(how_many_states), gates_(gates),
          with_bias_(config.flag("use_bias", true)), activation_(cell_activation(config, "activation", "tanh")) {
        if (units < 1 || units > 1 << 20) config.reject(fmt::format("{} units make no sense", units));
        for (const char* rate : {"dropout", "recurrent_dropout"}) drops_ = drops_ || config.number(rate, 0) > 0;
    }
    virtual ~Cell() = default;

    // Its weights stand in the layer's list, behind those of the cells before it: "kernel", or of several cells "lstm_cell/kernel".
    void build(Layer& layer, Index inputs, bool alone) {
        layer_ = &layer, first_ = layer.weights.size();
        const std::string part = alone ? "" : name + "/";
        layer.weights.push_back({part + "kernel", {inputs, gates_ * units}, {}});
        layer.weights.push_back({part + "recurrent_kernel", {units, gates_ * units}, {}});
        if (with_bias_) layer.weights.push_back({part + "bias", bias_shape(), {}});
    }

    // x kernel + bias, for all steps at once: (N,T,c) -> T times (N, gates * units), what step() sees
    std::vector<Var> project(Tape& tape, const Var& x) const {
        const Index N = x.shape()[0], T = x.shape()[1], columns = gates_ * units;
        Var all = matmul(tape, reshape(tape, x, {N * T, x.shape()[2]}), weight(tape, 0));
        if (with_bias_) all = add(tape, all, input_bias(tape));
        std::vector<Var> steps = split(tape, reshape(tape, all, {N, T, columns}), 1, T);
        for (Var& step : steps) step = reshape(tape, step, {N, columns});
        return steps;
    }
    virtual Step step(Tape& tape) const = 0;

    const std::string name;
    const Index units;
    const std::size_t states;  // how many, all of `units` numbers
    bool drops() const { return drops_; }

protected:
    virtual Shape bias_shape() const { return {gates_ * units}; }
    virtual Var input_bias(Tape& tape) const { return weight(tape, 2); }
    Var weight(Tape& tape, std::size_t i) const { return tape.parameter(layer_->weights[first_ + i].value); }
    Var activated(Tape& tape, const Var& x) const { return apply(tape, activation_, x); }
    bool has_bias() const { return with_bias_; }

private:
    Index gates_;
    bool with_bias_, drops_ = false;
    ActivationFn activation_;
    const Layer* layer_ = nullptr;
    std::size_t first_ = 0;
};

// h' = activation(x + h R)
class SimpleCell : public Cell {
public:
    explicit SimpleCell(const Config& config) : Cell(config, 1, 1) {}
    Step step(Tape& tape) const override {
        return [this, &tape, R = weight(tape, 1)](const Var& x, const States& before) -> States {
            return {activated(tape, add(tape, x, matmul(tape, before[0], R)))};
        };
    }
};

class GatedCell : public Cell {
public:
    GatedCell(const Config& config, Index gates, std::size_t how_many_states)
        : Cell(config, gates, how_many_states),
          gate_(cell_activation(config, "recurrent_activation",
                                config.keras_major >= 3 || config.class_name.starts_with("CuDNN") ? "sigmoid" : "hard_sigmoid")) {}

protected:
    Var gate(Tape& tape, const Var& x) const { return apply(tape, gate_, x); }

private:
    ActivationFn gate_;
};

// [i f g o] = x + h R;  c' = gate(f) c + gate(i) activation(g);  h' = gate(o) activation(c')
class LstmCell : public GatedCell {
public:
    explicit LstmCell(const Config& config) : GatedCell(config, 4, 2) {}
    Step step(Tape& tape) const override {
        return [this, &tape, R = weight(tape, 1)](const Var& x, const States& before) -> States {
            const std::vector<Var> z = split(tape, add(tape, x, matmul(tape, before[0], R)), 1, 4);
            const Var kept = multiply(tape, gate(tape, z[1]), before[1]);
            const Var c = add(tape, kept, multiply(tape, gate(tape, z[0]), activated(tape, z[2])));
            return {multiply(tape, gate(tape, z[3]), activated(tape, c)), c};
        };
    }
};

// [z r n] = x;  z = gate(z + h Rz);  r = gate(r + h Rr);  h' = z h + (1 - z) n, where
//     n = activation(n + (r h) Rn)       the reset gate before the product, as in the first version of the paper
//     n = activation(n + r (h Rn + b))   after it (reset_after), as in the last one and in cuDNN; R has a bias of its own
class GruCell : public GatedCell {
public:
    explicit GruCell(const Config& config)
        : GatedCell(config, 3, 1), after_(config.flag("reset_after", config.keras_major >= 3 || config.class_name == "CuDNNGRU")) {}
    Step step(Tape& tape) const override {
        const Var R = weight(tape, 1), bias = after_ && has_bias() ? row(tape, weight(tape, 2), 1) : Var();
        const Var gates = after_ ? Var() : crop(tape, R, {0, 0}, {units, 2 * units}),
                  last = after_ ? Var() : crop(tape, R, {0, 2 * units}, {units, units});
        return [=, this, &tape](const Var& x, const States& before) -> States {
            const Var& h = before[0];
            const std::vector<Var> seen = split(tape, x, 1, 3);
            Var product = matmul(tape, h, after_ ? R : gates);
            if (!bias.value.empty()) product = add(tape, product, bias);
            const std::vector<Var> remembered = split(tape, product, 1, after_ ? 3 : 2);
            const Var z = gate(tape, add(tape, seen[0], remembered[0])), r = gate(tape, add(tape, seen[1], remembered[1]));
            const Var past = after_ ? multiply(tape, r, remembered[2]) : matmul(tape, multiply(tape, r, h), last);
            const Var n = activated(tape, add(tape, seen[2], past));
            return {add(tape, n, multiply(tape, z, subtract(tape, h, n)))};
        };
    }

protected:
    Shape bias_shape() const override { return after_ ? Shape{2, 3 * units} : Shape{3 * units}; }
    Var input_bias(Tape& tape) const override { return after_ ? row(tape, weight(tape, 2), 0) : weight(tape, 2); }

private:
    Var row(Tape& tape, const Var& x, Index i) const { return reshape(tape, crop(tape, x, {i, 0}, {1, x.shape()[1]}), {x.shape()[1]}); }
    bool after_;
};

using CellPtr = std::unique_ptr<Cell>;

class Recurrent : public Layer {
public:
    Recurrent(const Config& config, std::vector<CellPtr> cells)
        : Layer(config), cells_(std::move(cells)), backwards_(config.flag("go_backwards", false)),
          sequences_(config.flag("return_sequences", false)), with_states_(config.flag("return_state", false)),
          zero_where_masked_(config.flag("zero_output_for_mask", false)) {
        if (config.flag("stateful", false))
            reject("it keeps its states from batch to batch (stateful), limn starts each from zeros: save the model with stateful=False");
        if (config.flag("time_major", false))
            reject("its sequences have their steps first (time_major): save the model with time_major=False");
        if (config.integer("num_constants", 0) != 0) reject("constants beside its sequence are not known");
        for (const CellPtr& cell : cells_) states_ += cell->states;
        if (cells_.size() > 1 && with_states_) reject("return_state is not known with stacked cells");
    }
    void build(const std::vector<Shape>& inputs) override {
        expect_rank(inputs[0], 3);
        Index seen = inputs[0][2];
        if (seen < 1) reject("how many numbers a step has is not known");
        for (const CellPtr& cell : cells_) {
            cell->build(*this, seen, cells_.size() == 1);
            seen = cell->units;
        }
    }
    // Several tensors are packed as steps: the output, then the states (N,units).
    Shape output_shape(const std::vector<Shape>& in) const override {
        expect_rank(in[0], 3);
        const Index N = in[0][0], T = in[0][1], states = with_states_ ? Index(states_) : 0;
        if (sequences_) return {N, T < 0 ? -1 : T + states, units()};
        return with_states_ ? Shape{N, 1 + states, units()} : Shape{N, units()};
    }
    std::vector<LayerPtr> parts() const override {
        if (!with_states_) return {};
        const Index states = Index(states_);
        std::vector<LayerPtr> list{sequences_ ? make_steps(name, 0, -states) : make_step(name, 0)};
        for (Index i = 0; i < states; i++) list.push_back(make_step(name, i - states));
        return list;
    }
    MaskUse mask_use(const std::vector<int>&) const override { return {.reads = true, .passes = sequences_ ? 0 : -1}; }

    // in: the sequence, the states to begin with (zeros if none are given), the mask. Where a step does not count, the states stay as
    // they are and the output is the one before, zeros before the first.
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        if (tape.training && trainable)
            for (const CellPtr& cell : cells_)
                if (cell->drops()) reject("dropout inside a recurrent layer is not known in training: freeze the layer, or set it to 0");
        const Index N = in[0].shape()[0];
        const bool masked = in.back().shape().rank() > 2 && in.size() > 1;
        if (masked && !(in.back().shape() == in[0].shape().with(2, 1)))
            reject(fmt::format("a mask {} of {} is not known", in.back().shape().str(), in[0].shape().str()));
        const auto given = std::span(in).subspan(1, in.size() - 1 - masked);
        if (!given.empty() && given.size() != states_)
            reject(fmt::format("it begins with {} states, {} were given", states_, given.size()));
        std::vector<Var> counts, does_not;
        if (masked) {
            const Var mask = in.back().value.to(in[0].value.dtype());
            counts = steps_of(tape, mask, N);
            does_not = steps_of(tape, shift(tape, scale(tape, mask, -1), 1), N);
        }

        Var sequence = in[0];
        std::vector<Var> outputs, all_states;
        for (const CellPtr& cell : cells_) {
            States states(cell->states, in[0].value.zeros_like({N, cell->units}));
            const auto first = all_states.size();
            if (!given.empty()) std::copy_n(given.begin() + std::ptrdiff_t(first), cell->states, states.begin());
            std::vector<Var> seen = cell->project(tape, sequence);
            if (backwards_ && outputs.empty()) std::ranges::reverse(seen);
            outputs.clear();
            const Step step = cell->step(tape);
            Var output = in[0].value.zeros_like({N, cell->units});
            for (std::size_t t = 0; t < seen.size(); t++) {
                States next = step(seen[t], states);
                if (masked) {
                    const Var &m = counts[t], &rest = does_not[t];
                    output = zero_where_masked_ ? multiply(tape, next[0], m) : select(tape, m, next[0], rest, output);
                    for (std::size_t i = 0; i < next.size(); i++) next[i] = select(tape, m, next[i], rest, states[i]);
                } else {
                    output = next[0];
                }
                states = std::move(next);
                outputs.push_back(reshape(tape, output, {N, 1, cell->units}));
            }
            sequence = concatenate(tape, outputs, 1);
            std::ranges::copy(states, std::back_inserter(all_states));
        }

        if (!with_states_) return sequences_ ? sequence : reshape(tape, outputs.back(), {N, units()});
        std::vector<Var> packed{sequences_ ? sequence : outputs.back()};
        for (const Var& state : all_states) packed.push_back(reshape(tape, state, {N, 1, units()}));
        return concatenate(tape, packed, 1);
    }

private:
    Index units() const { return cells_.back()->units; }

    // (N,T,1) -> T times (N,1), in the order in which the steps are made
    std::vector<Var> steps_of(Tape& tape, const Var& mask, Index N) const {
        std::vector<Var> steps = split(tape, mask, 1, mask.shape()[1]);
        for (Var& step : steps) step = reshape(tape, step, {N, 1});
        if (backwards_) std::ranges::reverse(steps);
        return steps;
    }

    std::vector<CellPtr> cells_;
    bool backwards_, sequences_, with_states_, zero_where_masked_;
    std::size_t states_ = 0;
};

CellPtr make_cell(const Config& config) {
    const std::string& kind = config.class_name;
    if (kind == "SimpleRNN" || kind == "SimpleRNNCell") return std::make_unique<SimpleCell>(config);
    if (kind == "LSTM" || kind == "LSTMCell" || kind == "CuDNNLSTM") return std::make_unique<LstmCell>(config);
    if (kind == "GRU" || kind == "GRUCell" || kind == "CuDNNGRU") return std::make_unique<GruCell>(config);
    config.reject("its cells are not known; SimpleRNNCell, LSTMCell, GRUCell and StackedRNNCells of them are");
}

}  // namespace

std::vector<Config> cells_of(const Config& config) {
    const bool one = config.class_name == "RNN" && config.has("cell"), stacked = config.class_name == "StackedRNNCells";
    if (!one && !stacked) return {config};
    std::vector<Config> cells;
    const Value* list = config.find("cells");
    if (stacked && (!list || !list->as<List>() || list->as<List>()->empty())) config.reject("it should say what its cells are");
    for (const Value& item : one ? List{*config.find("cell")} : *list->as<List>()) {
        const Value *type = item.find("class_name"), *settings = item.find("config");
        if (!type || !type->as<std::string>() || !settings || !settings->as<Dict>()) config.reject("it should say what its cell is");
        const Value* own = settings->find("name");
        const std::string name = own && own->as<std::string>() ? *own->as<std::string>() : config.name;
        for (Config& cell : cells_of({*type->as<std::string>(), name, *settings->as<Dict>(), {}, config.keras_major}))
            cells.push_back(std::move(cell));
    }
    return cells;
}

LayerPtr make_recurrent(const Config& config) {
    std::vector<CellPtr> cells;
    for (const Config& cell : cells_of(config)) cells.push_back(make_cell(cell));
    return std::make_shared<Recurrent>(config, std::move(cells));
}

}  // namespace limn
