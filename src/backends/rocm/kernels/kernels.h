// Launchers of the kernels, one file each. T is float or half; all pointers are device memory, arrays are dense and, where a
// comment does not say otherwise, 16-byte aligned. A launch returns at once and reports nothing: check hipGetLastError().
#pragma once
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

#include "nn/network.h"

namespace rocm {

// attention.hip: out = softmax(q k^T / sqrt(head_dim) + bias) v. q, k, v: (batch * 64, in_stride), head h in columns h * head_dim ...;
// bias: (batch, heads, 64, 64) or null; out: (batch * 64, out_stride). head_dim and the strides are multiples of 8, head_dim at most 128.
template <class T>
void launch_attention(hipStream_t stream, T* out, const T* q, const T* k, const T* v, const T* bias, int batch, int heads,
                      int head_dim, int in_stride, int out_stride);

// layer_norm.hip: y = LN(skip + alpha * act(x + bias)) * gain + shift over rows of any width. bias and skip may be null; y may be skip.
template <class T>
void launch_layer_norm(hipStream_t stream, T* y,  // (rows, cols)
                       const T* x,                // (rows, cols)
                       const T* bias,             // (cols) or null
                       const T* skip,             // (rows, cols) or null
                       const T* gain, const T* shift,  // (cols)
                       int rows, int cols, float alpha, nn::Activation activation, float eps);

// gemm.hip: y = act(x w^T + bias) + skip for each of `batch` products; one_w: all with the same w. bias and skip may be null.
template <class T>
void launch_gemm(hipStream_t stream, T* y,  // (batch, rows, cols)
                 const T* x,                // (batch, rows, depth)
                 const T* w,                // (batch or 1, cols, depth)
                 const T* bias,             // (cols) or null
                 const T* skip,             // (batch, rows, cols) or null
                 int batch, int rows, int cols, int depth, bool one_w, nn::Activation activation);

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

// policy_map.hip: out[i] = logits of position p at table[moves[i]], i = first_move[p] ... first_move[p + 1] - 1; without moves all 1858.
template <class T>
void launch_policy_map(hipStream_t stream, float* out, const T* logits, const int* table, const uint16_t* moves,
                       const uint32_t* first_move, int batch, int width);

// policy_map.hip: from products m (batch, 64, 64) and keys k (batch * 64, depth), the flat attention policy (batch, 4096 + 192).
template <class T>
void launch_promotion_logits(hipStream_t stream, T* flat, const T* m, const T* k, const T* w, int batch, int depth, float scale);

// values.hip: (batch, 3) of q, d, m from value (batch, 3) or, without wdl, (batch, 1), and moves left (batch) or null.
template <class T>
void launch_values(hipStream_t stream, float* out, const T* value, const T* moves, int batch, bool wdl);

}  // namespace rocm
