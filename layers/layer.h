// A Layer: one Keras layer. Its file holds what Keras's config says, its weights, its output shape, its forward pass
// and, right below, its backward pass (the function given to tape.record).
//
// A layer knows no instruction set and no file format: it calls the verbs of tape.backend(). It may be used several
// times in one model (shared layers). Read layers/conv2d.cpp next, then layers/model.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/tape.h"
#include "layers/config.h"

namespace limn {

struct Weight {
    std::string name;       // Keras's: kernel, bias, gamma...
    Shape shape;            // what the layer needs; a file's array is checked against it
    Tensor value;           // empty until loaded
    bool trainable = true;  // Keras saves the others last (moving averages)
};

// What a layer does in use, as far as a convolution beside it could do it in passing.
struct Fusible {
    enum class Kind { nothing, padding, affine, relu, relu6, max_pool } kind = Kind::nothing;
    Index top = 0, bottom = 0, left = 0, right = 0;  // padding: rows and columns of zeros
    Tensor mean = {}, scale = {}, shift = {};        // affine: (x - mean) * scale + shift, by channel; mean and shift may be empty
};

class Layer;
using LayerPtr = std::shared_ptr<Layer>;

// A mask says which steps of a sequence count: 1 or 0 for each step, (N,T,1) beside (N,T,c). It is computed by a node of its own. What
// a layer makes of the masks of its inputs is Keras's rule for its class; most know nothing of masks, and so their result has none.
struct MaskUse {
    bool reads = false;        // the mask of the first input arrives as a last further input
    int passes = -1;           // the result has the mask of this input
    LayerPtr reads_made = {};  // a last further input arrives that this layer computes, from the inputs and, after them, their masks: in
                               // whatever shape the two agree on
    LayerPtr makes = {};       // the result has a mask that this layer computes, from the inputs and, after them, their masks
    LayerPtr instead = {};     // does the layer's work here, reading the inputs and, after them, their masks
};

class Layer {
public:
    explicit Layer(const Config& config)
        : name(config.name), class_name(config.class_name), trainable(config.flag("trainable", true)), keras_config(config) {}
    virtual ~Layer() = default;

    // Shapes include the batch; sizes not known before an image arrives are -1. build() is called once, before anything else. A layer that
    // has its own is made for inputs of these ranks; one that has none takes any, each time it is called.
    virtual void build(const std::vector<Shape>& inputs) { (void)inputs, takes_any_rank = true; }
    virtual Shape output_shape(const std::vector<Shape>& inputs) const = 0;
    virtual Var forward(Tape& tape, const std::vector<Var>& inputs) const = 0;
    virtual bool random_in_training() const { return false; }  // its outputs differ each time
    virtual bool takes_keywords() const { return false; }      // may it be called with tensors by name? (setting "call")
    // masks: the node that computes each input's mask, -1 where there is none
    virtual MaskUse mask_use(const std::vector<int>& masks) const {
        (void)masks;
        return {};
    }
    // Where Keras's layer gives several tensors: layers that each take one of them out of this layer's packed value.
    virtual std::vector<LayerPtr> parts() const { return {}; }

    // How the last image was convolved, for people who ask; null for layers that do not convolve.
    virtual const ConvPlan* plan() const { return nullptr; }
    // Where nobody looks at what lies between two layers, one may do the work of both (layers/fusion.h).
    virtual Fusible fusible() const { return {}; }
    // A layer that does this one's work and then `next`'s; null if there is none.
    virtual std::shared_ptr<Layer> followed_by(const Layer& next) const {
        (void)next;
        return nullptr;
    }
    virtual std::shared_ptr<Layer> padded_by(const Fusible& border) const {  // ... that pads first
        (void)border;
        return nullptr;
    }

    const Tensor& weight(std::string_view weight_name) const;  // its value; empty if the layer has none of that name
    [[noreturn]] void reject(const std::string& what) const;   // Error: "layer 'x' (Class): what"

    std::string name, class_name;
    bool trainable;               // false: training leaves its weights alone, and it acts as in use
    Config keras_config;          // as the file had it
    std::vector<Weight> weights;  // trainable ones first, in Keras's order
    // An activation that cannot be fused into this layer: the model's builder makes it a node of its own, so that the
    // value before it (the logit) can be explained, too.
    std::optional<ActivationFn> activation_after;
    bool fused_relu = false;       // its output is already relu(...)
    std::vector<Shape> built_for;  // what build() was given
    bool takes_any_rank = false;

protected:
    Layer(const Layer&) = default;
    void expect_rank(const Shape& input, int rank) const;
    void split_activation(const ActivationFn& activation);  // relu is fused; others go to activation_after
    Fused fused() const { return fused_relu ? Fused::relu : Fused::none; }
};

// Makes the layer a config describes. An unknown class is an Error that names it and its nearest known relatives.
LayerPtr make_layer(const Config& config);
std::vector<std::string> known_layers();
LayerPtr make_activation(const Config& config, const ActivationFn& activation);

}  // namespace limn
