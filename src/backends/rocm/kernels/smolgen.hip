// smolgen: what is added to the scores of a layer's attention, from its tokens, in three launches that are for few positions:
//
//   squeeze    parts (32, batch, 256) = dense1 of the compressed tokens of two squares each
//   expand     hidden (batch, heads * 256) = act(dense2 LN(act(sum of parts + bias)) + bias)
//   generate   bias (batch, heads, 64 * 64) = generate of each head of LN(hidden)
//
// Layer by layer these are six launches, of which each waits for what the one before wrote. Here a norm is made anew by each block that reads
// its row, from the second-level cache, while the block's weights are on their way from memory; a wave has all of these in registers before it needs the
// first. Positions are the 16 columns of matrix instructions (in generate: heads), so that weights are read once for 16 of them. From five positions
// on the parts are too many for each block to read: layer_norm.hip adds them.
//
// Limits: at one position the latency of each launch: read, reduce, read, multiply, add the waves' sums in LDS, write. A block of generate reads 12 KB of
// a position with 24 heads, twice that of its norm's weights and 32 KB of w, so that from some 16 positions on the second-level cache bounds it and
// products over all rows win.
#include <type_traits>

#include "activation.h"
#include "kernels.h"
#include "mma.h"

namespace rocm {

constexpr int kSquares = 64, kScores = kSquares * kSquares;
constexpr int kSqueezed = SmolgenShape::kSqueezed, kHidden = SmolgenShape::kHidden, kGenerated = SmolgenShape::kGenerated;
constexpr int kParts = SmolgenShape::kParts, kTokens = kSquares / kParts;  // of a block of squeeze
constexpr int kThreads = 256, kWaves = kThreads / kWave, kPositions = 16;

// Numbers from row to row in LDS: a piece more, so that neighbouring rows lie in all banks.
constexpr int row_step(int numbers) { return numbers + 8; }

// B of 16 rows, each from its k-th number on; `row` says where column i is.
template <class F>
KERNEL_PART FragB load_rows(const half* rows, int step, int k, F&& row) {
  uint4 pieces[kBPieces];
#pragma unroll
  for (int t = 0; t < kBPieces; ++t) pieces[t] = load_16_bytes(rows, row(lane_column(t)) * step + k + piece_k(t));
  return to_b(pieces);
}

// A wave's sums to `to`, (rows, ld), where they are added to those of others.
KERNEL_PART void store_sums(float* to, int ld, const FragD& sums) {
#pragma unroll
  for (int t = 0; t < kColumns; ++t) {
    Floats8 z;
#pragma unroll
    for (int e = 0; e < 8; ++e) z.x[e] = sums.x[8 * t + e];
    store8(to + lane_column(t) * ld + lane_row(), z);
  }
}

// Eight neighbouring sums of all ranges of k.
template <int kRanges>
KERNEL_PART Floats8 add_ranges(const float* from, int stride) {
  Floats8 z = load8(from);
#pragma unroll
  for (int range = 1; range < kRanges; ++range) {
    const Floats8 more = load8(from + range * stride);
#pragma unroll
    for (int e = 0; e < 8; ++e) z.x[e] += more.x[e];
  }
  return z;
}

// Sum over aligned groups of kLanes of a block's threads, 16 or more; every thread gets its group's. `part` is shared memory that no other call uses.
template <int kLanes>
KERNEL_PART float lanes_sum(float x, float (&part)[kThreads / 16]) {
  x += lane_xor<1>(x);
  x += lane_xor<2>(x);
  x += lane_xor<7>(x);  // as in group_sum
  x += lane_xor<15>(x);
  if constexpr (kLanes > 16) {
    if (threadIdx.x % 16 == 0) part[threadIdx.x / 16] = x;
    __syncthreads();
    x = 0;
#pragma unroll
    for (int i = 0; i < kLanes / 16; ++i) x += part[threadIdx.x / kLanes * (kLanes / 16) + i];
  }
  return x;
}

__global__ void __launch_bounds__(kThreads, 1)
    smolgen_squeeze(float* parts,          // (32, batch, 256)
                    const half* x,         // (batch * 64, channels)
                    const half* compress,  // (32, channels)
                    const half* dense1,    // (256, 64 * 32)
                    int batch, int channels) {
  constexpr int kRanges = kWaves / kTokens, kAhead = 6;  // of k, each a wave's; steps whose operands a wave has at once
  constexpr int kTiles = kSqueezed / kRows, kMyTiles = kHidden / kRows / kWaves;
  constexpr int kDeep = kTokens * kSqueezed, kStep = row_step(kDeep);
  __shared__ float sums[kWaves * kPositions * kSqueezed];
  __shared__ uint4 lds[kPositions * kStep / 8];
  half* const rows = reinterpret_cast<half*>(lds);
  const int wave = threadIdx.x / kWave, token = wave % kTokens, range = wave / kTokens;
  const int first = blockIdx.y * kPositions, square = blockIdx.x * kTokens;

  FragA later[kMyTiles][kDeep / kK];
#pragma unroll
  for (int c = 0; c < kMyTiles; ++c)
#pragma unroll
    for (int i = 0; i < kDeep / kK; ++i)
      later[c][i] = load_a(dense1, (wave * kMyTiles + c) * kRows * kSquares * kSqueezed + square * kSqueezed + i * kK, kSquares * kSqueezed);

  unsigned from[kBPieces];
#pragma unroll
  for (int t = 0; t < kBPieces; ++t)
    from[t] = (min(first + lane_column(t), batch - 1) * kSquares + square + token) * channels + piece_k(t);
  const int steps = channels / kK, some = (steps + kRanges - 1) / kRanges, end = min(steps, (range + 1) * some);
  FragD d[kTiles] = {};
#pragma unroll 1
  for (int turn = 0; turn < some; turn += kAhead) {
    FragA a[kAhead][kTiles];
    FragB b[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int step = range * some + turn + i;
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
  for (int c = 0; c < kTiles; ++c) store_sums(sums + wave * kPositions * kSqueezed + c * kRows, kSqueezed, d[c]);
  __syncthreads();
  for (int item = threadIdx.x; item < kPositions * kDeep / 8; item += kThreads) {
    const int position = item % kPositions, column = item / kPositions * 8;
    Floats8 z = add_ranges<kRanges>(sums + (column / kSqueezed * kPositions + position) * kSqueezed + column % kSqueezed, kTokens * kPositions * kSqueezed);
    saturate<half>(z.x);
    store8(rows + position * kStep + column, z);
  }
  __syncthreads();
  FragB b[kDeep / kK];
#pragma unroll
  for (int i = 0; i < kDeep / kK; ++i) b[i] = load_rows(rows, kStep, i * kK, [](int column) { return column; });
#pragma unroll
  for (int c = 0; c < kMyTiles; ++c) {
    FragD y = {};
#pragma unroll
    for (int i = 0; i < kDeep / kK; ++i) y = mma(later[c][i], b[i], y);
#pragma unroll
    for (int t = 0; t < kColumns; ++t) {
      const int position = first + lane_column(t);
      if (position >= batch) continue;
      Floats8 z;
#pragma unroll
      for (int e = 0; e < 8; ++e) z.x[e] = y.x[8 * t + e];
      store8(parts + (blockIdx.x * batch + position) * kHidden + (wave * kMyTiles + c) * kRows + lane_row(), z);
    }
  }
}

template <int kTogether>  // positions of a block: 1, 2 or 4; or 16, whose rows `normed` has
__global__ void __launch_bounds__(kThreads)
    smolgen_expand(half* hidden,        // (batch, cols)
                   const float* parts,  // (32, batch, 256)
                   const half* normed,  // (batch, 256)
                   SmolgenLayers s, int batch, int cols, nn::Activation activation) {
  constexpr int kCols = 64, kTiles = kCols / kRows, kRanges = kWaves / kTiles, kSteps = kHidden / kK / kRanges, kStep = row_step(kHidden);
  constexpr bool kNorms = kTogether < kPositions;
  constexpr int kLanes = kThreads / kTogether, kMine = kHidden / kLanes, kWidth = kMine < 2 ? 1 : 2, kPieces = kMine / kWidth;  // of a position
  constexpr int kAtOnce = 32 / kMine;  // parts
  __shared__ float sums[kRanges * kPositions * kCols], part[kThreads / 16], part2[kThreads / 16];
  __shared__ uint4 lds[kNorms ? kTogether * kStep / 8 : 1];
  half* const rows = reinterpret_cast<half*>(lds);
  const int wave = threadIdx.x / kWave, tile = wave % kTiles, range = wave / kTiles;
  const int first = blockIdx.y * kTogether, col = blockIdx.x * kCols;
  const int position = threadIdx.x / (kCols / 8), piece = threadIdx.x % (kCols / 8) * 8;  // of what the thread writes
  const Floats8 bias2 = load8(s.bias2 + col + piece);
  FragA w[kSteps];
#pragma unroll
  for (int i = 0; i < kSteps; ++i) w[i] = load_a(s.dense2, (col + tile * kRows) * kHidden + (range * kSteps + i) * kK, kHidden);

  FragB x[kSteps];
  if constexpr (kNorms) {
    const int row = threadIdx.x / kLanes;
    const auto column = [&](int i) { return (i * kLanes + threadIdx.x % kLanes) * kWidth; };
    Floats<kWidth> bias[kPieces], gain[kPieces], shift[kPieces], t[kPieces] = {};
#pragma unroll
    for (int i = 0; i < kPieces; ++i)
      bias[i] = load<kWidth>(s.bias1 + column(i)), gain[i] = load<kWidth>(s.gain1 + column(i)), shift[i] = load<kWidth>(s.shift1 + column(i));
    const float* const mine = parts + min(first + row, batch - 1) * kHidden;
#pragma unroll kAtOnce
    for (int split = 0; split < kParts; ++split)
#pragma unroll
      for (int i = 0; i < kPieces; ++i) {
        const Floats<kWidth> more = load<kWidth>(mine + split * batch * kHidden + column(i));
#pragma unroll
        for (int e = 0; e < kWidth; ++e) t[i].x[e] += more.x[e];
      }
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
#pragma unroll
  for (int i = 0; i < kSteps; ++i) {
    const int k = (range * kSteps + i) * kK;
    if constexpr (kNorms) x[i] = load_rows(rows, kStep, k, [](int position) { return position % kTogether; });
    else x[i] = load_rows(normed, kHidden, k, [&](int position) { return min(first + position, batch - 1); });
  }
  FragD d = {};
#pragma unroll
  for (int i = 0; i < kSteps; ++i) d = mma(w[i], x[i], d);
  store_sums(sums + range * kPositions * kCols + tile * kRows, kCols, d);
  __syncthreads();
  if (position >= kTogether || first + position >= batch) return;
  Floats8 z = add_ranges<kRanges>(sums + position * kCols + piece, kPositions * kCols);
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (int e = 0; e < 8; ++e) z.x[e] = activate(kActivation, z.x[e] + bias2.x[e]);
  });
  saturate<half>(z.x);
  store8(hidden + (first + position) * cols + col + piece, z);
}

__global__ void __launch_bounds__(kThreads)
    smolgen_generate(half* y,             // (batch, heads, 64 * 64)
                     const half* hidden,  // (batch, heads * 256)
                     SmolgenLayers s, int batch, int heads) {
  constexpr int kCols = 64, kMost = SmolgenShape::kMostHeads, kHeadTiles = kMost / 16, kStep = row_step(kGenerated), kMine = kMost * kGenerated / 8 / kThreads;
  constexpr int kTiles = kCols / kRows, kRanges = kWaves / kTiles, kSteps = kGenerated / kK / kRanges;
  constexpr int kSums = kRanges * kMost * kCols / 4, kRowPieces = kMost * kStep / 8;
  __shared__ uint4 lds[kSums > kRowPieces ? kSums : kRowPieces];  // the heads' rows, and then the waves' sums
  __shared__ float part[8], part2[8];
  half* const rows = reinterpret_cast<half*>(lds);
  float* const sums = reinterpret_cast<float*>(lds);
  const int wave = threadIdx.x / kWave, tile = wave % kTiles, range = wave / kTiles, col = blockIdx.x * kCols;
  FragA w[kSteps];
#pragma unroll
  for (int i = 0; i < kSteps; ++i) w[i] = load_a(s.generate, (col + tile * kRows) * kGenerated + (range * kSteps + i) * kK, kGenerated);

  const int pieces = heads * (kGenerated / 8);
#pragma unroll 1
  for (int position = blockIdx.y; position < batch; position += gridDim.y) {
    const half* const from = hidden + position * heads * kGenerated;
    const size_t here = opaque(0);  // the norm's weights are read for each position: kept, they take the registers of w
    uint4 x[kMine], gain[kMine], shift[kMine];
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const int piece = threadIdx.x + i * kThreads;
      x[i] = gain[i] = shift[i] = {0, 0, 0, 0};
      if (piece >= pieces) continue;
      x[i] = load_16_bytes(from, piece * 8), gain[i] = load_16_bytes(s.gain2 + here, piece * 8);
      shift[i] = load_16_bytes(s.shift2 + here, piece * 8);
    }
    Floats8 t[kMine];
    float sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      t[i] = floats_of(x[i]);
#pragma unroll
      for (float value : t[i].x) sum += value;
    }
    const float share = 1.0f / (heads * kGenerated), mean = block_sum(sum, part) * share;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      if (threadIdx.x + i * kThreads >= unsigned(pieces)) continue;
#pragma unroll
      for (float& value : t[i].x) value -= mean, squares = fmaf(value, value, squares);
    }
    const float scale = fast_rsqrt(block_sum(squares, part2) * share + s.eps2);
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const int piece = threadIdx.x + i * kThreads;
      if (piece >= pieces) continue;
      const Floats8 g = floats_of(gain[i]), b = floats_of(shift[i]);
#pragma unroll
      for (int e = 0; e < 8; ++e) t[i].x[e] = fmaf(t[i].x[e] * scale, g.x[e], b.x[e]);
      store8(rows + piece / (kGenerated / 8) * kStep + piece % (kGenerated / 8) * 8, t[i]);
    }
    __syncthreads();
    FragD d[kHeadTiles] = {};
#pragma unroll
    for (int r = 0; r < kHeadTiles; ++r) {
      if (r * 16 >= heads) break;
#pragma unroll
      for (int i = 0; i < kSteps; ++i)
        d[r] = mma(w[i], load_rows(rows, kStep, (range * kSteps + i) * kK, [&](int head) { return min(r * 16 + head, heads - 1); }), d[r]);
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < kHeadTiles; ++r) store_sums(sums + (range * kMost + r * 16) * kCols + tile * kRows, kCols, d[r]);
    __syncthreads();
    half* const to = y + size_t(position) * heads * kScores + col;
    for (int item = threadIdx.x; item < heads * (kCols / 8); item += kThreads) {
      const int head = item / (kCols / 8), piece = item % (kCols / 8) * 8;
      Floats8 z = add_ranges<kRanges>(sums + head * kCols + piece, kMost * kCols);
      saturate<half>(z.x);
      store8(to + head * kScores + piece, z);
    }
    __syncthreads();
  }
}

// launcher --------------------------------------------------------------------
void launch_smolgen(hipStream_t stream, half* y, half* hidden, float* parts, const half* x, const SmolgenLayers& layers, int batch, int channels,
                    int heads, nn::Activation activation) {
  const int cols = heads * kGenerated;
  const auto groups_of = [&](int positions) { return (batch + positions - 1) / positions; };
  const dim3 threads(kThreads);
  hipLaunchKernelGGL(smolgen_squeeze, dim3(kParts, groups_of(kPositions)), threads, 0, stream, parts, x, layers.compress, layers.dense1, batch, channels);
  const auto expand = [&]<int kTogether>(std::integral_constant<int, kTogether>) {
    half* const normed = reinterpret_cast<half*>(parts + size_t(kParts) * batch * kHidden);
    if (kTogether == kPositions)
      launch_layer_norm<float, half>(stream, normed, parts, kParts, kHidden, layers.bias1, nullptr, layers.gain1, layers.shift1, batch, kHidden, 1, activation,
                                     layers.eps1);
    hipLaunchKernelGGL(smolgen_expand<kTogether>, dim3(cols / 64, groups_of(kTogether)), threads, 0, stream, hidden, parts, normed, layers, batch, cols,
                       activation);
  };
  if (batch == 1) expand(std::integral_constant<int, 1>{});
  else if (batch == 2) expand(std::integral_constant<int, 2>{});
  else if (batch <= 4) expand(std::integral_constant<int, 4>{});
  else expand(std::integral_constant<int, kPositions>{});
  const int rounds = batch <= 4 ? 1 : batch <= 8 ? 2 : 4;  // positions of a block of generate
  hipLaunchKernelGGL(smolgen_generate, dim3(kScores / 64, groups_of(rounds)), threads, 0, stream, y, hidden, layers, batch, heads);
}

}  // namespace rocm
