// Launchers of the kernels, one file each. T is float or half; all pointers are device memory, arrays are dense and, where a
// comment does not say otherwise, 16-byte aligned. A launch returns at once and reports nothing: check hipGetLastError().
#pragma once
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

#include "backends/rocm/kernels/rows8.h"
#include "nn/activation.h"

namespace rocm {

// attention.hip: out = softmax(q k^T / sqrt(head_dim) + bias) v. q, k, v: (batch * 64, in_stride), head h in columns h * head_dim ...;
// bias: (batch, heads, 64, 64) or null; out: (batch * 64, out_stride). head_dim and the strides are multiples of 8, head_dim at most 128.
template <class T>
void launch_attention(hipStream_t stream, T* out, const T* q, const T* k, const T* v, const T* bias, int batch, int heads,
                      int head_dim, int in_stride, int out_stride, int compute_units);  // of the device

// attention_map.hip: the same in two halves: map (batch, heads, 64, 64) = softmax(...), and out = map v. stride: in_stride, for all three.
template <class T>
void launch_attention_map(hipStream_t stream, float* map, const T* q, const T* k, const T* bias, int batch, int heads, int head_dim, int stride);
template <class T>
void launch_mix_values(hipStream_t stream, T* out, const float* map, const T* v, int batch, int heads, int head_dim, int stride, int out_stride);

// layer_norm.hip: y = LN(skip + alpha * act(sum of parts + bias)) * gain + shift over rows of any width. bias and skip may be null; y may be
// skip. y8, or none, of halves whose cols are a multiple of 8: what launch_quantise_rows() makes of y.
template <class Part, class T>
void launch_layer_norm(hipStream_t stream, T* y,  // (rows, cols)
                       const Part* x, int parts, int ld,  // (parts, rows, ld), Part float or, as a whole product is, T; ld is cols rounded up to 8, or cols
                       const T* bias,             // (cols) or null
                       const T* skip,             // (rows, cols) or null
                       const T* gain, const T* shift,  // (cols)
                       int rows, int cols, float alpha, nn::Activation activation, float eps, const Rows8& y8 = {});

// gemm.hip: y = act(x w^T + bias) for each of `batch` products; the last side_cols columns go to `side`. A block makes a tile of y; with splits > 1
// each of that many blocks sums a part of depth. Where gemm_parts_bytes() is not 0 the bare sums are left in `parts` (splits, batch, rows, ld), ld
// the cols rounded up to 8, for gemm_finish or layer_norm, and y, side and bias are not looked at.
struct GemmTile {
  int rows, cols;
};
inline constexpr GemmTile kGemmTiles[] = {{16, 64}, {32, 64}, {64, 64}, {128, 64}, {128, 128}};
template <class T>
void launch_gemm(hipStream_t stream, T* y,  // (batch, rows, cols - side_cols), which are whole tiles if there is a side
                 T* side, int side_cols,    // (batch, rows, side_cols); or null and 0
                 const T* x,                // (batch, rows, depth)
                 const T* w,                // (batch, cols, depth), or (cols, depth) with one_w
                 const T* bias,             // (cols) or null
                 int batch, int rows, int cols, int depth, bool one_w, nn::Activation activation, int tile, int splits,
                 float* parts);  // gemm_parts_bytes() of memory, or null where that is 0

// How much memory for parts a product needs. Rows of half that are not made of 16-byte pieces are left there as well.
template <class T>
inline size_t gemm_parts_bytes(int batch, int rows, int cols, int splits) {
  return splits > 1 || (sizeof(T) == 2 && cols % 8) ? size_t(splits) * batch * rows * ((cols + 7) / 8 * 8) * sizeof(float) : 0;
}

// gemm_finish.hip: y (rows, cols - side_cols) and side (rows, side_cols), or null and 0, of act(sum of `splits` parts (rows, ld) + bias). y may be
// parts. The columns of y are a multiple of 8 if there is a side.
template <class Part, class T>
void launch_gemm_finish(hipStream_t stream, T* y, T* side, int side_cols, const Part* parts, int splits, const T* bias, size_t rows, int cols,
                        int ld, nn::Activation activation);

// gemm_int8.hip: the same in halves with one w of 8 bits, (cols, depth), of which each row has a scale: y = act(x (scale w)^T + bias). For few rows;
// depth is a multiple of 16. The parts are scaled.
inline constexpr GemmTile kInt8Tiles[] = {{16, 128}, {32, 64}, {64, 64}};
void launch_gemm_int8(hipStream_t stream, half* y, half* side, int side_cols, const half* x, const int8_t* w,
                      const float* scales,  // (cols rounded up to 8)
                      const half* bias, int rows, int cols, int depth, nn::Activation activation, int tile, int splits, float* parts);

// gemm_rows8.hip: the same where x, too, are rows in 8 bits, of numbers of the same kind. depth is a multiple of 16, cols of 8. On targets without matrix
// instructions for that kind it computes nothing: libraries.h knows them.
inline constexpr GemmTile kRows8Tiles[] = {{64, 64}, {128, 64}, {128, 128}, {256, 128}};
inline constexpr int kRows8MostDepth = 133120;  // of which sums of 127 * 127 fit into 32 bits
void launch_gemm_rows8(hipStream_t stream, half* y, half* side, int side_cols, const Rows8& x, const Rows8& w, const half* bias, int rows, int cols,
                       int depth, nn::Activation activation, int tile);

// quantise_rows.hip: x (rows, cols) in 8 bits, rounded to nearest even; scales are the largest of a row / the largest of the numbers. cols is a multiple
// of 8. And the same of y = act(x + bias), which is written as well; y may be x.
void launch_quantise_rows(hipStream_t stream, const Rows8& to, const half* x, int rows, int cols);
void launch_activate_rows(hipStream_t stream, const Rows8& to, half* y, const half* x,
                          const half* bias,  // (cols) or null
                          int rows, int cols, nn::Activation activation);

// expand_weights.hip: w (rows, cols) = scales (rows) * int8 (rows, cols), cols a multiple of 16.
template <class T>
void launch_expand_weights(hipStream_t stream, T* w, const int8_t* int8, const float* scales, int rows, int cols);

// expand_planes.hip: packed planes as token rows (batch * 64, stride): 112 plane values, `extra` columns of the encoding, zeros. The encoding
// is (64, extra) for all positions, or (batch * 64, extra). masks and values: (batch, 112).
template <class T>
void launch_expand_tokens(hipStream_t stream, T* out, const uint64_t* masks, const float* values, const T* encoding, int batch, int extra,
                          bool shared_encoding, int stride);

// expand_planes.hip: planes 0 ... 11 as (batch, 64 * 12), square-major: the input of the dense position encoding.
template <class T>
void launch_expand_pieces(hipStream_t stream, T* out, const uint64_t* masks, const float* values, int batch);

// bias_activation.hip: y = act(x + bias + skip) * multiply + add, all but x optional; multiply, add: (64, cols), row r takes r % 64.
template <class T>
void launch_bias_activation(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const T* multiply, const T* add, int rows,
                            int cols, nn::Activation activation);

// gate, shift = split(w2 act(w1 mean(z) + b1) + b2) with the mean of each channel over the 64 squares; z -> sigmoid(gate) z + shift
template <class T>
struct SqueezeExcitation {
  const T *w1, *b1;  // (width, channels), (width)
  const T *w2, *b2;  // (2 * channels, width), (2 * channels)
  int width;
};

// squeeze_excitation.hip: y = end(se(x + bias) + skip), with `hidden` inside of se. bias and skip may be null; y may be x or skip.
template <class T>
void launch_squeeze_excitation(hipStream_t stream, T* y,  // (batch * 64, channels)
                               const T* x, const T* bias, const T* skip, const SqueezeExcitation<T>& se, int batch, int channels,
                               nn::Activation hidden, nn::Activation end);

// winograd.hip: v = the transformed tiles of x (batch * 64, channels), (36, batch * 4, channels), and y = act(se(m transformed back + bias) +
// skip) from products of that shape. bias, se and skip may be null, and se is, where winograd_excites() does not hold; y may be skip.
bool winograd_excites(int channels);
template <class T>
void launch_winograd_input(hipStream_t stream, T* v, const T* x, int batch, int channels);
template <class T>
void launch_winograd_output(hipStream_t stream, T* y, const T* m, const T* bias, const T* skip, const SqueezeExcitation<T>* se, int batch,
                            int channels, nn::Activation activation);

// winograd_between.hip: what lies between the products m and the transformed tiles v of a tower's next convolution: x = act(se(m transformed back + bias) +
// skip) and v of it, each where it is wanted, else null. bias, skip and se may be null; x may be skip. Where winograd_chains().
bool winograd_chains(int channels, bool excites);
template <class T>
void launch_winograd_between(hipStream_t stream, T* v, T* x, const T* m, const T* bias, const T* skip, const SqueezeExcitation<T>* se, int batch,
                             int channels, nn::Activation activation);

// tower.hip: y = residual blocks of x or, with an input convolution, of what that makes of the planes. A block of so many
// threads computes a board.
struct TowerTile {
  int channels, threads;
};
inline constexpr TowerTile kTowerTiles[] = {{64, 128}, {64, 256}, {128, 128}, {128, 256}};
template <class T>
struct ResidualBlock {
  const T *w1, *b1, *w2, *b2;  // (9, channels / 32, channels, 32): tap, input, output, input; (channels)
  SqueezeExcitation<T> se;     // width 0: none
};
inline constexpr int kTowerBlocks = 8;
template <class T>
struct TowerPart {
  const T *input_w, *input_b;  // (n, 9, channels / 32, channels, 32) for n * channels planes, those behind the last without weight; or null
  int count;                   // of blocks, 1 to kTowerBlocks
  ResidualBlock<T> blocks[kTowerBlocks];
};
void launch_tower(hipStream_t stream, half* y,  // (batch * 64, channels)
                  const half* x,                // likewise, and may be y; not looked at if there is an input convolution
                  const uint64_t* masks, const float* values,  // (batch, 112), looked at if there is one
                  const TowerPart<half>& part, int batch, nn::Activation activation, int tile);

// smolgen.hip: y (batch, heads, 64 * 64) = generate(norm2(act(dense2(norm1(act(dense1(compress(x)))))))) of the tokens x (batch * 64, channels), in
// halves, for layers of the usual widths. For up to kMostPositions.
struct SmolgenShape {
  static constexpr int kSqueezed = 32, kHidden = 256, kGenerated = 256, kParts = 8, kMostHeads = 32, kStep = 32, kMostPositions = 32;
  int channels, heads, squeezed, hidden, generated;
  bool fits() const {
    return channels % kStep == 0 && heads <= kMostHeads && squeezed == kSqueezed && hidden == kHidden && generated == kGenerated;
  }
  static int scratch(int heads) { return kParts * kHidden + heads * kGenerated / 64 * 2; }  // floats a position, for what is between
};
struct SmolgenLayers {
  const half* compress;                                                // (32, channels)
  const half *dense1, *bias1, *gain1, *shift1;                         // (256, 64 * 32), (256) each
  const half *dense2, *bias2, *gain2, *shift2;                         // (heads * 256, 256), (heads * 256) each
  const half* generate;                                                // (64 * 64, 256)
  float eps1, eps2;
};
void launch_smolgen(hipStream_t stream, half* y,
                    half* hidden,    // (batch, heads * 256), for what is between
                    float* scratch,  // batch times SmolgenShape::scratch(heads)
                    const half* x, const SmolgenLayers& layers, int batch, int channels, int heads, nn::Activation activation);

// patches.hip: out (batch * 64, 3, 3, channels): the surroundings of each square of x (batch * 64, channels), zero beyond the board.
template <class T>
void launch_patches(hipStream_t stream, T* out, const T* x, int batch, int channels);

// policy_map.hip: out[i] = logits of position p at table[moves[i]], i = first_move[p] ... first_move[p + 1] - 1; without moves all 1858.
template <class T>
void launch_policy_map(hipStream_t stream, float* out, const T* logits, const int* table, const uint16_t* moves,
                       const uint32_t* first_move, int batch, int width);

// attention_policy.hip: like launch_policy_map, from queries_keys (batch * 64, 2 * depth), without the products that nobody reads.
// promotions: (4, depth), the weights of queen, rook, bishop and common.
template <class T>
void launch_attention_policy(hipStream_t stream, float* out, const T* queries_keys, const T* promotions, const int* places,
                             const uint16_t* moves, const uint32_t* first_move, int batch, int depth);

// The last layer of a head, w hidden + b.
template <class T>
struct LastLayer {
  const T* hidden;  // (batch, width)
  const T *w, *b;   // (outputs, width), (outputs)
  int width;
};

// values.hip: (batch, 3) of q, d, m from the value head's three outputs or, without wdl, its one, and moves left's one; moves.hidden
// may be null.
template <class T>
void launch_values(hipStream_t stream, float* out, const LastLayer<T>& value, const LastLayer<T>& moves, int batch, bool wdl);

}  // namespace rocm
