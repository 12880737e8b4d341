// For what runs on a GPU and on the host: the same text, compiled for both where the compiler is CUDA's.
#pragma once

#ifdef __CUDACC__
#define LIMN_HOST_DEVICE __host__ __device__
#else
#define LIMN_HOST_DEVICE
#endif
