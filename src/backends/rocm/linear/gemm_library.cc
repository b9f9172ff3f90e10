#include "backends/rocm/linear/gemm_library.h"

namespace rocm {
namespace {

using nn::Activation;

class RocblasProduct : public LibraryProduct {
 public:
  explicit RocblasProduct(const GemmShape& shape) : s_(shape) {}

  bool run(Stream& stream, const GemmPointers& p, void* d, void*) override {
    const auto type = s_.half ? rocblas_datatype_f16_r : rocblas_datatype_f32_r;
    const float one = 1, zero = 0;
    const rocblas_stride y_stride = rocblas_stride(s_.rows) * s_.cols, x_stride = rocblas_stride(s_.rows) * s_.depth;
    return rocblas_gemm_strided_batched_ex(
               stream.rocblas(), rocblas_operation_transpose, rocblas_operation_none, s_.cols, s_.rows, s_.depth, &one, p.w, type,
               s_.depth, s_.one_w ? 0 : rocblas_stride(s_.cols) * s_.depth, p.x, type, s_.depth, x_stride, &zero, d, type, s_.cols,
               y_stride, d, type, s_.cols, y_stride, s_.batch, rocblas_datatype_f32_r, rocblas_gemm_algo_standard, 0,
               rocblas_gemm_flags_none) == rocblas_status_success;
  }

 private:
  const GemmShape s_;
};

// A descriptor that destroys itself.
template <class T, hipblasStatus_t (*destroy)(T)>
struct Owned {
  T value = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  ~Owned() {
    if (value) (void)destroy(value);
  }
};

class HipblasltProduct : public LibraryProduct {
 public:
  // Whether the algorithm of that rank exists; if not, rank is less by those that do. fuse: with all of the epilogue, else the bare product.
  bool find(hipblasLtHandle_t handle, const GemmShape& s, int& rank, bool fuse) {
    constexpr int kMost = 6;
    const hipDataType type = s.half ? HIP_R_16F : HIP_R_32F;
    const hipDataType of_rows = !s.x8 ? type : s.kind == Numbers::kFp8 ? HIP_R_8F_E4M3 : HIP_R_8F_E4M3_FNUZ;
    has_scales_ = s.x8;
    std::uint32_t epilogue = HIPBLASLT_EPILOGUE_DEFAULT;
    if (fuse) {
      switch (s.activation) {
        case Activation::kNone: epilogue = s.bias ? HIPBLASLT_EPILOGUE_BIAS : HIPBLASLT_EPILOGUE_DEFAULT; break;
        case Activation::kRelu: epilogue = s.bias ? HIPBLASLT_EPILOGUE_RELU_BIAS : HIPBLASLT_EPILOGUE_RELU; break;
        case Activation::kSwish: epilogue = s.bias ? HIPBLASLT_EPILOGUE_SWISH_BIAS_EXT : HIPBLASLT_EPILOGUE_SWISH_EXT; break;
        case Activation::kSigmoid: epilogue = s.bias ? HIPBLASLT_EPILOGUE_SIGMOID_BIAS_EXT : HIPBLASLT_EPILOGUE_SIGMOID_EXT; break;
        default: return false;
      }
      fuses_bias = s.bias, fuses_activation = s.activation != Activation::kNone;
    }
    const std::int32_t transposed = HIPBLAS_OP_T, plain = HIPBLAS_OP_N, bias_type = type;
    const std::int32_t scale_mode = HIPBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    const void* const some_pointer = this;  // not read while algorithms are looked for, but a null pointer may mean that there is no bias
    bool good = hipblasLtMatmulDescCreate(&desc_.value, HIPBLAS_COMPUTE_32F, HIP_R_32F) == HIPBLAS_STATUS_SUCCESS &&
                set(HIPBLASLT_MATMUL_DESC_TRANSA, transposed) && set(HIPBLASLT_MATMUL_DESC_TRANSB, plain) &&
                set(HIPBLASLT_MATMUL_DESC_EPILOGUE, epilogue) &&
                (!fuses_bias || (set(HIPBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_type) && set(HIPBLASLT_MATMUL_DESC_BIAS_POINTER, some_pointer))) &&
                (!has_scales_ || (set(HIPBLASLT_MATMUL_DESC_A_SCALE_MODE, scale_mode) && set(HIPBLASLT_MATMUL_DESC_B_SCALE_MODE, scale_mode) &&
                                  set(HIPBLASLT_MATMUL_DESC_A_SCALE_POINTER, some_pointer) && set(HIPBLASLT_MATMUL_DESC_B_SCALE_POINTER, some_pointer))) &&
                layout(w_, of_rows, s.depth, s.cols, s.batch, s.one_w ? 0 : std::int64_t(s.cols) * s.depth) &&
                layout(x_, of_rows, s.depth, s.rows, s.batch, std::int64_t(s.rows) * s.depth) &&
                layout(y_, type, s.cols, s.rows, s.batch, std::int64_t(s.rows) * s.cols);
    Owned<hipblasLtMatmulPreference_t, hipblasLtMatmulPreferenceDestroy> preference;
    const std::uint64_t most_workspace = 32 << 20;
    good = good && hipblasLtMatmulPreferenceCreate(&preference.value) == HIPBLAS_STATUS_SUCCESS &&
           hipblasLtMatmulPreferenceSetAttribute(preference.value, HIPBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most_workspace,
                                                 sizeof most_workspace) == HIPBLAS_STATUS_SUCCESS;
    hipblasLtMatmulHeuristicResult_t results[kMost];
    int count = 0;
    good = good && hipblasLtMatmulAlgoGetHeuristic(handle, desc_.value, w_.value, x_.value, y_.value, y_.value, preference.value, kMost,
                                                   results, &count) == HIPBLAS_STATUS_SUCCESS;
    for (int i = 0; good && i < count; ++i) {
      if (results[i].state != HIPBLAS_STATUS_SUCCESS || results[i].workspaceSize > most_workspace || rank-- > 0) continue;
      algorithm_ = results[i].algo;
      workspace = results[i].workspaceSize;
      return true;
    }
    return false;
  }

  bool run(Stream& stream, const GemmPointers& p, void* d, void* workspace_pointer) override {
    const auto point = [&](hipblasLtMatmulDescAttributes_t attribute, const void*& set_to, const void* pointer) {
      if (set_to == pointer) return true;
      set_to = pointer;
      return set(attribute, pointer);
    };
    if (fuses_bias && !point(HIPBLASLT_MATMUL_DESC_BIAS_POINTER, bias_, p.bias)) return false;
    if (has_scales_ && !(point(HIPBLASLT_MATMUL_DESC_A_SCALE_POINTER, w_scales_, p.w_scales) &&
                         point(HIPBLASLT_MATMUL_DESC_B_SCALE_POINTER, x_scales_, p.x_scales)))
      return false;
    const float one = 1, zero = 0;  // of the scale type
    return hipblasLtMatmul(stream.hipblaslt(), desc_.value, &one, p.w, w_.value, p.x, x_.value, &zero, d, y_.value,
                           d, y_.value, &algorithm_, workspace_pointer, workspace, stream) == HIPBLAS_STATUS_SUCCESS;
  }

 private:
  using Layout = Owned<hipblasLtMatrixLayout_t, hipblasLtMatrixLayoutDestroy>;

  template <class V>
  bool set(hipblasLtMatmulDescAttributes_t attribute, const V& value) {
    return hipblasLtMatmulDescSetAttribute(desc_.value, attribute, &value, sizeof value) == HIPBLAS_STATUS_SUCCESS;
  }

  static bool layout(Layout& l, hipDataType type, int stored_rows, int stored_cols, std::int32_t batch, std::int64_t stride) {
    return hipblasLtMatrixLayoutCreate(&l.value, type, stored_rows, stored_cols, stored_rows) == HIPBLAS_STATUS_SUCCESS &&
           hipblasLtMatrixLayoutSetAttribute(l.value, HIPBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch) == HIPBLAS_STATUS_SUCCESS &&
           hipblasLtMatrixLayoutSetAttribute(l.value, HIPBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride) ==
               HIPBLAS_STATUS_SUCCESS;
  }

  Owned<hipblasLtMatmulDesc_t, hipblasLtMatmulDescDestroy> desc_;
  Layout w_, x_, y_;
  hipblasLtMatmulAlgo_t algorithm_{};
  bool has_scales_ = false;
  const void *bias_ = nullptr, *w_scales_ = nullptr, *x_scales_ = nullptr;
};

}  // namespace

std::unique_ptr<LibraryProduct> LibraryProduct::rocblas(Stream& stream, const GemmShape& shape) {
  (void)stream.rocblas();
  return std::make_unique<RocblasProduct>(shape);
}

std::unique_ptr<LibraryProduct> LibraryProduct::hipblaslt(Stream& stream, const GemmShape& shape, int rank) {
  for (bool fuse : {true, false}) {
    if (auto product = std::make_unique<HipblasltProduct>(); product->find(stream.hipblaslt(), shape, rank, fuse)) return product;
    if (!shape.bias && shape.activation == Activation::kNone) break;  // nothing to fuse: they would be the same
  }
  return nullptr;
}

}  // namespace rocm
