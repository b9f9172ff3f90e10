#include <hipblaslt/hipblaslt.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "product.h"
#include "memory.h"
#include "settings.h"
#include "stream.h"

using namespace hip_emulated;

struct hipblasLtHandle {
  hipStream_t stream = nullptr;  // of the first product: a handle serves one stream, see check_stream
  bool used = false;
};
struct hipblasLtMatmulDesc {
  hipblasComputeType_t compute;
  hipDataType scale;
  std::int32_t op_a = HIPBLAS_OP_N, op_b = HIPBLAS_OP_N;
  std::uint32_t epilogue = HIPBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  std::int32_t bias_type = -1;  // as D
  const void *a_scales = nullptr, *b_scales = nullptr;
  std::int32_t a_scale_mode = HIPBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F, b_scale_mode = HIPBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
};
struct hipblasLtMatrixLayout {
  hipDataType type;
  std::int64_t rows, cols, ld;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
};
struct hipblasLtMatmulPreference {
  std::uint64_t max_workspace = 0;
};

namespace {

constexpr int kSplits[] = {1, 2, 4};  // the algorithms

const std::map<std::uint32_t, std::function<float(float)>> kActivations = {
    {HIPBLASLT_EPILOGUE_DEFAULT, nullptr},
    {HIPBLASLT_EPILOGUE_RELU, [](float x) { return x < 0 ? 0 : x; }},
    {HIPBLASLT_EPILOGUE_GELU, [](float x) { return 0.5f * x * (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x))); }},
    {HIPBLASLT_EPILOGUE_SWISH_EXT, [](float x) { return x / (1 + std::exp(-x)); }},
    {HIPBLASLT_EPILOGUE_SIGMOID_EXT, [](float x) { return 1 / (1 + std::exp(-x)); }}};

bool known(int type) { return type == HIP_R_32F || type == HIP_R_16F; }
bool in_8_bits(int type) { return type == HIP_R_8F_E4M3 || type == HIP_R_8F_E4M3_FNUZ; }
Type type_of(int type) {
  return type == HIP_R_16F ? Type::kHalf : type == HIP_R_8F_E4M3 ? Type::kFp8 : type == HIP_R_8F_E4M3_FNUZ ? Type::kFp8Fnuz : Type::kFloat;
}
Matrix matrix(const void* data, const hipblasLtMatrixLayout& l) { return {data, type_of(l.type), l.ld, l.stride}; }

// The product that descriptors stand for; false if the emulation does not know it or the sizes do not fit together.
bool describe(const hipblasLtMatmulDesc& desc, const hipblasLtMatrixLayout& a, const hipblasLtMatrixLayout& b,
              const hipblasLtMatrixLayout& c, const hipblasLtMatrixLayout& d, Gemm& g) {
  const bool bias = desc.epilogue & HIPBLASLT_EPILOGUE_BIAS;
  std::uint32_t activation = desc.epilogue & ~std::uint32_t{HIPBLASLT_EPILOGUE_BIAS};
  if (activation == 0) activation = HIPBLASLT_EPILOGUE_DEFAULT;
  const auto act = kActivations.find(activation);
  if (act == kActivations.end() || desc.epilogue == (HIPBLASLT_EPILOGUE_DEFAULT | HIPBLASLT_EPILOGUE_BIAS)) return false;
  if (desc.compute != HIPBLAS_COMPUTE_32F || desc.scale != HIP_R_32F) return false;
  if (!(known(a.type) || in_8_bits(a.type)) || !known(c.type) || a.type != b.type || c.type != d.type) return false;
  if (a.type == HIP_R_32F && c.type == HIP_R_16F) return false;
  const int bias_type = desc.bias_type < 0 ? d.type : desc.bias_type;
  if (bias && !known(bias_type)) return false;
  g.transpose_a = desc.op_a == HIPBLAS_OP_T, g.transpose_b = desc.op_b == HIPBLAS_OP_T;
  g.m = d.rows, g.n = d.cols, g.k = g.transpose_a ? a.rows : a.cols, g.batch = d.batch;
  if ((g.transpose_a ? a.cols : a.rows) != g.m || (g.transpose_b ? b.cols : b.rows) != g.k ||
      (g.transpose_b ? b.rows : b.cols) != g.n || c.rows != g.m || c.cols != g.n) {
    return false;
  }
  for (const hipblasLtMatrixLayout* l : {&a, &b, &c, &d}) {
    if (l->batch != d.batch || l->ld < l->rows) return false;
  }
  if (in_8_bits(a.type)) {  // with a scale for each row of both alone, of rows of 16-byte pieces, A transposed
    constexpr auto kRows = HIPBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    if (desc.a_scale_mode != kRows || desc.b_scale_mode != kRows || !desc.a_scales || !desc.b_scales) return false;
    if (!g.transpose_a || g.transpose_b || g.k % 16 || g.m % 16) return false;
    g.a_scales = static_cast<const float*>(desc.a_scales), g.b_scales = static_cast<const float*>(desc.b_scales);
  } else if (desc.a_scale_mode || desc.b_scale_mode || desc.a_scales || desc.b_scales) {
    return false;
  }
  if (bias) g.bias = {desc.bias, type_of(bias_type)};
  g.act = act->second;
  return true;
}

template <class T>
hipblasStatus_t set(T& field, const void* value, size_t bytes) {
  if (!value || bytes != sizeof field) return HIPBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, bytes);
  return HIPBLAS_STATUS_SUCCESS;
}

template <class T>
hipblasStatus_t destroy(T* object) {
  if (!object) return HIPBLAS_STATUS_INVALID_VALUE;
  delete object;
  --live_objects;
  return HIPBLAS_STATUS_SUCCESS;
}

template <class T>
hipblasStatus_t create(T** object, T value) {
  if (!object) return HIPBLAS_STATUS_INVALID_VALUE;
  *object = new T(value);
  ++live_objects;
  return HIPBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

// The real one ends the process without a device; so does this one, for the tests of the probe that guards against it.
hipblasStatus_t hipblasLtCreate(hipblasLtHandle_t* handle) {
  if (ready(true) == hipErrorNoDevice || settings().hipblaslt_exits) std::exit(1);
  if (ready(true) != hipSuccess) return HIPBLAS_STATUS_NOT_INITIALIZED;
  if (fails(Fault::kAlloc)) return HIPBLAS_STATUS_ALLOC_FAILED;
  return create(handle, hipblasLtHandle{});
}

hipblasStatus_t hipblasLtDestroy(hipblasLtHandle_t handle) { return destroy(handle); }

hipblasStatus_t hipblasLtGetVersion(hipblasLtHandle_t handle, int* version) {
  if (!handle) return HIPBLAS_STATUS_NOT_INITIALIZED;
  *version = 100202;
  return HIPBLAS_STATUS_SUCCESS;
}

hipblasStatus_t hipblasLtMatrixLayoutCreate(hipblasLtMatrixLayout_t* layout, hipDataType type, std::uint64_t rows,
                                            std::uint64_t cols, std::int64_t ld) {
  return create(layout, {type, std::int64_t(rows), std::int64_t(cols), ld});
}

hipblasStatus_t hipblasLtMatrixLayoutDestroy(hipblasLtMatrixLayout_t layout) { return destroy(layout); }

hipblasStatus_t hipblasLtMatrixLayoutSetAttribute(hipblasLtMatrixLayout_t layout, hipblasLtMatrixLayoutAttribute_t attribute,
                                                  const void* value, size_t bytes) {
  switch (attribute) {
    case HIPBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(layout->batch, value, bytes);
    case HIPBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(layout->stride, value, bytes);
  }
  return HIPBLAS_STATUS_NOT_SUPPORTED;
}

hipblasStatus_t hipblasLtMatmulDescCreate(hipblasLtMatmulDesc_t* desc, hipblasComputeType_t compute, hipDataType scale) {
  return create(desc, {compute, scale});
}

hipblasStatus_t hipblasLtMatmulDescDestroy(hipblasLtMatmulDesc_t desc) { return destroy(desc); }

hipblasStatus_t hipblasLtMatmulDescSetAttribute(hipblasLtMatmulDesc_t desc, hipblasLtMatmulDescAttributes_t attribute,
                                                const void* value, size_t bytes) {
  switch (attribute) {
    case HIPBLASLT_MATMUL_DESC_TRANSA: return set(desc->op_a, value, bytes);
    case HIPBLASLT_MATMUL_DESC_TRANSB: return set(desc->op_b, value, bytes);
    case HIPBLASLT_MATMUL_DESC_EPILOGUE: return set(desc->epilogue, value, bytes);
    case HIPBLASLT_MATMUL_DESC_BIAS_POINTER: return set(desc->bias, value, bytes);
    case HIPBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return set(desc->bias_type, value, bytes);
    case HIPBLASLT_MATMUL_DESC_A_SCALE_POINTER: return set(desc->a_scales, value, bytes);
    case HIPBLASLT_MATMUL_DESC_B_SCALE_POINTER: return set(desc->b_scales, value, bytes);
    case HIPBLASLT_MATMUL_DESC_A_SCALE_MODE: return set(desc->a_scale_mode, value, bytes);
    case HIPBLASLT_MATMUL_DESC_B_SCALE_MODE: return set(desc->b_scale_mode, value, bytes);
  }
  return HIPBLAS_STATUS_NOT_SUPPORTED;
}

hipblasStatus_t hipblasLtMatmulPreferenceCreate(hipblasLtMatmulPreference_t* preference) { return create(preference, {}); }
hipblasStatus_t hipblasLtMatmulPreferenceDestroy(hipblasLtMatmulPreference_t preference) { return destroy(preference); }

hipblasStatus_t hipblasLtMatmulPreferenceSetAttribute(hipblasLtMatmulPreference_t preference,
                                                      hipblasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                      size_t bytes) {
  if (attribute != HIPBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return HIPBLAS_STATUS_NOT_SUPPORTED;
  return set(preference->max_workspace, value, bytes);
}

// Success with nothing found is how the real library says that it has no kernel for a product.
hipblasStatus_t hipblasLtMatmulAlgoGetHeuristic(hipblasLtHandle_t handle, hipblasLtMatmulDesc_t desc, hipblasLtMatrixLayout_t a,
                                                hipblasLtMatrixLayout_t b, hipblasLtMatrixLayout_t c, hipblasLtMatrixLayout_t d,
                                                hipblasLtMatmulPreference_t preference, int wanted,
                                                hipblasLtMatmulHeuristicResult_t results[], int* found) {
  if (!handle) return HIPBLAS_STATUS_NOT_INITIALIZED;
  if (!desc || !a || !b || !c || !d || !preference || wanted < 1 || !results || !found) return HIPBLAS_STATUS_INVALID_VALUE;
  if (ready(true) != hipSuccess || fails(Fault::kPlan)) return HIPBLAS_STATUS_INTERNAL_ERROR;
  *found = 0;
  Gemm g;
  if (!describe(*desc, *a, *b, *c, *d, g)) return HIPBLAS_STATUS_SUCCESS;
  for (std::uint8_t i = 0; i < std::size(kSplits) && *found < wanted; ++i) {
    g.splits = kSplits[i];
    if (g.workspace_bytes() > preference->max_workspace || g.k < g.splits) continue;
    results[(*found)++] = {{{i}, g.workspace_bytes()}, g.workspace_bytes(), HIPBLAS_STATUS_SUCCESS, 1, {}};
  }
  return HIPBLAS_STATUS_SUCCESS;
}

hipblasStatus_t hipblasLtMatmul(hipblasLtHandle_t handle, hipblasLtMatmulDesc_t desc, const void* alpha, const void* a,
                                hipblasLtMatrixLayout_t a_layout, const void* b, hipblasLtMatrixLayout_t b_layout,
                                const void* beta, const void* c, hipblasLtMatrixLayout_t c_layout, void* d,
                                hipblasLtMatrixLayout_t d_layout, const hipblasLtMatmulAlgo_t* algo, void* workspace,
                                size_t workspace_bytes, hipStream_t stream) {
  if (!handle) return HIPBLAS_STATUS_NOT_INITIALIZED;
  if (!desc || !a_layout || !b_layout || !c_layout || !d_layout || !algo || algo->data[0] >= std::size(kSplits) || !alpha ||
      !beta || !a || !b || !c || !d) {
    return HIPBLAS_STATUS_INVALID_VALUE;
  }
  if (ready(false) != hipSuccess) return HIPBLAS_STATUS_INTERNAL_ERROR;
  // The handle of the real library owns flags that kernels of two streams would mix up, and hang.
  if (handle->used && handle->stream != stream) return HIPBLAS_STATUS_EXECUTION_FAILED;
  handle->used = true, handle->stream = stream;

  Gemm g;
  if (!describe(*desc, *a_layout, *b_layout, *c_layout, *d_layout, g)) return HIPBLAS_STATUS_NOT_SUPPORTED;
  if ((desc->epilogue & HIPBLASLT_EPILOGUE_BIAS) && !desc->bias) return HIPBLAS_STATUS_INVALID_VALUE;
  g.alpha = *static_cast<const float*>(alpha), g.beta = *static_cast<const float*>(beta);
  g.a = matrix(a, *a_layout), g.b = matrix(b, *b_layout), g.c = matrix(c, *c_layout), g.d = matrix(d, *d_layout);
  g.splits = kSplits[algo->data[0]];
  g.workspace = static_cast<float*>(workspace);
  if (g.workspace_bytes() > workspace_bytes) return HIPBLAS_STATUS_INVALID_VALUE;
  if (fails(Fault::kGemm)) return HIPBLAS_STATUS_EXECUTION_FAILED;
  enqueue(stream, [g] { run(g, "hipBLASLt"); });
  return HIPBLAS_STATUS_SUCCESS;
}

}  // extern "C"
