// Products of two matrices: 1x1 convolutions and first layers.
// Included inside a namespace and a target region, after tiles.h.

// The channels [first, last) of every tap, for R rows and V vectors of columns whose results stay in registers meanwhile.
template <int R, int V> void product_tile(const ProductJob& job, Index row, Index first, Index last) {
    vec acc[R][V];
    float* y = job.y + row * job.y_step;
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) {
        const vec bias = job.bias ? load(job.bias + v * LANES) : vec{};
#pragma GCC unroll 32
        for (int m = 0; m < R; m++) acc[m][v] = first == 0 ? bias : load(y + m * job.y_step + v * LANES);
    }
    for (Index t = 0; t < job.taps; t++) {
        const float *x[R], *w = job.weights + (t * job.depth + first) * COLUMNS;
#pragma GCC unroll 32
        for (int m = 0; m < R; m++) x[m] = job.x + (row + m) * job.x_step + t * job.x_tap;
#pragma GCC unroll 2
        for (Index c = first; c < last; c++, w += COLUMNS) {
            vec weights[V];
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) weights[v] = load(w + v * LANES);
#pragma GCC unroll 32
            for (int m = 0; m < R; m++) {
                const vec value = splat(x[m][c]);
#pragma GCC unroll 2
                for (int v = 0; v < V; v++) acc[m][v] += value * weights[v];
            }
        }
    }
    const Fused fused = last == job.depth ? job.fused : Fused::none;
#pragma GCC unroll 32
    for (int m = 0; m < R; m++)
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) store(y + m * job.y_step + v * LANES, activated(fused, acc[m][v]));
}

// All rows of x against one panel, cut into tiles of nearly equal height (49 rows: 6+6+6+6+5+5+5+5+5). The weights of as many channels
// as fit the first-level cache stay there while the rows pass by.
template <int V> inline void product_of(const ProductJob& job) {
    constexpr Index DEPTH = 4096 / COLUMNS, MOST = 2 / V * ROWS;
    const Index tiles = (job.rows + MOST - 1) / MOST, step = job.taps == 1 ? DEPTH : job.depth;
    for (Index c = 0; c < job.depth; c += step)
        for (Index t = 0; t < tiles; t++) {
            const Index row = job.rows * t / tiles;
            with_constant<MOST>(job.rows * (t + 1) / tiles - row,
                                [&](auto rows) { product_tile<rows, V>(job, row, c, std::min(c + step, job.depth)); });
        }
}
inline void product(const ProductJob& job) { job.columns > LANES ? product_of<2>(job) : product_of<1>(job); }
