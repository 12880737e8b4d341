// One hardware vector, as a GCC/clang vector extension: + - * work lane by lane and a*b+c becomes one FMA where there is
// one. Included inside a namespace and a target region; LANES is defined there. No include guard: it is meant to be
// included once for each instruction set.
//
// Two types: `vec` is an aligned value; `vec_in_memory` may lie anywhere. (One unaligned type for both would keep local
// arrays unaligned, and every spill would cross a cache line.)

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float vec_in_memory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline vec load(const float* p) { return *reinterpret_cast<const vec_in_memory*>(p); }
inline void store(float* p, vec v) { *reinterpret_cast<vec_in_memory*>(p) = v; }
inline vec splat(float x) { return x - vec{}; }  // x + vec{} would have to turn -0 into +0: one more instruction
inline vec larger(vec a, vec b) { return ((a > b) | (a != a)) ? a : b; }  // a NaN wins

inline vec activated(Fused fused, vec v) {  // a NaN stays
    if (fused == Fused::none) return v;
    v = v < vec{} ? vec{} : v;
    if (fused == Fused::relu6) v = v > splat(6.0f) ? splat(6.0f) : v;
    return v;
}

inline float sum_of(vec v) {  // in a fixed order: halves, quarters...
    float a[LANES];
    store(a, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) a[i] += a[i + half];
    return a[0];
}
