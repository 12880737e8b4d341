// Matrix-like kernels: the register tile of convolutions, dense rows and dot products.
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
        for (int m = 0; m < ROWS; m++) {
            float* y = job.y[m] + job.y_offset;
            store(y, acc[m][0]), store(y + LANES, acc[m][1]);
        }
    } else {
        float results[ROWS][COLUMNS];
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; m++) store(results[m], acc[m][0]), store(results[m] + LANES, acc[m][1]);
        for (int m = 0; m < job.rows; m++)
            for (int j = 0; j < job.columns; j++) job.y[m][job.y_offset + j] = results[m][j];
    }
}

// y[n][j..] += sum over G rows of w of x[n][row] * w[row][j..], for N rows n and V vectors of columns.
template <int G, int N, int V> inline void dense_tile(const float (*x)[8], const float* const* w, Index j, Index k, float* y) {
    vec acc[N][V];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++)
        for (int v = 0; v < V; v++) acc[n][v] = load(y + n * k + j + v * LANES);
#pragma GCC unroll 8
    for (int g = 0; g < G; g++) {
        vec weights[V];
        for (int v = 0; v < V; v++) weights[v] = load(w[g] + j + v * LANES);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++)
            for (int v = 0; v < V; v++) acc[n][v] += weights[v] * splat(x[n][g]);
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++)
        for (int v = 0; v < V; v++) store(y + n * k + j + v * LANES, acc[n][v]);
}

// G rows of w pass by once, for all N rows of x: four of them at a time, so that the sums stay in registers.
template <int G, int N> inline void dense_group(const float* x, Index x_step, const float* w, const Index* rows, Index k, float* y) {
    float factors[N][8];
    const float* from[G];
    for (int g = 0; g < G; g++) {
        from[g] = w + rows[g] * k;
        for (int n = 0; n < N; n++) factors[n][g] = x[n * x_step + rows[g]];
    }
    constexpr int FOURS = N / 4 * 4;
    Index j = 0;
    for (; j + COLUMNS <= k; j += COLUMNS) {
        for (int n = 0; n < FOURS; n += 4) dense_tile<G, 4, 2>(factors + n, from, j, k, y + n * k);
        if constexpr (N > FOURS) dense_tile<G, N - FOURS, 2>(factors + FOURS, from, j, k, y + FOURS * k);
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

// f(n as a constant) for 1 <= n <= MOST
template <int MOST, class F> inline void with_constant(Index n, F f) {
    if (n == MOST) return f(std::integral_constant<int, MOST>());
    if constexpr (MOST > 1) with_constant<MOST - 1>(n, f);
}

inline void dense_rows(const float* x, Index x_step, Index n, const float* w, Index depth, Index k, float* y) {
    with_constant<8>(n, [&](auto rows) { dense_rows_of<rows>(x, x_step, w, depth, k, y); });
}

// sum[g][n] += x[n] . w[g] over `count` numbers (a multiple of LANES), lane by lane
template <int G, int N>
inline void dot_tile(const float* x, Index x_step, const float* w, Index w_step, Index count, float (*sum)[8][LANES]) {
    vec acc[G][N];
    for (int g = 0; g < G; g++)
        for (int n = 0; n < N; n++) acc[g][n] = load(sum[g][n]);
    for (Index j = 0; j < count; j += LANES) {
        vec rows[G];
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) rows[g] = load(w + g * w_step + j);
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) {
            const vec v = load(x + n * x_step + j);
#pragma GCC unroll 4
            for (int g = 0; g < G; g++) acc[g][n] += rows[g] * v;
        }
    }
    for (int g = 0; g < G; g++)
        for (int n = 0; n < N; n++) store(sum[g][n], acc[g][n]);
}

// G rows of w against N rows of x. Blocks of columns, so that the rows of x stay in the first-level cache for the next rows of w.
template <int G, int N> inline void dots_of(const float* x, Index x_step, const float* w, Index k, float* y, Index y_step, Index rows) {
    constexpr Index BLOCK = 1024;
    constexpr int TOGETHER = 16;  // rows of w that share a block of x
    for (Index first = 0; first < rows; first += TOGETHER) {
        const Index last = std::min<Index>(rows, first + TOGETHER);
        float sums[TOGETHER][8][LANES] = {};
        for (Index j = 0; j < k; j += BLOCK) {
            const Index count = std::min(BLOCK, k - j) / LANES * LANES;
            Index c = first;
            for (; c + G <= last; c += G) dot_tile<G, N>(x + j, x_step, w + c * k + j, k, count, sums + (c - first));
            for (; c < last; c++) dot_tile<1, N>(x + j, x_step, w + c * k + j, k, count, sums + (c - first));
        }
        for (Index c = first; c < last; c++)
            for (int n = 0; n < N; n++) {
                float sum = sum_of(load(sums[c - first][n]));
                for (Index j = k / LANES * LANES; j < k; j++) sum += x[n * x_step + j] * w[c * k + j];
                y[n * y_step + c] = sum;
            }
    }
}

inline void dots(const float* x, Index x_step, Index n, const float* w, Index rows, Index k, float* y, Index y_step) {
    with_constant<8>(n, [&](auto count) { dots_of<count <= 2 ? 4 : count <= 6 ? 2 : 1, count>(x, x_step, w, k, y, y_step, rows); });
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

// As many independent chains of multiply-adds as two units with a latency of five cycles want.
constexpr int CHAINS = 12;
inline float multiply_adds_only(Index rounds) {
    vec acc[CHAINS];
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) acc[i] = splat(float(i));
    vec x = splat(0.999f), y = splat(0.001f);
    for (Index round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * x + y;
    }
#pragma GCC unroll 12
    for (int i = 1; i < CHAINS; i++) acc[0] += acc[i];
    return sum_of(acc[0]);
}
