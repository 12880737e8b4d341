// Depthwise convolutions. Included inside a namespace and a target region, after tiles.h.

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
