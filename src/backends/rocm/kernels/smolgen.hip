// smolgen: what is added to the scores of a layer's attention, from its tokens, in three launches that are for few positions:
//
//   squeeze    parts (8, batch, 256) = dense1 of the compressed tokens of eight squares each
//   expand     hidden (batch, heads * 256) = act(dense2 LN(act(sum of parts + bias)) + bias), and what its norm has to know of every 64 of them
//   generate   bias (batch, heads, 64 * 64) = generate of each head of LN(hidden)
//
// Layer by layer these are six launches, of which each waits for what the one before wrote. Here a norm is made by each block that reads its row,
// while the block's weights are on their way from memory; a wave has all that it can hold of these in registers before it needs the first. The 16 columns of
// matrix instructions are tokens (squeeze), positions (expand) or heads of any positions (generate).
//
// Limits: at few positions the latency of each launch: read, reduce, read, multiply, add the waves' sums in LDS, write. Each block reads again what others
// read, 100 KB in squeeze and up to 128 KB in generate, so that from some 32 positions on the second-level cache bounds it and products over all rows win.
#include <type_traits>

#include "activation.h"
#include "kernels.h"
#include "mma.h"

namespace rocm {

constexpr int kSquares = 64, kScores = kSquares * kSquares;
constexpr int kSqueezed = SmolgenShape::kSqueezed, kHidden = SmolgenShape::kHidden, kGenerated = SmolgenShape::kGenerated;
constexpr int kParts = SmolgenShape::kParts, kTokens = kSquares / kParts;  // of a block of squeeze
constexpr int kThreads = 256, kWaves = kThreads / kWave;
constexpr int kCols = 64;  // outputs of a block of squeeze or expand

// Numbers from row to row in LDS: a piece more, so that neighbouring rows lie in all banks.
constexpr int row_step(int numbers) { return numbers + 8; }

// B of 16 rows in LDS, each from its k-th number on; `row` says where column i is.
template <class F>
KERNEL_PART FragB load_rows(const half* rows, int step, int k, F&& row) {
  uint4 pieces[kBPieces];
#pragma unroll
  for (int t = 0; t < kBPieces; ++t) pieces[t] = load_16_bytes(rows, row(lane_column(t)) * step + k + piece_k(t));
  return to_b(pieces);
}

// A wave's sums to `to`, (16, ld), where they are added to those of others.
KERNEL_PART void store_sums(float* to, int ld, const FragD& sums) {
#pragma unroll
  for (int t = 0; t < kColumns; ++t) store8(to + lane_column(t) * ld + lane_row(), rows_of(sums, t));
}

// kWidth neighbouring sums of all ranges of k, which lie `stride` apart.
template <int kRanges, int kWidth>
KERNEL_PART Floats<kWidth> add_ranges(const float* from, int stride) {
  Floats<kWidth> z = load<kWidth>(from);
#pragma unroll
  for (int range = 1; range < kRanges; ++range) {
    const Floats<kWidth> more = load<kWidth>(from + range * stride);
#pragma unroll
    for (int e = 0; e < kWidth; ++e) z.x[e] += more.x[e];
  }
  return z;
}

// Sum over aligned groups of kLanes of a block's threads, 32 or more; every thread gets its group's. `part` is shared memory that no other call uses.
template <int kLanes>
KERNEL_PART float lanes_sum(float x, float (&part)[kThreads / 32]) {
  x = group_sum(x);
  if constexpr (kLanes > 32) {
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
#pragma unroll
    for (int i = 0; i < kLanes / 32; ++i) x += part[threadIdx.x / kLanes * (kLanes / 32) + i];
  }
  return x;
}

// Over eight neighbouring lanes.
KERNEL_PART float sum_of_8(float x) {
  x += lane_xor<1>(x);
  x += lane_xor<2>(x);
  return x + lane_xor<7>(x);  // as in group_sum
}

// A block: the squares of a part of up to two positions, and 64 outputs of dense1.
__global__ void __launch_bounds__(kThreads, 1)
    smolgen_squeeze(float* parts,          // (8, batch, 256)
                    const half* x,         // (batch * 64, channels)
                    const half* compress,  // (32, channels)
                    const half* dense1,    // (256, 64 * 32)
                    int batch, int channels) {
  constexpr int kPositions = 16 / kTokens, kDeep = kTokens * kSqueezed, kStep = row_step(kDeep);
  constexpr int kAhead = kWave == 64 ? 8 : kK == 32 ? 4 : 6;  // steps whose operands a wave has at once: registers
  constexpr int kTiles = kSqueezed / kRows, kOutTiles = kCols / kRows, kRanges = kWaves / kOutTiles, kSteps = kDeep / kK / kRanges;
  __shared__ float sums[kWaves * 16 * kSqueezed];  // and then those of dense1
  static_assert(kRanges * 16 * kCols <= kWaves * 16 * kSqueezed);
  __shared__ uint4 lds[kPositions * kStep / 8];
  half* const rows = reinterpret_cast<half*>(lds);
  const int wave = threadIdx.x / kWave, tile = wave % kOutTiles, range = wave / kOutTiles;
  const int first = blockIdx.z * kPositions, square = blockIdx.x * kTokens, output = blockIdx.y * kCols;

  FragA later[kSteps];
#pragma unroll
  for (int i = 0; i < kSteps; ++i)
    later[i] = load_a(dense1, (output + tile * kRows) * kSquares * kSqueezed + square * kSqueezed + (range * kSteps + i) * kK, kSquares * kSqueezed);

  // A wave compresses all tokens, by its share of the channels.
  unsigned from[kBPieces];
#pragma unroll
  for (int t = 0; t < kBPieces; ++t) {
    const int column = lane_column(t);
    from[t] = (min(first + column / kTokens, batch - 1) * kSquares + square + column % kTokens) * channels + piece_k(t);
  }
  const int steps = channels / kK, some = (steps + kWaves - 1) / kWaves, end = min(steps, (wave + 1) * some);
  FragD d[kTiles] = {};
#pragma unroll 1
  for (int turn = 0; turn < some; turn += kAhead) {
    FragA a[kAhead][kTiles];
    FragB b[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int step = wave * some + turn + i;
      const unsigned k = min(step, steps - 1) * kK;
#pragma unroll
      for (int c = 0; c < kTiles; ++c) a[i][c] = load_a(compress, c * kRows * channels + k, channels);
      uint4 pieces[kBPieces];
#pragma unroll
      for (int t = 0; t < kBPieces; ++t) {
        pieces[t] = load_16_bytes(x, from[t] + k);
        if (step >= end) pieces[t] = {0, 0, 0, 0};
      }
      b[i] = to_b(pieces);
    }
    __syncthreads();  // over which no compiler moves a load: all of them go out before the first is waited for
#pragma unroll
    for (int i = 0; i < kAhead; ++i)
#pragma unroll
      for (int c = 0; c < kTiles; ++c) d[c] = mma(a[i][c], b[i], d[c]);
  }
#pragma unroll
  for (int c = 0; c < kTiles; ++c) store_sums(sums + wave * 16 * kSqueezed + c * kRows, kSqueezed, d[c]);
  __syncthreads();
  {
    const int column = threadIdx.x / (kSqueezed / 2), piece = threadIdx.x % (kSqueezed / 2) * 2;
    static_assert(kThreads * 2 == 16 * kSqueezed);
    Floats<2> z = add_ranges<kWaves, 2>(sums + column * kSqueezed + piece, 16 * kSqueezed);
    saturate<half>(z.x);
    store(rows + column / kTokens * kStep + column % kTokens * kSqueezed + piece, z);
  }
  __syncthreads();
  FragD y = {};
#pragma unroll
  for (int i = 0; i < kSteps; ++i)
    y = mma(later[i], load_rows(rows, kStep, (range * kSteps + i) * kK, [](int column) { return column % kPositions; }), y);
  store_sums(sums + range * 16 * kCols + tile * kRows, kCols, y);
  __syncthreads();
  const int position = threadIdx.x / kCols, col = threadIdx.x % kCols;
  if (position < kPositions && first + position < batch)
    parts[(blockIdx.x * batch + first + position) * kHidden + output + col] = add_ranges<kRanges, 1>(sums + position * kCols + col, 16 * kCols).x[0];
}

template <int kTogether>  // positions of a block: 1, 2, 4 or 8
__global__ void __launch_bounds__(kThreads)
    smolgen_expand(half* hidden,        // (batch, cols)
                   float* moments,      // (batch, cols / 64, 2): of 64 numbers of hidden their sum, and the sum of squares of what they differ from their mean
                   const float* parts,  // (8, batch, 256)
                   SmolgenLayers s, int batch, int cols, nn::Activation activation) {
  constexpr int kTiles = kCols / kRows, kRanges = kWaves / kTiles, kSteps = kHidden / kK / kRanges, kStep = row_step(kHidden);
  constexpr int kLanes = kThreads / kTogether, kMine = kHidden / kLanes, kWidth = kMine < 2 ? 1 : 2, kPieces = kMine / kWidth;  // of a position
  __shared__ float sums[kRanges * 16 * kCols], part[kThreads / 32], part2[kThreads / 32];
  __shared__ uint4 lds[kTogether * kStep / 8];
  half* const rows = reinterpret_cast<half*>(lds);
  const int wave = threadIdx.x / kWave, tile = wave % kTiles, range = wave / kTiles;
  const int first = blockIdx.y * kTogether, col = blockIdx.x * kCols;
  const int position = threadIdx.x / (kCols / 8), piece = threadIdx.x % (kCols / 8) * 8;  // of what the thread writes
  const uint4 bias2 = load_16_bytes(s.bias2, col + piece);
  FragA w[kSteps];
#pragma unroll
  for (int i = 0; i < kSteps; ++i) w[i] = load_a(s.dense2, (col + tile * kRows) * kHidden + (range * kSteps + i) * kK, kHidden);
  {
    const int row = threadIdx.x / kLanes;
    const auto column = [&](int i) { return (i * kLanes + threadIdx.x % kLanes) * kWidth; };
    Floats<kWidth> bias[kPieces], gain[kPieces], shift[kPieces], t[kPieces];
#pragma unroll
    for (int i = 0; i < kPieces; ++i)
      bias[i] = load<kWidth>(s.bias1 + column(i)), gain[i] = load<kWidth>(s.gain1 + column(i)), shift[i] = load<kWidth>(s.shift1 + column(i));
    const float* const mine = parts + min(first + row, batch - 1) * kHidden;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) t[i] = add_ranges<kParts, kWidth>(mine + column(i), batch * kHidden);
    float sum = 0;
    with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
      for (int i = 0; i < kPieces; ++i)
#pragma unroll
        for (int e = 0; e < kWidth; ++e) sum += t[i].x[e] = activate(kActivation, t[i].x[e] + bias[i].x[e]);
    });
    const float mean = lanes_sum<kLanes>(sum, part) / kHidden;
    float squares = 0;
#pragma unroll
    for (auto& piece : t)
#pragma unroll
      for (float& x : piece.x) x -= mean, squares = fmaf(x, x, squares);
    const float scale = fast_rsqrt(lanes_sum<kLanes>(squares, part2) / kHidden + s.eps1);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
#pragma unroll
      for (int e = 0; e < kWidth; ++e) t[i].x[e] = fmaf(t[i].x[e] * scale, gain[i].x[e], shift[i].x[e]);
      store(rows + row * kStep + column(i), t[i]);
    }
    __syncthreads();
  }
  FragD d = {};
#pragma unroll
  for (int i = 0; i < kSteps; ++i)
    d = mma(w[i], load_rows(rows, kStep, (range * kSteps + i) * kK, [](int position) { return position % kTogether; }), d);
  store_sums(sums + range * 16 * kCols + tile * kRows, kCols, d);
  __syncthreads();
  if (threadIdx.x >= 16 * kCols / 8) return;
  const Floats8 b = floats_of(bias2);
  Floats8 z = add_ranges<kRanges, 8>(sums + position * kCols + piece, 16 * kCols);
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (int e = 0; e < 8; ++e) z.x[e] = activate(kActivation, z.x[e] + b.x[e]);
  });
  saturate<half>(z.x);
  float sum = 0, squares = 0;
#pragma unroll
  for (float x : z.x) sum += x;
  sum = sum_of_8(sum);
#pragma unroll
  for (float x : z.x) squares = fmaf(x - sum / kCols, x - sum / kCols, squares);
  squares = sum_of_8(squares);
  if (position >= kTogether || first + position >= batch) return;
  store8(hidden + (first + position) * cols + col + piece, z);
  if (piece == 0) store(moments + ((first + position) * gridDim.x + blockIdx.x) * 2, Floats<2>{{sum, squares}});
}

// A block: kBlockRows heads, of one position or several, and half as many of their scores as it has threads.
template <int kBlockThreads, int kBlockRows>
__global__ void __launch_bounds__(kBlockThreads)
    smolgen_generate(half* y,               // (batch, heads, 64 * 64)
                     const half* hidden,    // (batch, heads, 256)
                     const float* moments,  // (batch, heads, 4, 2)
                     SmolgenLayers s, int batch, int heads) {
  constexpr int kBlockCols = kBlockThreads / 2, kBlockWaves = kBlockThreads / kWave, kGroups = kBlockThreads / 32;
  constexpr int kTiles = kBlockCols / kRows, kShares = kBlockWaves / kTiles, kRowTiles = kBlockRows / 16 / kShares;  // of a wave
  constexpr int kSteps = kGenerated / kK, kAhead = kSteps / 2, kStep = row_step(kGenerated) / 8, kMine = kBlockRows / kGroups;
  constexpr int kMoments = kGenerated / kCols, kMostMoments = SmolgenShape::kMostHeads * kMoments / 32;  // of a head; of a position, for each lane of 32
  __shared__ uint4 rows[kBlockRows * kStep];
  __shared__ Floats<2> norms[kBlockRows];  // mean and scale of each position
  const int wave = threadIdx.x / kWave, tile = wave % kTiles, share = wave / kTiles, group = threadIdx.x / 32, in_group = threadIdx.x % 32;
  const int row0 = blockIdx.y * kBlockRows, col = blockIdx.x * kBlockCols + tile * kRows, last = batch * heads - 1;
  const int position0 = row0 / heads;

  FragA w[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i) w[i] = load_a(s.generate, col * kGenerated + i * kK, kGenerated);
  uint4 x[kMine], gain[kMine], shift[kMine];
  int position[kMine];
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    const int row = min(row0 + group + i * kGroups, last), k = in_group * 8;
    position[i] = row / heads;
    const int head = row - position[i] * heads;
    x[i] = load_16_bytes(hidden, row * kGenerated + k);
    gain[i] = load_16_bytes(s.gain2, head * kGenerated + k), shift[i] = load_16_bytes(s.shift2, head * kGenerated + k);
  }
  const float share_of = 1.0f / (heads * kGenerated);
  for (int p = position0 + group; p <= min(row0 + kBlockRows - 1, last) / heads; p += kGroups) {
    Floats<2> m[kMostMoments];
    float sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < kMostMoments; ++i) {
      const int at = i * 32 + in_group;
      m[i] = at < heads * kMoments ? load<2>(moments + (p * heads * kMoments + at) * 2) : Floats<2>{};
      sum += m[i].x[0];
    }
    const float mean = group_sum(sum) * share_of;
#pragma unroll
    for (int i = 0; i < kMostMoments; ++i) {
      const float off = m[i].x[0] - kCols * mean;
      if (i * 32 + in_group < heads * kMoments) squares += m[i].x[1] + off * off / kCols;
    }
    const float scale = fast_rsqrt(group_sum(squares) * share_of + s.eps2);
    if (in_group == 0) norms[p - position0] = {{mean, scale}};
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    const Floats<2> norm = norms[position[i] - position0];
    Floats8 t = floats_of(x[i]);
    const Floats8 g = floats_of(gain[i]), b = floats_of(shift[i]);
#pragma unroll
    for (int e = 0; e < 8; ++e) t.x[e] = fmaf((t.x[e] - norm.x[0]) * norm.x[1], g.x[e], b.x[e]);
    put_row(rows + (group + i * kGroups) * kStep, in_group, halves_of(t));
  }
  FragA more[kSteps - kAhead];
#pragma unroll
  for (int i = 0; i < kSteps - kAhead; ++i) more[i] = load_a(s.generate, col * kGenerated + (kAhead + i) * kK, kGenerated);
  __syncthreads();
  FragD d[kRowTiles] = {};
#pragma unroll
  for (int i = 0; i < kSteps; ++i)
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
      FragB b;
#pragma unroll
      for (int t = 0; t < kBPieces; ++t)
        b.x[t] = load_lds(rows + ((share * kRowTiles + r) * 16 + lds_column(t)) * kStep + i * kK / 8 + lds_piece_b(t));
      d[r] = mma(i < kAhead ? w[i] : more[i - kAhead], b, d[r]);
    }
#pragma unroll
  for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
    for (int t = 0; t < kColumns; ++t) {
      const int row = row0 + (share * kRowTiles + r) * 16 + lane_column(t);
      Floats8 z = rows_of(d[r], t);
      saturate<half>(z.x);
      if (row <= last) store8(y + size_t(row) * kScores + col + lane_row(), z);
    }
}

// launcher --------------------------------------------------------------------
void launch_smolgen(hipStream_t stream, half* y, half* hidden, float* scratch, const half* x, const SmolgenLayers& layers, int batch, int channels,
                    int heads, nn::Activation activation) {
  const int cols = heads * kGenerated, rows = batch * heads;
  float *const moments = scratch, *const parts = scratch + size_t(batch) * cols / kCols * 2;
  const auto groups = [](int size, int of) { return (size + of - 1) / of; };
  hipLaunchKernelGGL(smolgen_squeeze, dim3(kParts, kHidden / kCols, groups(batch, 16 / kTokens)), dim3(kThreads), 0, stream, parts, x, layers.compress,
                     layers.dense1, batch, channels);
  const auto expand = [&]<int kTogether>(std::integral_constant<int, kTogether>) {
    hipLaunchKernelGGL(smolgen_expand<kTogether>, dim3(cols / kCols, groups(batch, kTogether)), dim3(kThreads), 0, stream, hidden, moments, parts, layers,
                       batch, cols, activation);
  };
  if (batch == 1) expand(std::integral_constant<int, 1>{});
  else if (batch == 2) expand(std::integral_constant<int, 2>{});
  else if (batch <= 4) expand(std::integral_constant<int, 4>{});
  else expand(std::integral_constant<int, 8>{});
  const auto generate = [&](auto kernel, int threads, int block_rows) {
    hipLaunchKernelGGL(kernel, dim3(kScores / (threads / 2), groups(rows, block_rows)), dim3(threads), 0, stream, y, hidden, moments, layers, batch, heads);
  };
  constexpr int kFewRows = 128;
  rows <= kFewRows ? generate(smolgen_generate<128, 32>, 128, 32) : generate(smolgen_generate<256, 64>, 256, 64);
}

}  // namespace rocm
