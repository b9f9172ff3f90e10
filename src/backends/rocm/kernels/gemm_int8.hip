// gemm_int8: y = act(x (scale w)^T + bias) of few rows, where w are 8 bits and each of its rows, that is each column of y, has a scale.
//
// What counts is to read w once, at the speed of memory: a wave loads its rows of w straight into registers, a step ahead, and makes halves
// of them there, exactly; scales come last, in float. x comes through LDS, shared by the waves. A lane's 16 bytes of w are two operands of
// a matrix instruction, which takes k in any order that both operands agree on: so x is put into LDS in the order of w.
//
// Floor: cols * depth bytes. Each byte is used for as many rows as the tile has, so up to about 64 rows a product is bound by memory on every
// target; from then on gemm's tiles with w expanded once win sooner or later (linear/gemm.cc measures). To expand is one instruction a number.
#include <string>

#include "error.h"
#include "gemm_tiles.h"

namespace rocm {

constexpr int kInt8Threads = 128;
constexpr int kInt8Deep = 64;                       // of k, a step
constexpr int kInt8Row = kInt8Deep / 8 + 1;         // pieces of a row of x in LDS, of which one lets eight neighbouring rows reach all banks
constexpr int kInt8Chunks = kInt8Deep / (2 * kK);   // 16-byte pieces of a row of w that a lane loads a step

template <int kTile>
struct Int8Layout {
  static constexpr GemmTile kBlock = kInt8Tiles[kTile];
  static constexpr int kWaves = kInt8Threads / kWave, kMostCols = kBlock.cols / kRows;
  static constexpr int kWaveCols = kWaves < kMostCols ? kWaves : kMostCols, kWaveRows = kWaves / kWaveCols;
  static constexpr int kMyRows = kBlock.rows / kWaveRows, kMyCols = kBlock.cols / kWaveCols;  // a wave's share of the tile
  static constexpr int kRowTiles = kMyRows / 16, kColTiles = kMyCols / kRows;
  static constexpr int kCopies = kBlock.rows * (kInt8Deep / 8) / kInt8Threads;  // pieces of x that a thread copies a step
  static_assert(kRowTiles > 0 && kCopies > 0);

  using Tile = uint4[kBlock.rows * kInt8Row];
  using Sums = FragD[kColTiles][kRowTiles];
};

// What a thread copies of each step's tile of x. Rows beyond the matrix repeat its last; their results are not stored.
template <int kTile>
struct RowCopier {
  using L = Int8Layout<kTile>;
  static constexpr int kPieces = kInt8Deep / 8, kStep = kInt8Threads / kPieces;
  const half* x;
  unsigned from[L::kCopies];  // elements
  uint4 held[L::kCopies];

  KERNEL_PART RowCopier(const half* x, unsigned rows, int depth) : x(x) {
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i)
      from[i] = min(unsigned(threadIdx.x / kPieces + i * kStep), rows - 1) * depth + piece() * 8;
  }
  static __device__ int piece() { return threadIdx.x % kPieces; }
  // From k on, which ends at k_end; beyond is zero.
  KERNEL_PART void load(unsigned k, int k_end) {
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i) held[i] = piece() * 8 < k_end ? load_16_bytes(x, from[i] + k) : uint4{0, 0, 0, 0};
  }
  // Piece p of a chunk's 2 * kK goes with p / 2 of the operands that the chunk's bytes (p % 2) * 8 ... make.
  KERNEL_PART void store(typename L::Tile& tile) const {
    constexpr int kOperand = kK / 8;  // pieces
    const int chunk = piece() / (2 * kOperand), p = piece() % (2 * kOperand), place = (2 * chunk + p % 2) * kOperand + p / 2;
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i) put_row(tile + (threadIdx.x / kPieces + i * kStep) * kInt8Row, place, held[i]);
  }
};

// What a lane holds of its rows of w for a step.
template <int kTile>
struct WeightPieces {
  uint4 x[Int8Layout<kTile>::kColTiles][kInt8Chunks][kAPieces];
};

template <int kTile>
struct WeightLoader {
  using L = Int8Layout<kTile>;
  const int8_t* w;
  unsigned from[L::kColTiles][kAPieces];  // bytes

  KERNEL_PART WeightLoader(const int8_t* w, unsigned first, unsigned cols, int depth) : w(w) {
#pragma unroll
    for (int c = 0; c < L::kColTiles; ++c)
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) from[c][t] = min(first + c * kRows + a_row(t), cols - 1) * depth;
  }
  // From k on, which ends at k_end, a multiple of 16; beyond is something, for x is zero there.
  KERNEL_PART WeightPieces<kTile> load(unsigned k, int k_end) const {
    WeightPieces<kTile> pieces;
#pragma unroll
    for (int j = 0; j < kInt8Chunks; ++j)
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) {
        const int place = j * 2 * kK + 2 * piece_k(t);
#pragma unroll
        for (int c = 0; c < L::kColTiles; ++c)
          pieces.x[c][j][t] = *reinterpret_cast<const uint4*>(at(w, from[c][t] + k + (place < k_end ? place : 0)));
      }
    return pieces;
  }
};

// A wave's share of a step, whose rows of x start at `rows`.
template <int kTile>
KERNEL_PART void multiply(typename Int8Layout<kTile>::Sums& sums, const WeightPieces<kTile>& w, const uint4* rows) {
  using L = Int8Layout<kTile>;
#pragma unroll
  for (int step = 0; step < 2 * kInt8Chunks; ++step) {
    FragB b[L::kRowTiles];
#pragma unroll
    for (int t = 0; t < kBPieces; ++t)
#pragma unroll
      for (int r = 0; r < L::kRowTiles; ++r)
        b[r].x[t] = load_lds(rows + (r * 16 + lds_column(t)) * kInt8Row + step * (kK / 8) + lds_piece_b(t));
#pragma unroll
    for (int c = 0; c < L::kColTiles; ++c) {
      FragA a;
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) {
        const uint4 chunk = w.x[c][step / 2][t];
        a.x[t] = halves_of_int8(step % 2 ? uint2{chunk.z, chunk.w} : uint2{chunk.x, chunk.y});
      }
#pragma unroll
      for (int r = 0; r < L::kRowTiles; ++r) sums[c][r] = mma(a, b[r], sums[c][r]);
    }
  }
}

template <int kTile, bool kParts>  // kParts: scaled sums go to `parts`, else y is finished; its cols are a multiple of 8 then
__global__ void __launch_bounds__(kInt8Threads)
    gemm_int8(half* y,              // (rows, y_cols)
              half* side,           // (rows, cols - y_cols): the columns from y_cols, a multiple of the tile's, on
              float* parts,         // (splits, rows, ld)
              const half* x,        // (rows, depth)
              const int8_t* w,      // (cols, depth)
              const float* scales,  // (cols rounded up to 8)
              const half* bias,     // (cols) or null
              int rows, int cols, int y_cols, int depth, int ld, nn::Activation activation) {
  using L = Int8Layout<kTile>;
  __shared__ typename L::Tile tiles[2];  // the next is written while others still read the last

  const unsigned row0 = blockIdx.y * L::kBlock.rows, col0 = blockIdx.x * L::kBlock.cols, rows_left = rows - row0;
  const int all_steps = (depth + kInt8Deep - 1) / kInt8Deep, split = blockIdx.z, splits = gridDim.z;
  const int first = all_steps * split / splits * kInt8Deep, length = min(depth, all_steps * (split + 1) / splits * kInt8Deep) - first;

  const int wave = threadIdx.x / kWave;
  const unsigned my_row = wave / L::kWaveCols * L::kMyRows, my_col = col0 + wave % L::kWaveCols * L::kMyCols;
  RowCopier<kTile> copier(x + size_t(row0) * depth + first, rows_left, depth);
  const WeightLoader<kTile> loader(w + first, my_col, cols, depth);
  typename L::Sums sums = {};

  // The first step takes what the whole ones leave, so that only it has to look where k ends.
  int steps = (length + kInt8Deep - 1) / kInt8Deep;
  if (steps > 0) {
    int k = length - (steps - 1) * kInt8Deep;  // of the next step
    copier.load(0, k);
    WeightPieces<kTile> next = loader.load(0, k);
#pragma unroll 1
    for (int stage = 0; steps > 0; --steps, stage ^= 1) {  // one barrier is enough: what is written was read before the last one
      copier.store(tiles[stage]);
      const WeightPieces<kTile> now = next;
      __syncthreads();
      if (steps > 1) {
        copier.load(k, kInt8Deep);
        next = loader.load(k, kInt8Deep);
        k += kInt8Deep;
      }
      multiply<kTile>(sums, now, tiles[stage] + my_row * kInt8Row);
      keep_order();  // the next step's stores wait for the loads
    }
  }

#pragma unroll
  for (int c = 0; c < L::kColTiles; ++c) {  // columns beyond the matrix are not stored
    const Floats8 scale = load8(scales + min(my_col + c * kRows + lane_row(), unsigned(cols - 1) / 8 * 8));
#pragma unroll
    for (int r = 0; r < L::kRowTiles; ++r)
#pragma unroll
      for (int e = 0; e < 8 * kColumns; ++e) sums[c][r].x[e] *= scale.x[e % 8];
  }
  if constexpr (kParts) {
    parts += (size_t(split) * rows + row0) * ld + col0;
    for_each_row<L>(sums, my_row, my_col - col0, rows_left, cols - col0,
                    [&](unsigned row, unsigned col, const Floats8& z) { store8(at(parts, row * ld + col), z); });
  } else {
    activate_sums<L>(sums, bias, my_col, cols, activation);
    const TilePlace place(y, side, row0, col0, cols, y_cols);
    for_each_row<L>(sums, my_row, my_col - col0, rows_left, cols - col0, [&](unsigned row, unsigned col, Floats8 z) { place.store(row, col, z); });
  }
}

// launcher --------------------------------------------------------------------
void launch_gemm_int8(hipStream_t stream, half* y, half* side, int side_cols, const half* x, const int8_t* w, const float* scales,
                      const half* bias, int rows, int cols, int depth, nn::Activation activation, int tile, int splits, float* parts) {
  const auto fail = [&](const std::string& why) {
    throw Error("a matrix product of (" + std::to_string(rows) + ", " + std::to_string(depth) + ") by 8-bit weights (" +
                std::to_string(depth) + ", " + std::to_string(cols) + ") " + why);
  };
  if (rows <= 0 || cols <= 0 || depth <= 0 || splits <= 0 || splits > 65535 || tile < 0 || tile >= int(std::size(kInt8Tiles)) ||
      (rows - 1) / kInt8Tiles[tile].rows >= 65535 || size_t(cols + 7) * depth > 0xffffffff || size_t(cols + 7) * 128 * sizeof(float) > 0xffffffff)
    fail("is outside what the kernel can do; use a smaller batch");
  if (depth % 16) fail("has rows that are no multiple of 16");
  if (side_cols && (cols - side_cols) % kInt8Tiles[tile].cols) fail("cannot be split between two arrays inside of a tile");
  const bool in_parts = gemm_parts_bytes<half>(1, rows, cols, splits) > 0;
  if (in_parts && !parts) fail("was given no memory for its parts");
  const auto choose = [&]<int kTile>(std::integral_constant<int, kTile>) {
    if (kTile != tile) return;
    const dim3 grid((cols - 1) / kInt8Tiles[tile].cols + 1, (rows - 1) / kInt8Tiles[tile].rows + 1, splits);
    const auto kernel = in_parts ? gemm_int8<kTile, true> : gemm_int8<kTile, false>;
    hipLaunchKernelGGL(kernel, grid, dim3(kInt8Threads), 0, stream, y, side, in_parts ? parts : nullptr, x, w, scales, bias, rows, cols,
                       cols - side_cols, depth, (cols + 7) / 8 * 8, activation);
  };
  choose(std::integral_constant<int, 0>{}), choose(std::integral_constant<int, 1>{}), choose(std::integral_constant<int, 2>{});
}

}  // namespace rocm
