"""The emulated runtime: memory, streams, events, graphs, a machine without a device, faults on demand."""
import ctypes as C
import importlib.util
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

OUT_OF_MEMORY, BAD_DIRECTION, INVALID, NO_DEVICE, NOT_READY, FAULT, NOT_SUPPORTED = 2, 21, 1, 100, 600, 719, 801
CAPTURE_UNSUPPORTED, CAPTURE_INVALIDATED, CAPTURE_UNJOINED = 900, 901, 904
TO_DEVICE, TO_HOST = 1, 2


@pytest.fixture
def add(hip, kernels):
    """add(stream, y, x, n): y += x, a kernel."""
    return kernels.run_add


def ones(hip, n=64):
    return hip.array(np.ones(n, np.float32))


def host(values):
    return values.ctypes.data_as(C.c_void_p)


# memory


def test_fresh_memory_is_nan(hip):
    assert np.isnan(hip.empty(np.float32, 100).get()).all()


def test_copies_check_direction_and_size(hip):
    x, y = ones(hip), np.zeros(64, np.float32)
    assert hip.lib.hipMemcpy(host(y), x, 256, TO_DEVICE) == BAD_DIRECTION
    assert hip.lib.hipMemcpy(host(y), x, 260, TO_HOST) == INVALID
    assert hip.lib.hipMemcpy(host(y), x, 256, TO_HOST) == 0
    assert (y == 1).all()


def test_a_full_device_is_out_of_memory(hip):
    hip.configure("memory=1")
    pointer = C.c_void_p()
    assert hip.lib.hipExtMallocWithFlags(C.byref(pointer), C.c_size_t((1 << 20) + 1), 0) == OUT_OF_MEMORY
    free, total = C.c_size_t(), C.c_size_t()
    hip("hipMemGetInfo", C.byref(free), C.byref(total))
    assert (free.value, total.value) == (1 << 20, 1 << 20)


def test_memory_is_freed_once(hip):
    pointer = hip.create("hipExtMallocWithFlags", C.c_size_t(64), 0)
    hip("hipFree", pointer)
    assert hip.lib.hipFree(pointer) == INVALID


# streams and events


def test_work_happens_no_earlier_than_it_must(hip, stream, add):
    y = ones(hip)
    add(stream, y, ones(hip), 64)
    assert (y.get() == 1).all()  # a copy on the null stream does not wait for a non-blocking stream
    hip("hipStreamSynchronize", stream)
    assert (y.get() == 2).all()


def test_a_query_ends_a_loop_of_queries(hip, stream, add):
    y = ones(hip)
    for _ in range(3):
        add(stream, y, y, 64)
    answers = [hip.lib.hipStreamQuery(stream) for _ in range(3)]
    assert answers == [NOT_READY, 0, 0]
    assert (y.get() == 8).all()


@pytest.mark.parametrize("wait", [True, False])
def test_another_stream_needs_an_event(hip, stream, add, wait):
    side, event = hip.create("hipStreamCreateWithFlags", 1), hip.create("hipEventCreate")
    x, y = ones(hip), ones(hip)
    add(stream, x, x, 64)  # x = 2
    hip("hipEventRecord", event, stream)
    if wait:
        hip("hipStreamWaitEvent", side, event, 0)
    add(side, y, x, 64)
    hip("hipStreamSynchronize", side)
    assert (y.get() == (3 if wait else 2)).all()
    hip("hipEventDestroy", event)
    hip("hipStreamDestroy", side)


def test_events_measure_time(hip, stream, add):
    start, stop = hip.create("hipEventCreate"), hip.create("hipEventCreate")
    y, ms = ones(hip), C.c_float()
    hip("hipEventRecord", start, stream)
    add(stream, y, y, 64)
    hip("hipEventRecord", stop, stream)
    assert hip.lib.hipEventElapsedTime(C.byref(ms), start, stop) == NOT_READY
    hip("hipEventSynchronize", stop)
    hip("hipEventElapsedTime", C.byref(ms), start, stop)
    assert ms.value > 0
    for event in (start, stop):
        hip("hipEventDestroy", event)


# graphs


def end_capture(hip, stream):
    graph = C.c_void_p()
    hip("hipStreamEndCapture", stream, C.byref(graph))
    return graph


def test_a_graph_repeats_what_was_captured(hip, stream, add):
    y = ones(hip)
    hip("hipStreamBeginCapture", stream, 1)
    add(stream, y, y, 64)
    graph = end_capture(hip, stream)
    exec_ = hip.create("hipGraphInstantiate", graph, None, None, C.c_size_t(0))
    hip("hipGraphDestroy", graph)
    assert (y.get() == 1).all()
    for _ in range(3):
        hip("hipGraphLaunch", exec_, stream)
    hip("hipStreamSynchronize", stream)
    assert (y.get() == 8).all()
    hip("hipGraphExecDestroy", exec_)


@pytest.mark.parametrize("call", [
    lambda hip, stream: hip.lib.hipExtMallocWithFlags(C.byref(C.c_void_p()), C.c_size_t(4), 0),
    lambda hip, stream: hip.lib.hipStreamSynchronize(stream),
    lambda hip, stream: hip.lib.hipDeviceSynchronize(),
    lambda hip, stream: hip.lib.hipStreamQuery(stream),
], ids=["malloc", "synchronize stream", "synchronize device", "query"])
def test_a_capture_refuses(hip, stream, call):
    hip("hipStreamBeginCapture", stream, 1)
    assert call(hip, stream) == CAPTURE_UNSUPPORTED
    assert hip.lib.hipStreamEndCapture(stream, C.byref(C.c_void_p())) == CAPTURE_INVALIDATED


@pytest.mark.parametrize("join", [True, False])
def test_a_side_stream_joins_a_capture_by_events(hip, stream, add, join):
    side = hip.create("hipStreamCreateWithFlags", 1)
    fork, done = hip.create("hipEventCreate"), hip.create("hipEventCreate")
    y = ones(hip)
    hip("hipStreamBeginCapture", stream, 1)
    hip("hipEventRecord", fork, stream)
    hip("hipStreamWaitEvent", side, fork, 0)
    add(side, y, y, 64)
    hip("hipEventRecord", done, side)
    if join:
        hip("hipStreamWaitEvent", stream, done, 0)
        hip("hipGraphDestroy", end_capture(hip, stream))
    else:
        assert hip.lib.hipStreamEndCapture(stream, C.byref(C.c_void_p())) == CAPTURE_UNJOINED
    for event in (fork, done):
        hip("hipEventDestroy", event)
    hip("hipStreamDestroy", side)


# settings


def test_no_device(hip):
    hip.configure("devices=0")
    count = C.c_int(7)
    assert hip.lib.hipGetDeviceCount(C.byref(count)) == NO_DEVICE and count.value == 0
    assert hip.lib.hipExtMallocWithFlags(C.byref(C.c_void_p()), C.c_size_t(4), 0) == NO_DEVICE
    assert hip.lib.hipStreamCreateWithFlags(C.byref(C.c_void_p()), 1) == NO_DEVICE
    assert hip.lib.rocblas_create_handle(C.byref(C.c_void_p())) == 6
    assert hip.lib.miopenCreateWithStream(C.byref(C.c_void_p()), None) == 7


def test_two_devices(hip):
    hip.configure("devices=2")
    count = C.c_int()
    hip("hipGetDeviceCount", C.byref(count))
    assert count.value == 2
    assert [hip.lib.hipSetDevice(d) for d in (1, 2, 0)] == [0, 101, 0]


def test_the_nth_allocation_fails(hip):
    hip.configure("fail=alloc:2")
    pointers = [C.c_void_p() for _ in range(3)]
    assert [hip.lib.hipExtMallocWithFlags(C.byref(p), C.c_size_t(4), 0) for p in pointers] == [0, OUT_OF_MEMORY, 0]
    for p in pointers:
        hip("hipFree", p)


def test_copies_fail_from_the_nth_on(hip):
    x = ones(hip)
    hip.configure("fail=copy:2+")
    assert [hip.lib.hipMemset(x, 0, 256) == 0 for _ in range(4)] == [True, False, False, False]


def test_the_nth_launch_fails_alone(hip, stream, add):
    y = ones(hip)
    hip.configure("fail=launch:1")
    add(stream, y, y, 64)
    assert [hip.lib.hipGetLastError() for _ in range(2)] == [FAULT, 0]
    add(stream, y, y, 64)
    hip("hipStreamSynchronize", stream)
    assert (y.get() == 2).all()


def test_the_device_faults_after_a_while(hip, stream, add):
    y = ones(hip)
    hip.configure("fail=fault:2")
    add(stream, y, y, 64)
    hip("hipStreamSynchronize", stream)
    add(stream, y, y, 64)
    assert hip.lib.hipStreamSynchronize(stream) == FAULT
    assert hip.lib.hipStreamSynchronize(stream) == FAULT


def test_a_device_fails_alone(hip, add):
    """Its memory is its own too."""
    hip.configure("devices=2 memory=1 fail=fault:1@1")
    arrays = {}
    for device in (0, 1):
        hip("hipSetDevice", device)
        arrays[device] = hip.empty(np.float32, (1 << 17) + 1)  # more than half of it
    for device, status in ((1, FAULT), (0, 0)):
        hip("hipSetDevice", device)
        stream = hip.create("hipStreamCreate")
        add(stream, arrays[device], arrays[device], 64)
        assert hip.lib.hipStreamSynchronize(stream) == status
        hip.lib.hipStreamDestroy(stream)
    hip("hipSetDevice", 1)
    hip("hipDeviceReset")
    hip("hipSetDevice", 0)


def test_slow_work(hip, stream, add):
    hip.configure("slow=20000")
    x = ones(hip)
    add(stream, x, x, 64)
    started = time.monotonic()
    hip("hipStreamSynchronize", stream)
    assert time.monotonic() - started >= 0.02


def test_a_kernel_hangs_with_its_stream_alone(hip, stream, add):
    side, event = hip.create("hipStreamCreateWithFlags", 1), hip.create("hipEventCreate")
    x, y = ones(hip), ones(hip)
    hip.configure("fail=hang:2")
    add(stream, y, y, 64)
    add(stream, y, y, 64)
    hip("hipEventRecord", event, stream)
    assert {hip.lib.hipEventQuery(event) for _ in range(9)} == {NOT_READY}
    add(side, x, x, 64)
    hip("hipStreamSynchronize", side)
    assert (y.get() == 2).all() and (x.get() == 2).all()
    waiting = threading.Thread(target=hip.lib.hipStreamSynchronize, args=(stream,))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    hip("hipDeviceReset")
    waiting.join()
    assert hip.lib.hipEventQuery(event) == 0 and (y.get() == 4).all()
    hip("hipEventDestroy", event)
    hip("hipStreamDestroy", side)


def test_calls_are_counted_by_kind(hip, stream, add):
    kinds = ("alloc", "copy", "launch", "capture", "plan", "gemm")
    before = [hip.lib.hip_emulated_calls(kind.encode()) for kind in kinds]
    y = ones(hip)
    hip("hipStreamBeginCapture", stream, 1)
    add(stream, y, y, 64)
    hip("hipGraphDestroy", end_capture(hip, stream))
    assert [hip.lib.hip_emulated_calls(kind.encode()) - n for kind, n in zip(kinds, before)] == [1, 1, 1, 1, 0, 0]


def test_a_capture_is_refused(hip, stream):
    hip.configure("fail=capture:1")
    assert hip.lib.hipStreamBeginCapture(stream, 1) == NOT_SUPPORTED
    hip("hipStreamBeginCapture", stream, 1)
    hip("hipGraphDestroy", end_capture(hip, stream))


@pytest.mark.parametrize("integrated", [0, 1])
def test_where_memory_comes_from(hip, integrated):
    """Fine-grained memory is the device's, or what an integrated GPU may map, as pinned memory; managed memory is apart."""
    hip.configure(f"memory=1 mapped=2 managed=1 integrated={integrated}")
    mib, pointers = C.c_size_t(1 << 20), []

    def allocate(call):
        pointers.append(C.c_void_p())
        return call(C.byref(pointers[-1]), mib)

    fine = lambda pointer, size: hip.lib.hipExtMallocWithFlags(pointer, size, 1)
    device = lambda pointer, size: hip.lib.hipExtMallocWithFlags(pointer, size, 0)
    assert [allocate(device), allocate(device)] == [0, OUT_OF_MEMORY]
    assert [allocate(fine) for _ in range(3)] == ([0, 0, OUT_OF_MEMORY] if integrated else [OUT_OF_MEMORY] * 3)
    if integrated:  # the host may read and write it
        x = np.ones(4, np.float32)
        hip("hipMemcpy", pointers[2], host(x), C.c_size_t(16), TO_DEVICE)
        hip("hipMemcpy", pointers[2], host(x), C.c_size_t(16), 0)
    for pointer in pointers:
        hip("hipFree", pointer)


def test_some_blocks_of_a_launch_run(hip, stream, add):
    y = hip.array(np.ones(4096, np.float32))
    hip.configure("blocks=2")
    add(stream, y, y, 4096)
    hip("hipStreamSynchronize", stream)
    got = y.get()
    assert got[0] == got[-1] == 2 and (got == 1).any()


def test_no_block_of_a_launch_runs(hip, stream, add):
    """And nothing of a library's call; copies are made, and both are counted as ever."""
    y = hip.array(np.ones(4096, np.float32))
    hip.configure("blocks=0")
    launches = hip.lib.hip_emulated_calls(b"launch")
    add(stream, y, y, 4096)
    hip("hipStreamSynchronize", stream)
    assert (y.get() == 1).all() and hip.lib.hip_emulated_calls(b"launch") == launches + 1
    assert (hip.array(np.zeros(3, np.float32)).get() == 0).all()
    hip.configure("blocks=all")
    add(stream, y, y, 4096)
    hip("hipStreamSynchronize", stream)
    assert (y.get() == 2).all()


def test_the_environment_configures_a_process():
    package = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent
    count = ("import ctypes, sys; n = ctypes.c_int(7); hip = ctypes.CDLL(sys.argv[1]); "
             "print(hip.hipGetDeviceCount(ctypes.byref(n)), n.value)")
    out = subprocess.run([sys.executable, "-c", count, package / "librocm_emulated.so"], capture_output=True, text=True,
                         env={"ROCM_EMULATED": "devices=0"}, check=True)
    assert out.stdout.split() == [str(NO_DEVICE), "0"]
