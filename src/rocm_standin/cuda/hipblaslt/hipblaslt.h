// hipBLASLt over cuBLASLt, which was its model: the same nouns.
#pragma once
#include <cublasLt.h>
#include <hip/hip_runtime.h>
#include <hipblas-common/hipblas-common.h>

using hipblasLtHandle_t = cublasLtHandle_t;
using hipblasLtMatmulDesc_t = cublasLtMatmulDesc_t;
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
  HIPBLASLT_EPILOGUE_SWISH_EXT = 65536,  // these four exist on AMD alone: setting them is refused
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
constexpr auto HIPBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;

#define hipblasLtCreate cublasLtCreate
#define hipblasLtDestroy cublasLtDestroy
#define hipblasLtMatrixLayoutCreate cublasLtMatrixLayoutCreate
#define hipblasLtMatrixLayoutDestroy cublasLtMatrixLayoutDestroy
#define hipblasLtMatrixLayoutSetAttribute cublasLtMatrixLayoutSetAttribute
#define hipblasLtMatmulDescCreate cublasLtMatmulDescCreate
#define hipblasLtMatmulDescDestroy cublasLtMatmulDescDestroy
#define hipblasLtMatmulPreferenceCreate cublasLtMatmulPreferenceCreate
#define hipblasLtMatmulPreferenceDestroy cublasLtMatmulPreferenceDestroy
#define hipblasLtMatmulPreferenceSetAttribute cublasLtMatmulPreferenceSetAttribute
#define hipblasLtMatmulAlgoGetHeuristic cublasLtMatmulAlgoGetHeuristic

inline hipblasStatus_t hipblasLtGetVersion(hipblasLtHandle_t, int* version) {
  *version = static_cast<int>(cublasLtGetVersion());
  return HIPBLAS_STATUS_SUCCESS;
}

inline hipblasStatus_t hipblasLtMatmulDescSetAttribute(hipblasLtMatmulDesc_t desc, hipblasLtMatmulDescAttributes_t attribute,
                                                       const void* value, size_t bytes) {
  if (attribute == HIPBLASLT_MATMUL_DESC_EPILOGUE && *static_cast<const std::uint32_t*>(value) >= HIPBLASLT_EPILOGUE_SWISH_EXT) {
    return HIPBLAS_STATUS_NOT_SUPPORTED;
  }
  return cublasLtMatmulDescSetAttribute(desc, attribute, value, bytes);
}

// hipBLASLt chooses no algorithm by itself.
inline hipblasStatus_t hipblasLtMatmul(hipblasLtHandle_t handle, hipblasLtMatmulDesc_t desc, const void* alpha, const void* a,
                                       hipblasLtMatrixLayout_t a_layout, const void* b, hipblasLtMatrixLayout_t b_layout,
                                       const void* beta, const void* c, hipblasLtMatrixLayout_t c_layout, void* d,
                                       hipblasLtMatrixLayout_t d_layout, const hipblasLtMatmulAlgo_t* algo, void* workspace,
                                       size_t workspace_bytes, hipStream_t stream) {
  if (!algo) return HIPBLAS_STATUS_INVALID_VALUE;
  return cublasLtMatmul(handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo, workspace,
                        workspace_bytes, stream);
}
