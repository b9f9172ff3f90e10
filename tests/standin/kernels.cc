// Small kernels with known results and known faults, launched through ctypes.
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

__global__ void add(float* y, const float* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += x[i];
}

// Adds `extra` elements too many.
__global__ void overrun(float* y, int n, int extra) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n + extra) y[i] = static_cast<float>(i);
}

// The rows of x, 64 long and one a block, reversed through LDS; without the barrier some threads read too early.
template <bool kBarrier>
__global__ void reverse_rows(float* y, const float* x) {
  __shared__ float row[64];
  const int i = threadIdx.x;
  row[i] = x[blockIdx.x * 64 + i];
  if (kBarrier) __syncthreads();
  y[blockIdx.x * 64 + i] = row[63 - i];
}

// What LDS holds before anybody wrote it, static and dynamic; then leaves numbers there for the next block.
__global__ void stale_lds(float* y) {
  __shared__ float a[64];
  HIP_DYNAMIC_SHARED(float, b)
  y[(blockIdx.x * 2 + 0) * 64 + threadIdx.x] = a[threadIdx.x];
  y[(blockIdx.x * 2 + 1) * 64 + threadIdx.x] = b[threadIdx.x];
  a[threadIdx.x] = b[threadIdx.x] = 1;
}

__global__ void early_exit(float* y) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}

__global__ void two_barriers(float* y) {
  if (threadIdx.x < 32) __syncthreads();
  else __syncthreads();
  y[threadIdx.x] = 1;
}

__global__ void odd_lanes_shuffle(float* y) {
  float v = static_cast<float>(threadIdx.x);
  if (threadIdx.x % 2) v = __shfl_xor(v, 1);
  y[threadIdx.x] = v;
}

// Of each thread: sum over its 16 lanes and over its wave by xor, its neighbour below, lane 3 of its 8, the wave width.
__global__ void shuffles(int* y, const int* x) {
  const int i = threadIdx.x;
  int sum16 = x[i], sum = x[i];
  for (int m = 8; m > 0; m /= 2) sum16 += __shfl_xor(sum16, m, 16);
  for (int m = warpSize / 2; m > 0; m /= 2) sum += __shfl_xor(sum, m);
  y[i * 6 + 0] = sum16;
  y[i * 6 + 1] = sum;
  y[i * 6 + 2] = __shfl_down(x[i], 1);
  y[i * 6 + 3] = __shfl_up(x[i], 2, 8);
  y[i * 6 + 4] = __shfl(x[i], 3, 8);
  y[i * 6 + 5] = warpSize;
}

__global__ void ballots(unsigned long long* y, const int* x) { y[threadIdx.x] = __ballot(x[threadIdx.x]); }

__global__ void halves(half* y, const half* a, const half* b, const half* c, int n) {
  const int i = threadIdx.x;
  if (i >= n) return;
  y[i] = __hadd(a[i], b[i]);
  y[n + i] = __hmul(a[i], b[i]);
  y[2 * n + i] = __hfma(a[i], b[i], c[i]);
  y[3 * n + i] = __float2half(__half2float(a[i]) * 1.0009765625f);
}

// The grid and block coordinates of every thread of a 3D launch.
__global__ void coordinates(unsigned* y) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  y[block * blockDim.x * blockDim.y * blockDim.z + thread] = block * 1000 + thread;
}

extern "C" {
void run_add(hipStream_t s, float* y, const float* x, int n) { hipLaunchKernelGGL(add, dim3((n + 63) / 64), 64, 0, s, y, x, n); }
void run_overrun(hipStream_t s, float* y, int n, int extra) {
  hipLaunchKernelGGL(overrun, dim3((n + extra + 63) / 64), 64, 0, s, y, n, extra);
}
void run_reverse_rows(hipStream_t s, float* y, const float* x, int rows, bool barrier) {
  if (barrier) hipLaunchKernelGGL(reverse_rows<true>, rows, 64, 0, s, y, x);
  else hipLaunchKernelGGL(reverse_rows<false>, rows, 64, 0, s, y, x);
}
void run_stale_lds(hipStream_t s, float* y, int blocks) { hipLaunchKernelGGL(stale_lds, blocks, 64, 256, s, y); }
void run_early_exit(hipStream_t s, float* y) { hipLaunchKernelGGL(early_exit, 1, 64, 0, s, y); }
void run_two_barriers(hipStream_t s, float* y) { hipLaunchKernelGGL(two_barriers, 1, 64, 0, s, y); }
void run_odd_lanes_shuffle(hipStream_t s, float* y) { hipLaunchKernelGGL(odd_lanes_shuffle, 1, 64, 0, s, y); }
void run_shuffles(hipStream_t s, int* y, const int* x, int n) { hipLaunchKernelGGL(shuffles, 1, n, 0, s, y, x); }
void run_ballots(hipStream_t s, unsigned long long* y, const int* x, int n) { hipLaunchKernelGGL(ballots, 1, n, 0, s, y, x); }
void run_halves(hipStream_t s, half* y, const half* a, const half* b, const half* c, int n) {
  hipLaunchKernelGGL(halves, 1, n, 0, s, y, a, b, c, n);
}
void run_coordinates(hipStream_t s, unsigned* y) { hipLaunchKernelGGL(coordinates, dim3(3, 2, 4), dim3(4, 3, 5), 0, s, y); }
}
