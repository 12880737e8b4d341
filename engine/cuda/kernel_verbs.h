// The verbs that are limn's own kernels, for any Machine that can run them: a GPU (library/gpu.cpp), or in tests the host.
//
//     machine.each(count, kernel)       kernel(i) for all i < count
//     machine.totals(outputs, total)    a total (totals.h) for each output
//     machine.device()                  where its tensors lie
//     machine.keep(tensor or plan)      is about to be used: a recording must keep it alive
//
// Verbs take tensors of the host, too: they are copied to the device first, and results back. That waits; a network's own never do.
#pragma once

#include <exception>

#include "engine/backend.h"
#include "engine/cuda/totals.h"

namespace limn::cuda {

int as_int(Index elements);  // an Error if there are too many

static_assert(Steps::most == Shape::max_rank);

inline Planes planes_of(const Shape& x, const Shape& y) {
    (void)as_int(x.size()), (void)as_int(y.size());  // both are counted in 32 bits
    return {as_int(x[0]), as_int(x[1]), as_int(x[2]), as_int(x[3]), as_int(y[1]), as_int(y[2])};
}
inline Axis rows_of(const Window& w, const Planes& at) { return {int(w.r), int(w.stride_h), int(w.pad_top), at.h, at.p}; }
inline Axis columns_of(const Window& w, const Planes& at) { return {int(w.s), int(w.stride_w), int(w.pad_left), at.w, at.q}; }

// How far a step along each axis of a shape moves in a dense tensor of that shape.
inline std::array<Index, Shape::max_rank> dense_steps(const Shape& shape) {
    std::array<Index, Shape::max_rank> steps{};
    Index step = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) steps[std::size_t(axis)] = step, step *= shape[axis];
    return steps;
}
// The same along the axes of `full`, 0 where `part` repeats (NumPy's rule).
inline std::array<Index, Shape::max_rank> repeating_steps(const Shape& part, const Shape& full) {
    LIMN_CHECK(part.rank() <= full.rank(), "{} does not repeat to {}", part.str(), full.str());
    std::array<Index, Shape::max_rank> steps{};
    const auto own = dense_steps(part);
    for (int axis = 0; axis < part.rank(); axis++) {
        const int to = axis + full.rank() - part.rank();
        LIMN_CHECK(part[axis] == 1 || part[axis] == full[to], "{} does not repeat to {}", part.str(), full.str());
        steps[std::size_t(to)] = part[axis] == 1 ? 0 : own[std::size_t(axis)];
    }
    return steps;
}
// Axes along which both move on as if they were one are made one: each costs a division.
inline Steps steps_over(const Shape& shape, const std::array<Index, Shape::max_rank>& a, const std::array<Index, Shape::max_rank>& b) {
    Steps steps;
    for (int axis = 0; axis < shape.rank(); axis++) {
        const auto i = std::size_t(axis);
        const int size = as_int(shape[axis]), step_a = as_int(a[i]), step_b = as_int(b[i]), last = steps.rank - 1;
        if (size == 1) continue;
        if (last >= 0 && steps.a[last] == step_a * size && steps.b[last] == step_b * size)
            steps.sizes[last] *= size, steps.a[last] = step_a, steps.b[last] = step_b;
        else
            steps.sizes[steps.rank] = size, steps.a[steps.rank] = step_a, steps.b[steps.rank] = step_b, steps.rank++;
    }
    return steps;
}

// A tensor as a kernel reads it: its numbers where the machine can see them.
class In {
public:
    explicit In(Tensor here) : here_(std::move(here)) {}
    template <class T> operator const T*() const { return static_cast<const T*>(here_.address()); }
    const float* numbers() const { return *this; }

private:
    Tensor here_;
};

// A tensor as a kernel writes it: what it does not write stays as it is.
class Out {
public:
    Out(Tensor& wanted, Tensor here) : wanted_(wanted), here_(std::move(here)) {}
    Out(const Out&) = delete;
    ~Out() noexcept(false) {
        if (here_.device() != wanted_.device() && !std::uncaught_exceptions()) wanted_.assign(here_);
    }
    template <class T> operator T*() const { return static_cast<T*>(here_.address()); }
    float* numbers() const { return *this; }

private:
    Tensor& wanted_;
    Tensor here_;
};

template <class Machine> class KernelVerbs : public Backend {
public:
    explicit KernelVerbs(Machine machine) : machine_(std::move(machine)) {}

    void max_pool(const Window& window, const Tensor& x, Tensor& y, Argmax* argmax) const override {
        const Planes at = planes_of(x.shape(), y.shape());
        if (argmax) *argmax = {window, tensor(y.shape(), DType::i32)};
        each(y, MaxPoolKernel{at, rows_of(window, at), columns_of(window, at), read(x), write(y), winners_of(argmax)});
    }
    void max_pool_grad(const Argmax& argmax, const Tensor& dy, Tensor& dx) const override {
        const Planes at = planes_of(dx.shape(), dy.shape());
        each(dx, MaxPoolGradKernel{at, rows_of(argmax.window, at), columns_of(argmax.window, at), read(argmax.winners),
                                   as_int(argmax.winners.size()), read(dy), write(dx)});
    }
    void average_pool(const Window& window, const Tensor& x, Tensor& y) const override {
        const Planes at = planes_of(x.shape(), y.shape());
        each(y, AveragePoolKernel{at, rows_of(window, at), columns_of(window, at), read(x), write(y)});
    }
    void average_pool_grad(const Window& window, const Tensor& dy, Tensor& dx) const override {
        const Planes at = planes_of(dx.shape(), dy.shape());
        each(dx, AveragePoolGradKernel{at, rows_of(window, at), columns_of(window, at), read(dy), write(dx)});
    }

    void unary(const UnaryFn& f, const Tensor& x, Tensor& y) const override { each(y, UnaryKernel{f, read(x), write(y)}); }
    void unary_grad(const UnaryFn& f, ReluRule rule, const Tensor& x, const Tensor& y, const Tensor& dy, Tensor& dx) const override {
        each(dx, UnaryGradKernel{f, rule, read(x), read(y), as_int(x.size()), read(dy), write(dx)});
    }
    void binary(Binary op, const Tensor& a, const Tensor& b, Tensor& y) const override {
        const Steps steps = steps_over(y.shape(), repeating_steps(a.shape(), y.shape()), repeating_steps(b.shape(), y.shape()));
        each(y, BinaryKernel{op, steps, operand(a), operand(b), write(y)});
    }
    void affine(const Tensor& x, const Tensor& mean, const Tensor& scale, const Tensor& shift, Tensor& y) const override {
        each(y, AffineKernel{read(x), read(mean), read(scale), read(shift), as_int(scale.size()), write(y)});
    }

    void moments(const Tensor& x, Tensor& mean, Tensor& variance) const override {
        const int C = as_int(mean.size()), rows = as_int(x.size()) / C;
        const Shape table{rows, C};
        reduce(Reduction::mean, x.reshaped(table), mean = mean.reshaped({1, C}));
        mean = mean.reshaped({C});
        machine_.totals(C, SquaredDistanceTotal{rows, C, read(x), read(mean), write(variance)});
    }
    void batch_norm_grad(const Backend::Normalised& n, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) const override {
        const int C = as_int(n.mean.size()), rows = as_int(dy.size()) / C;
        machine_.totals(
            C, BatchNormTotal{rows, C, read(n.x), read(n.mean), read(n.variance), n.epsilon, read(dy), write(dgamma), write(dbeta)});
        each(dx, BatchNormGradKernel{rows, C, read(n.x), read(n.mean), read(n.variance), read(n.gamma), n.epsilon, read(dy), read(dgamma),
                                     read(dbeta), write(dx)});
    }

    void reduce(Reduction op, const Tensor& x, Tensor& y) const override {
        // y has x's axes, those that are summed over with size 1
        const Shape &full = x.shape(), &part = y.shape();
        (void)as_int(x.size()), (void)repeating_steps(part, full);
        Shape over = full;
        for (int axis = 0; axis < full.rank(); axis++)
            if (part[axis] != 1) over[axis] = 1;
        const Steps kept = steps_over(part, dense_steps(full), {}), reduced = steps_over(over, dense_steps(full), {});
        const int terms = as_int(over.size()), outputs = as_int(y.size());
        if (op == Reduction::maximum)
            machine_.totals(outputs, ReduceTotal<Largest>{kept, reduced, terms, read(x), 1, write(y)});
        else
            machine_.totals(outputs,
                            ReduceTotal<Sum>{kept, reduced, terms, read(x), op == Reduction::mean ? 1 / float(terms) : 1.0f, write(y)});
    }
    void softmax(const Tensor& x, Tensor& y) const override {
        const int C = as_int(x.shape()[-1]), rows = as_int(x.size()) / C;
        Tensor top = tensor({rows, 1}, DType::f32), sum = tensor({rows, 1}, DType::f32);
        reduce(Reduction::maximum, x.reshaped({rows, C}), top);
        machine_.totals(rows, ExponentialsTotal{C, read(x), read(top), write(sum)});
        each(y, SoftmaxKernel{C, read(x), read(top), read(sum), write(y)});
    }
    void softmax_grad(const Tensor& y, const Tensor& dy, Tensor& dx) const override {
        const int C = as_int(y.shape()[-1]), rows = as_int(dy.size()) / C, saved = as_int(y.size());
        Tensor sum = tensor({rows}, DType::f32);
        machine_.totals(rows, RowProductsTotal{C, saved, read(y), read(dy), write(sum)});
        each(dx, SoftmaxGradKernel{C, saved, read(y), read(dy), read(sum), write(dx)});
    }

    void copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) const override {
        (void)as_int(x.size()), (void)as_int(y.size());
        const auto x_steps = dense_steps(x.shape()), y_steps = dense_steps(y.shape());
        Index x_start = 0, y_start = 0;
        for (int axis = 0; axis < box.rank(); axis++)
            x_start += from[axis] * x_steps[std::size_t(axis)], y_start += to[axis] * y_steps[std::size_t(axis)];
        machine_.each(as_int(box.size()),
                      CopyKernel{steps_over(box, x_steps, y_steps), read(x).numbers() + x_start, write(y).numbers() + y_start});
    }
    void transpose(const std::vector<int>& order, const Tensor& x, Tensor& y) const override {
        const auto x_steps = dense_steps(x.shape());
        std::array<Index, Shape::max_rank> steps{};
        for (std::size_t axis = 0; axis < order.size(); axis++) steps[axis] = x_steps[std::size_t(order[axis])];
        each(y, CopyKernel{steps_over(y.shape(), steps, dense_steps(y.shape())), read(x), write(y)});
    }
    void resize(Interpolation mode, const Tensor& x, Tensor& y) const override {
        const Planes at = planes_of(x.shape(), y.shape());
        each(y, ResizeKernel{at, {mode, at.h, at.p}, {mode, at.w, at.q}, read(x), write(y)});
    }
    void resize_grad(Interpolation mode, const Tensor& dy, Tensor& dx) const override {
        const Planes at = planes_of(dx.shape(), dy.shape());
        each(dx, ResizeGradKernel{at, {mode, at.h, at.p}, {mode, at.w, at.q}, read(dy), write(dx)});
    }

    void channel_dot(const Tensor& x, const Tensor& weights, Tensor& y) const override {
        (void)as_int(x.size());
        const int images = as_int(x.shape()[0]), pixels = as_int(x.shape()[1] * x.shape()[2]), C = as_int(x.shape()[3]);
        const int weight_pixels = as_int(weights.size() / (y.shape()[0] * C));
        machine_.totals(as_int(y.size()), ChannelDotTotal{C, images, pixels, weight_pixels, read(x), read(weights), write(y)});
    }
    void one_hot_largest(const Tensor& x, Tensor& y) const override {
        const int rows = as_int(x.shape()[0]), K = as_int(x.shape()[1]);
        machine_.totals(rows * K, LargestTotal{K, rows, as_int(y.shape()[0]) / rows, read(x), write(y)});
    }
    void paint(const Paint& paint, const Tensor& values, const Tensor& table, const Tensor& photo, Tensor& picture) const override {
        each(values, PaintKernel{paint, read(values), read(table), read(photo), write(picture)});
    }
    void update(const Update& rule, const Tensor& gradient, const Tensor& weights, Tensor& m, Tensor& v, Tensor& updated) const override {
        each(updated, UpdateKernel{rule, read(gradient), read(weights), write(m), write(v), write(updated)});
    }

protected:
    template <class Kernel> void each(const Tensor& result, const Kernel& kernel) const { machine_.each(as_int(result.size()), kernel); }
    Tensor here(const Tensor& t) const {
        Tensor there = t.on(machine_.device());
        machine_.keep(there);
        return there;
    }
    In read(const Tensor& t) const { return In(here(t)); }
    Out write(Tensor& t) const { return {t, here(t)}; }
    Tensor tensor(const Shape& shape, DType dtype) const { return Tensor(shape, dtype, machine_.device()); }

    Machine machine_;

private:
    // A single number of the host travels with the kernel.
    struct Operands {
        Tensor numbers;
        float constant;
        operator Operand() const { return {static_cast<const float*>(numbers.address()), constant}; }
    };
    Operands operand(const Tensor& t) const {
        if (t.size() == 1 && !t.device()) return {{}, t.data()[0]};
        return {here(t), 0};
    }
    static std::int32_t* winners_of(Argmax* argmax) { return argmax ? static_cast<std::int32_t*>(argmax->winners.address()) : nullptr; }
};

}  // namespace limn::cuda
