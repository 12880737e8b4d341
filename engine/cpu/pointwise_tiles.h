// The kernels of separable convolutions: products of two matrices (1x1) and depthwise taps.
// Included inside a namespace and a target region, after tiles.h.

// R rows x 2 vectors of results stay in registers while the channels pass by.
template <int R> void product_tile(const float* x, Index x_step, const float* w, Index depth, const float* bias, bool first, bool last,
                                   Fused fused, float* y, Index y_step) {
    vec acc[R][2];
    const float* from[R];
    const vec b0 = first && bias ? load(bias) : vec{}, b1 = first && bias ? load(bias + LANES) : vec{};
#pragma GCC unroll 16
    for (int m = 0; m < R; m++) {
        from[m] = x + m * x_step;
        acc[m][0] = first ? b0 : load(y + m * y_step), acc[m][1] = first ? b1 : load(y + m * y_step + LANES);
    }
#pragma GCC unroll 2
    for (Index c = 0; c < depth; c++, w += COLUMNS) {
        const vec w0 = load(w), w1 = load(w + LANES);
#pragma GCC unroll 16
        for (int m = 0; m < R; m++) {
            const vec v = splat(from[m][c]);
            acc[m][0] += v * w0, acc[m][1] += v * w1;
        }
    }
    if (last && fused != Fused::none)
#pragma GCC unroll 16
        for (int m = 0; m < R; m++)
            for (int j = 0; j < 2; j++) acc[m][j] = activated(fused, acc[m][j]);
#pragma GCC unroll 16
    for (int m = 0; m < R; m++) store(y + m * y_step, acc[m][0]), store(y + m * y_step + LANES, acc[m][1]);
}

// f(n as a constant) for 1 <= n <= MOST
template <int MOST, class F> inline void with_constant(Index n, F f) {
    if (n == MOST) return f(std::integral_constant<int, MOST>());
    if constexpr (MOST > 1) with_constant<MOST - 1>(n, f);
}

// All rows of x against one panel, cut into tiles of nearly equal height (49 rows: 6+6+6+6+5+5+5+5+5). The weights of as many channels
// as fit the first-level cache stay there while the rows pass by.
inline void product(const ProductJob& job) {
    constexpr Index DEPTH = 4096 / COLUMNS;
    const Index tiles = (job.rows + ROWS - 1) / ROWS;
    for (Index c = 0; c < job.depth; c += DEPTH)
        for (Index t = 0; t < tiles; t++) {
            const Index m = job.rows * t / tiles;
            with_constant<ROWS>(job.rows * (t + 1) / tiles - m, [&](auto rows) {
                product_tile<rows>(job.x + m * job.x_step + c, job.x_step, job.weights + c * COLUMNS, std::min(DEPTH, job.depth - c),
                                   job.bias, c == 0, c + DEPTH >= job.depth, job.fused, job.y + m * job.y_step, job.y_step);
            });
        }
}

constexpr int LINE = 16 / LANES;  // vectors in a line of the caches

// V vectors of channels of P pixels: their sums stay in registers while the taps pass by.
template <int P, int V> inline void depthwise_tile(const DepthwiseJob& job, Index pixel, Index c) {
    vec acc[P][V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
        const vec bias = job.bias ? load(job.bias + c + v * LANES) : vec{};
#pragma GCC unroll 8
        for (int i = 0; i < P; i++) acc[i][v] = bias;
    }
    for (Index r = 0; r < job.r; r++) {
        const float *x = job.x + pixel * job.x_pixel + r * job.x_row + c, *w = job.weights + r * job.w_row + c;
        for (Index s = 0; s < job.s; s++, x += job.x_column, w += job.w_column) {
            vec weights[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) weights[v] = load(w + v * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < P; i++)
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) acc[i][v] += load(x + i * job.x_pixel + v * LANES) * weights[v];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < P; i++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) store(job.y + (pixel + i) * job.channels + c + v * LANES, activated(job.fused, acc[i][v]));
}

// Whole lines of the caches, and few at a time: where the number of channels is a power of two, neighbouring pixels fall into the same
// few sets of the first-level cache, and what is not used at once is gone. The last vector of channels overlaps the one before where
// they do not fill it.
inline void depthwise(const DepthwiseJob& job) {
    constexpr Index TOGETHER = 64, MOST = 8 / LINE;
    const Index tiles = (job.pixels + MOST - 1) / MOST;
    if (job.channels < LANES) {
        for (Index i = 0; i < job.pixels; i++)
            for (Index c = 0; c < job.channels; c++) {
                float acc = job.bias ? job.bias[c] : 0;
                for (Index r = 0; r < job.r; r++)
                    for (Index s = 0; s < job.s; s++)
                        acc += job.x[i * job.x_pixel + r * job.x_row + s * job.x_column + c] *
                               job.weights[r * job.w_row + s * job.w_column + c];
                job.y[i * job.channels + c] = fused_value(job.fused, acc);
            }
        return;
    }
    for (Index first = 0; first < job.channels; first += TOGETHER)
        for (Index t = 0; t < tiles; t++) {
            const Index pixel = job.pixels * t / tiles, last = std::min(job.channels, first + TOGETHER);
            with_constant<MOST>(job.pixels * (t + 1) / tiles - pixel, [&](auto pixels) {
                Index c = first;
                for (; c + LINE * LANES <= last; c += LINE * LANES) depthwise_tile<pixels, LINE>(job, pixel, c);
                for (; c < last; c += LANES) depthwise_tile<pixels, 1>(job, pixel, std::min(c, job.channels - LANES));
            });
        }
}
