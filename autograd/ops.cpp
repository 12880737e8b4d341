#include "autograd/ops.h"

#include <algorithm>
#include <cmath>

namespace limn {

namespace {

Shape broadcast_shape(const Shape& a, const Shape& b) {
    const Shape& longer = a.rank() >= b.rank() ? a : b;
    Shape shape = longer;
    for (int i = 1; i <= std::min(a.rank(), b.rank()); i++) {
        LIMN_CHECK(a[-i] == b[-i] || a[-i] == 1 || b[-i] == 1, "{} and {} do not fit together element by element", a.str(), b.str());
        shape[-i] = a[-i] == 1 ? b[-i] : a[-i];
    }
    return shape;
}

// (T*N, ...) -> (T, N, ...), so that what the forward pass saved, (N, ...), repeats for each target.
Tensor by_target(const Tensor& dy, const Walk& walk) {
    if (walk.targets() == 1) return dy;
    std::vector<Index> sizes{walk.targets(), dy.shape()[0] / walk.targets()};
    sizes.insert(sizes.end(), dy.shape().begin() + 1, dy.shape().end());
    return dy.reshaped(Shape(std::span<const Index>(sizes)));
}

// f(dy, saved) for every target.
Tensor combine(Binary op, const Tensor& dy, const Tensor& saved, const Walk& walk) {
    const Tensor split = by_target(dy, walk);
    Tensor out = dy.like(split.shape());
    walk.backend.binary(op, split, saved, out);
    return out.reshaped(dy.shape());
}

// The gradient of repeating: sums over the axes along which the input had been repeated, and gives.
void give_sum(Walk& walk, int input, const Tensor& dy) {
    const Tensor like = walk.gradient_for(input, dy);
    if (like.shape() == dy.shape()) return walk.give(input, dy);
    Shape keep = dy.shape();
    const int missing = dy.shape().rank() - like.shape().rank();
    for (int axis = 0; axis < keep.rank(); axis++)
        keep[axis] = axis < missing || like.shape()[axis - missing] != dy.shape()[axis] ? 1 : keep[axis];
    Tensor total = dy.like(keep);
    walk.backend.reduce(Reduction::sum, dy, total);
    walk.give(input, total.reshaped(like.shape()));
}

Tensor apply(Tape& tape, Binary op, const Tensor& a, const Tensor& b) {
    Tensor y = a.like(broadcast_shape(a.shape(), b.shape()));
    tape.backend().binary(op, a, b, y);
    return y;
}

Tensor negated(const Tensor& x, const Backend& backend) {
    Tensor y = x.like();
    backend.binary(Binary::multiply, x, Tensor::full({1}, -1, x.dtype()), y);
    return y;
}

}  // namespace

Var add(Tape& tape, const Var& a, const Var& b) {
    // d(a+b) = da + db
    return tape.record("add", {a, b}, apply(tape, Binary::add, a.value, b.value), [](const Tensor& dy, Walk& walk) {
        if (walk.wants(0)) give_sum(walk, 0, dy);
        if (walk.wants(1)) give_sum(walk, 1, dy);
    });
}

Var subtract(Tape& tape, const Var& a, const Var& b) {
    return tape.record("subtract", {a, b}, apply(tape, Binary::subtract, a.value, b.value), [](const Tensor& dy, Walk& walk) {
        if (walk.wants(0)) give_sum(walk, 0, dy);
        if (walk.wants(1)) give_sum(walk, 1, negated(dy, walk.backend));
    });
}

Var multiply(Tape& tape, const Var& a, const Var& b) {
    // d(ab) = b da + a db
    return tape.record("multiply", {a, b}, apply(tape, Binary::multiply, a.value, b.value), [a, b](const Tensor& dy, Walk& walk) {
        if (walk.wants(0)) give_sum(walk, 0, combine(Binary::multiply, dy, b.value, walk));
        if (walk.wants(1)) give_sum(walk, 1, combine(Binary::multiply, dy, a.value, walk));
    });
}

Var divide(Tape& tape, const Var& a, const Var& b) {
    // d(a/b) = da/b - (a/b) db/b
    const Tensor y = apply(tape, Binary::divide, a.value, b.value);
    return tape.record("divide", {a, b}, y, [b, y](const Tensor& dy, Walk& walk) {
        const Tensor over_b = combine(Binary::divide, dy, b.value, walk);
        if (walk.wants(0)) give_sum(walk, 0, over_b);
        if (walk.wants(1)) give_sum(walk, 1, negated(combine(Binary::multiply, over_b, y, walk), walk.backend));
    });
}

// maximum(a,b) = a where a >= b, else b; minimum(a,b) = a where b >= a, else b.
static Var select(Tape& tape, const char* name, Binary op, const Var& a, const Var& b) {
    const Tensor a_wins =
        op == Binary::maximum ? apply(tape, Binary::greater_equal, a.value, b.value) : apply(tape, Binary::greater_equal, b.value, a.value);
    return tape.record(name, {a, b}, apply(tape, op, a.value, b.value), [a_wins](const Tensor& dy, Walk& walk) {
        const Tensor to_a = combine(Binary::multiply, dy, a_wins, walk);
        if (walk.wants(0)) give_sum(walk, 0, to_a);
        if (walk.wants(1)) {
            Tensor to_b = dy.like();
            walk.backend.binary(Binary::subtract, dy, to_a, to_b);
            give_sum(walk, 1, to_b);
        }
    });
}
Var maximum(Tape& tape, const Var& a, const Var& b) { return select(tape, "maximum", Binary::maximum, a, b); }
Var minimum(Tape& tape, const Var& a, const Var& b) { return select(tape, "minimum", Binary::minimum, a, b); }

Var scale(Tape& tape, const Var& x, double factor) { return multiply(tape, x, Tensor::full({1}, factor, x.value.dtype())); }
Var shift(Tape& tape, const Var& x, double summand) { return add(tape, x, Tensor::full({1}, summand, x.value.dtype())); }

Var unary(Tape& tape, const UnaryFn& f, const Var& x) {
    // dx = f'(x) dy; a ReLU may follow another rule of the walk
    if (f.kind == Unary::linear) return x;
    Tensor y = x.value.like();
    tape.backend().unary(f, x.value, y);
    const Tensor in = f.is_plain_relu() ? y : x.value;  // a ReLU's slope can be read off its output: x need not be kept
    return tape.record("unary", {x}, y, [f, in, y](const Tensor& dy, Walk& walk) {
        Tensor dx = dy.like();
        walk.backend.unary_grad(f, walk.relu_rule, in, y, dy, dx);
        walk.give(0, dx);
    });
}
Var relu(Tape& tape, const Var& x) { return unary(tape, {.kind = Unary::relu}, x); }
Var exp(Tape& tape, const Var& x) { return unary(tape, {.kind = Unary::exponential}, x); }
Var log(Tape& tape, const Var& x) { return unary(tape, {.kind = Unary::log}, x); }
Var sqrt(Tape& tape, const Var& x) { return unary(tape, {.kind = Unary::sqrt}, x); }

Var softmax(Tape& tape, const Var& x) {
    // y_i = e^x_i / sum_j e^x_j;  dx_i = y_i (dy_i - sum_j y_j dy_j)
    Tensor y = x.value.like();
    tape.backend().softmax(x.value, y);
    return tape.record("softmax", {x}, y, [y](const Tensor& dy, Walk& walk) {
        Tensor dx = dy.like();
        walk.backend.softmax_grad(y, dy, dx);
        walk.give(0, dx);
    });
}

Var matmul(Tape& tape, const Var& x, const Var& w) {
    // y = x w;  dx = dy w^T;  dw = x^T dy
    LIMN_CHECK(x.shape().rank() == 2 && w.shape().rank() == 2 && x.shape()[1] == w.shape()[0], "{} and {} cannot be multiplied as matrices",
               x.shape().str(), w.shape().str());
    Tensor y = x.value.like({x.shape()[0], w.shape()[1]});
    tape.backend().dense(x.value, w.value, {}, Fused::none, y);
    return tape.record("matmul", {x, w}, y, [x, w](const Tensor& dy, Walk& walk) {
        if (walk.wants(0)) {
            Tensor dx = walk.gradient_for(0, dy);
            walk.backend.dense_grad_input(dy, w.value, dx);
            walk.give(0, dx);
        }
        if (walk.wants(1)) {
            LIMN_CHECK(walk.targets() == 1, "the gradient of a weight is taken for one target at a time");
            Tensor dw = walk.gradient_for(1, dy);
            walk.backend.dense_grad_kernel(x.value, dy, dw);
            walk.give(1, dw);
        }
    });
}

static Shape reduced_shape(const Shape& shape, const std::vector<int>& axes) {
    Shape out = shape;
    for (int axis : axes) out[axis] = 1;
    return out;
}

// Repeats dy (size 1 along some axes) to the shape of x.
static Tensor repeated(const Tensor& dy, Shape x, double factor, const Walk& walk) {
    x[0] = x[0] == 1 ? dy.shape()[0] : x[0] * walk.targets();
    Tensor dx = dy.like(x);
    walk.backend.binary(Binary::multiply, dy, Tensor::full({1}, factor, dy.dtype()), dx);
    return dx;
}

static Var total(Tape& tape, const char* name, Reduction op, const Var& x, const std::vector<int>& axes) {
    Tensor y = x.value.like(reduced_shape(x.shape(), axes));
    tape.backend().reduce(op, x.value, y);
    const double factor = op == Reduction::mean ? double(y.size()) / double(x.value.size()) : 1;
    return tape.record(name, {x}, y,
                       [shape = x.shape(), factor](const Tensor& dy, Walk& walk) { walk.give(0, repeated(dy, shape, factor, walk)); });
}
Var sum(Tape& tape, const Var& x, std::vector<int> axes) { return total(tape, "sum", Reduction::sum, x, axes); }
Var mean(Tape& tape, const Var& x, std::vector<int> axes) { return total(tape, "mean", Reduction::mean, x, axes); }

Var max(Tape& tape, const Var& x, std::vector<int> axes) {
    // dx = dy / (number of winners) where x is a winner
    Tensor y = x.value.like(reduced_shape(x.shape(), axes));
    tape.backend().reduce(Reduction::maximum, x.value, y);
    return tape.record("max", {x}, y, [x, y](const Tensor& dy, Walk& walk) {
        Tensor winner = dy.like(x.shape()), winners = dy.like(y.shape()), share = dy.like(x.shape());
        walk.backend.binary(Binary::equal, x.value, y, winner);
        walk.backend.reduce(Reduction::sum, winner, winners);
        walk.backend.binary(Binary::divide, winner, winners, share);
        walk.give(0, combine(Binary::multiply, repeated(dy, x.shape(), 1, walk), share, walk));
    });
}

Var reshape(Tape& tape, const Var& x, Shape shape) {
    return tape.record("reshape", {x}, x.value.reshaped(shape),
                       [](const Tensor& dy, Walk& walk) { walk.give(0, dy.reshaped(walk.gradient_for(0, dy).shape())); });
}

Var transpose(Tape& tape, const Var& x, std::vector<int> order) {
    LIMN_CHECK(int(order.size()) == x.shape().rank() && order[0] == 0, "a transpose must name every axis once and leave the batch first");
    Shape shape = x.shape();
    std::vector<int> back(order.size());
    for (std::size_t i = 0; i < order.size(); i++) shape[int(i)] = x.shape()[order[i]], back[std::size_t(order[i])] = int(i);
    Tensor y = x.value.like(shape);
    tape.backend().transpose(order, x.value, y);
    return tape.record("transpose", {x}, y, [back](const Tensor& dy, Walk& walk) {
        Tensor dx = walk.gradient_for(0, dy);
        walk.backend.transpose(back, dy, dx);
        walk.give(0, dx);
    });
}

// Rows of several targets lie one after another: what is cut along the batch would be taken from the wrong ones.
static void expect_one_target(const Walk& walk, bool cuts_batch) {
    LIMN_CHECK(!cuts_batch || walk.targets() == 1, "what is cut or joined along the batch is differentiated for one target at a time");
}

Var concatenate(Tape& tape, const std::vector<Var>& parts, int axis) {
    Shape shape = parts.at(0).shape();
    if (axis < 0) axis += shape.rank();
    shape[axis] = 0;
    for (const Var& part : parts) {
        LIMN_CHECK(part.shape().rank() == shape.rank() && part.shape().with(axis, 0) == shape.with(axis, 0),
                   "{} and {} cannot be joined along axis {}", parts[0].shape().str(), part.shape().str(), axis);
        shape[axis] += part.shape()[axis];
    }
    Tensor y = parts[0].value.like(shape);
    Shape at = shape, zero = shape;
    for (int i = 0; i < shape.rank(); i++) at[i] = zero[i] = 0;
    std::vector<Shape> places;
    for (const Var& part : parts) {
        tape.backend().copy_box(part.value, zero, part.shape(), y, at);
        places.push_back(at);
        at[axis] += part.shape()[axis];
    }
    return tape.record("concatenate", parts, y, [places, zero, axis](const Tensor& dy, Walk& walk) {
        expect_one_target(walk, axis == 0);
        for (int i = 0; i < int(places.size()); i++) {
            if (!walk.wants(i)) continue;
            Tensor dx = walk.gradient_for(i, dy);
            walk.backend.copy_box(dy, places[std::size_t(i)], dx.shape(), dx, zero);
            walk.give(i, dx);
        }
    });
}

std::vector<Var> split(Tape& tape, const Var& x, int axis, Index count) {
    if (axis < 0) axis += x.shape().rank();
    const Index size = x.shape()[axis];
    LIMN_CHECK(count > 0 && size % count == 0, "axis {} of {} cannot be split into {} equal parts", axis, x.shape().str(), count);
    const Shape part = x.shape().with(axis, size / count);
    Shape at = part, zero = part;
    for (int i = 0; i < part.rank(); i++) at[i] = zero[i] = 0;
    // The parts read an entry of their own, so that their gradients fill one tensor to which nobody else adds.
    const Var whole = tape.record("split", {x}, x.value, [](const Tensor& dy, Walk& walk) { walk.give(0, dy); });
    std::vector<Var> parts;
    for (Index i = 0; i < count; i++, at[axis] += part[axis]) {
        Tensor y = x.value.like(part);
        tape.backend().copy_box(x.value, at, part, y, zero);
        parts.push_back(tape.record("part", {whole}, y, [at, axis](const Tensor& dy, Walk& walk) {
            expect_one_target(walk, axis == 0);
            walk.place(0, dy, at);
        }));
    }
    return parts;
}

Var pad(Tape& tape, const Var& x, const Shape& before, const Shape& after) {
    Shape shape = x.shape(), zero = x.shape();
    for (int i = 0; i < shape.rank(); i++) shape[i] += before[i] + after[i], zero[i] = 0;
    Tensor y = x.value.zeros_like(shape);
    tape.backend().copy_box(x.value, zero, x.shape(), y, before);
    return tape.record("pad", {x}, y, [before, zero, grows = shape[0] != x.shape()[0]](const Tensor& dy, Walk& walk) {
        expect_one_target(walk, grows);
        Tensor dx = walk.gradient_for(0, dy);
        walk.backend.copy_box(dy, before, dx.shape(), dx, zero);
        walk.give(0, dx);
    });
}

Var crop(Tape& tape, const Var& x, const Shape& from, const Shape& size) {
    Shape zero = size;
    for (int i = 0; i < size.rank(); i++) {
        zero[i] = 0;
        LIMN_CHECK(from[i] >= 0 && size[i] >= 0 && from[i] + size[i] <= x.shape()[i], "a part {} at {} cannot be cut out of {}", size.str(),
                   from.str(), x.shape().str());
    }
    Tensor y = x.value.like(size);
    tape.backend().copy_box(x.value, from, size, y, zero);
    return tape.record("crop", {x}, y, [from, zero, shrinks = size[0] != x.shape()[0]](const Tensor& dy, Walk& walk) {
        expect_one_target(walk, shrinks);
        const Shape shape = walk.gradient_for(0, dy).shape();
        Tensor dx = dy.zeros_like(shape);
        walk.backend.copy_box(dy, zero, dy.shape(), dx, from);
        walk.give(0, dx);
    });
}

// Zeros of x's rank
static Shape origin(const Shape& shape) {
    Shape zero = shape;
    for (int i = 0; i < zero.rank(); i++) zero[i] = 0;
    return zero;
}

// Every step-th: as the first column of rows of `step`.
Var slice(Tape& tape, const Var& x, int axis, Index from, Index count, Index step) {
    if (axis < 0) axis += x.shape().rank();
    const Shape at = origin(x.shape()).with(axis, from), size = x.shape().with(axis, count);
    if (step == 1) return count == x.shape()[axis] ? x : crop(tape, x, at, size);
    LIMN_CHECK(axis > 0 && step > 0 && count > 0, "{} elements cannot be taken in steps of {} from axis {} of {}", count, step, axis,
               x.shape().str());
    const Index stretch = (count - 1) * step + 1, images = x.shape()[0];
    Var y = crop(tape, x, at, x.shape().with(axis, stretch));
    y = pad(tape, y, origin(x.shape()), origin(x.shape()).with(axis, step - 1));
    Index before = 1;
    for (int i = 1; i < axis; i++) before *= x.shape()[i];
    const Index after = size.size() / std::max<Index>(1, images * before * count);
    const Shape rows{images, before * count, step, after};
    return reshape(tape, crop(tape, reshape(tape, y, rows), {0, 0, 0, 0}, rows.with(2, 1)), size);
}

Var spread(Tape& tape, const Var& x, int axis, Index from, Index size, Index step) {
    if (axis < 0) axis += x.shape().rank();
    const Shape zero = origin(x.shape());
    const Index images = x.shape()[0], count = x.shape()[axis], stretch = (count - 1) * step + 1;
    LIMN_CHECK(axis > 0 && step > 0 && count > 0 && from >= 0 && from + stretch <= size, "{} cannot be spread along axis {} of size {}",
               x.shape().str(), axis, size);
    Var y = x;
    if (step > 1) {
        Index before = 1;
        for (int i = 1; i < axis; i++) before *= x.shape()[i];
        const Index after = x.value.size() / std::max<Index>(1, images * before * count);
        y = pad(tape, reshape(tape, x, {images, before * count, 1, after}), {0, 0, 0, 0}, {0, 0, step - 1, 0});
        y = crop(tape, reshape(tape, y, x.shape().with(axis, count * step)), zero, x.shape().with(axis, stretch));
    }
    return stretch == size ? y : pad(tape, y, zero.with(axis, from), zero.with(axis, size - from - stretch));
}

Var resize(Tape& tape, Interpolation mode, const Var& x, Index height, Index width) {
    // y = x seen through half-pixel centres (engine/reference/pooling.h); backward, the same weights the other way
    Tensor y = x.value.like({x.shape()[0], height, width, x.shape()[3]});
    tape.backend().resize(mode, x.value, y);
    return tape.record("resize", {x}, y, [mode](const Tensor& dy, Walk& walk) {
        Tensor dx = walk.gradient_for(0, dy);
        walk.backend.resize_grad(mode, dy, dx);
        walk.give(0, dx);
    });
}

Var index(Tape& tape, const Var& x, Index flat) { return index(tape, x, std::vector<Index>(std::size_t(x.shape()[0]), flat)); }

Var index(Tape& tape, const Var& x, const std::vector<Index>& flat) {
    const Index N = x.shape()[0], block = N ? x.value.size() / N : 0;
    LIMN_CHECK(Index(flat.size()) == N, "{} elements are named for {} images: name one for each", flat.size(), N);
    for (Index i : flat)
        LIMN_CHECK(i >= 0 && i < block, "there is no element {}: an output of shape {} has 0 to {}", i, x.shape().str(), block - 1);
    // y[n] = x[n, flat[n]]: runs of images that want the same element are moved at once
    const auto runs = [flat, N](Index images, auto move) {
        for (Index first = 0, last; first < images; first = last) {
            for (last = first + 1; last < images && flat[std::size_t(last % N)] == flat[std::size_t(first % N)];) last++;
            move(first, last - first, flat[std::size_t(first % N)]);
        }
    };
    const Tensor rows = x.value.reshaped({N, block});
    Tensor y = x.value.like({N, 1});
    runs(N, [&](Index n, Index count, Index element) { tape.backend().copy_box(rows, {n, element}, {count, 1}, y, {n, 0}); });
    return tape.record("index", {x}, y.reshaped({N}), [runs, block](const Tensor& dy, Walk& walk) {
        const Index images = dy.size();
        Tensor dx = dy.zeros_like({images, block});
        const Tensor column = dy.reshaped({images, 1});
        runs(images, [&](Index n, Index count, Index element) { walk.backend.copy_box(column, {n, 0}, {count, 1}, dx, {n, element}); });
        walk.give(0, dx.reshaped(walk.gradient_for(0, dy).shape()));
    });
}

Var gather(Tape& tape, const Var& table, const std::vector<Index>& rows) {
    const Index V = table.shape()[0], c = table.shape()[1];
    Tensor y = table.value.like({Index(rows.size()), c});
    for (std::size_t i = 0; i < rows.size(); i++) {
        LIMN_CHECK(rows[i] >= 0 && rows[i] < V, "there is no row {} in a table of {}", rows[i], V);
        tape.backend().copy_box(table.value, {rows[i], 0}, {1, c}, y, {Index(i), 0});
    }
    // dtable[v] = sum of dy[i] over the i that wanted row v
    return tape.record("gather", {table}, y, [rows, c](const Tensor& dy, Walk& walk) {
        LIMN_CHECK(walk.targets() == 1, "the gradient of a table is taken for one target at a time");
        const Tensor from = dy.host();
        Tensor dtable = Tensor::zeros(walk.gradient_for(0, dy).shape(), dy.dtype());
        with_type(dy.dtype(), [&](auto zero) {
            using T = decltype(zero);
            for (std::size_t i = 0; i < rows.size(); i++)
                for (Index k = 0; k < c; k++) dtable.data<T>()[rows[i] * c + k] += from.data<T>()[Index(i) * c + k];
        });
        walk.give(0, dtable.on(dy.device()));
    });
}

}  // namespace limn
