// Batch normalisation in training (Ioffe & Szegedy 2015) as the loops of its definition.
#pragma once

#include <cmath>

#include "engine/backend.h"

namespace limn::reference {

// mean[c] and variance[c] (divided by the number of rows) of x (rows,C)
template <class T> void moments(Index rows, Index C, const T* x, T* mean, T* variance) {
    for (Index c = 0; c < C; c++) {
        double sum = 0, squares = 0;
        for (Index i = 0; i < rows; i++) sum += double(x[i * C + c]);
        const double m = sum / double(rows);
        for (Index i = 0; i < rows; i++) squares += (double(x[i * C + c]) - m) * (double(x[i * C + c]) - m);
        mean[c] = T(m), variance[c] = T(squares / double(rows));
    }
}

// dx = gamma/s * (dy - mean(dy) - xhat * mean(dy * xhat));  dgamma = sum(dy * xhat);  dbeta = sum(dy);
// xhat = (x - mean)/s, s = sqrt(variance + epsilon)
template <class T> void batch_norm_grad(Index rows, Index C, const T* x, const T* mean, const T* variance, const T* gamma, double epsilon,
                                        const T* dy, T* dx, T* dgamma, T* dbeta) {
    for (Index c = 0; c < C; c++) {
        const double s = std::sqrt(double(variance[c]) + epsilon), m = double(mean[c]), n = double(rows);
        double sum = 0, products = 0;
        for (Index i = 0; i < rows; i++) {
            const double g = double(dy[i * C + c]);
            sum += g, products += g * (double(x[i * C + c]) - m) / s;
        }
        for (Index i = 0; i < rows; i++) {
            const double xhat = (double(x[i * C + c]) - m) / s;
            dx[i * C + c] = T((gamma ? double(gamma[c]) : 1) / s * (double(dy[i * C + c]) - sum / n - xhat * products / n));
        }
        dgamma[c] = T(products), dbeta[c] = T(sum);
    }
}

}  // namespace limn::reference
