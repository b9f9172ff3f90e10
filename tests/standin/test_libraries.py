"""rocBLAS, hipBLASLt and MIOpen of the emulation against NumPy, and what they refuse."""
import ctypes as C

import numpy as np
import pytest

F16, F32, BF16 = 150, 151, 168  # rocblas_datatype
NONE, TRANSPOSE = 111, 112
LT_TYPE = {np.float32: 0, np.float16: 2}
rng = np.random.default_rng(0)
SIZES = [(1, 1, 1), (16, 6, 8), (17, 7, 33), (64, 3, 100)]


def stored(op, rows, cols, pad, dtype, batch=1):
    """Random op(X) (batch, rows, cols), and X as a column-major array of leading dimension rows + pad (cols + pad if transposed)."""
    x = rng.normal(size=(batch, rows, cols)).astype(dtype)
    columns = x if op == TRANSPOSE else x.transpose(0, 2, 1)  # (batch, stored columns, stored rows)
    padded = np.full((*columns.shape[:2], columns.shape[2] + pad), np.nan, dtype)
    padded[..., :columns.shape[2]] = columns
    return x.astype(np.float64), padded


def close(got, want, dtype):
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=1e-5 if dtype == np.float32 else 1e-3, atol=1e-5 if dtype == np.float32 else 4e-3)


@pytest.fixture
def rocblas(hip, stream):
    handle = hip.create("rocblas_create_handle")
    hip("rocblas_set_stream", handle, stream)
    yield handle
    hip("rocblas_destroy_handle", handle)


def gemm_arguments(hip, handle, ops, size, arrays, alpha, beta, types, compute=F32, batch=1, flags=0):
    (m, n, k), (a, b, c, d) = size, arrays
    scalars = [C.byref(C.c_float(x)) for x in (alpha, beta)]
    def operand(x, type_):
        return [x, type_, x.shape[2], C.c_int64(x.shape[1] * x.shape[2])]
    return [handle, *ops, m, n, k, scalars[0], *operand(a, types[0]), *operand(b, types[0]), scalars[1], *operand(c, types[1]),
            *operand(d, types[1]), batch, compute, 0, 0, flags]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("op_b", [NONE, TRANSPOSE])
@pytest.mark.parametrize("op_a", [NONE, TRANSPOSE])
@pytest.mark.parametrize("m,n,k", SIZES)
def test_rocblas_gemm(hip, stream, rocblas, m, n, k, op_a, op_b, dtype):
    batch, types = 3, [F16 if dtype == np.float16 else F32] * 2
    a, a_stored = stored(op_a, m, k, 1, dtype, batch)
    b, b_stored = stored(op_b, k, n, 2, dtype, batch)
    c, c_stored = stored(NONE, m, n, 3, dtype, batch)
    d = hip.empty(dtype, batch, n, m + 4)
    arrays = [hip.array(x) for x in (a_stored, b_stored, c_stored)] + [d]
    hip("rocblas_gemm_strided_batched_ex",
        *gemm_arguments(hip, rocblas, (op_a, op_b), (m, n, k), arrays, 0.5, -2, types, batch=batch))
    hip("hipStreamSynchronize", stream)
    close(d.get()[..., :m].transpose(0, 2, 1), 0.5 * a @ b - 2 * c, dtype)
    assert np.isnan(d.get()[..., m:]).all()


def test_rocblas_reads_no_c_without_beta(hip, stream, rocblas):
    a, b = hip.array(np.ones((1, 4, 4), np.float16)), hip.array(np.ones((1, 4, 4), np.float16))
    d = hip.empty(np.float32, 1, 4, 4)  # NaN, and C at the same time; half products in float
    hip("rocblas_gemm_strided_batched_ex", *gemm_arguments(hip, rocblas, (NONE, NONE), (4, 4, 4), [a, b, d, d], 1, 0, [F16, F32]))
    hip("hipStreamSynchronize", stream)
    assert (d.get() == 4).all()


@pytest.mark.parametrize("change,status", [
    (dict(types=[BF16, F32]), 2), (dict(types=[F32, F16]), 2), (dict(compute=F16), 2), (dict(flags=4), 2),
    (dict(ops=(113, NONE)), 11), (dict(size=(5, 4, 4)), 4)],
    ids=["bf16", "half of float", "half sums", "flags", "conjugate", "leading dimension"])
def test_rocblas_refuses(hip, rocblas, change, status):
    x = hip.empty(np.float32, 1, 4, 4)
    arguments = dict(ops=(NONE, NONE), size=(4, 4, 4), arrays=[x] * 4, alpha=1, beta=0, types=[F32, F32]) | change
    assert hip.lib.rocblas_gemm_strided_batched_ex(*gemm_arguments(hip, rocblas, **arguments)) == status


def test_a_product_outside_its_allocation_is_a_fault(hip, stream, rocblas):
    x, y = hip.empty(np.float32, 1, 4, 4), hip.empty(np.float32, 1, 3, 4)
    hip("rocblas_gemm_strided_batched_ex", *gemm_arguments(hip, rocblas, (NONE, NONE), (4, 4, 4), [x, y, x, x], 1, 0, [F32, F32]))
    assert hip.lib.hipStreamSynchronize(stream) == 700
    assert b"rocBLAS: B" in hip.lib.hipGetErrorString(700)


def test_the_nth_product_fails(hip, rocblas):
    x = hip.empty(np.float32, 1, 4, 4)
    arguments = gemm_arguments(hip, rocblas, (NONE, NONE), (4, 4, 4), [x] * 4, 1, 0, [F32, F32])
    hip.configure("fail=gemm:2")
    assert [hip.lib.rocblas_gemm_strided_batched_ex(*arguments) for _ in range(3)] == [0, 6, 0]


class Lt:
    """d (n, m) = act(0.5 (k, m)^T-stored a times b + bias), the product of a dense layer, as descriptors."""

    def __init__(self, hip, m, n, k, dtype, epilogue, bias, workspace):
        self.hip, self.workspace = hip, workspace
        self.handle = hip.create("hipblasLtCreate")
        self.desc = hip.create("hipblasLtMatmulDescCreate", 2, 0)
        self.layouts = [hip.create("hipblasLtMatrixLayoutCreate", LT_TYPE[dtype], C.c_uint64(r), C.c_uint64(c), C.c_int64(r))
                        for r, c in ((k, m), (k, n), (m, n))]
        self.preference = hip.create("hipblasLtMatmulPreferenceCreate")
        for attribute, value in ((0, C.c_int32(TRANSPOSE)), (2, C.c_uint32(epilogue)), (3, bias and bias.pointer)):
            if value is not None:
                hip("hipblasLtMatmulDescSetAttribute", self.desc, attribute, C.byref(value), C.c_size_t(C.sizeof(value)))
        limit = C.c_uint64(workspace.bytes)
        hip("hipblasLtMatmulPreferenceSetAttribute", self.preference, 1, C.byref(limit), C.c_size_t(8))

    def algorithms(self, wanted=8):
        results, found = (C.c_byte * (64 * wanted))(), C.c_int()  # sizeof(hipblasLtMatmulHeuristicResult_t) is 56, see the header
        a, b, d = self.layouts
        self.hip("hipblasLtMatmulAlgoGetHeuristic", self.handle, self.desc, a, b, d, d, self.preference, wanted, results, C.byref(found))
        return [bytes(results)[i * 56:i * 56 + 24] for i in range(found.value)]

    def status(self, algo, a, b, d, stream, workspace_bytes=None):
        one = [C.byref(C.c_float(x)) for x in (0.5, 0)]
        la, lb, ld = self.layouts
        size = C.c_size_t(self.workspace.bytes if workspace_bytes is None else workspace_bytes)
        return self.hip.lib.hipblasLtMatmul(self.handle, self.desc, one[0], a, la, b, lb, one[1], d, ld, d, ld, algo,
                                            self.workspace, size, stream)

    def destroy(self):
        for layout in self.layouts:
            self.hip("hipblasLtMatrixLayoutDestroy", layout)
        self.hip("hipblasLtMatmulDescDestroy", self.desc)
        self.hip("hipblasLtMatmulPreferenceDestroy", self.preference)
        self.hip("hipblasLtDestroy", self.handle)


EPILOGUES = {
    1: lambda x: x, 2: lambda x: np.maximum(x, 0), 32: lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    65536: lambda x: x / (1 + np.exp(-x)), 262144: lambda x: 1 / (1 + np.exp(-x))}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_hipblaslt_epilogues_of_every_algorithm(hip, stream, epilogue, bias, dtype):
    m, n, k = 33, 20, 65
    a, b, v = (rng.normal(size=s).astype(dtype) for s in ((m, k), (n, k), m))
    want = EPILOGUES[epilogue](0.5 * b.astype(np.float64) @ a.T.astype(np.float64) + (v if bias else 0))
    code = epilogue if not bias else 4 if epilogue == 1 else epilogue | 4
    lt = Lt(hip, m, n, k, dtype, code, hip.array(v) if bias else None, hip.empty(np.uint8, 1 << 20))
    algorithms = lt.algorithms()
    assert len(algorithms) == 3
    for algo in algorithms:
        d = hip.empty(dtype, n, m)
        assert lt.status(algo, hip.array(a), hip.array(b), d, stream) == 0
        hip("hipStreamSynchronize", stream)
        close(d.get(), want, dtype)
    lt.destroy()


def test_hipblaslt_knows_no_clamp_and_needs_its_workspace(hip, stream):
    x, workspace = hip.empty(np.float32, 16, 16), hip.empty(np.uint8, 1 << 12)
    lt = Lt(hip, 16, 16, 16, np.float32, 131072, None, workspace)
    assert lt.algorithms() == []
    lt.destroy()
    lt = Lt(hip, 16, 16, 16, np.float32, 1, None, workspace)
    split = lt.algorithms()[-1]
    assert lt.status(split, x, x, x, stream, workspace_bytes=0) == 3
    lt.destroy()


def test_a_hipblaslt_handle_serves_one_stream(hip, stream):
    x, other = hip.empty(np.float32, 16, 16), hip.create("hipStreamCreateWithFlags", 1)
    lt = Lt(hip, 16, 16, 16, np.float32, 1, None, hip.empty(np.uint8, 4))
    algo = lt.algorithms()[0]
    assert [lt.status(algo, x, x, x, s) for s in (stream, stream, other)] == [0, 0, 5]
    lt.destroy()
    hip("hipStreamDestroy", other)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("n,c,k,kernel", [(1, 1, 1, 1), (3, 5, 7, 3), (2, 16, 4, 1)])
def test_miopen_convolution(hip, stream, n, c, k, kernel, nhwc, dtype):
    x, w = rng.normal(size=(n, c, 8, 8)).astype(dtype), rng.normal(size=(k, c, kernel, kernel)).astype(dtype)
    pad = kernel // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    want = np.einsum("nchwij,kcij->nkhw", windows, w.astype(np.float64))

    handle = hip.create("miopenCreateWithStream", stream)
    tensors = [hip.create("miopenCreateTensorDescriptor") for _ in range(3)]
    for t, shape in zip(tensors, (w.shape, x.shape, want.shape)):
        if nhwc:
            hip("miopenSetNdTensorDescriptorWithLayout", t, int(dtype == np.float32), 1, (C.c_int * 4)(*shape), 4)
        else:
            hip("miopenSet4dTensorDescriptor", t, int(dtype == np.float32), *shape)
    convolution = hip.create("miopenCreateConvolutionDescriptor")
    hip("miopenInitConvolutionDescriptor", convolution, 0, pad, pad, 1, 1, 1, 1)
    assert hip.lib.miopenInitConvolutionDescriptor(convolution, 0, pad, pad, 2, 2, 1, 1) == 6

    wt, xt, yt = tensors
    solution, count = (C.c_uint64 * 4)(), C.c_size_t()  # time, workspace_size, solution_id, algorithm
    hip("miopenConvolutionForwardGetSolution", handle, wt, xt, convolution, yt, C.c_size_t(1), C.byref(count), solution)
    w, x, want = (a.transpose(0, 2, 3, 1) if nhwc else a for a in (w, x, want))
    workspace, y = hip.empty(np.uint8, solution[1]), hip.empty(dtype, *want.shape)
    arguments = [handle, wt, hip.array(w), xt, hip.array(x), convolution, yt, y, workspace]
    assert hip.lib.miopenConvolutionForwardImmediate(*arguments, C.c_size_t(solution[1] - 1), C.c_uint64(solution[2])) == 2
    hip("miopenConvolutionForwardImmediate", *arguments, C.c_size_t(solution[1]), C.c_uint64(solution[2]))
    hip("hipStreamSynchronize", stream)
    close(y.get(), want, dtype)

    for layout, count in ((2, 4), (1, 5)):  # CHWN; five dimensions
        assert hip.lib.miopenSetNdTensorDescriptorWithLayout(xt, 1, layout, (C.c_int * 5)(1, 1, 8, 8, 1), count) == 6
    hip("miopenSetNdTensorDescriptorWithLayout", xt, int(dtype == np.float32), int(not nhwc), (C.c_int * 4)(n, c, 8, 8), 4)
    mixed = handle, wt, xt, convolution, yt, C.byref(count := C.c_size_t())
    assert hip.lib.miopenConvolutionForwardGetSolutionCount(*mixed) == 3

    for t in tensors:
        hip("miopenDestroyTensorDescriptor", t)
    hip("miopenDestroyConvolutionDescriptor", convolution)
    hip("miopenDestroy", handle)
