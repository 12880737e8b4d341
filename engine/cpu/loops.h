// Element-wise loops, plain: the compiler makes vectors of them with the instructions of the region.
// Included inside a namespace and a target region.

inline void relu(const float* __restrict x, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = x[i] < 0 ? 0 : x[i];
}
inline void relu_grad(const float* __restrict y, const float* __restrict dy, Index size, float* __restrict dx) {
    for (Index i = 0; i < size; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}
// All other ReLUs (leaky, capped, from a threshold on) and the rules of walking back: as unary.h has them.
inline void any_relu(const UnaryFn& f, const float* __restrict x, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = relu_value(f, x[i]);
}
inline void any_relu_grad(const UnaryFn& f, ReluRule rule, const float* __restrict x, const float* __restrict dy, Index size,
                          float* __restrict dx) {
    for (Index i = 0; i < size; i++) dx[i] = relu_gradient(f, rule, x[i], dy[i]);
}
inline void add(const float* __restrict a, const float* __restrict b, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = a[i] + b[i];
}
inline void subtract(const float* __restrict a, const float* __restrict b, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = a[i] - b[i];
}
inline void multiply(const float* __restrict a, const float* __restrict b, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = a[i] * b[i];
}
inline void scale(const float* __restrict x, float factor, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = x[i] * factor;
}
inline void affine(const float* __restrict x, const float* __restrict mean, const float* __restrict factor, const float* __restrict shift,
                   Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = (x[i] - mean[i]) * factor[i] + shift[i];
}
inline void maximum(const float* const* x, Index count, Index size, float* y) {
    Index i = 0;
    for (; i + LANES <= size; i += LANES) {
        vec best = load(x[0] + i);
        for (Index t = 1; t < count; t++) {
            const vec v = load(x[t] + i);
            best = ((v <= best) | (best != best)) ? best : v;
        }
        store(y + i, best);
    }
    for (; i < size; i++) {
        y[i] = x[0][i];
        for (Index t = 1; t < count; t++) y[i] = x[t][i] <= y[i] || y[i] != y[i] ? y[i] : x[t][i];
    }
}
inline void weighted_sum(const float* const* x, const float* factors, Index count, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] = 0;
    for (Index t = 0; t < count; t++) {
        const float* __restrict row = x[t];
        const float factor = factors[t];
        for (Index i = 0; i < size; i++) y[i] += factor * row[i];
    }
}
inline void maximum_at(const float* const* x, const std::int32_t* ids, Index count, Index size, float* __restrict y,
                       std::int32_t* __restrict winner) {
    const float* __restrict first = x[0];
    for (Index i = 0; i < size; i++) y[i] = first[i], winner[i] = ids[0];
    for (Index t = 1; t < count; t++) {
        const float* __restrict row = x[t];
        const std::int32_t id = ids[t];
        for (Index i = 0; i < size; i++) {
            const bool stays = row[i] <= y[i] || y[i] != y[i];
            y[i] = stays ? y[i] : row[i];
            winner[i] = stays ? winner[i] : id;
        }
    }
}
inline void sum_rows(const float* __restrict x, Index rows, Index c, float* __restrict sum) {
    for (Index i = 0; i < c; i++) sum[i] = 0;
    for (Index row = 0; row < rows; row++, x += c)
        for (Index i = 0; i < c; i++) sum[i] += x[i];
}
inline void sum_squares(const float* __restrict x, const float* __restrict mean, Index rows, Index c, float* __restrict sum) {
    for (Index i = 0; i < c; i++) sum[i] = 0;
    for (Index row = 0; row < rows; row++, x += c)
        for (Index i = 0; i < c; i++) sum[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
}
inline void sum_products(const float* __restrict dy, const float* __restrict x, const float* __restrict mean, Index rows, Index c,
                         float* __restrict sum) {
    for (Index i = 0; i < c; i++) sum[i] = 0;
    for (Index row = 0; row < rows; row++, x += c, dy += c)
        for (Index i = 0; i < c; i++) sum[i] += dy[i] * (x[i] - mean[i]);
}
inline void blend(const float* __restrict dy, const float* __restrict x, const float* __restrict mean, const float* __restrict a,
                  const float* __restrict b, const float* __restrict shift, Index c, float* __restrict dx) {
    for (Index i = 0; i < c; i++) dx[i] = a[i] * dy[i] + b[i] * (x[i] - mean[i]) + shift[i];
}
inline void multiply_add(const float* __restrict a, const float* __restrict b, Index size, float* __restrict y) {
    for (Index i = 0; i < size; i++) y[i] += a[i] * b[i];
}
