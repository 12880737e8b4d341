// Matrix-like kernels: the register tile of convolutions, depthwise pixels, dense rows and dot products.
// Included inside a namespace and a target region, after vec.h; ROWS is the height of the register tile.

constexpr int COLUMNS = 2 * LANES;

// ROWS x 2 vectors of results stay in registers while all taps and channels pass by: per channel two loads of weights,
// ROWS broadcast numbers, 2*ROWS multiply-adds. Pixels are read where they lie; no patch matrix is made.
inline void tile(const TileJob& job) {
    vec acc[ROWS][2];
    const vec b0 = job.bias ? load(job.bias) : vec{}, b1 = job.bias ? load(job.bias + LANES) : vec{};
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; m++) acc[m][0] = b0, acc[m][1] = b1;
    for (Index t = 0; t < job.taps; t++) {
        const float* w = job.weights + job.tap_ids[t] * job.channels * COLUMNS;
        const float* x[ROWS];
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; m++) x[m] = job.pixels[t * ROWS + m];
        for (Index c = 0; c < job.channels; c++, w += COLUMNS) {
            const vec w0 = load(w), w1 = load(w + LANES);
#pragma GCC unroll 16
            for (int m = 0; m < ROWS; m++) {
                const vec v = splat(x[m][c]);
                acc[m][0] += v * w0, acc[m][1] += v * w1;
            }
        }
    }
    if (job.fused != Fused::none) {
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; m++)
            for (int j = 0; j < 2; j++) acc[m][j] = activated(job.fused, acc[m][j]);
    }
    if (job.rows == ROWS && job.columns == COLUMNS) {
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; m++) store(job.y[m], acc[m][0]), store(job.y[m] + LANES, acc[m][1]);
    } else {
        float results[ROWS][COLUMNS];
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; m++) store(results[m], acc[m][0]), store(results[m] + LANES, acc[m][1]);
        for (int m = 0; m < job.rows; m++)
            for (int j = 0; j < job.columns; j++) job.y[m][j] = results[m][j];
    }
}

inline void depthwise(const float* const* pixels, const Index* tap_ids, Index taps, Index channels, const float* weights, const float* bias,
                      Fused fused, float* y) {
    Index c = 0;
    for (; c + LANES <= channels; c += LANES) {
        vec acc = bias ? load(bias + c) : vec{};
        for (Index t = 0; t < taps; t++) acc += load(pixels[t] + c) * load(weights + tap_ids[t] * channels + c);
        store(y + c, activated(fused, acc));
    }
    for (; c < channels; c++) {
        float acc = bias ? bias[c] : 0;
        for (Index t = 0; t < taps; t++) acc += pixels[t][c] * weights[tap_ids[t] * channels + c];
        y[c] = fused_value(fused, acc);
    }
}

// N rows of x against G rows of w at a time: y is read and written once for G rows of w. rows: which of them.
template <int G, int N> inline void dense_group(const float* x, Index x_step, const float* w, const Index* rows, Index k, float* y) {
    float factors[N][G];
    for (int n = 0; n < N; n++)
        for (int g = 0; g < G; g++) factors[n][g] = x[n * x_step + rows[g]];
    const float* from[G];
    for (int g = 0; g < G; g++) from[g] = w + rows[g] * k;
    Index j = 0;
    for (; j + LANES <= k; j += LANES) {
        vec weights[G];
#pragma GCC unroll 8
        for (int g = 0; g < G; g++) weights[g] = load(from[g] + j);
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) {
            vec acc = load(y + n * k + j);
#pragma GCC unroll 8
            for (int g = 0; g < G; g++) acc += weights[g] * splat(factors[n][g]);
            store(y + n * k + j, acc);
        }
    }
    for (; j < k; j++)
        for (int n = 0; n < N; n++)
            for (int g = 0; g < G; g++) y[n * k + j] += from[g][j] * factors[n][g];
}

// Rows of w whose x is zero in all N rows are not read: after a ReLU that is often half of them. (So an infinite weight there makes no
// NaN.) The others are added in their order, so the sum has the same bits as with them.
template <int N> inline void dense_rows_of(const float* x, Index x_step, const float* w, Index depth, Index k, float* y) {
    for (Index i = 0; i < N * k; i++) y[i] = 0;
    Index rows[8];
    int count = 0;
    for (Index c = 0; c < depth; c++) {
        bool needed = false;
        for (int n = 0; n < N; n++) needed |= x[n * x_step + c] != 0;
        if (!needed) continue;
        rows[count++] = c;
        if (count == 8) dense_group<8, N>(x, x_step, w, rows, k, y), count = 0;
    }
    for (int i = 0; i < count; i++) dense_group<1, N>(x, x_step, w, rows + i, k, y);
}

inline void dense_rows(const float* x, Index x_step, Index n, const float* w, Index depth, Index k, float* y) {
    switch (n) {
        case 1: return dense_rows_of<1>(x, x_step, w, depth, k, y);
        case 2: return dense_rows_of<2>(x, x_step, w, depth, k, y);
        case 3: return dense_rows_of<3>(x, x_step, w, depth, k, y);
        case 4: return dense_rows_of<4>(x, x_step, w, depth, k, y);
        case 5: return dense_rows_of<5>(x, x_step, w, depth, k, y);
        case 6: return dense_rows_of<6>(x, x_step, w, depth, k, y);
        case 7: return dense_rows_of<7>(x, x_step, w, depth, k, y);
        default: return dense_rows_of<8>(x, x_step, w, depth, k, y);
    }
}

inline void dots(const float* x, Index x_step, Index n, const float* w, Index k, float* y, Index y_step) {
    for (Index i = 0; i < n; i++, x += x_step) {
        vec acc[4] = {};
        Index j = 0;
        for (; j + 4 * LANES <= k; j += 4 * LANES)
#pragma GCC unroll 4
            for (int u = 0; u < 4; u++) acc[u] += load(x + j + u * LANES) * load(w + j + u * LANES);
        for (; j + LANES <= k; j += LANES) acc[0] += load(x + j) * load(w + j);
        float sum = sum_of((acc[0] + acc[1]) + (acc[2] + acc[3]));
        for (; j < k; j++) sum += x[j] * w[j];
        y[i * y_step] = sum;
    }
}

// R x V vectors of results stay in registers while all pixels of all runs pass by.
template <int R, int V> inline void outer_tile(const OuterJob& job, Index m, Index j) {
    float* out = job.out + m * job.out_step + j;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
        for (int v = 0; v < V; v++) acc[i][v] = load(out + i * job.out_step + v * LANES);
    for (Index run = 0; run < job.runs; run++) {
        const float *a = job.a[run] + m, *b = job.b[run] + j;
        for (Index t = 0; t < job.length; t++, a += job.a_step, b += job.b_step) {
            vec w[V];
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) w[v] = load(b + v * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < R; i++) {
                const vec x = splat(a[i]);
#pragma GCC unroll 2
                for (int v = 0; v < V; v++) acc[i][v] += x * w[v];
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
        for (int v = 0; v < V; v++) store(out + i * job.out_step + v * LANES, acc[i][v]);
}

// A tile of r rows, r <= ROWS.
template <int V, int R = ROWS> inline void outer_rows(const OuterJob& job, Index r, Index m, Index j) {
    if (r == R) return outer_tile<R, V>(job, m, j);
    if constexpr (R > 1) outer_rows<V, R - 1>(job, r, m, j);
}

// All rows of one column of tiles, cut as evenly as can be; the numbers of b that it reads stay in the first-level cache.
template <int V> inline void outer_column(const OuterJob& job, Index j) {
    const Index tiles = (job.rows + ROWS - 1) / ROWS;
    for (Index t = 0; t < tiles; t++) {
        const Index m = job.rows * t / tiles;
        outer_rows<V>(job, job.rows * (t + 1) / tiles - m, m, j);
    }
}

inline void outer(const OuterJob& job) {
    Index j = 0;
    for (; j + 2 * LANES <= job.columns; j += 2 * LANES) outer_column<2>(job, j);
    for (; j + LANES <= job.columns; j += LANES) outer_column<1>(job, j);
    for (; j < job.columns; j++)
        for (Index m = 0; m < job.rows; m++) {
            float sum = job.out[m * job.out_step + j];
            for (Index run = 0; run < job.runs; run++)
                for (Index t = 0; t < job.length; t++) sum += job.a[run][t * job.a_step + m] * job.b[run][t * job.b_step + j];
            job.out[m * job.out_step + j] = sum;
        }
}
