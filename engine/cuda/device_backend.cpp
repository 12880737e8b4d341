#include "engine/cuda/device_backend.h"

namespace limn::cuda {

int as_int(Index elements) {
    LIMN_CHECK(elements >= 0 && elements < (Index(1) << 31), "a tensor of {} elements is too large for the GPU's kernels", elements);
    return int(elements);
}

Taps taps_of(const ConvShape& v) {
    const Window& w = v.window;
    return {int(w.r),           int(w.s),       int(w.stride_h), int(w.stride_w), int(w.dilation_h),
            int(w.dilation_w),  int(w.pad_top), int(w.pad_left), int(v.h),        int(v.w),
            int(v.c),           int(v.p),       int(v.q),        int(v.k),        int(v.c / v.groups),
            int(v.k / v.groups)};
}

int alignment_of(std::initializer_list<const void*> addresses) {
    std::uintptr_t all = 16;
    for (const void* address : addresses) all |= reinterpret_cast<std::uintptr_t>(address);
    return int(all & -all);  // the lowest bit that any of them has
}

}  // namespace limn::cuda
