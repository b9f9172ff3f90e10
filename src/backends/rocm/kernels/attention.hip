// attention: out = softmax(q k^T * scale + bias) v for the 64 squares of a position, every head on its own.
//
// A block is one (position, head). The scores never leave the registers: a wave computes S^T = K Q^T for its queries, so that
// a query's 64 scores lie in the lanes of one column, exponentiates them, and uses the rounded result as the B operand of
// O^T = V^T P^T. No running maximum is needed: 64 keys are four accumulators. V is transposed on its way into LDS; K, Q and bias come
// straight from memory in 16-byte pieces. The scores start from the bias over `scale`, so that it is asked for with K and Q, not after them.
// Limits: at 64 x 32 on gfx11, 64 matrix instructions of 32 cycles, on gfx12 of 16, and about as many cycles of softmax; memory traffic is
// 4 KiB each of q, k, v and out and 8 KiB of bias, an instruction floor of 240 (matrix, 16-byte loads and stores, exponentials).
// Waves of more queries load K and V^T less often; waves of fewer queries fill the device at small batches.
#include "mma.h"
#include "error.h"
#include "kernels.h"

namespace rocm {

constexpr int kSquares = 64;
constexpr float kLog2e = 1.44269504f;

// The parts of the half kernel. kDim: head_dim rounded up to a multiple of 32; kThreads: 64 or 128.
template <int kDim, int kThreads>
struct AttentionLayout {
  static constexpr int kTiles = kSquares / 16 * kWave / kThreads;  // of 16 queries, of each wave
  static constexpr int kKeyTiles = kSquares / kRows, kDimTiles = kDim / kRows;
  static constexpr int kKeyStride = kSquares + 8;
  using Scores = FragD[kTiles][kKeyTiles];   // (keys, queries)
  using Weights = FragB[kTiles][kKeyTiles];
  using Inverses = float[kTiles][kColumns];
};

// V^T into LDS, (channels at their a_slot, 64 keys), two keys and eight channels at a time.
template <int kDim, int kThreads>
KERNEL_PART void transpose(half* vt, const half* v, unsigned stride, unsigned dim) {
  constexpr int kKeyStride = AttentionLayout<kDim, kThreads>::kKeyStride;
#pragma unroll
  for (unsigned i = 0; i < kDim * kSquares / 16; i += kThreads) {
    const unsigned task = i + threadIdx.x, channel = task % (kDim / 8) * 8, key = task / (kDim / 8) * 2;
    const unsigned from = key * stride + clamp_k(channel, dim);
    const uint4 a = load_16_bytes(v, from), b = load_16_bytes(v, from + stride);
    const uint32_t even[4] = {a.x, a.y, a.z, a.w}, odd[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      *reinterpret_cast<uint32_t*>(vt + a_slot(channel + 2 * c) * kKeyStride + key) = pack_lows(even[c], odd[c]);
      *reinterpret_cast<uint32_t*>(vt + a_slot(channel + 2 * c + 1) * kKeyStride + key) = pack_highs(even[c], odd[c]);
    }
  }
}

// The bias of a wave's queries, to be scaled like the scores.
template <class L>
KERNEL_PART void start_from(typename L::Scores& scores, const half* bias, unsigned first_query, float inverse_scale) {
#pragma unroll
  for (int t = 0; t < L::kTiles; ++t)
#pragma unroll
    for (int j = 0; j < L::kKeyTiles; ++j)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const Floats8 b = load8(at(bias, (first_query + 16 * t + lane_column(c)) * kSquares + j * kRows + lane_row()));
#pragma unroll
        for (int r = 0; r < 8; ++r) scores[t][j].x[8 * c + r] = b.x[r] * inverse_scale;
      }
}

// Adds K Q^T of a wave's queries, not scaled. kExact: head_dim is kDim.
template <int kDim, bool kExact, int kThreads>
KERNEL_PART void multiply_keys(typename AttentionLayout<kDim, kThreads>::Scores& scores, const half* q, const half* k, unsigned first_query,
                               unsigned stride, unsigned dim) {
  using L = AttentionLayout<kDim, kThreads>;
  FragB queries[L::kTiles][L::kDimTiles];
#pragma unroll
  for (int t = 0; t < L::kTiles; ++t)
#pragma unroll
    for (int d = 0; d < L::kDimTiles; ++d)
      queries[t][d] = load_b(q, (first_query + 16 * t) * stride + d * kK, stride, kExact ? kK : int(dim) - d * kK);
#pragma unroll
  for (int j = 0; j < L::kKeyTiles; ++j)
#pragma unroll
    for (int d = 0; d < L::kDimTiles; ++d) {
      const FragA keys = load_a(k, j * kRows * stride + d * kK, stride, kExact ? kK : int(dim) - d * kK);
#pragma unroll
      for (int t = 0; t < L::kTiles; ++t) scores[t][j] = mma(keys, queries[t][d], scores[t][j]);
    }
}

// Softmax of the scaled scores over the keys of each column; `weights` still lack the division by the sum, whose inverse is beside them.
template <class L>
KERNEL_PART void exponentiate(typename L::Weights& weights, typename L::Inverses& inverse, typename L::Scores& scores, float scale) {
  const float factor = kLog2e * scale;
#pragma unroll
  for (int t = 0; t < L::kTiles; ++t) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      float top = -INFINITY, sum[4] = {};  // four sums: short chains
#pragma unroll
      for (int j = 0; j < L::kKeyTiles; ++j)
#pragma unroll
        for (int r = 0; r < 8; ++r) top = fmaxf(top, scores[t][j].x[8 * c + r]);
      top = column_max(top);
      const float shift = -top * factor;
#pragma unroll
      for (int j = 0; j < L::kKeyTiles; ++j) {
        float* x = scores[t][j].x + 8 * c;
#pragma unroll
        for (int r = 0; r < 8; ++r) sum[r % 4] += x[r] = fast_exp2(fmaf(x[r], factor, shift));
      }
      inverse[t][c] = fast_reciprocal(column_sum((sum[0] + sum[1]) + (sum[2] + sum[3])));
    }
#pragma unroll
    for (int j = 0; j < L::kKeyTiles; ++j) weights[t][j] = to_b(scores[t][j]);
  }
}

// V^T P^T, divided and stored.
template <int kDim, bool kExact, int kThreads>
KERNEL_PART void multiply_values(half* out, const half* vt, const typename AttentionLayout<kDim, kThreads>::Weights& weights,
                                 const typename AttentionLayout<kDim, kThreads>::Inverses& inverse, unsigned first_query, int out_stride,
                                 unsigned dim) {
  using L = AttentionLayout<kDim, kThreads>;
#pragma unroll
  for (int d = 0; d < L::kDimTiles; ++d) {
    FragD sums[L::kTiles] = {};
#pragma unroll
    for (int j = 0; j < L::kKeyTiles; ++j) {
      const FragA values = load_a_slots(vt, d * kRows * L::kKeyStride + j * kK, L::kKeyStride);
#pragma unroll
      for (int t = 0; t < L::kTiles; ++t) sums[t] = mma(values, weights[t][j], sums[t]);
    }
    const unsigned channel = d * kRows + lane_row();
    if (kExact || channel < dim) {
#pragma unroll
      for (int t = 0; t < L::kTiles; ++t)
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          Floats8 y;
#pragma unroll
          for (int r = 0; r < 8; ++r) y.x[r] = sums[t].x[8 * c + r] * inverse[t][c];
          store8(at(out, (first_query + 16 * t + lane_column(c)) * out_stride + channel), y);
        }
    }
  }
}

// The blocks of a unit that registers are shared by, where lanes have two columns, that is on CUDA: its compiler, told nothing, spares registers and
// waits for memory between the matrix instructions. AMD's takes the number for waves, which cost registers there.
template <int kDim>
constexpr int kBlocks = kColumns == 2 && kDim <= 64 ? 4 : 1;

template <int kDim, bool kExact, bool kBias, int kThreads>
__global__ void __launch_bounds__(kThreads, kBlocks<kDim>)
    attention_half(half* out,         // (batch * 64, out_stride), head h in columns h * head_dim ...
                   const half* q,     // (batch * 64, in_stride), likewise
                   const half* k,     // like q
                   const half* v,     // like q
                   const half* bias,  // (batch, heads, 64 queries, 64 keys)
                   int head_dim, int in_stride, int out_stride, float scale, float inverse_scale) {
  using L = AttentionLayout<kDim, kThreads>;
  alignas(16) __shared__ half vt[kDim * L::kKeyStride];
  const unsigned head = blockIdx.x, position = blockIdx.y;
  const unsigned stride = in_stride, dim = kExact ? kDim : head_dim;
  const size_t first = size_t(position) * kSquares * stride + head * dim;
  const unsigned first_query = threadIdx.x / kWave * (16 * L::kTiles);
  typename L::Scores scores = {};
  if (kBias) start_from<L>(scores, bias + (size_t(position) * gridDim.x + head) * kSquares * kSquares, first_query, inverse_scale);
  transpose<kDim, kThreads>(vt, v + first, stride, dim);
  multiply_keys<kDim, kExact, kThreads>(scores, q + first, k + first, first_query, stride, dim);
  typename L::Weights weights;
  typename L::Inverses inverse;
  exponentiate<L>(weights, inverse, scores, scale);
  __syncthreads();
  out += size_t(position) * kSquares * out_stride + head * dim;
  multiply_values<kDim, kExact, kThreads>(out, vt, weights, inverse, first_query, out_stride, dim);
}

// The same in float, plainly: four neighbouring lanes share a query; each takes every fourth key.
template <int kDim>
__global__ void __launch_bounds__(256)
    attention_float(float* out, const float* q, const float* k, const float* v, const float* bias, int head_dim, int in_stride, int out_stride, float scale) {
  constexpr int kStride = kDim + 4;  // four neighbouring rows in different banks
  alignas(16) __shared__ float rows[kSquares * kStride];  // K, later V
  const unsigned head = blockIdx.x, position = blockIdx.y, query = threadIdx.x / 4, part = threadIdx.x % 4;
  const size_t first = size_t(position) * kSquares * in_stride + head * head_dim;
  const auto stage = [&](const float* from) {
    __syncthreads();
    for (int i = threadIdx.x; i < kSquares * kDim / 8; i += 256) {
      const int row = i / (kDim / 8), column = i % (kDim / 8) * 8;
      if (column < head_dim) store8(rows + row * kStride + column, load8(from + first + size_t(row) * in_stride + column));
    }
    __syncthreads();
  };

  q += first + size_t(query) * in_stride;
  stage(k);
  float scores[kSquares / 4] = {};
  for (int c = 0; c < head_dim; c += 8) {
    const Floats8 x = load8(q + c);
#pragma unroll
    for (int j = 0; j < kSquares / 4; ++j) {
      const Floats8 y = load8(rows + (4 * j + part) * kStride + c);
#pragma unroll
      for (int e = 0; e < 8; ++e) scores[j] = fmaf(x.x[e], y.x[e], scores[j]);
    }
  }
  float top = -INFINITY, total = 0;
#pragma unroll
  for (int j = 0; j < kSquares / 4; ++j) {
    scores[j] *= scale;
    if (bias) scores[j] += bias[((size_t(position) * gridDim.x + head) * kSquares + query) * kSquares + 4 * j + part];
    top = fmaxf(top, scores[j]);
  }
  top = fmaxf(top, lane_xor<1>(top));
  top = fmaxf(top, lane_xor<2>(top));
#pragma unroll
  for (float& s : scores) total += s = fast_exp2((s - top) * kLog2e);
  total += lane_xor<1>(total);
  total += lane_xor<2>(total);

  stage(v);
  out += (size_t(position) * kSquares + query) * out_stride + head * head_dim;
  for (int c = 0; c < head_dim; c += 8) {
    Floats8 sums = {};
#pragma unroll
    for (int j = 0; j < kSquares / 4; ++j) {
      const Floats8 y = load8(rows + (4 * j + part) * kStride + c);
#pragma unroll
      for (int e = 0; e < 8; ++e) sums.x[e] = fmaf(scores[j], y.x[e], sums.x[e]);
    }
#pragma unroll
    for (float& s : sums.x) {
      s += lane_xor<1>(s);
      s += lane_xor<2>(s);
      s /= total;
    }
    if (part == 0) store8(out + c, sums);
  }
}

// Blocks of a compute unit from which on waves of twice the queries are faster, which do less and hide less: as a model of AMD's cards has it
// (docs/amd_verification.md), never measured.
constexpr int kManyBlocks = 4;

// launcher --------------------------------------------------------------------
static void check_attention(int head_dim, int in_stride, int out_stride) {
  if (head_dim <= 0 || head_dim > 128 || (head_dim | in_stride | out_stride) % 8 != 0)
    throw Error("attention needs a head size of up to 128 and strides that are multiples of 8, not " + std::to_string(head_dim) + ", " +
                std::to_string(in_stride) + " and " + std::to_string(out_stride));
}

template <>
void launch_attention(hipStream_t stream, half* out, const half* q, const half* k, const half* v, const half* bias, int batch, int heads,
                      int head_dim, int in_stride, int out_stride, int compute_units) {
  check_attention(head_dim, in_stride, out_stride);
  const auto launch = [&](auto* kernel, int threads) {
    hipLaunchKernelGGL(kernel, dim3(heads, batch), dim3(threads), 0, stream, out, q, k, v, bias, head_dim, in_stride,
                       out_stride, 1 / sqrtf(head_dim), sqrtf(head_dim));
  };
  const auto choose = [&](auto* with_bias, auto* without, int threads) { launch(bias ? with_bias : without, threads); };
  if (head_dim == 32 && batch * heads >= kManyBlocks * compute_units)
    choose(attention_half<32, true, true, 64>, attention_half<32, true, false, 64>, 64);
  else if (head_dim == 32) choose(attention_half<32, true, true, 128>, attention_half<32, true, false, 128>, 128);
  else if (head_dim == 64) choose(attention_half<64, true, true, 128>, attention_half<64, true, false, 128>, 128);
  else if (head_dim < 32) choose(attention_half<32, false, true, 128>, attention_half<32, false, false, 128>, 128);
  else if (head_dim < 64) choose(attention_half<64, false, true, 128>, attention_half<64, false, false, 128>, 128);
  else choose(attention_half<128, false, true, 128>, attention_half<128, false, false, 128>, 128);
}

template <>
void launch_attention(hipStream_t stream, float* out, const float* q, const float* k, const float* v, const float* bias, int batch,
                      int heads, int head_dim, int in_stride, int out_stride, int) {
  check_attention(head_dim, in_stride, out_stride);
  const auto launch = [&](auto* kernel) {
    hipLaunchKernelGGL(kernel, dim3(heads, batch), dim3(256), 0, stream, out, q, k, v, bias, head_dim, in_stride, out_stride,
                       1 / sqrtf(head_dim));
  };
  if (head_dim <= 32) launch(attention_float<32>);
  else if (head_dim <= 64) launch(attention_float<64>);
  else launch(attention_float<128>);
}

}  // namespace rocm
