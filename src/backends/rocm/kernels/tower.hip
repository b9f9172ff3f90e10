// tower: residual blocks of a narrow tower, with the convolution of the planes before the first, in one launch.
//
// A 3x3 convolution sees its own board alone, so a block of threads keeps a board from layer to layer. Its activations lie in LDS, a row of
// channels a square, framed with rows of zeros: the rows of the neighbours at each of the nine taps are the B operands of the matrix
// instructions. What a layer makes stays in registers until all have read what it was made of, and takes its place; the skip stays in
// registers too. Weights come straight from memory, some steps ahead of their use, across layers as well.
//
// Limits: 64 channels take 9 * 64 * 64 * 64 multiply-adds a board and layer, and every block reads a layer's 72 KB of weights from the last
// cache: a compute unit's matrix instructions bound it where a block has several boards, else that reading and the barriers of each layer.
#include <algorithm>
#include <string>

#include "error.h"
#include "mma.h"
#include "squeeze_excitation.h"

namespace rocm {

constexpr int kSquares = 64, kPlanes = 112, kTaps = 9, kDeep = 32;
constexpr int kRankRows = 9, kBoardRows = 10 * kRankRows + 1;  // a board with a frame of zeros; the end of a rank is the beginning of the next

template <int kChannels, int kThreads>
struct TowerLayout {
  static constexpr int kWaves = kThreads / kWave, kColTiles = kChannels / kRows, kSquareTiles = kSquares / 16;
  static constexpr int kWaveRows = kWaves > kColTiles ? kWaves / kColTiles : 1, kWaveCols = kWaves / kWaveRows;
  static constexpr int kMyCols = kColTiles / kWaveCols, kMyTiles = kSquareTiles / kWaveRows;  // a wave's share of channels and squares
  static constexpr int kRowPieces = kChannels / 8 + 1;  // of 16 bytes; one more, so that eight neighbouring rows lie in all banks
  static constexpr int kTapSteps = kChannels / kK, kSteps = kTaps * kTapSteps;
  static constexpr int kAhead = kChannels == 64 ? 3 * kTapSteps : 64 / kK / kMyCols;  // steps whose weights are on their way
  static constexpr int kTurnTaps = kAhead > kTapSteps ? kAhead / kTapSteps : 1, kTurnSteps = kTurnTaps * kTapSteps;
  static_assert(kMyCols * kWaveCols == kColTiles && kMyTiles * kWaveRows == kSquareTiles && kTurnSteps % kAhead == 0);

  using Sums = FragD[kMyCols][kMyTiles];
  using Rows = uint4[kMyCols][kMyTiles][kColumns];  // the same as halves
};

__device__ inline int board_row(int square) { return (square / 8 + 1) * kRankRows + square % 8 + 1; }

// What a thread of a block knows throughout.
template <int kChannels, int kThreads>
struct TowerBlock {
  using L = TowerLayout<kChannels, kThreads>;
  uint4* board;  // (kBoardRows, kRowPieces)
  int first_channel, first_square;
  unsigned weights_at[L::kMyCols][kAPieces];
  int squares_at[kBPieces];  // of the first of its tiles, seen from the first tap
  FragA ahead[L::kAhead][L::kMyCols];

  KERNEL_PART explicit TowerBlock(uint4* board) : board(board) {
    const int wave = threadIdx.x / kWave;
    first_channel = wave % L::kWaveCols * L::kMyCols * kRows;
    first_square = wave / L::kWaveCols * L::kMyTiles * 16;
#pragma unroll
    for (int c = 0; c < L::kMyCols; ++c)
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) weights_at[c][t] = (first_channel + c * kRows + a_row(t)) * kDeep + piece_k(t);
#pragma unroll
    for (int t = 0; t < kBPieces; ++t)
      squares_at[t] = (board_row(first_square + lds_column(t)) - kRankRows - 1) * L::kRowPieces + lds_piece_b(t);
    for (int i = threadIdx.x; i < kBoardRows * L::kRowPieces; i += kThreads) board[i] = uint4{0, 0, 0, 0};
    __syncthreads();
  }

  // The weights of a step, w being those of the first of kAhead.
  KERNEL_PART void fetch(int i, const half* w) {
    const int k = i * kK;
#pragma unroll
    for (int c = 0; c < L::kMyCols; ++c)
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) ahead[i][c].x[t] = load_16_bytes(at(w, weights_at[c][t]), k / kDeep * kDeep * kChannels + k % kDeep);
  }
  KERNEL_PART void fetch_first(const half* w) {
#pragma unroll
    for (int i = 0; i < L::kAhead; ++i) fetch(i, w);
  }

  // sums += the convolution of the board with w (9, channels / 32, channels, 32), whose first steps are there; afterwards those of `next` are.
  KERNEL_PART void convolve(typename L::Sums& sums, const half* w, const half* next) {
    const auto rows_to = [](int tap) { return tap / 3 * kRankRows + tap % 3; };
#pragma unroll 1
    for (int tap = 0; tap < kTaps; tap += L::kTurnTaps) {
      const uint4* const from = board + rows_to(tap) * L::kRowPieces;
#pragma unroll
      for (int step = 0; step < L::kTurnSteps; ++step) {
        const int i = step % L::kAhead, piece = rows_to(step / L::kTapSteps) * L::kRowPieces + step % L::kTapSteps * (kK / 8);
        if (i == 0) w = tap * L::kTapSteps + step + L::kAhead < L::kSteps ? w + L::kAhead * kK * kChannels : next;
#pragma unroll
        for (int r = 0; r < L::kMyTiles; ++r) {
          FragB b;
#pragma unroll
          for (int t = 0; t < kBPieces; ++t) b.x[t] = load_lds(from + squares_at[t] + r * 2 * kRankRows * L::kRowPieces + piece);
#pragma unroll
          for (int c = 0; c < L::kMyCols; ++c) sums[c][r] = mma(ahead[i][c], b, sums[c][r]);
        }
        fetch(i, w);
      }
    }
  }

  // f(c, r, t, channel, square): eight channels of a square, sums[c][r].x[8 * t ...], which this lane has.
  template <class F>
  KERNEL_PART void for_each_row(F&& f) const {
#pragma unroll
    for (int c = 0; c < L::kMyCols; ++c)
#pragma unroll
      for (int r = 0; r < L::kMyTiles; ++r)
#pragma unroll
        for (int t = 0; t < kColumns; ++t)
          f(c, r, t, first_channel + c * kRows + lane_row(), first_square + r * 16 + lane_column(t));
  }

  struct Bias {
    uint4 x[L::kMyCols];
  };
  KERNEL_PART Bias fetch_bias(const half* bias) const {
    Bias b;
#pragma unroll
    for (int c = 0; c < L::kMyCols; ++c) b.x[c] = load_16_bytes(bias, first_channel + c * kRows + lane_row());
    return b;
  }
  KERNEL_PART void add(typename L::Sums& sums, const Bias& bias) const {
#pragma unroll
    for (int c = 0; c < L::kMyCols; ++c) {
      const Floats8 add = floats_of(bias.x[c]);
#pragma unroll
      for (FragD& d : sums[c])
#pragma unroll
        for (int e = 0; e < 8 * kColumns; ++e) d.x[e] += add.x[e % 8];
    }
  }

  // gate * sums + shift, from the sums' means over squares.
  KERNEL_PART void excite_sums(typename L::Sums& sums, float* lds, const SqueezeExcitation<half>& se, nn::Activation activation) const {
    float* const part = lds + first_square / (16 * L::kMyTiles) * kChannels;
#pragma unroll
    for (int c = 0; c < L::kMyCols; ++c)
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        float sum = 0;
#pragma unroll
        for (const FragD& d : sums[c])
#pragma unroll
          for (int t = 0; t < kColumns; ++t) sum += d.x[8 * t + e];
        sum = row_sum(sum);
        if (lane_column(0) == 0) part[first_channel + c * kRows + lane_row() + e] = sum;
      }
    excite<half, kThreads, L::kWaveRows>(lds, se, kChannels, activation);
    for_each_row([&](int c, int r, int t, int channel, int) {
      const float* const gates = lds + kChannels + channel;
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        float& z = sums[c][r].x[8 * t + e];
        z = fmaf(z, gates[e], gates[kChannels + e]);
      }
    });
  }

  KERNEL_PART void add_rows(typename L::Sums& sums, const typename L::Rows& skip) const {
    for_each_row([&](int c, int r, int t, int, int) {
      const Floats8 add = floats_of(skip[c][r][t]);
#pragma unroll
      for (int e = 0; e < 8; ++e) sums[c][r].x[8 * t + e] += add.x[e];
    });
  }

  KERNEL_PART void activate_sums(typename L::Sums& sums, nn::Activation activation) const {
    with_activation(activation, [&]<nn::Activation kActivation>() __attribute__((always_inline)) {
#pragma unroll
      for (auto& column : sums)
#pragma unroll
        for (FragD& d : column)
#pragma unroll
          for (float& z : d.x) z = activate(kActivation, z);
    });
  }

  // act(sums) as rows, and onto the board once nobody reads it any more.
  KERNEL_PART void place(typename L::Rows& rows, typename L::Sums& sums, nn::Activation activation) const {
    activate_sums(sums, activation);
    for_each_row([&](int c, int r, int t, int, int) {
      Floats8 z = rows_of(sums[c][r], t);
      saturate<half>(z.x);
      rows[c][r][t] = halves_of(z);
    });
    __syncthreads();
    for_each_row([&](int c, int r, int t, int channel, int square) { put(square, channel, rows[c][r][t]); });
    __syncthreads();
  }

  KERNEL_PART void put(int square, int channel, const uint4& piece) const {
    put_row(board + board_row(square) * L::kRowPieces, channel / 8, piece);
  }
};

template <int kChannels, int kThreads>
__global__ void __launch_bounds__(kThreads)
    tower(half* y,                // (batch * 64, channels)
          const half* x,          // likewise, where `part` has no input convolution
          const uint64_t* masks,  // (batch, 112), where it has one
          const float* values,    // (batch, 112)
          TowerPart<half> part, nn::Activation activation) {
  using L = TowerLayout<kChannels, kThreads>;
  HIP_DYNAMIC_SHARED(float, lds);
  __shared__ uint4 board[kBoardRows * L::kRowPieces];
  TowerBlock<kChannels, kThreads> block(board);
  y += size_t(blockIdx.x) * kSquares * kChannels;

  typename L::Rows rows;
  if (part.input_w) {
    constexpr int kParts = (kPlanes + kChannels - 1) / kChannels, kPartWeights = kTaps * kChannels * kChannels;
    masks += blockIdx.x * kPlanes, values += blockIdx.x * kPlanes;
    block.fetch_first(part.input_w);
    const auto bias = block.fetch_bias(part.input_b);
    typename L::Sums sums = {};
#pragma unroll 1
    for (int i = 0; i < kParts; ++i) {
      for (int item = threadIdx.x; item < kSquares * kChannels / 8; item += kThreads) {
        const int square = item % kSquares, channel = item / kSquares * 8, plane = i * kChannels + channel;
        Floats8 z = {};
        if (plane < kPlanes) {
#pragma unroll
          for (int e = 0; e < 8; ++e) z.x[e] = masks[plane + e] >> square & 1 ? values[plane + e] : 0;
        }
        block.put(square, channel, halves_of(z));
      }
      __syncthreads();
      const half* const w = part.input_w + i * kPartWeights;
      block.convolve(sums, w, i + 1 < kParts ? w + kPartWeights : part.blocks[0].w1);
      __syncthreads();
    }
    block.add(sums, bias);
    block.place(rows, sums, activation);
  } else {
    block.fetch_first(part.blocks[0].w1);
    x += size_t(blockIdx.x) * kSquares * kChannels;
    block.for_each_row([&](int c, int r, int t, int channel, int square) {
      rows[c][r][t] = load_16_bytes(x, square * kChannels + channel);
      block.put(square, channel, rows[c][r][t]);
    });
    __syncthreads();
  }

#pragma unroll 1
  for (int i = 0; i < part.count; ++i) {
    const ResidualBlock<half>& layers = part.blocks[i];
    {
      typename L::Sums sums = {};
      typename L::Rows inner;
      const auto bias = block.fetch_bias(layers.b1);
      block.convolve(sums, layers.w1, layers.w2);
      block.add(sums, bias);
      block.place(inner, sums, activation);
    }
    typename L::Sums sums = {};
    const auto bias = block.fetch_bias(layers.b2);
    block.convolve(sums, layers.w2, part.blocks[min(i + 1, part.count - 1)].w1);
    block.add(sums, bias);
    if (layers.se.width) block.excite_sums(sums, lds, layers.se, activation);
    block.add_rows(sums, rows);
    block.place(rows, sums, activation);
  }

  block.for_each_row([&](int c, int r, int t, int channel, int square) {
    *reinterpret_cast<uint4*>(at(y, square * kChannels + channel)) = rows[c][r][t];
  });
}

// launcher --------------------------------------------------------------------
void launch_tower(hipStream_t stream, half* y, const half* x, const uint64_t* masks, const float* values, const TowerPart<half>& part,
                  int batch, nn::Activation activation, int tile) {
  if (part.count < 1 || part.count > kTowerBlocks || tile < 0 || tile >= int(std::size(kTowerTiles)))
    throw Error("no kernel for " + std::to_string(part.count) + " residual blocks at once in tile " + std::to_string(tile));
  int width = 0;
  for (int i = 0; i < part.count; ++i) width = std::max(width, part.blocks[i].se.width);
  const auto choose = [&]<int kTile>(std::integral_constant<int, kTile>) {
    constexpr TowerTile t = kTowerTiles[kTile];
    if (kTile == tile)
      hipLaunchKernelGGL((tower<t.channels, t.threads>), dim3(batch), dim3(t.threads), squeeze_excitation_lds(t.channels, width), stream, y, x,
                         masks, values, part, activation);
  };
  choose(std::integral_constant<int, 0>{}), choose(std::integral_constant<int, 1>{}), choose(std::integral_constant<int, 2>{});
  choose(std::integral_constant<int, 3>{});
}

}  // namespace rocm
