// What maps are made of, as the loops of their definitions.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/backend.h"
#include "engine/threads.h"

namespace limn::reference {

// y[m,h,w] = sum over c of x[m mod N,h,w,c] * weights[m,h,w,c], or weights[m,0,0,c]
template <class T> void channel_dot(const Tensor& x, const Tensor& weights, Tensor& y) {
    const Index N = x.shape()[0], pixels = x.shape()[1] * x.shape()[2], C = x.shape()[3], M = y.shape()[0];
    const bool everywhere = weights.size() == M * C;
    LIMN_CHECK(N > 0 && M % N == 0 && (everywhere || weights.size() == M * pixels * C), "weights {} do not belong to {}",
               weights.shape().str(), x.shape().str());
    parallel_for(M, M * pixels * C, [&](Index m) {
        const T *a = x.data<T>() + m % N * pixels * C, *w = weights.data<T>() + m * (everywhere ? 1 : pixels) * C;
        for (Index i = 0; i < pixels; i++) {
            double sum = 0;
            for (Index c = 0; c < C; c++) sum += double(a[i * C + c]) * double(w[(everywhere ? 0 : i * C) + c]);
            y.data<T>()[m * pixels + i] = T(sum);
        }
    });
}

// The T largest of each row, the first of equals before the others.
template <class T> void one_hot_largest(const Tensor& x, Tensor& y) {
    const Index N = x.shape()[0], K = x.shape()[1], targets = y.shape()[0] / N;
    std::vector<Index> order(static_cast<std::size_t>(K));
    std::fill(y.data<T>(), y.data<T>() + y.size(), T(0));
    for (Index n = 0; n < N; n++) {
        const T* row = x.data<T>() + n * K;
        const auto number = [&](Index k) { return std::isnan(row[k]) ? -std::numeric_limits<T>::infinity() : row[k]; };
        std::iota(order.begin(), order.end(), Index(0));
        std::partial_sort(order.begin(), order.begin() + std::min(targets, K), order.end(),
                          [&](Index a, Index b) { return number(a) != number(b) ? number(a) > number(b) : a < b; });
        for (Index t = 0; t < std::min(targets, K); t++) y.data<T>()[(t * N + n) * K + order[std::size_t(t)]] = 1;
    }
}

}  // namespace limn::reference
