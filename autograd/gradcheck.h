// Is a backward pass right? Two independent answers, both in double and with the reference backend.
//
// Finite differences: for a random direction u, the score's central difference (s(x + e u) - s(x - e u)) / 2e must
// equal <gradient, u>. The adjoint identity: for a linear function A, <A u, v> = <u, A^T v> for random u and v; for
// any function the same holds for its derivative, which is what the second form of the check uses.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/tape.h"

namespace limn {

using Function = std::function<Var(Tape&, const std::vector<Var>&)>;

struct GradCheck {
    double finite_difference = 0;                          // largest relative disagreement over directions and inputs
    double adjoint = 0;                                    // |<J u, v> - <u, J^T v>| / (|J u| |v|), J u by central differences
};

// Checks the derivative of f with respect to every input (f32 inputs are converted to double).
GradCheck gradcheck(const Function& f, std::vector<Tensor> inputs, std::uint64_t seed = 1, double step = 1e-5);

// Seeded numbers for tests and checks: uniform in [low, high).
Tensor random_tensor(Shape shape, std::uint64_t seed, double low = -1, double high = 1, DType dtype = DType::f32);

double dot(const Tensor& a, const Tensor& b);

}  // namespace limn
