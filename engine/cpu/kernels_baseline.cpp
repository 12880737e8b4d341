// What every processor has: 4 lanes (SSE2 on x86-64, NEON on ARM).
#include "engine/cpu/kernels.h"

#include <algorithm>
#include <type_traits>

namespace limn::cpu::baseline {

constexpr int LANES = 4, ROWS = 6;
// in this order: the tiles are made of vectors
#include "engine/cpu/vec.h"

#include "engine/cpu/tiles.h"

#include "engine/cpu/product_tiles.h"

#include "engine/cpu/depthwise_tiles.h"

#include "engine/cpu/loops.h"

#include "engine/cpu/winograd_tiles.h"

const Kernels kernels = {"baseline", ROWS,         COLUMNS,  tile, product, depthwise,    dense_rows, dots,        outer,
                         relu,       relu_grad,    any_relu, any_relu_grad,
                         add,        subtract,     multiply, scale, affine, maximum,
                         maximum_at, weighted_sum, sum_rows, sum_squares, sum_products, blend,      multiply_add,
                         winograd_of<2>, winograd_of<4>, multiply_adds_only, CHAINS * LANES, winograd_products};

}  // namespace limn::cpu::baseline
