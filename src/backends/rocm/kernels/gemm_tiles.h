// What products with matrix instructions share: how a block copies the tiles of x and w that a step takes to LDS, multiplies them, and ends its tile of
// y. A row of these tiles is made of pieces of 16 bytes, whatever numbers they hold. LDS pieces are swizzled, so that neither copying nor reading
// meets bank conflicts. The product is transposed for the matrix instructions (their rows are our columns), so that a lane ends with eight
// neighbouring columns of a row: one 16-byte store.
#pragma once
#include "activation.h"
#include "kernels.h"
#include "mma.h"

namespace rocm {

// How many rows of waves a block has: the one that makes a wave's share of the tile closest to a square.
constexpr int wave_rows(GemmTile tile, int waves) {
  int best = 0;
  for (int n = 1; n <= waves; n *= 2) {
    const auto share = [&](int n) { return tile.rows / n + tile.cols * n / waves; };
    if (tile.rows / n >= 16 && tile.cols * n / waves >= kRows && (!best || share(n) < share(best))) best = n;
  }
  return best;
}

// What follows from a Shape: kBlock, the tile of y; kThreads; kPieces, of 16 bytes, of a row of the tiles of x and w.
template <class Shape>
struct TileLayout : Shape {
  using Shape::kBlock, Shape::kThreads, Shape::kPieces;
  static constexpr int kWaves = kThreads / kWave, kWaveRows = wave_rows(kBlock, kWaves), kWaveCols = kWaves / kWaveRows;
  static constexpr int kMyRows = kBlock.rows / kWaveRows, kMyCols = kBlock.cols / kWaveCols;  // a wave's share of the tile
  static constexpr int kRowTiles = kMyRows / 16, kColTiles = kMyCols / kRows;
  static constexpr int kXCopies = kBlock.rows * kPieces / kThreads, kWCopies = kBlock.cols * kPieces / kThreads;  // pieces a thread copies
  static constexpr int kCopies = kXCopies + kWCopies;
  static_assert(kBlock.rows * kPieces % kThreads == 0 && kBlock.cols * kPieces % kThreads == 0 && kThreads % kPieces == 0);

  using Tiles = uint4[(kBlock.rows + kBlock.cols) * kPieces];  // rows of x, then those of w at their a_slot
  template <class D>
  using SumsOf = D[kColTiles][kRowTiles];
  using Sums = SumsOf<FragD>;

  // Slot s holds its piece p at p ^ swizzle(s): eight lanes that read one piece of neighbouring slots reach all banks.
  static __device__ int swizzle(int slot) { return slot / (8 / kPieces) % kPieces; }
};

// What a thread copies of each step's tiles: the same piece of kXCopies rows of x and of the others of w. Rows beyond the matrix repeat its
// last; their results are not stored.
template <class L>
struct Copier {
  const char *x, *w;
  int piece;
  unsigned from[L::kCopies];  // bytes
  int to[L::kCopies];
  uint4 held[L::kCopies];

  KERNEL_PART Copier(const void* x, const void* w, unsigned x_rows, unsigned w_rows, unsigned row_bytes)
      : x(static_cast<const char*>(x)), w(static_cast<const char*>(w)), piece(threadIdx.x % L::kPieces) {
    constexpr int kStep = L::kThreads / L::kPieces;
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i) {
      const bool of_x = i < L::kXCopies;
      const int row = threadIdx.x / L::kPieces + (of_x ? i : i - L::kXCopies) * kStep;
      const int slot = of_x ? row : a_slot(row);
      const unsigned left = of_x ? x_rows : w_rows;
      from[i] = min(unsigned(row), left - 1) * row_bytes + piece * 16;
      to[i] = ((of_x ? 0 : L::kBlock.rows) + slot) * L::kPieces + (piece ^ L::swizzle(slot));
    }
  }
  // Piece i of the step that begins so many bytes behind the rows' start.
  KERNEL_PART const char* place(int i, unsigned bytes) const { return at(i < L::kXCopies ? x : w, from[i] + bytes); }
  KERNEL_PART uint4 load(int i, unsigned bytes) const { return *reinterpret_cast<const uint4*>(place(i, bytes)); }
  // The first step ends so many bytes behind it; beyond is zero.
  KERNEL_PART void load_first(int end) {
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i) held[i] = piece * 16 < end ? load(i, 0) : uint4{0, 0, 0, 0};
  }
  KERNEL_PART void load_step(unsigned bytes) {
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i) held[i] = load(i, bytes);
  }
  KERNEL_PART void store(uint4* tiles) const {
#pragma unroll
    for (int i = 0; i < L::kCopies; ++i) tiles[to[i]] = held[i];
  }
};

// A wave's share of a step: it starts at row row0 and column col0 of the tile.
template <class L, class D>
KERNEL_PART void multiply(D (&sums)[L::kColTiles][L::kRowTiles], const uint4* tiles, int row0, int col0) {
#pragma unroll
  for (int p = 0; p < L::kPieces; p += kFragments<D> * kK / 8) {
    FragA a[L::kColTiles][kFragments<D>];
    FragB b[L::kRowTiles][kFragments<D>];
#pragma unroll
    for (int i = 0; i < kFragments<D>; ++i) {
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) {
        const int slot = L::kBlock.rows + col0 + lds_slot(t), piece = (p + i * kK / 8 + lds_piece_a(t)) ^ L::swizzle(lds_slot(t));
#pragma unroll
        for (int c = 0; c < L::kColTiles; ++c) a[c][i].x[t] = load_lds(tiles + (slot + c * kRows) * L::kPieces + piece);
      }
#pragma unroll
      for (int t = 0; t < kBPieces; ++t) {
        const int slot = row0 + lds_column(t), piece = (p + i * kK / 8 + lds_piece_b(t)) ^ L::swizzle(lds_column(t));
#pragma unroll
        for (int r = 0; r < L::kRowTiles; ++r) b[r][i].x[t] = load_lds(tiles + (slot + r * 16) * L::kPieces + piece);
      }
    }
#pragma unroll
    for (int c = 0; c < L::kColTiles; ++c)
#pragma unroll
      for (int r = 0; r < L::kRowTiles; ++r) {
        if constexpr (kFragments<D> == 1) sums[c][r] = mma(a[c][0], b[r][0], sums[c][r]);
        else sums[c][r] = mma(a[c], b[r], sums[c][r]);
      }
  }
}

// act(sums + bias), of the columns of y from `col` on.
template <class L>
KERNEL_PART void activate_sums(typename L::Sums& sums, const half* bias, unsigned col, int cols, nn::Activation activation) {
#pragma unroll
  for (int c = 0; bias && c < L::kColTiles; ++c) {
    const Floats8 add = load8(bias + min(col + c * kRows + lane_row(), unsigned(cols - 8)));
#pragma unroll
    for (int r = 0; r < L::kRowTiles; ++r)
#pragma unroll
      for (int e = 0; e < 8 * kColumns; ++e) sums[c][r].x[e] += add.x[e % 8];
  }
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (auto& column : sums)
#pragma unroll
      for (FragD& d : column)
#pragma unroll
        for (float& z : d.x) z = activate(kActivation, z);
  });
}

// store(row, col, eight values) for what a wave has of the matrix, which ends `rows` and `cols` behind the start of the tile.
template <class L, class F>
KERNEL_PART void for_each_row(const typename L::Sums& sums, int row0, int col0, unsigned rows, unsigned cols, F&& store) {
#pragma unroll
  for (int c = 0; c < L::kColTiles; ++c) {
    const unsigned col = col0 + c * kRows + lane_row();
    if (col >= cols) continue;
#pragma unroll
    for (int r = 0; r < L::kRowTiles; ++r)
#pragma unroll
      for (int t = 0; t < kColumns; ++t) {
        const unsigned row = row0 + r * 16 + lane_column(t);
        if (row >= rows) continue;
        store(row, col, rows_of(sums[c][r], t));
      }
  }
}

// Where a block's tile goes: y, from whose row row0 on it lies, or side, which has the columns from y_cols, a multiple of the tile's, on.
struct TilePlace {
  half* to;
  unsigned width;

  KERNEL_PART TilePlace(half* y, half* side, size_t row0, unsigned col0, int cols, int y_cols) {
    const bool aside = col0 >= unsigned(y_cols);
    width = aside ? cols - y_cols : y_cols;
    to = (aside ? side : y) + row0 * width + (aside ? col0 - y_cols : col0);
  }
  // of the tile
  KERNEL_PART void store(unsigned row, unsigned col, Floats8& z) const {
    saturate<half>(z.x);
    store8(at(to, row * width + col), z);
  }
};

}  // namespace rocm
