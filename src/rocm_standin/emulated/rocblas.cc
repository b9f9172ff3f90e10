#include <rocblas/rocblas.h>

#include <algorithm>
#include <string_view>

#include "product.h"
#include "settings.h"
#include "stream.h"

using namespace hip_emulated;

struct _rocblas_handle {
  hipStream_t stream = nullptr;
  bool has_workspace = false;
  void* own_workspace = nullptr;
};

static constexpr std::string_view kVersion = "5.2.0.emulated";

extern "C" {

rocblas_status rocblas_create_handle(rocblas_handle* handle) {
  if (!handle) return rocblas_status_invalid_handle;
  if (ready(true) != hipSuccess) return rocblas_status_internal_error;
  if (fails(Fault::kAlloc)) return rocblas_status_memory_error;
  *handle = new _rocblas_handle;
  ++live_objects;
  return rocblas_status_success;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
  if (!handle) return rocblas_status_invalid_handle;
  if (handle->own_workspace) (void)hipFree(handle->own_workspace);
  delete handle;
  --live_objects;
  return rocblas_status_success;
}

rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
  if (!handle) return rocblas_status_invalid_handle;
  handle->stream = stream;
  return rocblas_status_success;
}

rocblas_status rocblas_set_workspace(rocblas_handle handle, void*, size_t) {
  if (!handle) return rocblas_status_invalid_handle;
  handle->has_workspace = true;
  return rocblas_status_success;
}

const char* rocblas_status_to_string(rocblas_status status) {
  switch (status) {
    case rocblas_status_success: return "rocblas_status_success";
    case rocblas_status_invalid_handle: return "rocblas_status_invalid_handle";
    case rocblas_status_not_implemented: return "rocblas_status_not_implemented";
    case rocblas_status_invalid_pointer: return "rocblas_status_invalid_pointer";
    case rocblas_status_invalid_size: return "rocblas_status_invalid_size";
    case rocblas_status_memory_error: return "rocblas_status_memory_error";
    case rocblas_status_invalid_value: return "rocblas_status_invalid_value";
    default: return "rocblas_status_internal_error";
  }
}

rocblas_status rocblas_get_version_string_size(size_t* bytes) {
  *bytes = kVersion.size() + 1;
  return rocblas_status_success;
}

rocblas_status rocblas_get_version_string(char* text, size_t bytes) {
  if (bytes <= kVersion.size()) return rocblas_status_invalid_size;
  *std::copy(kVersion.begin(), kVersion.end(), text) = 0;
  return rocblas_status_success;
}

rocblas_status rocblas_gemm_strided_batched_ex(
    rocblas_handle handle, rocblas_operation trans_a, rocblas_operation trans_b, rocblas_int m, rocblas_int n, rocblas_int k,
    const void* alpha, const void* a, rocblas_datatype a_type, rocblas_int lda, rocblas_stride stride_a, const void* b,
    rocblas_datatype b_type, rocblas_int ldb, rocblas_stride stride_b, const void* beta, const void* c, rocblas_datatype c_type,
    rocblas_int ldc, rocblas_stride stride_c, void* d, rocblas_datatype d_type, rocblas_int ldd, rocblas_stride stride_d,
    rocblas_int batch_count, rocblas_datatype compute_type, rocblas_gemm_algo algo, std::int32_t, std::uint32_t flags) {
  if (!handle) return rocblas_status_invalid_handle;
  if (ready(false) != hipSuccess) return rocblas_status_internal_error;
  const auto known = [](rocblas_datatype t) { return t == rocblas_datatype_f16_r || t == rocblas_datatype_f32_r; };
  const auto known_op = [](rocblas_operation o) { return o == rocblas_operation_none || o == rocblas_operation_transpose; };
  const auto type = [](rocblas_datatype t) { return t == rocblas_datatype_f16_r ? Type::kHalf : Type::kFloat; };
  if (!known_op(trans_a) || !known_op(trans_b)) return rocblas_status_invalid_value;
  // Types: all float, all half, or half products in float.
  if (!known(a_type) || !known(c_type) || a_type != b_type || c_type != d_type || compute_type != rocblas_datatype_f32_r ||
      (a_type == rocblas_datatype_f32_r && c_type == rocblas_datatype_f16_r) || algo != rocblas_gemm_algo_standard ||
      flags != rocblas_gemm_flags_none) {
    return rocblas_status_not_implemented;
  }
  const bool ta = trans_a == rocblas_operation_transpose, tb = trans_b == rocblas_operation_transpose;
  if (m < 0 || n < 0 || k < 0 || batch_count < 0 || lda < std::max(1, ta ? k : m) || ldb < std::max(1, tb ? n : k) ||
      ldc < std::max(1, m) || ldd < std::max(1, m)) {
    return rocblas_status_invalid_size;
  }
  if (!m || !n || !batch_count) return rocblas_status_success;
  if (!alpha || !beta || !a || !b || !d || (!c && *static_cast<const float*>(beta) != 0)) return rocblas_status_invalid_pointer;
  if (fails(Fault::kGemm)) return rocblas_status_internal_error;
  if (!handle->has_workspace && !handle->own_workspace && hipMalloc(&handle->own_workspace, size_t{32} << 20) != hipSuccess)
    return rocblas_status_memory_error;
  Gemm g;
  g.transpose_a = ta, g.transpose_b = tb;
  g.m = m, g.n = n, g.k = k, g.batch = batch_count;
  g.alpha = *static_cast<const float*>(alpha), g.beta = *static_cast<const float*>(beta);
  g.a = {a, type(a_type), lda, stride_a}, g.b = {b, type(b_type), ldb, stride_b};
  g.c = {c, type(c_type), ldc, stride_c}, g.d = {d, type(d_type), ldd, stride_d};
  enqueue(handle->stream, [g] { run(g, "rocBLAS"); });
  return rocblas_status_success;
}

rocblas_status rocblas_gemm_ex(rocblas_handle handle, rocblas_operation trans_a, rocblas_operation trans_b, rocblas_int m,
                               rocblas_int n, rocblas_int k, const void* alpha, const void* a, rocblas_datatype a_type,
                               rocblas_int lda, const void* b, rocblas_datatype b_type, rocblas_int ldb, const void* beta,
                               const void* c, rocblas_datatype c_type, rocblas_int ldc, void* d, rocblas_datatype d_type,
                               rocblas_int ldd, rocblas_datatype compute_type, rocblas_gemm_algo algo,
                               std::int32_t solution_index, std::uint32_t flags) {
  return rocblas_gemm_strided_batched_ex(handle, trans_a, trans_b, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                                         c_type, ldc, 0, d, d_type, ldd, 0, 1, compute_type, algo, solution_index, flags);
}

}  // extern "C"
