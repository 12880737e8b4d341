// A few differentiable functions of tensors: what targets of one's own are made of, and what many layers are.
//
// Every function computes with the tape's backend and records itself. Shapes follow NumPy: axes of size 1 and missing
// first axes repeat. The first axis is the batch. Example, the difference of two classes for each image:
//     Var score = subtract(tape, index(tape, logits, 281), index(tape, logits, 207));      // (N)
//     Tensor dA = tape.gradients(score, Tensor::full(score.shape(), 1), {&watched, 1})[0];
#pragma once

#include <vector>

#include "autograd/tape.h"

namespace limn {

Var add(Tape&, const Var& a, const Var& b);
Var subtract(Tape&, const Var& a, const Var& b);
Var multiply(Tape&, const Var& a, const Var& b);
Var divide(Tape&, const Var& a, const Var& b);
Var maximum(Tape&, const Var& a, const Var& b);  // where equal, the gradient goes to a (as TensorFlow's does)
Var minimum(Tape&, const Var& a, const Var& b);
Var scale(Tape&, const Var& x, double factor);
Var shift(Tape&, const Var& x, double summand);

Var unary(Tape&, const UnaryFn& f, const Var& x);
Var relu(Tape&, const Var& x);
Var exp(Tape&, const Var& x);
Var log(Tape&, const Var& x);
Var sqrt(Tape&, const Var& x);
Var softmax(Tape&, const Var& x);  // over the last axis

Var matmul(Tape&, const Var& x, const Var& w);  // (N,c) (c,k) -> (N,k)
// Letters name axes; what both have and the result lacks is summed over: einsum(tape, "bqhd,bkhd->bhqk", query, key).
// The first letter of a and of the result is the image's; b may be one an image, or a weight (autograd/einsum.cpp).
Var einsum(Tape&, std::string_view equation, const Var& a, const Var& b);

// Reduced axes keep size 1 (drop them with reshape). Axes count from 0; negative ones from the end.
Var sum(Tape&, const Var& x, std::vector<int> axes);
Var mean(Tape&, const Var& x, std::vector<int> axes);
Var max(Tape&, const Var& x, std::vector<int> axes);  // equal winners share the gradient (as TensorFlow's do)

Var reshape(Tape&, const Var& x, Shape shape);               // the first axis must stay, be joined with the next or split
Var transpose(Tape&, const Var& x, std::vector<int> order);  // order[0] must be 0
Var concatenate(Tape&, const std::vector<Var>& parts, int axis);
std::vector<Var> split(Tape&, const Var& x, int axis, Index parts);  // into equal parts
Var pad(Tape&, const Var& x, const Shape& before, const Shape& after);  // with zeros
Var crop(Tape&, const Var& x, const Shape& from, const Shape& size);
Var slice(Tape&, const Var& x, int axis, Index from, Index count, Index step = 1);  // x[from], x[from + step]... along an axis
Var spread(Tape&, const Var& x, int axis, Index from, Index size, Index step = 1);  // the other way: into zeros of `size`
Var resize(Tape&, Interpolation, const Var& x, Index height, Index width);          // (N,h,w,c)

// One number an image: element `flat` of each image's own block (for logits (N,K): the class). (N,...) -> (N)
Var index(Tape&, const Var& x, Index flat);
Var index(Tape&, const Var& x, const std::vector<Index>& flat);  // another element for each image

Var gather(Tape&, const Var& table, const std::vector<Index>& rows);  // y[i] = table[rows[i]]: (V,c) -> (i,c)

}  // namespace limn
