#include "layers/model.h"

#include <algorithm>
#include <set>

#include "layers/activation.h"
#include "layers/fusion.h"

namespace limn {

int Model::add_input(const std::string& input_name, Shape shape) {
    nodes_.push_back({input_name, make_layer({"InputLayer", input_name, {}}), {}, shape});
    inputs.push_back(int(nodes_.size()) - 1);
    return inputs.back();
}

// The shape of what a layer makes of these; an Error where nothing is left.
static Shape shape_after(const Layer& layer, const std::vector<Shape>& inputs) {
    const Shape shape = layer.output_shape(inputs);
    for (Index size : shape)
        LIMN_CHECK(size == -1 || size >= 1, "layer '{}' ({}): nothing is left of an input of {}: its output would be {}", layer.name,
                   layer.class_name, inputs[0].str(), shape.str());
    return shape;
}

int Model::add(const std::string& node_name, LayerPtr layer, std::vector<int> reads, Masks how) {
    LIMN_CHECK(!reads.empty(), "layer '{}' ({}): it has no input", layer->name, layer->class_name);
    std::vector<Shape> shapes;
    std::vector<int> masks;
    for (int i : reads) shapes.push_back(node(i).shape), masks.push_back(how == Masks::dropped ? -1 : node(i).mask);
    if (layer->built_for.empty()) {
        layer->build(shapes);
        layer->built_for = shapes;
    } else if (!layer->takes_any_rank) {
        const bool of_channels = !layer->weights.empty() && layer->class_name != "Embedding";  // words have none
        for (std::size_t i = 0; i < std::min(shapes.size(), layer->built_for.size()); i++) {
            const Shape& before = layer->built_for[i];
            LIMN_CHECK(shapes[i].rank() == before.rank() && (!of_channels || i > 0 || shapes[i][-1] == before[-1]),
                       "layer '{}' ({}): it is called with {}, but made for {}", layer->name, layer->class_name, shapes[i].str(),
                       before.str());
        }
    }

    const MaskUse use = layer->mask_use(masks);
    int mask = use.passes >= 0 ? masks.at(std::size_t(use.passes)) : -1;
    std::vector<int> with_masks = reads;
    std::ranges::copy_if(masks, std::back_inserter(with_masks), [](int m) { return m >= 0; });
    if (use.makes) mask = add(node_name + ":mask", use.makes, with_masks);
    if (use.instead) layer = use.instead, reads = with_masks;
    if (use.reads && how == Masks::handed_on && masks[0] >= 0) reads.push_back(masks[0]);
    if (use.reads_made) reads.push_back(add(node_name + ":mask", use.reads_made, with_masks));
    shapes.clear();
    for (int i : reads) shapes.push_back(node(i).shape);
    const Shape shape = shape_after(*layer, shapes);
    const auto activation = layer->activation_after;
    const std::vector<LayerPtr> parts = layer->parts();
    nodes_.push_back({node_name + (activation ? ":linear" : parts.empty() ? "" : ":all"), layer, std::move(reads), shape, mask});
    const int made = int(nodes_.size()) - 1;
    if (activation)
        return add(node_name, make_activation({"Activation", node_name, {}, layer->keras_config.channels_first}, *activation), {made});
    for (std::size_t i = 0; i < parts.size(); i++) add(node_name + (i ? ":" + std::to_string(i) : ""), parts[i], {made});
    return parts.empty() ? made : made + 1;
}

int Model::find(std::string_view wanted) const {
    int found = -1, count = 0;
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        const std::string& n = nodes_[i].name;
        if (n == wanted) return int(i);
        if (n.size() > wanted.size() && n.ends_with(wanted) && n[n.size() - wanted.size() - 1] == '/') found = int(i), count++;
    }
    if (count == 1) return found;
    std::string known;
    for (const Node& n : nodes_) {
        const bool similar = count ? n.name.ends_with(wanted)
                                   : n.name.find(wanted.substr(0, std::max<std::size_t>(1, wanted.size() / 2))) != std::string::npos;
        if (similar && known.size() < 160) known += (known.empty() ? "" : ", ") + n.name;
    }
    if (known.empty())
        for (std::size_t i = nodes_.size(); i-- > 0 && known.size() < 160;) known += (known.empty() ? "" : ", ") + nodes_[i].name;
    if (count) fail("several layers are called '{}': {}", wanted, known);
    fail("there is no layer '{}'; there are {} (`limn inspect` lists all)", wanted, known);
}

int Model::logits(int output_node) const {
    const Node* n = &node(output_node);
    const auto* activation = dynamic_cast<const Activation*>(n->layer.get());
    return activation && (activation->is_softmax() || activation->is_sigmoid()) ? n->inputs[0] : output_node;
}

std::vector<Layer*> Model::weighted_layers() const {
    std::vector<Layer*> layers;
    for (const Node& n : nodes_)
        if (!n.layer->weights.empty() && std::find(layers.begin(), layers.end(), n.layer.get()) == layers.end())
            layers.push_back(n.layer.get());
    return layers;
}

Index Model::parameters() const {
    Index sum = 0;
    for (const Layer* layer : weighted_layers())
        for (const Weight& w : layer->weights) sum += w.shape.size();
    return sum;
}

void Model::convert(DType dtype) {
    for (Layer* layer : weighted_layers())
        for (Weight& w : layer->weights) w.value = w.value.to(dtype);
}

void Model::move_to(Device* device) {
    for (Layer* layer : weighted_layers())
        for (Weight& w : layer->weights) w.value = w.value.on(device);
}

static std::vector<bool> needed_by(const std::vector<Node>& nodes, const std::vector<int>& outputs) {
    std::vector<bool> needed(nodes.size());
    for (int i : outputs) needed[std::size_t(i)] = true;
    for (std::size_t i = nodes.size(); i-- > 0;)
        if (needed[i])
            for (int in : nodes[i].inputs) needed[std::size_t(in)] = true;
    return needed;
}

Model Model::up_to(int last) const {
    const std::vector<bool> needed = needed_by(nodes_, {last});
    Model part;
    part.name = name;
    std::vector<int> place(nodes_.size(), -1);
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (!needed[i]) continue;
        Node copy = nodes_[i];
        for (int& in : copy.inputs) in = place[std::size_t(in)];
        if (copy.mask >= 0) copy.mask = place[std::size_t(copy.mask)];
        place[i] = int(part.nodes_.size());
        if (copy.inputs.empty()) part.inputs.push_back(place[i]);
        part.nodes_.push_back(std::move(copy));
    }
    part.outputs = {place[std::size_t(last)]};
    return part;
}

Model Model::with_input_size(Index height, Index width) const {
    Model fixed = *this;
    for (Node& n : fixed.nodes_) {
        if (n.inputs.empty()) {
            if (n.shape.rank() == 4) n.shape[1] = height, n.shape[2] = width;
            continue;
        }
        std::vector<Shape> shapes;
        for (int in : n.inputs) shapes.push_back(fixed.node(in).shape);
        n.shape = shape_after(*n.layer, shapes);
    }
    return fixed;
}

Model Model::above(int first, std::vector<int>* also_reads) const {
    // What depends on `first`, and what that reads beside it.
    std::vector<bool> needed = needed_by(nodes_, outputs), above(nodes_.size());
    above[std::size_t(first)] = true;
    Model part;
    part.name = name;
    part.add_input(node(first).name, node(first).shape);
    std::vector<int> place(nodes_.size(), -1);
    place[std::size_t(first)] = 0;
    for (std::size_t i = std::size_t(first) + 1; i < nodes_.size(); i++)
        for (int in : nodes_[i].inputs) above[i] = above[i] || above[std::size_t(in)];
    for (std::size_t i = std::size_t(first) + 1; i < nodes_.size(); i++) {
        if (!needed[i] || !above[i]) continue;
        Node copy = nodes_[i];
        for (int& in : copy.inputs) {
            if (place[std::size_t(in)] < 0) {
                LIMN_CHECK(also_reads, "model '{}' cannot be cut at '{}': '{}' also reads '{}'", name, node(first).name, copy.name,
                           node(in).name);
                also_reads->push_back(in);
                place[std::size_t(in)] = part.add_input(node(in).name, node(in).shape);
            }
            in = place[std::size_t(in)];
        }
        if (copy.mask >= 0) copy.mask = place[std::size_t(copy.mask)];
        place[i] = int(part.nodes_.size());
        part.nodes_.push_back(std::move(copy));
    }
    for (int i : outputs) {
        LIMN_CHECK(place[std::size_t(i)] >= 0, "the output '{}' does not depend on layer '{}'", node(i).name, node(first).name);
        part.outputs.push_back(place[std::size_t(i)]);
    }
    return part;
}

int Model::frozen_below() const {
    const std::vector<bool> needed = needed_by(nodes_, outputs);
    std::vector<std::size_t> last_reader(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); i++)
        if (needed[i])
            for (int in : nodes_[i].inputs) last_reader[std::size_t(in)] = i;
    int found = inputs.at(0);
    std::size_t open = 0;  // the furthest node that reads anything below i
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (!needed[i]) continue;
        const Layer& layer = *nodes_[i].layer;
        if (layer.trainable && (!layer.weights.empty() || layer.random_in_training())) break;
        if (open <= i && inputs.size() == 1) found = int(i);
        open = std::max(open, last_reader[i]);
    }
    return found;
}

void Model::check_inputs(const std::vector<Tensor>& images) const {
    LIMN_CHECK(images.size() == inputs.size(), "model '{}' has {} inputs, {} were given", name, inputs.size(), images.size());
    bool open = false;
    for (std::size_t i = 0; i < images.size(); i++) {
        const Shape &wanted = node(inputs[i]).shape, &given = images[i].shape();
        bool fits = wanted.rank() == given.rank() && given[0] >= 1 && given[0] == images[0].shape()[0];
        for (int axis = 1; fits && axis < wanted.rank(); axis++) fits = wanted[axis] == -1 ? given[axis] >= 1 : wanted[axis] == given[axis];
        LIMN_CHECK(fits, "input '{}' of model '{}' takes {}, {} was given", node(inputs[i]).name, name, wanted.str(), given.str());
        open = open || std::find(wanted.begin() + 1, wanted.end(), -1) != wanted.end();
    }
    if (!open) return;
    std::vector<Shape> shapes(nodes_.size()), read;  // an image may be too small for what follows
    for (std::size_t i = 0; i < images.size(); i++) shapes[std::size_t(inputs[i])] = images[i].shape();
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (nodes_[i].inputs.empty()) continue;
        read.clear();
        for (int in : nodes_[i].inputs) read.push_back(shapes[std::size_t(in)]);
        shapes[i] = shape_after(*nodes_[i].layer, read);
    }
}

// What does not change from photo to photo is decided once for each set of nodes somebody looks at: the steps, and who reads what.
struct Model::Schedule {
    std::vector<int> watch, keep, outputs;
    bool fused;
    std::vector<Tensor> weights;  // as they were: folded ones hold their numbers. Kept alive, so that no new ones can lie where they lie
    std::vector<int> readers;     // of each node's value
    std::vector<Step> steps;
};

const Model::Schedule& Model::schedule(std::span<const int> watch, std::span<const int> keep, bool fused) const {
    std::vector<Tensor> weights;
    if (fused)
        for (const Node& n : nodes_)
            for (const Weight& w : n.layer->weights) weights.push_back(w.value);
    const auto same = [](const Tensor& a, const Tensor& b) { return a.id() == b.id(); };
    auto& kept = schedules_.list;
    std::erase_if(kept, [&](const auto& s) {  // made for other weights, or before nodes were added
        return s->readers.size() != nodes_.size() || (s->fused && fused && !std::ranges::equal(s->weights, weights, same));
    });
    for (const auto& s : kept)
        if (s->fused == fused && std::ranges::equal(s->watch, watch) && std::ranges::equal(s->keep, keep) && s->outputs == outputs)
            return *s;
    auto s = std::make_shared<Schedule>(Schedule{
        {watch.begin(), watch.end()}, {keep.begin(), keep.end()}, outputs, fused, std::move(weights), std::vector<int>(nodes_.size()), {}});
    for (const std::span<const int> list : {watch, keep, std::span<const int>(outputs)})
        for (int i : list) s->readers[std::size_t(i)]++;
    std::vector<bool> seen(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); i++) seen[i] = s->readers[i] > 0;
    for (std::size_t i = nodes_.size(); i-- > 0;)  // only what somebody reads is run
        if (s->readers[i])
            for (int in : nodes_[i].inputs) s->readers[std::size_t(in)]++;
    if (fused) {
        std::vector<bool> recorded(nodes_.size());  // from the watched nodes upward
        for (int i : watch) recorded[std::size_t(i)] = true;
        for (std::size_t i = 0; i < nodes_.size(); i++) {
            for (int in : nodes_[i].inputs) recorded[i] = recorded[i] || recorded[std::size_t(in)];
            seen[i] = seen[i] || recorded[i];
        }
        s->steps = fused_steps(nodes_, s->readers, seen);
    } else {
        s->steps = plain_steps(nodes_, s->readers);
    }
    if (kept.size() >= 8) kept.erase(kept.begin());
    kept.push_back(std::move(s));
    return *kept.back();
}

std::vector<Var> Model::forward(Tape& tape, const std::vector<Tensor>& images, std::span<const int> watch,
                                std::span<const int> keep) const {
    return run(tape, images, watch, keep, {});
}

void Model::observe(Tape& tape, const std::vector<Tensor>& images, const Observer& after) const { run(tape, images, {}, {}, after); }

std::vector<Var> Model::run(Tape& tape, const std::vector<Tensor>& images, std::span<const int> watch, std::span<const int> keep,
                            const Observer& after) const {
    check_inputs(images);
    const Schedule& todo = schedule(watch, keep, tape.backend().prefers_fused() && !tape.training && !tape.watches_parameters());
    const auto watched = [&](int node) { return std::find(watch.begin(), watch.end(), node) != watch.end(); };
    std::vector<int> readers = todo.readers;
    std::vector<Var> values(nodes_.size());
    for (std::size_t i = 0; i < images.size(); i++) {
        Var& value = values[std::size_t(inputs[i])];
        value = images[i].on(tape.backend().device());
        if (watched(inputs[i])) value = tape.watch(value);
    }
    std::vector<Var> in;
    for (const Step& step : todo.steps) {
        in.clear();
        for (int j : step.inputs) in.push_back(values[std::size_t(j)]);
        Var& value = values[std::size_t(step.node)];
        value = step.layer->forward(tape, in);
        if (after) after(*step.layer, step.node, value.value);
        for (int j : step.inputs)
            if (--readers[std::size_t(j)] == 0) values[std::size_t(j)] = {};
        if (watched(step.node)) value = tape.watch(value);
    }
    return values;
}

}  // namespace limn
