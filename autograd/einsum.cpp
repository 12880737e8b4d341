// Products of two tensors by the names of their axes, as many products of matrices.
#include <algorithm>
#include <map>
#include <numeric>

#include "autograd/ops.h"

namespace limn {

namespace {

// "abc,cd->abd" taken apart: the axes of a and b and of the result y, and the four kinds of letters in the order of a (columns: of b).
struct Equation {
    std::string a, b, y;
    std::string batch, rows, summed, columns;

    explicit Equation(std::string_view text) {
        const auto comma = text.find(','), arrow = text.find("->");
        LIMN_CHECK(comma != text.npos && arrow != text.npos && comma < arrow, "'{}' is no product of two tensors", text);
        a = text.substr(0, comma), b = text.substr(comma + 1, arrow - comma - 1), y = text.substr(arrow + 2);
        const auto in = [](const std::string& letters, char c) { return letters.find(c) != letters.npos; };
        for (char c : a) (in(b, c) ? in(y, c) ? batch : summed : rows) += c;
        for (char c : b)
            if (!in(a, c)) columns += c;
        for (const std::string* letters : {&a, &b, &y})
            for (char c : *letters)
                LIMN_CHECK(std::isalpha(static_cast<unsigned char>(c)) && std::ranges::count(*letters, c) == 1,
                           "'{}': an axis needs a letter of its own", text);
        const bool fits = std::ranges::all_of(rows + columns, [&](char c) { return in(y, c); }) &&
                          y.size() + summed.size() == (batch + rows + summed + columns).size();
        LIMN_CHECK(fits && !a.empty() && !y.empty() && a[0] == y[0], "'{}' is no product of matrices, image by image", text);
    }
};

// The axes `from` of x in the order `to`.
Tensor arranged(const Backend& backend, const Tensor& x, const std::string& from, const std::string& to) {
    if (from == to) return x;
    std::vector<int> order;
    Shape shape = x.shape();
    for (char c : to) {
        const int axis = int(from.find(c));
        shape[int(order.size())] = x.shape()[axis];
        order.push_back(axis);
    }
    Tensor y = x.like(shape);
    backend.transpose(order, x, y);
    return y;
}

Tensor matrix(const Tensor& stack, Index i) { return stack.rows(i, 1).reshaped({stack.shape()[1], stack.shape()[2]}); }

}  // namespace

Var einsum(Tape& tape, std::string_view equation, const Var& a, const Var& b) {
    // y[batch,rows,columns] = sum over `summed` of a[batch,rows,summed] * b[batch,summed,columns]
    const Equation e(equation);
    std::map<char, Index> size;
    for (const auto& [letters, shape] : {std::pair{e.a, a.shape()}, {e.b, b.shape()}}) {
        LIMN_CHECK(int(letters.size()) == shape.rank(), "'{}' does not name the axes of {}", equation, shape.str());
        for (int i = 0; i < shape.rank(); i++)
            LIMN_CHECK(size.emplace(letters[std::size_t(i)], shape[i]).first->second == shape[i], "'{}' does not fit {} and {}", equation,
                       a.shape().str(), b.shape().str());
    }
    const auto count = [&](const std::string& letters) {
        return std::accumulate(letters.begin(), letters.end(), Index(1), [&](Index n, char c) { return n * size.at(c); });
    };
    const auto shape_of = [](const std::string& letters, const std::map<char, Index>& sizes) {
        std::vector<Index> list;
        for (char c : letters) list.push_back(sizes.at(c));
        return Shape(std::span<const Index>(list));
    };
    const Index B = count(e.batch), M = count(e.rows), K = count(e.summed), N = count(e.columns);
    const Backend& backend = tape.backend();
    const Tensor left = arranged(backend, a.value, e.a, e.batch + e.rows + e.summed).reshaped({B, M, K});
    const Tensor right = arranged(backend, b.value, e.b, e.batch + e.summed + e.columns).reshaped({B, K, N});
    Tensor product = a.value.like({B, M, N});
    for (Index i = 0; i < B; i++) {
        Tensor y = matrix(product, i);
        backend.dense(matrix(left, i), matrix(right, i), {}, Fused::none, y);
    }
    const std::string inside = e.batch + e.rows + e.columns;
    const Tensor y = arranged(backend, product.reshaped(shape_of(inside, size)), inside, e.y);

    // da = dy b^T and db = a^T dy, matrix by matrix. Several targets: T times as many images, which are the first of the batch (then what
    // was saved is read T times over) or the first of the rows.
    return tape.record("einsum", {a, b}, y, [=](const Tensor& dy, Walk& walk) {
        const bool by_image = !e.batch.empty() && e.batch[0] == e.a[0];
        std::map<char, Index> sizes = size;
        sizes[e.a[0]] *= walk.targets();
        const Index batch = by_image ? B * walk.targets() : B, rows = by_image ? M : M * walk.targets();
        const Tensor dproduct = arranged(walk.backend, dy, e.y, inside).reshaped({batch, rows, N});
        if (walk.wants(0)) {
            Tensor dleft = dy.like({batch, rows, K});
            for (Index i = 0; i < batch; i++) {
                Tensor da = matrix(dleft, i);
                walk.backend.dense_grad_input(matrix(dproduct, i), matrix(right, i % B), da);
            }
            const std::string order = e.batch + e.rows + e.summed;
            walk.give(0, arranged(walk.backend, dleft.reshaped(shape_of(order, sizes)), order, e.a));
        }
        if (walk.wants(1)) {
            LIMN_CHECK(by_image || walk.targets() == 1, "the gradient of a weight is taken for one target at a time");
            Tensor dright = dy.like({batch, K, N});
            for (Index i = 0; i < batch; i++) {
                Tensor db = matrix(dright, i);
                walk.backend.dense_grad_kernel(matrix(left, i % B), matrix(dproduct, i), db);
            }
            const std::string order = e.batch + e.summed + e.columns;
            walk.give(1, arranged(walk.backend, dright.reshaped(shape_of(order, sizes)), order, e.b));
        }
    });
}

}  // namespace limn
