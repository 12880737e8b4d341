// Functions that move numbers to other places: reshape, transpose, stack, pad, slices.
#include "layers/operation.h"

namespace limn::operations {

namespace {

List rest(const Call& call, const std::string& key) {  // a list without what it says of the images' axis
    const Value* value = call.find(key);
    const List* list = value ? value->as<List>() : nullptr;
    if (!list || list->size() < 2) call.reject(fmt::format("'{}' should be a list", key));
    return {list->begin() + 1, list->end()};
}

}  // namespace

LayerPtr make_reshape_to(const Call& call) {
    const Value first = call.find("shape") && call.find("shape")->as<List>() && !call.find("shape")->as<List>()->empty()
                            ? call.find("shape")->as<List>()->front()
                            : Value();
    if (first.as<double>() && *first.as<double>() != -1) call.reject("the first axis is that of the images: it should stay open (-1)");
    return call.layer("Reshape", {{"target_shape", rest(call, "shape")}});
}

LayerPtr make_transpose_to(const Call& call) {
    if (call.integers("axes", {1}).at(0) != 0) call.reject("the first axis is that of the images: it should stay first");
    return call.layer("Permute", {{"dims", rest(call, "axes")}});
}

LayerPtr make_expand_dims(const Call& call) {
    const auto shapes = [call](const std::vector<Shape>& in) {
        const int rank = in[0].rank() + 1, axis = axis_of(call, call.integer("axis", -1), rank);
        std::vector<Index> sizes(in[0].begin(), in[0].end());
        sizes.insert(sizes.begin() + axis, 1);
        return Shape(std::span<const Index>(sizes));
    };
    return operation(call, shapes,
                     [shapes](Tape& tape, const std::vector<Var>& in) { return reshape(tape, in[0], shapes({in[0].shape()})); });
}

LayerPtr make_squeeze(const Call& call) {
    const auto shapes = [call](const std::vector<Shape>& in) {
        Shape out = in[0];
        std::vector<Index> axes = call.integers("axis", {});
        if (axes.empty())
            for (int i = 1; i < out.rank(); i++)
                if (out[i] == 1) axes.push_back(i);
        for (Index& axis : axes) axis = axis_of(call, axis, out.rank());
        std::sort(axes.begin(), axes.end(), std::greater<Index>());
        for (Index axis : axes) {
            if (out[int(axis)] != 1) call.reject(fmt::format("axis {} of {} has not size 1", axis, in[0].str()));
            out = out.without(int(axis));
        }
        return out;
    };
    return operation(call, shapes,
                     [shapes](Tape& tape, const std::vector<Var>& in) { return reshape(tape, in[0], shapes({in[0].shape()})); });
}

LayerPtr make_stack(const Call& call) {
    const auto each = [call](const Shape& in, Index count) {
        std::vector<Index> sizes(in.begin(), in.end());
        sizes.insert(sizes.begin() + axis_of(call, call.integer("axis", 0), in.rank() + 1), count);
        return Shape(std::span<const Index>(sizes));
    };
    const auto shapes = [call, each](const std::vector<Shape>& in) {
        for (const Shape& shape : in)
            if (!(shape == in[0])) call.reject(fmt::format("{} and {} cannot be stacked", in[0].str(), shape.str()));
        return each(in[0], Index(in.size()));
    };
    return operation(call, shapes, [call, each](Tape& tape, const std::vector<Var>& in) {
        std::vector<Var> parts;
        for (const Var& x : in) parts.push_back(reshape(tape, x, each(x.shape(), 1)));
        return concatenate(tape, parts, axis_of(call, call.integer("axis", 0), in[0].shape().rank() + 1));
    });
}

LayerPtr make_pad(const Call& call) {
    std::string mode = call.text("mode", "constant");
    std::transform(mode.begin(), mode.end(), mode.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    if (mode != "constant" || call.number("constant_values", 0) != 0) call.reject("only padding with zeros is known");
    std::vector<std::pair<Index, Index>> sides{{0, 0}};
    for (const Value& item : rest(call, "pad_width"))
        sides.push_back(Config{call.class_name, call.name, {{"pad_width", item}}}.pair("pad_width", 0));
    for (const auto& [before, after] : sides)
        if (before < 0 || after < 0 || before > 1 << 20 || after > 1 << 20) call.reject("'pad_width' makes no sense");
    const auto shapes = [call, sides](const std::vector<Shape>& in) {
        Shape out = in[0];
        if (out.rank() != int(sides.size()))
            call.reject(fmt::format("'pad_width' names {} axes, its input is {}", sides.size(), out.str()));
        for (int i = 0; i < out.rank(); i++)
            if (out[i] >= 0) out[i] += sides[std::size_t(i)].first + sides[std::size_t(i)].second;
        return out;
    };
    return operation(call, shapes, [sides](Tape& tape, const std::vector<Var>& in) {
        Shape before = in[0].shape(), after = in[0].shape();
        for (int i = 0; i < before.rank(); i++) before[i] = sides[std::size_t(i)].first, after[i] = sides[std::size_t(i)].second;
        return pad(tape, in[0], before, after);
    });
}

namespace {

// x[:, 1:3, ::2, 0, ..., None]: for each axis a place, a slice or a new axis
struct Cut {
    enum class Kind { place, part, new_axis, rest } kind;
    std::optional<Index> from, to;
    Index step = 1;
};
Cut cut_from(const Call& call, const Value& item) {
    if (item.as<std::string>() && *item.as<std::string>() == "None") return {Cut::Kind::new_axis, {}, {}};
    if (item.as<double>()) return {Cut::Kind::place, Config{call.class_name, call.name, {{"place", item}}}.integer("place", 0), {}};
    const Value* kind = item.find("class_name");
    if (kind && kind->as<std::string>() && *kind->as<std::string>() == "__ellipsis__") return {Cut::Kind::rest, {}, {}};
    const Value* inside = item.find("config");  // Keras 3 holds the ends inside "config"
    const Value& ends = inside ? *inside : item;
    if (!ends.as<Dict>()) call.reject("it takes something else than a place, a slice or an ellipsis");
    Config slice{call.class_name, call.name, *ends.as<Dict>()};
    std::erase_if(slice.settings, [](const auto& end) { return end.second.template as<std::string>() != nullptr; });
    Cut cut{Cut::Kind::part, {}, {}, slice.integer("step", 1)};
    if (slice.has("start")) cut.from = slice.integer("start", 0);
    if (slice.has("stop")) cut.to = slice.integer("stop", 0);
    const bool turns = cut.step == -1 && !cut.from && !cut.to;  // x[..., ::-1]: RGB and BGR
    if (cut.step < 1 && !turns) call.reject("slices that go backward are not known, but for whole axes (::-1)");
    return cut;
}

Var turned(Tape& tape, const Var& x, int axis) {
    std::vector<Var> parts = split(tape, x, axis, x.shape()[axis]);
    std::ranges::reverse(parts);
    return concatenate(tape, parts, axis);
}

}  // namespace

LayerPtr make_get_item(const Call& call) {
    const Value* key = call.find("key");
    if (!key) call.reject("it reads no place");
    std::vector<Cut> given;
    for (const Value& item : key->as<List>() ? *key->as<List>() : List{*key}) given.push_back(cut_from(call, item));
    const auto cuts_for = [call, given](const Shape& x) {  // one for each axis, and the new ones
        std::vector<Cut> cuts;
        const auto used =
            std::ranges::count_if(given, [](const Cut& c) { return c.kind == Cut::Kind::place || c.kind == Cut::Kind::part; });
        const auto missing = std::max<Index>(0, x.rank() - used);
        bool open = true;
        for (const Cut& cut : given) {
            if (cut.kind != Cut::Kind::rest)
                cuts.push_back(cut);
            else if (std::exchange(open, false))
                cuts.insert(cuts.end(), std::size_t(missing), {Cut::Kind::part, {}, {}});
        }
        if (open) cuts.insert(cuts.end(), std::size_t(missing), {Cut::Kind::part, {}, {}});
        if (used > x.rank()) call.reject(fmt::format("{} has not so many axes", x.str()));
        if (cuts[0].kind != Cut::Kind::part || cuts[0].from.value_or(0) != 0 || cuts[0].to || cuts[0].step != 1)
            call.reject("it takes some images of a batch only");
        return cuts;
    };
    const auto range = [call](const Cut& cut, Index size) {  // first place and count; -1 where only the image decides
        const auto end = [&](const std::optional<Index>& at, Index otherwise) {
            return std::clamp<Index>(at ? (*at < 0 ? *at + size : *at) : otherwise, 0, size);
        };
        if (cut.kind == Cut::Kind::place) {
            const Index at = *cut.from < 0 ? *cut.from + size : *cut.from;
            if (size >= 0 && (at < 0 || at >= size)) call.reject(fmt::format("there is no place {} among {}", *cut.from, size));
            return std::pair<Index, Index>{at, 1};
        }
        if (size < 0) return std::pair<Index, Index>{0, -1};
        if (cut.step < 0) return std::pair<Index, Index>{0, size};
        const Index from = end(cut.from, 0), to = end(cut.to, size);
        return std::pair<Index, Index>{from, std::max<Index>(0, (to - from + cut.step - 1) / cut.step)};
    };
    const auto shapes = [cuts_for, range](const std::vector<Shape>& in) {
        std::vector<Index> sizes;
        int axis = 0;
        for (const Cut& cut : cuts_for(in[0])) {
            if (cut.kind == Cut::Kind::new_axis) sizes.push_back(1);
            if (cut.kind == Cut::Kind::part) sizes.push_back(axis == 0 ? in[0][0] : range(cut, in[0][axis]).second);
            axis += cut.kind != Cut::Kind::new_axis;
        }
        return Shape(std::span<const Index>(sizes));
    };
    return operation(call, shapes, [cuts_for, range, shapes](Tape& tape, const std::vector<Var>& in) {
        Var y = in[0];
        int axis = 0;
        for (const Cut& cut : cuts_for(in[0].shape())) {
            if (cut.kind == Cut::Kind::new_axis) continue;
            const auto [from, count] = range(cut, y.shape()[axis]);
            if (axis > 0) y = cut.step < 0 ? turned(tape, y, axis) : slice(tape, y, axis, from, count, cut.step);
            axis++;
        }
        return reshape(tape, y, shapes({in[0].shape()}));
    });
}

}  // namespace limn::operations
