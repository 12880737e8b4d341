#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace limn {

Tensor random_tensor(Shape shape, std::uint64_t seed, double low, double high, DType dtype) {
    std::mt19937_64 bits(seed);
    Tensor t(shape, dtype);
    with_type(dtype, [&](auto zero) {
        using T = decltype(zero);
        for (T& v : t.values<T>()) v = T(low + (high - low) * double(bits() >> 11) * 0x1p-53);   // std distributions differ between libraries
    });
    return t;
}

double dot(const Tensor& a, const Tensor& b) {
    LIMN_CHECK(a.size() == b.size(), "{} and {} have no inner product", a.shape().str(), b.shape().str());
    double sum = 0;
    for (Index i = 0; i < a.size(); i++) sum += a.at_flat(i) * b.at_flat(i);
    return sum;
}

GradCheck gradcheck(const Function& f, std::vector<Tensor> inputs, std::uint64_t seed, double step) {
    for (Tensor& t : inputs) t = t.to(DType::f64);
    const auto evaluate = [&](const std::vector<Tensor>& at) {
        Tape tape(reference_backend());
        return f(tape, {at.begin(), at.end()}).value;
    };

    Tape tape(reference_backend());
    std::vector<Var> watched;
    for (const Tensor& t : inputs) watched.push_back(tape.watch(t));
    const Var y = f(tape, watched);
    const Tensor v = random_tensor(y.shape(), seed, -1, 1, DType::f64);
    const std::vector<Tensor> gradients = tape.gradients(y, v, watched);

    GradCheck worst;
    for (std::size_t i = 0; i < inputs.size(); i++) {
        const Tensor u = random_tensor(inputs[i].shape(), seed + 17 * (i + 1), -1, 1, DType::f64);
        const auto moved = [&](double by) {
            std::vector<Tensor> at = inputs;
            at[i] = at[i].clone();
            for (Index j = 0; j < u.size(); j++) at[i].data<double>()[j] += by * u.data<double>()[j];
            return evaluate(at);
        };
        const Tensor ahead = moved(step), behind = moved(-step);
        Tensor slope(y.shape(), DType::f64);               // J u
        for (Index j = 0; j < slope.size(); j++) slope.data<double>()[j] = (ahead.at_flat(j) - behind.at_flat(j)) / (2 * step);
        const double expected = dot(slope, v), found = dot(gradients[i], u);
        worst.finite_difference = std::max(worst.finite_difference, std::abs(expected - found) / std::max({1e-3, std::abs(expected), std::abs(found)}));
        worst.adjoint = std::max(worst.adjoint, std::abs(expected - found) / std::max(1e-12, std::sqrt(dot(slope, slope) * dot(v, v))));
    }
    return worst;
}

}  // namespace limn
