#include "engine/cuda/library/launch.h"

#include <cuda_runtime.h>

#include "engine/cuda/direct_convolution.h"
#include "engine/cuda/half.h"
#include "engine/cuda/totals.h"

namespace limn::cuda {

namespace {

constexpr int threads_a_block = 256;

// a thread an element
template <class Kernel> __global__ void each(int count, Kernel kernel) {
    const int i = int(blockIdx.x) * threads_a_block + int(threadIdx.x);
    if (i < count) kernel(i);
}

// a block an output: its threads are the lanes, which take every 256th term each; then halves are merged
template <class T> __global__ void totals(T total) {
    using Sum = typename T::Total;
    __shared__ alignas(16) unsigned char memory[threads_a_block * sizeof(Sum)];
    Sum* const sums = reinterpret_cast<Sum*>(memory);
    const int lane = int(threadIdx.x), output = int(blockIdx.x);
    Sum own;
    for (int term = lane; term < total.terms; term += threads_a_block) total.add(own, output, term);
    sums[lane] = own;
    __syncthreads();
    for (int half = threads_a_block / 2; half > 0; half /= 2) {
        if (lane < half) sums[lane].merge(sums[lane + half]);
        __syncthreads();
    }
    if (lane == 0) total.finish(output, sums[0]);
}

}  // namespace

template <class Kernel> void launch_each(cudaStream_t stream, int count, const Kernel& kernel) {
    if (count > 0) each<<<unsigned((count - 1) / threads_a_block + 1), threads_a_block, 0, stream>>>(count, kernel);
}
template <class T> void launch_totals(cudaStream_t stream, int outputs, const T& total) {
    if (outputs > 0) totals<<<unsigned(outputs), threads_a_block, 0, stream>>>(total);
}

// kernels.h
template void launch_each(cudaStream_t, int, const UnaryKernel&);
template void launch_each(cudaStream_t, int, const UnaryGradKernel&);
template void launch_each(cudaStream_t, int, const BinaryKernel&);
template void launch_each(cudaStream_t, int, const AffineKernel&);
template void launch_each(cudaStream_t, int, const BiasKernel&);
template void launch_each(cudaStream_t, int, const MaxPoolKernel&);
template void launch_each(cudaStream_t, int, const MaxPoolGradKernel&);
template void launch_each(cudaStream_t, int, const AveragePoolKernel&);
template void launch_each(cudaStream_t, int, const AveragePoolGradKernel&);
template void launch_each(cudaStream_t, int, const ResizeKernel&);
template void launch_each(cudaStream_t, int, const ResizeGradKernel&);
template void launch_each(cudaStream_t, int, const CopyKernel&);
template void launch_each(cudaStream_t, int, const PaintKernel&);
template void launch_each(cudaStream_t, int, const UpdateKernel&);
// totals.h
template void launch_each(cudaStream_t, int, const SoftmaxKernel&);
template void launch_each(cudaStream_t, int, const SoftmaxGradKernel&);
template void launch_each(cudaStream_t, int, const BatchNormGradKernel&);
template void launch_totals(cudaStream_t, int, const ReduceTotal<Sum>&);
template void launch_totals(cudaStream_t, int, const ReduceTotal<Largest>&);
template void launch_totals(cudaStream_t, int, const ExponentialsTotal&);
template void launch_totals(cudaStream_t, int, const RowProductsTotal&);
template void launch_totals(cudaStream_t, int, const ChannelDotTotal&);
template void launch_totals(cudaStream_t, int, const LargestTotal&);
template void launch_totals(cudaStream_t, int, const SquaredDistanceTotal&);
template void launch_totals(cudaStream_t, int, const BatchNormTotal&);
// direct_convolution.h
template void launch_each(cudaStream_t, int, const DirectForward&);
template void launch_each(cudaStream_t, int, const DirectGradInput&);
template void launch_totals(cudaStream_t, int, const DirectGradKernel&);
// half.h
template void launch_each(cudaStream_t, int, const NarrowKernel<Bf16>&);
template void launch_each(cudaStream_t, int, const NarrowKernel<Fp16>&);
template void launch_each(cudaStream_t, int, const WidenKernel<Bf16>&);
template void launch_each(cudaStream_t, int, const WidenKernel<Fp16>&);

}  // namespace limn::cuda
