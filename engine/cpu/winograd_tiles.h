// Winograd's convolution F(MxM, 3x3): the loops. Included inside a namespace and a target region, after vec.h.
//
//   Y = At [ sum_c (G g Gt) . (Bt d B) ] A        for each tile of M x M outputs; d: its (M+2) x (M+2) inputs, g: the kernel
//
// The three matrices follow from polynomial interpolation (Toom-Cook) at M+1 points and infinity; see winograd.cpp, where G is.
// The sum over channels at each of the (M+2)^2 points is a matrix product. One-dimensional transforms, used along both axes:

template <int M> struct Transform;

// Points 0, 1, -1, infinity.
template <> struct Transform<2> {
    static void input(const vec (&d)[4], vec (&t)[4]) { t[0] = d[2] - d[0], t[1] = d[2] + d[1], t[2] = d[2] - d[1], t[3] = d[3] - d[1]; }
    static void output(const vec (&m)[4], vec (&y)[2]) { y[0] = m[0] + (m[1] + m[2]), y[1] = (m[1] - m[2]) + m[3]; }
};

// Points 0, a, -a, b, -b, infinity with a = 1/sqrt(2), b = sqrt(2): less than half the error of the integers 1 and 2.
template <> struct Transform<4> {
    static constexpr float a = 0.70710678118654752440f, b = 2 * a;
    static void input(const vec (&d)[6], vec (&t)[6]) {
        const vec even_a = d[4] - 2.0f * d[2], odd_a = d[3] - 2.0f * d[1], even_b = d[4] - 0.5f * d[2], odd_b = d[3] - 0.5f * d[1];
        t[0] = (d[0] + d[4]) - 2.5f * d[2];
        t[1] = even_a + a * odd_a, t[2] = even_a - a * odd_a;
        t[3] = even_b + b * odd_b, t[4] = even_b - b * odd_b;
        t[5] = (d[1] + d[5]) - 2.5f * d[3];
    }
    static void output(const vec (&m)[6], vec (&y)[4]) {
        const vec sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
        y[0] = m[0] + (sum_a + sum_b);
        y[1] = a * (difference_a + 2.0f * difference_b);
        y[2] = 0.5f * sum_a + 2.0f * sum_b;
        y[3] = (0.5f * a) * difference_a + ((2 * b) * difference_b + m[5]);
    }
};

// The first `count` lanes; the others are zero and stay unread.
inline vec load_some(const float* p, Index count) {
    float lanes[LANES] = {};
    for (Index i = 0; i < count; i++) lanes[i] = p[i];
    return load(lanes);
}
inline void store_some(float* p, vec v, Index count) {
    float lanes[LANES];
    store(lanes, v);
    for (Index i = 0; i < count; i++) p[i] = lanes[i];
}

constexpr int CHANNEL_BLOCK = WinogradPlane::channel_block;
constexpr int WINOGRAD_ROWS = LANES == 16 ? 14 : 6;  // tiles a pass: x 2 results, 2 weights and a broadcast fill the registers

// Input channels at a time: their weights for one panel (16 KB) stay in the first-level cache while all tiles pass by.
constexpr Index WINOGRAD_DEPTH = 4096 / COLUMNS;

// The tiles of a block are multiplied in passes of nearly equal height (49 tiles: 13+12+12+12, not 14+14+14+7).
struct WinogradPass {
    Index first, rows;
};
inline Index winograd_passes(Index tiles) { return (tiles + WINOGRAD_ROWS - 1) / WINOGRAD_ROWS; }
inline WinogradPass winograd_pass(Index tiles, Index i) {
    const Index passes = winograd_passes(tiles), less = tiles / passes, more = tiles % passes;
    return {i * less + std::min(i, more), less + (i < more)};
}
inline WinogradPass winograd_pass_of(Index tiles, Index tile) {
    const Index passes = winograd_passes(tiles), less = tiles / passes, more = tiles % passes, border = more * (less + 1);
    return winograd_pass(tiles, tile < border ? tile / (less + 1) : more + (tile - border) / less);
}

// v = Bt d B for the tiles [first, last) of a block: v[point][pass][c / CHANNEL_BLOCK][tile of the pass][CHANNEL_BLOCK]: a pass reads on
// and on, and whole lines of the caches are written
template <int M>
void winograd_input(const WinogradPlane& g, const float* x, Index block, Index first, Index last, Index tiles, float* v, Index v_step) {
    constexpr int A = M + 2;
    const Index channels = g.channels();
    for (Index t = first; t < last; t++) {
        const WinogradPlane::Tile at = g.tile(block + t, M);
        const WinogradPass pass = winograd_pass_of(tiles, t);
        float* const tile_v = v + pass.first * channels + (t - pass.first) * CHANNEL_BLOCK;
        const Index h0 = at.p - g.pad_top, w0 = at.q - g.pad_left;
        const bool inside = h0 >= 0 && w0 >= 0 && h0 + A <= g.h && w0 + A <= g.w;
        const float* corner = x + ((at.n * g.h + h0) * g.w + w0) * g.c;
        for (Index c = 0; c < channels; c += LANES) {
            const bool full = c + LANES <= g.c;
            vec rows[A][A];
            for (int i = 0; i < A; i++) {
                const float* row = corner + i * g.w * g.c + c;
                vec d[A];
                if (inside && full) {
#pragma GCC unroll 8
                    for (int j = 0; j < A; j++) d[j] = load(row + j * g.c);
#pragma GCC unroll 8
                    for (int j = A; j < A + M; j++) __builtin_prefetch(row + j * g.c);  // what the next tile will need
                } else {
                    for (int j = 0; j < A; j++) {
                        const bool exists = h0 + i >= 0 && h0 + i < g.h && w0 + j >= 0 && w0 + j < g.w;
                        d[j] = !exists ? vec{} : full ? load(row + j * g.c) : load_some(row + j * g.c, std::max<Index>(0, g.c - c));
                    }
                }
                Transform<M>::input(d, rows[i]);
            }
            float* to = tile_v + c / CHANNEL_BLOCK * CHANNEL_BLOCK * pass.rows + c % CHANNEL_BLOCK;
            for (int j = 0; j < A; j++) {
                vec column[A], out[A];
#pragma GCC unroll 8
                for (int i = 0; i < A; i++) column[i] = rows[i][j];
                Transform<M>::input(column, out);
#pragma GCC unroll 8
                for (int i = 0; i < A; i++) store(to + (i * A + j) * v_step, out[i]);
            }
        }
    }
}

// m[R tiles][COLUMNS] = sum over channels of v[tile][c] * u[c][COLUMNS]. Meanwhile the weights from `next` on are fetched, `lines` of
// them for each block of channels: the processor's own prefetching stops at the end of each panel.
template <int R>
void winograd_product(const float* v, const float* u, Index channels, bool first, float* m, const float* next, Index lines) {
    vec acc[R][2] = {};
    if (!first)
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) acc[r][0] = load(m + r * COLUMNS), acc[r][1] = load(m + r * COLUMNS + LANES);
    for (Index block = 0; block < channels; block += CHANNEL_BLOCK, v += R * CHANNEL_BLOCK) {
        for (Index line = 0; line < lines; line++, next += CHANNEL_BLOCK) __builtin_prefetch(next, 0, 2);
#pragma GCC unroll 4
        for (int c = 0; c < CHANNEL_BLOCK; c++, u += COLUMNS) {
            const vec u0 = load(u), u1 = load(u + LANES);
#pragma GCC unroll 16
            for (int r = 0; r < R; r++) {
                const vec x = splat(v[r * CHANNEL_BLOCK + c]);
                acc[r][0] += x * u0, acc[r][1] += x * u1;
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) store(m + r * COLUMNS, acc[r][0]), store(m + r * COLUMNS + LANES, acc[r][1]);
}

// All tiles of a block at one point. The passes share out the rows of weights that come next.
inline void winograd_products(Index tiles, const float* v, const float* u, Index channels, float* m, const float* next) {
    const Index passes = winograd_passes(tiles), lines = (COLUMNS + passes - 1) / passes;
    for (Index c = 0; c < channels; c += WINOGRAD_DEPTH) {
        const Index depth = std::min<Index>(WINOGRAD_DEPTH, channels - c);
        for (Index i = 0; i < passes; i++) {
            const WinogradPass pass = winograd_pass(tiles, i);
            with_constant<WINOGRAD_ROWS>(pass.rows, [&](auto rows) {
                winograd_product<rows>(v + pass.first * channels + c * pass.rows, u + c * COLUMNS, depth, c == 0, m + pass.first * COLUMNS,
                                       next + (c + i * depth / passes) * COLUMNS, lines);
            });
        }
    }
}

// y = At m A, then bias, ReLU, and the 2x2 max pool if wanted, for one panel of COLUMNS output channels. m: [point][tile][COLUMNS].
// The pool comes before bias and ReLU: both keep the order of numbers.
template <int M, bool POOLED> void winograd_output_as(const WinogradPlane& g, const float* m, Index m_step, Index block, Index tiles,
                                                      const float* bias, Fused fused, Index k, float* y) {
    constexpr int A = M + 2, STEP = POOLED ? 2 : 1;
    const Index height = g.p / STEP, width = g.q / STEP;
    for (Index t = 0; t < tiles; t++) {
        const WinogradPlane::Tile at = g.tile(block + t, M);
        const Index rows = std::min<Index>(M, g.p - at.p) / STEP, columns = std::min<Index>(M, g.q - at.q) / STEP;
        for (int half = 0; half < COLUMNS && k + half < g.k; half += LANES) {
            const Index lanes = std::min<Index>(LANES, g.k - k - half);
            const float* from = m + t * COLUMNS + half;
            vec down[M][A];
#pragma GCC unroll 8
            for (int j = 0; j < A; j++) {
                vec column[A], out[M];
#pragma GCC unroll 8
                for (int i = 0; i < A; i++) column[i] = load(from + (i * A + j) * m_step);
                Transform<M>::output(column, out);
#pragma GCC unroll 4
                for (int i = 0; i < M; i++) down[i][j] = out[i];
            }
            const vec b = bias ? load(bias + half) : vec{};
            float* to = y + ((at.n * height + at.p / STEP) * width + at.q / STEP) * g.k + k + half;
#pragma GCC unroll 4
            for (int i = 0; i < M / STEP; i++, to += width * g.k) {
                vec out[M];
                Transform<M>::output(down[i * STEP], out);
                if constexpr (POOLED) {
                    vec below[M];
                    Transform<M>::output(down[i * STEP + 1], below);
#pragma GCC unroll 2
                    for (int j = 0; j < M / 2; j++)
                        out[j] = larger(larger(out[2 * j], out[2 * j + 1]), larger(below[2 * j], below[2 * j + 1]));
                }
                if (i >= rows) break;
#pragma GCC unroll 4
                for (int j = 0; j < M / STEP; j++) {
                    if (j >= columns) break;
                    const vec value = activated(fused, out[j] + b);
                    lanes == LANES ? store(to + j * g.k, value) : store_some(to + j * g.k, value, lanes);
                }
            }
        }
    }
}
template <int M> void winograd_output(const WinogradPlane& g, const float* m, Index m_step, Index block, Index tiles, const float* bias,
                                      Fused fused, Index k, float* y) {
    fused == Fused::relu_max_pool ? winograd_output_as<M, true>(g, m, m_step, block, tiles, bias, fused, k, y)
                                  : winograd_output_as<M, false>(g, m, m_step, block, tiles, bias, fused, k, y);
}

// u = G g Gt for one input channel and one panel of output channels, in double, rounded once. g: nine rows of COLUMNS numbers.
template <int M> void winograd_kernel(const double (*G)[3], const float* g, float* u, Index u_step) {
    constexpr int A = M + 2;
    double half[A][3][COLUMNS];
    for (int i = 0; i < A; i++)
        for (int s = 0; s < 3; s++)
            for (int k = 0; k < COLUMNS; k++)
                half[i][s][k] = G[i][0] * double(g[s * COLUMNS + k]) + G[i][1] * double(g[(3 + s) * COLUMNS + k]) +
                                G[i][2] * double(g[(6 + s) * COLUMNS + k]);
    for (int i = 0; i < A; i++)
        for (int j = 0; j < A; j++)
            for (int k = 0; k < COLUMNS; k++)
                u[(i * A + j) * u_step + k] = float(half[i][0][k] * G[j][0] + half[i][1][k] * G[j][1] + half[i][2][k] * G[j][2]);
}

template <int M> constexpr WinogradKernels winograd_of = {winograd_input<M>, winograd_output<M>, winograd_kernel<M>};
