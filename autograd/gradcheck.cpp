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
        for (T& v : t.values<T>())
            v = T(low + (high - low) * double(bits() >> 11) * 0x1p-53);  // std distributions differ between libraries
    });
    return t;
}

double dot(const Tensor& a, const Tensor& b) {
    LIMN_CHECK(a.size() == b.size(), "{} and {} have no inner product", a.shape().str(), b.shape().str());
    double sum = 0;
    for (Index i = 0; i < a.size(); i++) sum += a.at_flat(i) * b.at_flat(i);
    return sum;
}

double finite_difference_error(const Function& f, std::vector<Tensor> inputs, std::uint64_t seed, double step) {
    for (Tensor& t : inputs) t = t.to(DType::f64);
    Tape tape(reference_backend());
    std::vector<Var> watched;
    for (const Tensor& t : inputs) watched.push_back(tape.watch(t));
    const Var y = f(tape, watched);
    const Tensor v = random_tensor(y.shape(), seed, -1, 1, DType::f64);
    const std::vector<Tensor> gradients = tape.gradients(y, v, watched);

    double worst = 0;
    for (std::size_t i = 0; i < inputs.size(); i++) {
        const Tensor u = random_tensor(inputs[i].shape(), seed + 17 * (i + 1), -1, 1, DType::f64);
        const auto score_at = [&](double by) {  // <v, f(x + by u)>
            std::vector<Tensor> at = inputs;
            at[i] = at[i].clone();
            for (Index j = 0; j < u.size(); j++) at[i].data<double>()[j] += by * u.data<double>()[j];
            Tape plain(reference_backend());
            return dot(f(plain, {at.begin(), at.end()}).value, v);
        };
        const double expected = (score_at(step) - score_at(-step)) / (2 * step), found = dot(gradients[i], u);
        worst = std::max(worst, std::abs(expected - found) / std::max({1e-3, std::abs(expected), std::abs(found)}));
    }
    return worst;
}

double adjoint_error(const Function& f, const Shape& input, std::uint64_t seed) {
    const Tensor u = random_tensor(input, seed, -1, 1, DType::f64);
    Tape tape(reference_backend());
    const Var x = tape.watch(u);
    const Var y = f(tape, {x});
    const Tensor v = random_tensor(y.shape(), seed + 1, -1, 1, DType::f64);
    const Tensor back = tape.gradients(y, v, {&x, 1})[0];
    const double scale = std::sqrt(dot(y.value, y.value) * dot(v, v));
    return std::abs(dot(y.value, v) - dot(u, back)) / std::max(1e-12, scale);
}

}  // namespace limn
