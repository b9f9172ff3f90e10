// The one matrix product under the emulated libraries: column-major as in BLAS, summed in float.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace hip_emulated {

enum class Type { kFloat, kHalf, kFp8, kFp8Fnuz };  // the last two of 8 bits, e4m3, to read
size_t size_of(Type type);

struct Matrix {  // as stored: rows x cols, `batch` of them
  const void* data = nullptr;
  Type type = Type::kFloat;
  std::int64_t ld = 0, stride = 0;  // elements
};

// d = act(alpha scales op(a) op(b) + beta c + bias), c read only if beta is not 0, bias one value a row of d.
struct Gemm {
  bool transpose_a = false, transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  float alpha = 1, beta = 0;
  Matrix a, b, c, d;
  Matrix bias;                        // data null: none
  const float *a_scales = nullptr, *b_scales = nullptr;  // of each row of d, and of each column: null: 1
  std::function<float(float)> act;    // empty: none
  int splits = 1;                     // of k; each writes m x n floats a product of the batch into the workspace
  float* workspace = nullptr;
  size_t workspace_bytes() const { return splits == 1 ? 0 : size_t(splits) * m * n * batch * sizeof(float); }
};

// `who` names the call in faults. Throws DeviceFault for a matrix outside its allocation.
void run(const Gemm& gemm, const std::string& who);

}  // namespace hip_emulated
