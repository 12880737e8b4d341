// Is a backward pass right? Two independent answers, both in double and with the reference backend.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/tape.h"

namespace limn {

using Function = std::function<Var(Tape&, const std::vector<Var>&)>;

// Finite differences: for a random direction u of each input and random output weights v,
//     (<v, f(x + e u)> - <v, f(x - e u)>) / 2e   must equal   <gradient of <v, f>, u>.
// The largest relative disagreement over the inputs. Inputs are converted to double.
double finite_difference_error(const Function& f, std::vector<Tensor> inputs, std::uint64_t seed = 1, double step = 1e-5);

// The adjoint identity, exact but for rounding: a linear f satisfies <f(u), v> = <u, f^T v> for all u and v, f^T v being
// what the walk backward returns. f must be linear in its one input.
double adjoint_error(const Function& f, const Shape& input, std::uint64_t seed = 1);

// Seeded numbers for tests and checks: uniform in [low, high).
Tensor random_tensor(Shape shape, std::uint64_t seed, double low = -1, double high = 1, DType dtype = DType::f32);

double dot(const Tensor& a, const Tensor& b);

}  // namespace limn
