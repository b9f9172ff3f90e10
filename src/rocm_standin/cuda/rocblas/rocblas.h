// rocBLAS over cuBLAS.
#pragma once
#include <cublas_v2.h>
#include <hip/hip_runtime.h>

#include <string>

using rocblas_handle = cublasHandle_t;
using rocblas_int = std::int32_t;
using rocblas_stride = std::int64_t;
using rocblas_status = cublasStatus_t;
constexpr rocblas_status rocblas_status_success = CUBLAS_STATUS_SUCCESS,
                         rocblas_status_invalid_handle = CUBLAS_STATUS_NOT_INITIALIZED,
                         rocblas_status_not_implemented = CUBLAS_STATUS_NOT_SUPPORTED,
                         rocblas_status_invalid_value = CUBLAS_STATUS_INVALID_VALUE,
                         rocblas_status_memory_error = CUBLAS_STATUS_ALLOC_FAILED,
                         rocblas_status_internal_error = CUBLAS_STATUS_INTERNAL_ERROR;
using rocblas_operation = cublasOperation_t;
constexpr rocblas_operation rocblas_operation_none = CUBLAS_OP_N, rocblas_operation_transpose = CUBLAS_OP_T;
using rocblas_datatype = cudaDataType_t;
constexpr rocblas_datatype rocblas_datatype_f16_r = CUDA_R_16F, rocblas_datatype_f32_r = CUDA_R_32F;
enum rocblas_gemm_algo { rocblas_gemm_algo_standard = 0 };
enum rocblas_gemm_flags { rocblas_gemm_flags_none = 0 };

#define rocblas_destroy_handle cublasDestroy
#define rocblas_set_stream cublasSetStream
#define rocblas_set_workspace cublasSetWorkspace
#define rocblas_status_to_string cublasGetStatusString

// rocBLAS sums in float whatever is stored; cuBLAS may add the parts of a split product in half unless it is told not to.
// Note for callers: cublasSetStream takes a workspace that was set away again, so set the stream first.
inline rocblas_status rocblas_create_handle(rocblas_handle* handle) {
  if (rocblas_status status = cublasCreate(handle)) return status;
  return cublasSetMathMode(*handle, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION));
}

inline std::string rocblas_standin_version() {
  int major = 0, minor = 0, patch = 0;
  cublasGetProperty(MAJOR_VERSION, &major);
  cublasGetProperty(MINOR_VERSION, &minor);
  cublasGetProperty(PATCH_LEVEL, &patch);
  return "cuBLAS " + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}
inline rocblas_status rocblas_get_version_string_size(size_t* bytes) {
  *bytes = rocblas_standin_version().size() + 1;
  return rocblas_status_success;
}
inline rocblas_status rocblas_get_version_string(char* text, size_t bytes) {
  std::snprintf(text, bytes, "%s", rocblas_standin_version().c_str());
  return rocblas_status_success;
}

// cuBLAS has no separate c: where it is another matrix than d, it is copied there first.
inline rocblas_status rocblas_gemm_strided_batched_ex(
    rocblas_handle handle, rocblas_operation trans_a, rocblas_operation trans_b, rocblas_int m, rocblas_int n, rocblas_int k,
    const void* alpha, const void* a, rocblas_datatype a_type, rocblas_int lda, rocblas_stride stride_a, const void* b,
    rocblas_datatype b_type, rocblas_int ldb, rocblas_stride stride_b, const void* beta, const void* c, rocblas_datatype c_type,
    rocblas_int ldc, rocblas_stride stride_c, void* d, rocblas_datatype d_type, rocblas_int ldd, rocblas_stride stride_d,
    rocblas_int batch_count, rocblas_datatype compute_type, rocblas_gemm_algo algo, std::int32_t, std::uint32_t flags) {
  const auto known = [](rocblas_datatype t) { return t == rocblas_datatype_f16_r || t == rocblas_datatype_f32_r; };
  if (!known(a_type) || !known(c_type) || a_type != b_type || c_type != d_type || compute_type != rocblas_datatype_f32_r ||
      (a_type == rocblas_datatype_f32_r && c_type == rocblas_datatype_f16_r) || algo != rocblas_gemm_algo_standard ||
      flags != rocblas_gemm_flags_none) {
    return rocblas_status_not_implemented;
  }
  if (c != d && *static_cast<const float*>(beta) != 0) {
    cudaStream_t stream;
    if (rocblas_status status = cublasGetStream(handle, &stream)) return status;
    const size_t size = c_type == rocblas_datatype_f16_r ? 2 : 4;
    for (rocblas_int i = 0; i < batch_count; ++i) {
      if (cudaMemcpy2DAsync(static_cast<char*>(d) + i * stride_d * size, ldd * size,
                            static_cast<const char*>(c) + i * stride_c * size, ldc * size, m * size, n,
                            cudaMemcpyDeviceToDevice, stream) != cudaSuccess) {
        return rocblas_status_internal_error;
      }
    }
  }
  return cublasGemmStridedBatchedEx(handle, trans_a, trans_b, m, n, k, alpha, a, a_type, lda, stride_a, b, b_type, ldb, stride_b,
                                    beta, d, d_type, ldd, stride_d, batch_count, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

inline rocblas_status rocblas_gemm_ex(rocblas_handle handle, rocblas_operation trans_a, rocblas_operation trans_b, rocblas_int m,
                                      rocblas_int n, rocblas_int k, const void* alpha, const void* a, rocblas_datatype a_type,
                                      rocblas_int lda, const void* b, rocblas_datatype b_type, rocblas_int ldb, const void* beta,
                                      const void* c, rocblas_datatype c_type, rocblas_int ldc, void* d, rocblas_datatype d_type,
                                      rocblas_int ldd, rocblas_datatype compute_type, rocblas_gemm_algo algo,
                                      std::int32_t solution_index, std::uint32_t flags) {
  return rocblas_gemm_strided_batched_ex(handle, trans_a, trans_b, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                                         c_type, ldc, 0, d, d_type, ldd, 0, 1, compute_type, algo, solution_index, flags);
}
