// hipBLASLt over cuBLASLt, which was its model: the same nouns.
#pragma once
#include <cublasLt.h>
#include <hip/hip_runtime.h>
#include <hipblas-common/hipblas-common.h>

using hipblasLtHandle_t = cublasLtHandle_t;
struct hipblasLtMatmulDesc {
  cublasLtMatmulDesc_t desc;
  bool known;  // to cuBLASLt
};
using hipblasLtMatmulDesc_t = hipblasLtMatmulDesc*;
using hipblasLtMatrixLayout_t = cublasLtMatrixLayout_t;
using hipblasLtMatmulPreference_t = cublasLtMatmulPreference_t;
using hipblasLtMatmulAlgo_t = cublasLtMatmulAlgo_t;
using hipblasLtMatmulHeuristicResult_t = cublasLtMatmulHeuristicResult_t;

enum hipblasLtEpilogue_t : std::uint32_t {
  HIPBLASLT_EPILOGUE_DEFAULT = CUBLASLT_EPILOGUE_DEFAULT,
  HIPBLASLT_EPILOGUE_RELU = CUBLASLT_EPILOGUE_RELU,
  HIPBLASLT_EPILOGUE_BIAS = CUBLASLT_EPILOGUE_BIAS,
  HIPBLASLT_EPILOGUE_RELU_BIAS = CUBLASLT_EPILOGUE_RELU_BIAS,
  HIPBLASLT_EPILOGUE_GELU = CUBLASLT_EPILOGUE_GELU,
  HIPBLASLT_EPILOGUE_GELU_BIAS = CUBLASLT_EPILOGUE_GELU_BIAS,
  HIPBLASLT_EPILOGUE_SWISH_EXT = 65536,  // these four exist on AMD alone: no algorithm has them here
  HIPBLASLT_EPILOGUE_SWISH_BIAS_EXT = 65540,
  HIPBLASLT_EPILOGUE_SIGMOID_EXT = 262144,
  HIPBLASLT_EPILOGUE_SIGMOID_BIAS_EXT = 262148,
};
constexpr auto HIPBLASLT_MATRIX_LAYOUT_BATCH_COUNT = CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
constexpr auto HIPBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET = CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET;
using hipblasLtMatmulDescAttributes_t = cublasLtMatmulDescAttributes_t;
constexpr auto HIPBLASLT_MATMUL_DESC_TRANSA = CUBLASLT_MATMUL_DESC_TRANSA;
constexpr auto HIPBLASLT_MATMUL_DESC_TRANSB = CUBLASLT_MATMUL_DESC_TRANSB;
constexpr auto HIPBLASLT_MATMUL_DESC_EPILOGUE = CUBLASLT_MATMUL_DESC_EPILOGUE;
constexpr auto HIPBLASLT_MATMUL_DESC_BIAS_POINTER = CUBLASLT_MATMUL_DESC_BIAS_POINTER;
constexpr auto HIPBLASLT_MATMUL_DESC_BIAS_DATA_TYPE = CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE;
constexpr auto HIPBLASLT_MATMUL_DESC_A_SCALE_POINTER = CUBLASLT_MATMUL_DESC_A_SCALE_POINTER;
constexpr auto HIPBLASLT_MATMUL_DESC_B_SCALE_POINTER = CUBLASLT_MATMUL_DESC_B_SCALE_POINTER;
constexpr auto HIPBLASLT_MATMUL_DESC_A_SCALE_MODE = CUBLASLT_MATMUL_DESC_A_SCALE_MODE;
constexpr auto HIPBLASLT_MATMUL_DESC_B_SCALE_MODE = CUBLASLT_MATMUL_DESC_B_SCALE_MODE;
constexpr auto HIPBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
constexpr auto HIPBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;

#define hipblasLtCreate cublasLtCreate
#define hipblasLtDestroy cublasLtDestroy
#define hipblasLtMatrixLayoutCreate cublasLtMatrixLayoutCreate
#define hipblasLtMatrixLayoutDestroy cublasLtMatrixLayoutDestroy
#define hipblasLtMatrixLayoutSetAttribute cublasLtMatrixLayoutSetAttribute
#define hipblasLtMatmulPreferenceDestroy cublasLtMatmulPreferenceDestroy
#define hipblasLtMatmulPreferenceSetAttribute cublasLtMatmulPreferenceSetAttribute

inline hipblasStatus_t hipblasLtGetVersion(hipblasLtHandle_t, int* version) {
  *version = static_cast<int>(cublasLtGetVersion());
  return HIPBLAS_STATUS_SUCCESS;
}

inline hipblasStatus_t hipblasLtMatmulDescCreate(hipblasLtMatmulDesc_t* desc, hipblasComputeType_t compute, hipDataType scale) {
  *desc = new hipblasLtMatmulDesc{nullptr, true};
  return cublasLtMatmulDescCreate(&(*desc)->desc, compute, scale);
}
inline hipblasStatus_t hipblasLtMatmulDescDestroy(hipblasLtMatmulDesc_t desc) {
  const hipblasStatus_t status = cublasLtMatmulDescDestroy(desc->desc);
  delete desc;
  return status;
}

// hipBLASLt takes any epilogue here and then finds no algorithm for one that it does not have. cuBLASLt wants to see a bias when it looks for
// algorithms, which callers set just before the product: until then it is an aligned address that nobody reads. Sums of 8-bit numbers stay in the matrix
// instructions' own registers: by default cuBLASLt takes them out every few steps, as Hopper's keep 14 bits of them, which halves the speed.
inline hipblasStatus_t hipblasLtMatmulDescSetAttribute(hipblasLtMatmulDesc_t desc, hipblasLtMatmulDescAttributes_t attribute,
                                                       const void* value, size_t bytes) {
  if (attribute == HIPBLASLT_MATMUL_DESC_A_SCALE_MODE) {
    const std::int8_t fast = 1;
    const hipblasStatus_t status = cublasLtMatmulDescSetAttribute(desc->desc, CUBLASLT_MATMUL_DESC_FAST_ACCUM, &fast, sizeof fast);
    if (status != HIPBLAS_STATUS_SUCCESS) return status;
  }
  if (attribute == HIPBLASLT_MATMUL_DESC_EPILOGUE) {
    desc->known = *static_cast<const std::uint32_t*>(value) < HIPBLASLT_EPILOGUE_SWISH_EXT;
    if (!desc->known) return HIPBLAS_STATUS_SUCCESS;
    if (*static_cast<const std::uint32_t*>(value) & HIPBLASLT_EPILOGUE_BIAS) {
      const auto* const some_bias = reinterpret_cast<const void*>(std::uintptr_t{4096});
      const hipblasStatus_t status =
          cublasLtMatmulDescSetAttribute(desc->desc, HIPBLASLT_MATMUL_DESC_BIAS_POINTER, &some_bias, sizeof some_bias);
      if (status != HIPBLAS_STATUS_SUCCESS) return status;
    }
  }
  return cublasLtMatmulDescSetAttribute(desc->desc, attribute, value, bytes);
}

// As hipBLASLt: sums of split products stay in float, and operands need not begin at a multiple of 256 bytes.
inline hipblasStatus_t hipblasLtMatmulPreferenceCreate(hipblasLtMatmulPreference_t* preference) {
  hipblasStatus_t status = cublasLtMatmulPreferenceCreate(preference);
  const std::uint32_t float_sums = CUBLASLT_REDUCTION_SCHEME_INPLACE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, alignment = 16;
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const std::uint32_t& value) {
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasLtMatmulPreferenceSetAttribute(*preference, attribute, &value, sizeof value);
  };
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, float_sums);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
  return status;
}

// hipBLASLt reports a product that it cannot compute as success with no algorithm.
inline hipblasStatus_t hipblasLtMatmulAlgoGetHeuristic(hipblasLtHandle_t handle, hipblasLtMatmulDesc_t desc,
                                                       hipblasLtMatrixLayout_t a, hipblasLtMatrixLayout_t b,
                                                       hipblasLtMatrixLayout_t c, hipblasLtMatrixLayout_t d,
                                                       hipblasLtMatmulPreference_t preference, int wanted,
                                                       hipblasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 0;
  if (!desc->known) return HIPBLAS_STATUS_SUCCESS;
  const hipblasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, desc->desc, a, b, c, d, preference, wanted, results, found);
  return status == CUBLAS_STATUS_NOT_SUPPORTED ? HIPBLAS_STATUS_SUCCESS : status;
}

// hipBLASLt chooses no algorithm by itself.
inline hipblasStatus_t hipblasLtMatmul(hipblasLtHandle_t handle, hipblasLtMatmulDesc_t desc, const void* alpha, const void* a,
                                       hipblasLtMatrixLayout_t a_layout, const void* b, hipblasLtMatrixLayout_t b_layout,
                                       const void* beta, const void* c, hipblasLtMatrixLayout_t c_layout, void* d,
                                       hipblasLtMatrixLayout_t d_layout, const hipblasLtMatmulAlgo_t* algo, void* workspace,
                                       size_t workspace_bytes, hipStream_t stream) {
  if (!algo || !desc->known) return HIPBLAS_STATUS_INVALID_VALUE;
  return cublasLtMatmul(handle, desc->desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo, workspace,
                        workspace_bytes, stream);
}
