// What a Keras file says about one layer: its class, its name and its settings, as plain values.
//
// weights/keras_config.cpp fills it from JSON (the only file that knows Keras's JSON); each layer reads its own keys in
// its constructor. A setting of the wrong type is one clear Error that names the layer.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/backend.h"

namespace limn {

class Value;
using List = std::vector<Value>;
using Dict = std::map<std::string, Value>;

// null, true/false, a number, a text, a list or a dictionary
class Value : public std::variant<std::monostate, bool, double, std::string, List, Dict> {
public:
    using variant::variant;
    bool is_null() const { return index() == 0; }
    template <class T> const T* as() const { return std::get_if<T>(this); }
    const Value* find(const std::string& key) const;  // in a dictionary; null if absent
};

// An element-wise function, or one that works along an axis.
struct ActivationFn {
    enum class Along { nothing, softmax, log_softmax, sparsemax, glu } along = Along::nothing;
    UnaryFn fn = {};
    Index axis = -1;  // as the file counts
    bool is(Unary kind) const { return along == Along::nothing && fn.kind == kind; }
    bool is_linear() const { return is(Unary::linear); }
};

struct Config {
    std::string class_name, name;
    Dict settings;
    std::set<int> channels_first = {};  // tensors of so many axes have their channels first in the file: they are renumbered to NHWC
    int keras_major = 3;           // version that wrote the file: a few functions changed their meaning

    bool has(const std::string& key) const;  // present and not null
    Index integer(const std::string& key, Index otherwise) const;
    double number(const std::string& key, double otherwise) const;
    bool flag(const std::string& key, bool otherwise) const;
    std::string text(const std::string& key, const std::string& otherwise) const;
    std::vector<Index> integers(const std::string& key, std::vector<Index> otherwise) const;  // a number counts as a list of one
    std::vector<double> numbers(const std::string& key, std::vector<double> otherwise) const;
    std::pair<Index, Index> pair(const std::string& key, Index otherwise) const;  // one number stands for both
    std::vector<Index> each(const std::string& key, std::size_t axes, Index otherwise) const;  // one number stands for all axes
    Tensor array(const std::string& key) const;  // a number or nested lists of numbers, in double; empty if absent
    ActivationFn activation(const std::string& key, const std::string& otherwise = "linear") const;
    const Value* find(const std::string& key) const;

    // The axis of our NHWC tensor that the file calls `axis`, for a tensor of this rank (batch included).
    int nhwc_axis(Index axis, int rank) const;
    // Axis i of the file's tensor is axis file_order(rank)[i] of ours, and the other way round.
    std::vector<int> file_order(int rank) const;
    std::vector<int> nhwc_order(int rank) const;
    [[noreturn]] void reject(const std::string& what) const;  // Error: "layer 'x' (Class): what"
};

// "relu", "hard_sigmoid"...; an unknown name is an Error that lists the known ones.
ActivationFn activation_named(const std::string& name, int keras_major);
// What a layer that is an activation does: Activation, ReLU, LeakyReLU, ELU, ThresholdedReLU, Softmax; nothing for others.
std::optional<ActivationFn> activation_of(const Config& layer);

}  // namespace limn
