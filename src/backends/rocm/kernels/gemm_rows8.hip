// gemm_rows8: y = act((scale x) (scale w)^T + bias), where x and w are numbers of 8 bits, and each row of both has a scale. Sums of whole numbers are
// whole, exact; those of floating-point ones are float, as the instructions sum. For many rows: of half the bytes of gemm's, with twice the multiply-adds an
// instruction. gfx950's for fp8 could take a scale for each 32 k, too: powers of two, which alone lose more and beside those of rows gain nothing
// (docs/gpu.md).
//
// A block makes a tile of y (gemm_tiles.h) in steps of 64 of k (128 of gfx950's fp8): the copies of the next steps, two or three ahead where
// they need no registers, else one, run beside the matrix instructions. A barrier a step is enough: what is written was read before the last one.
//
// Floor of a tile of 128 x 128: 128 * 128 * depth multiply-adds and 256 * depth bytes of the second-level cache, 64 multiply-adds a byte (85 for
// 256 x 128). A wave's 64 x 32 share reads 6 KB of LDS a step for its 2^17 multiply-adds. On an H100, whose mma.sync does some 2,600 a clock of a unit, LDS
// (128 bytes a clock) allows three quarters of that, 1,000 * 10^12 operations a second, all of it for shares of 64 x 64; the cache, if it gives 6 TB/s
// there, allows 790 of 128 x 128 and 1,050 of 256 x 128. y itself is half of a product's bytes at a depth of 768.
#include <string>
#include <type_traits>

#include "error.h"
#include "gemm_tiles.h"
#include "mma8.h"

namespace rocm {

// Of each kind its own, so that what its kernel calls is called once, and inlined: else sums lie in memory on AMD.
template <int kTile, Numbers kKind>
struct Rows8Shape {
  static constexpr GemmTile kBlock = kRows8Tiles[kTile];
  static constexpr bool kWide = kCopiesAlone && kTile == 3;  // shares of 64 x 64
  static constexpr int kThreads = kTile < 2 ? 128 : kBlock.rows * kBlock.cols / (kWide ? 128 : 64);
  static constexpr int kLeast = !kCopiesAlone || kTile == 3 ? 1 : kTile == 0 ? 5 : kTile == 1 ? 3 : 2;  // blocks of a unit on CUDA, waves of a SIMD on AMD
  static constexpr int kPieces = 4 * kFragments<FragD8<kKind>>, kDeep = kPieces * 16;
  static constexpr int kStage = (kBlock.rows + kBlock.cols) * kPieces;  // pieces of a step's tiles
  static constexpr int kAhead = !kCopiesAlone ? 1 : kTile < 2 ? 2 : 3, kStages = kAhead + 1;
  static constexpr size_t kLds = kStages * kStage * sizeof(uint4);
  static constexpr size_t kDynamicLds = kCopiesAlone && kLds > 48 << 10 ? kLds : 0;  // CUDA has no more in arrays of known size
};

template <class L>
KERNEL_PART uint4* tiles_in_lds() {
  if constexpr (L::kDynamicLds > 0) {
    HIP_DYNAMIC_SHARED(uint4, tiles);
    return tiles;
  } else {
    __shared__ uint4 tiles[L::kStages * L::kStage];
    return tiles;
  }
}

// Where in its block's tile a wave's share begins.
struct Share {
  int row, col;
};
template <class L>
KERNEL_PART Share my_share() {
  const int wave = wave_number();
  return {wave / L::kWaveCols * L::kMyRows, wave % L::kWaveCols * L::kMyCols};
}

// What a wave has of the product, in lanes as FragD, times the scales of its rows and columns.
template <class L, class D>
KERNEL_PART void scale_sums(typename L::Sums& z, const D (&sums)[L::kColTiles][L::kRowTiles], const float* row_scales, unsigned row, unsigned rows,
                            const float* col_scales, unsigned col, unsigned cols) {
  float by_row[L::kRowTiles][kColumns];
#pragma unroll
  for (int r = 0; r < L::kRowTiles; ++r)
#pragma unroll
    for (int t = 0; t < kColumns; ++t) by_row[r][t] = row_scales[min(row + r * 16 + lane_column(t), rows - 1)];
#pragma unroll
  for (int c = 0; c < L::kColTiles; ++c) {
    const Floats8 by_col = load8(col_scales + min(col + c * kRows + lane_row(), cols - 8));
#pragma unroll
    for (int r = 0; r < L::kRowTiles; ++r)
#pragma unroll
      for (int e = 0; e < 8 * kColumns; ++e) z[c][r].x[e] = float(sums[c][r].x[e]) * (by_row[r][e / 8] * by_col.x[e % 8]);
  }
}

template <int kTile, Numbers kKind>
__global__ void __launch_bounds__((Rows8Shape<kTile, kKind>::kThreads), (Rows8Shape<kTile, kKind>::kLeast))
    gemm_rows8(half* y,                  // (rows, y_cols)
               half* side,               // (rows, cols - y_cols): the columns from y_cols, a multiple of the tile's, on
               const int8_t* x,          // (rows, depth)
               const float* row_scales,  // (rows)
               const int8_t* w,          // (cols, depth)
               const float* col_scales,  // (cols)
               const half* bias,         // (cols) or null
               int rows, int cols, int y_cols, int depth, nn::Activation activation) {
  if constexpr (kMatrix8<kKind>) {
    using L = TileLayout<Rows8Shape<kTile, kKind>>;
    uint4* const tiles = tiles_in_lds<L>();

    const unsigned row0 = blockIdx.y * L::kBlock.rows, col0 = blockIdx.x * L::kBlock.cols;
    Copier<L> copier(x + size_t(row0) * depth, w + size_t(col0) * depth, rows - row0, cols - col0, depth);
    // The first step takes what the whole ones leave, so that only it has to look where k ends.
    const int steps = (depth + L::kDeep - 1) / L::kDeep, first = depth - (steps - 1) * L::kDeep;
    const auto begin = [&](int step, uint4* to) __attribute__((always_inline)) {
      const int k = step == 0 ? 0 : first + (step - 1) * L::kDeep;
#pragma unroll
      for (int i = 0; i < L::kCopies; ++i) copy_alone(to + copier.to[i], copier.place(i, k), step > 0 || copier.piece * 16 < first);
    };
    if constexpr (kCopiesAlone) {
#pragma unroll
      for (int step = 0; step < L::kAhead; ++step) {
        if (step < steps) begin(step, tiles + step * L::kStage);
        end_group();
      }
    } else {
      copier.load_first(first);
    }

    const Share mine = my_share<L>();
    typename L::template SumsOf<FragD8<kKind>> sums = {};
    if constexpr (kCopiesAlone) {
      uint4 *now = tiles, *next = tiles + L::kAhead * L::kStage;
      const auto turn = [&](uint4* stage) { return stage == tiles + L::kAhead * L::kStage ? tiles : stage + L::kStage; };
#pragma unroll 1
      for (int step = 0; step < steps; ++step) {
        land<L::kAhead - 1>();
        __syncthreads();
        if (step + L::kAhead < steps) begin(step + L::kAhead, next);
        end_group();
        multiply<L>(sums, now, mine.row, mine.col);
        now = turn(now), next = turn(next);
      }
    } else {
      int k_next = first;
      const auto step = [&](uint4* stage, bool more) __attribute__((always_inline)) {
        copier.store(stage);
        __syncthreads();
        if (more) {
          copier.load_step(k_next);
          k_next = min(k_next + L::kDeep, depth - L::kDeep);
        }
        multiply<L>(sums, stage, mine.row, mine.col);
        keep_order();  // the next step's stores wait for the loads
      };
      // Two steps a turn, so that all LDS addresses are constants. The last turn reads its tiles once more, for nobody.
      if (steps % 2) step(tiles + L::kStage, steps > 1);
#pragma unroll 1
      for (int turns = steps / 2; turns > 0; --turns) {
        step(tiles, true);
        step(tiles + L::kStage, true);
      }
    }

    typename L::Sums z;
    scale_sums<L>(z, sums, row_scales, row0 + mine.row, rows, col_scales, col0 + mine.col, cols);
    activate_sums<L>(z, bias, col0 + mine.col, cols, activation);
    const TilePlace place(y, side, row0, col0, cols, y_cols);
    const Share again = my_share<L>();
    for_each_row<L>(z, again.row, again.col, rows - row0, cols - col0,
                    [&](unsigned row, unsigned col, Floats8 values) { place.store(row, col, values); });
  }
}

// launcher --------------------------------------------------------------------
void launch_gemm_rows8(hipStream_t stream, half* y, half* side, int side_cols, const Rows8& x, const Rows8& w, const half* bias, int rows, int cols,
                       int depth, nn::Activation activation, int tile) {
  const auto fail = [&](const std::string& why) {
    throw Error("a matrix product in 8 bits of (" + std::to_string(rows) + ", " + std::to_string(depth) + ") by (" + std::to_string(depth) + ", " +
                std::to_string(cols) + ") " + why);
  };
  if (rows <= 0 || cols <= 0 || depth <= 0 || tile < 0 || tile >= int(std::size(kRows8Tiles)) || (rows - 1) / kRows8Tiles[tile].rows >= 65535 ||
      size_t(depth) * 128 > 0xffffffff || size_t(cols) * 128 * sizeof(half) > 0xffffffff)
    fail("is outside what the kernel can do; use a smaller batch");
  if (depth % 16 || depth > kRows8MostDepth) fail("has rows that are no multiple of 16, or beyond " + std::to_string(kRows8MostDepth));
  if (cols % 8) fail("has columns that are no multiple of 8");
  if (side_cols && (cols - side_cols) % kRows8Tiles[tile].cols) fail("cannot be split between two arrays inside of a tile");
  if (x.kind != w.kind) fail("is of two kinds of numbers");
  const auto choose = [&]<int kTile, Numbers kKind>() {
    if (kTile != tile) return;
    const dim3 grid((cols - 1) / kRows8Tiles[tile].cols + 1, (rows - 1) / kRows8Tiles[tile].rows + 1);
    using Shape = Rows8Shape<kTile, kKind>;
    if constexpr (Shape::kDynamicLds > 0) {
      const void* const kernel = reinterpret_cast<const void*>(gemm_rows8<kTile, kKind>);
      if (hipFuncSetAttribute(kernel, hipFuncAttributeMaxDynamicSharedMemorySize, Shape::kDynamicLds) != hipSuccess) fail("finds too little LDS");
    }
    hipLaunchKernelGGL((gemm_rows8<kTile, kKind>), grid, dim3(Shape::kThreads), Shape::kDynamicLds, stream, y, side,
                       static_cast<const int8_t*>(x.numbers), x.scales, static_cast<const int8_t*>(w.numbers), w.scales, bias, rows, cols,
                       cols - side_cols, depth, activation);
  };
  with_numbers(x.kind, [&]<Numbers kKind>() {
    choose.template operator()<0, kKind>(), choose.template operator()<1, kKind>();
    choose.template operator()<2, kKind>(), choose.template operator()<3, kKind>();
  });
}

}  // namespace rocm
