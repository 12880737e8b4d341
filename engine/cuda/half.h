// 16-bit numbers, bit by bit, so that a GPU and the host round alike: to the nearest, halves to even.
#pragma once

#include <cstdint>
#include <cstring>

#include "engine/host_device.h"

namespace limn::cuda {

LIMN_HOST_DEVICE inline std::uint32_t bits_of(float x) {
    std::uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
LIMN_HOST_DEVICE inline float float_of(std::uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// bfloat16: a float's first 16 bits
struct Bf16 {
    static LIMN_HOST_DEVICE std::uint16_t narrow(float x) {
        const std::uint32_t bits = bits_of(x);
        if (x != x) return std::uint16_t(bits >> 16 | 0x40);  // a NaN stays one
        return std::uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    static LIMN_HOST_DEVICE float widen(std::uint16_t half) { return float_of(std::uint32_t(half) << 16); }
};

// IEEE binary16: 5 bits of exponent, 10 of mantissa
struct Fp16 {
    static LIMN_HOST_DEVICE std::uint16_t narrow(float x) {
        const std::uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
        if (size > 0x7f800000) return std::uint16_t(sign | 0x7e00);   // NaN
        if (size >= 0x477ff000) return std::uint16_t(sign | 0x7c00);  // 65520 and above: infinite
        if (size < 0x38800000)                                        // below 2^-14: a multiple of 2^-24, which adding 0.5 rounds to
            return std::uint16_t(sign | (bits_of(float_of(size) + 0.5f) - bits_of(0.5f)));
        return std::uint16_t(sign | ((size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13));
    }
    static LIMN_HOST_DEVICE float widen(std::uint16_t half) {
        const std::uint32_t sign = std::uint32_t(half & 0x8000) << 16, size = half & 0x7fff;
        if (size >= 0x7c00) return float_of(sign | 0x7f800000 | (size & 0x3ff) << 13);
        if (size < 0x400) return float_of(sign | bits_of(float(size) * 0x1p-24f));
        return float_of(sign | ((size << 13) + 0x38000000));
    }
};

template <class Half> struct NarrowKernel {
    const float* x;
    std::uint16_t* y;
    LIMN_HOST_DEVICE void operator()(int i) const { y[i] = Half::narrow(x[i]); }
};
template <class Half> struct WidenKernel {
    const std::uint16_t* x;
    float* y;
    LIMN_HOST_DEVICE void operator()(int i) const { y[i] = Half::widen(x[i]); }
};

}  // namespace limn::cuda
