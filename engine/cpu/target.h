// LIMN_TARGET("avx2,fma") ... LIMN_TARGET_END: what stands between may use those instructions, whatever the file is
// compiled for. Standard headers must be included before, so that their functions stay plain.
#pragma once

#define LIMN_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define LIMN_TARGET(features) LIMN_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define LIMN_TARGET_END LIMN_PRAGMA(clang attribute pop)
#else
#define LIMN_TARGET(features) LIMN_PRAGMA(GCC push_options) LIMN_PRAGMA(GCC target(features))
#define LIMN_TARGET_END LIMN_PRAGMA(GCC pop_options)
#endif
