// AVX-512: 16 lanes, 32 registers = 12 x 2 results + weights + broadcasts.
#include "engine/cpu/kernels.h"

#include <algorithm>
#include <type_traits>
#include "engine/cpu/target.h"

#if defined(__x86_64__)

LIMN_TARGET("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")

namespace limn::cpu::avx512 {

constexpr int LANES = 16, ROWS = 12;
// in this order: the tiles are made of vectors
#include "engine/cpu/vec.h"

#include "engine/cpu/tiles.h"

#include "engine/cpu/product_tiles.h"

#include "engine/cpu/depthwise_tiles.h"

#include "engine/cpu/loops.h"

#include "engine/cpu/winograd_tiles.h"

const Kernels kernels = {"avx512",   ROWS,         COLUMNS,  tile, product, depthwise,    dense_rows, dots,        outer,
                         relu,       relu_grad,    any_relu, any_relu_grad,
                         add,        subtract,     multiply, scale, affine, maximum,
                         maximum_at, weighted_sum, sum_rows, sum_squares, sum_products, blend,      multiply_add,
                         winograd_of<2>, winograd_of<4>, multiply_adds_only, CHAINS * LANES, winograd_products};

}  // namespace limn::cpu::avx512

LIMN_TARGET_END

#endif
