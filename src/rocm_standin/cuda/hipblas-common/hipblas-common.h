// Types that hipBLASLt shares with hipBLAS.
#pragma once
#include <cublas_v2.h>

using hipblasStatus_t = cublasStatus_t;
constexpr hipblasStatus_t HIPBLAS_STATUS_SUCCESS = CUBLAS_STATUS_SUCCESS,
                          HIPBLAS_STATUS_NOT_INITIALIZED = CUBLAS_STATUS_NOT_INITIALIZED,
                          HIPBLAS_STATUS_ALLOC_FAILED = CUBLAS_STATUS_ALLOC_FAILED,
                          HIPBLAS_STATUS_INVALID_VALUE = CUBLAS_STATUS_INVALID_VALUE,
                          HIPBLAS_STATUS_EXECUTION_FAILED = CUBLAS_STATUS_EXECUTION_FAILED,
                          HIPBLAS_STATUS_INTERNAL_ERROR = CUBLAS_STATUS_INTERNAL_ERROR,
                          HIPBLAS_STATUS_NOT_SUPPORTED = CUBLAS_STATUS_NOT_SUPPORTED;
using hipblasOperation_t = cublasOperation_t;
constexpr hipblasOperation_t HIPBLAS_OP_N = CUBLAS_OP_N, HIPBLAS_OP_T = CUBLAS_OP_T;
using hipblasComputeType_t = cublasComputeType_t;
constexpr hipblasComputeType_t HIPBLAS_COMPUTE_32F = CUBLAS_COMPUTE_32F;
using hipDataType = cudaDataType_t;
constexpr hipDataType HIP_R_32F = CUDA_R_32F, HIP_R_16F = CUDA_R_16F, HIP_R_8F_E4M3 = CUDA_R_8F_E4M3,
                      HIP_R_8F_E4M3_FNUZ = CUDA_R_4U;  // for which cuBLASLt has no more than for numbers that it does not know
