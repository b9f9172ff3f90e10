"""ROCM_EMULATED="isa=...": how launches become machine code, by a machine of four instructions that is made here."""
import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# `add` is one instruction; reverse_rows stores to LDS, waits and loads from there. Both find their arguments through s[0:1], the block's
# index in s2 and the threads' in v0.
MACHINE = r"""
#include "isa.h"
#define SCALAR ((unsigned*)memory[0])
#define DESCRIPTOR 0, 2 << 1 | 1 << 7, 1 << 3 | WAVE32 << 10, 0
#define LANES for (int lane = 0; lane < WAVE; ++lane) if ((unsigned char)(SCALAR[126 + lane / 32] >> lane % 32 & 1))
#define THREAD ((unsigned*)memory[1])[lane]
static char* arguments(void** memory) { return (char*)(SCALAR[0] | (unsigned long)SCALAR[1] << 32); }
static void next(void** memory) { *(unsigned long*)(SCALAR + ISA_PC) += 4; }
static void end(void** memory) { *(unsigned long*)(SCALAR + ISA_PC) = ~0ul; }
static void add(void** memory) {
  char* a = arguments(memory);
  LANES {
    const int i = SCALAR[2] * 64 + THREAD;
    if (i < *(int*)(a + 16) + OVERRUN) (*(float**)a)[i] += (*(float**)(a + 8))[i] * FACTOR;
  }
  next(memory);
}
static void store(void** memory) {
  LANES ((float*)memory[3])[THREAD] = (*(float**)(arguments(memory) + 8))[SCALAR[2] * 64 + THREAD];
  next(memory);
}
static void load(void** memory) {
  LANES (*(float**)arguments(memory))[SCALAR[2] * 64 + THREAD] = ((float*)memory[3])[63 - THREAD];
  next(memory);
}
static unsigned char image[28];
static const unsigned short words[7] = {1, 5, 2, BARRIER, 3, 5, 6};
static const struct isa_instruction instructions[] = {{"none", 0, 0}, {"ADD", add, 0}, {"STORE", store, 0}, {"LOAD", load, 0}, {"WAIT", next, 1},
                                                      {"END", end, 0}, {"UNKNOWN", 0, 0}, {"NOTHING", next, 0}};
static const struct isa_argument arguments_of_add[] = {ARGUMENTS}, arguments_of_reverse[] = {{"global_buffer", 0, 8}, {"global_buffer", 8, 8}};
static const struct isa_kernel kernels[] = {
  {"_Z3addPfPKfi", arguments_of_add, sizeof arguments_of_add / sizeof *arguments_of_add, 24, ENTRY, 28, 0, 0, THREADS, DESCRIPTOR},
  {"_Z12reverse_rowsILb1EEvPfPKf", arguments_of_reverse, 2, 16, 8, 24, 256, 0, 1024, DESCRIPTOR}};
const struct isa_code isa_code = {"made", 11, WAVE, image, sizeof image, words, instructions, kernels, 2};
"""
POINTER = '{"global_buffer", %d, 8}'
ADD = f'{POINTER % 0}, {POINTER % 8}, {{"by_value", 16, 4}}'


@pytest.fixture
def machine(hip, kernels, tmp_path, monkeypatch):
    """machine(words, ...) configures the emulation for machine code with some parts of it replaced, and returns the report's path."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")

    def make(words="", **parts):
        parts = {"WAVE": kernels.wave, "WAVE32": int(kernels.wave == 32), "ARGUMENTS": ADD, "ENTRY": 0, "BARRIER": 4, "FACTOR": 1, "OVERRUN": 0,
                 "THREADS": 1024} | parts
        name = f"made{len(list(tmp_path.glob('*.so')))}"
        subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", tmp_path / f"{name}.so", f"-I{ROOT}/src/rocm_standin/emulated",
                        *(f"-D{key}={value}" for key, value in parts.items())], input=MACHINE.encode(), check=True)
        monkeypatch.setenv("ROCM_ISA", str(tmp_path))
        hip.configure(f"isa={name} report={tmp_path}/report {words}")
        return tmp_path / "report"

    return make


def run_add(hip, kernels, stream, n=100):
    y, x = hip.array(np.arange(n, dtype=np.float32)), hip.array(np.ones(n, np.float32))
    kernels.run_add(stream, y, x, n)
    hip("hipStreamSynchronize", stream)
    return y.get()


def fault(hip, kernels, stream, run=run_add):
    with pytest.raises(Exception) as error:
        run(hip, kernels, stream)
    return str(error.value)


def run_reverse(hip, kernels, stream):
    x = np.arange(3 * 64, dtype=np.float32).reshape(3, 64)
    y = hip.empty(np.float32, 3, 64)
    kernels.run_reverse_rows(stream, y, hip.array(x), 3, True)
    hip("hipStreamSynchronize", stream)
    np.testing.assert_array_equal(y.get(), x[:, ::-1])


@pytest.mark.parametrize("words", ["", "compare=1"])
def test_a_launch_runs_as_machine_code(hip, kernels, stream, machine, words):
    report = machine(words)
    np.testing.assert_array_equal(run_add(hip, kernels, stream), np.arange(100) + 1)
    launch, = map(json.loads, report.read_text().splitlines())
    waves = 2 * (64 // kernels.wave)
    assert launch["kernel"] == "_Z3addPfPKfi" and launch["blocks"] == 2 and launch["waves"] == waves
    assert launch["instructions"] == {"ADD": waves, "END": waves}


@pytest.mark.parametrize("order", ["forward", "reverse", "random:3"])
def test_waves_meet_at_a_barrier(hip, kernels, stream, machine, order):
    machine(f"compare=1 order={order}")
    run_reverse(hip, kernels, stream)


def test_a_missing_barrier_is_found(hip, kernels, stream, machine):
    machine("compare=1", BARRIER=7)
    if kernels.wave == 64:  # a block is one wave
        run_reverse(hip, kernels, stream)
    else:
        text = fault(hip, kernels, stream, run_reverse)
        assert "reverse_rows<true>, argument 0, value 0 is" in text and "nan, not 63.000000 as in the host's build, which wrote 192 of them" in text


@pytest.mark.parametrize("arguments, expected", [
    (f'{POINTER % 0}, {POINTER % 8}, {{"by_value", 16, 8}}', "add, argument 2: the machine code takes 8 bytes at 16 for by_value, the host gives 4"),
    (f'{POINTER % 0}, {{"by_value", 8, 8}}, {POINTER % 16}', "add, argument 1: a pointer for one of host and machine code, a value for the other"),
    (ADD + ', {"by_value", 20, 4}', "add, argument 3 is wanted by the machine code, and the host gives 3"),
    (f"{POINTER % 0}, {POINTER % 8}", "add: the host gives 3 arguments, the machine code takes 2"),
    (ADD + ', {"hidden_hostcall_buffer", 24, 8}', "add asks for hidden_hostcall_buffer, which is not provided"),
    (f'{POINTER % 0}, {POINTER % 8}, {{"image", 16, 4}}', "add, argument 2: nobody here can pass a image"),
])
def test_other_arguments_are_refused(hip, kernels, stream, machine, arguments, expected):
    machine(ARGUMENTS=arguments)
    assert expected in fault(hip, kernels, stream)


def test_a_kernel_that_was_not_compiled(hip, kernels, stream, machine):
    machine()
    text = fault(hip, kernels, stream, lambda hip, kernels, stream: (kernels.run_early_exit(stream, hip.empty(np.float32, 64)),
                                                                     hip("hipStreamSynchronize", stream)))
    assert "early_exit: _Z10early_exitPf is in no code object" in text


def test_another_result_is_found(hip, kernels, stream, machine):
    machine("compare=1", FACTOR=2)
    assert "add, argument 0, value 0 is 2.000000, not 1.000000" in fault(hip, kernels, stream)


def test_an_unknown_instruction(hip, kernels, stream, machine):
    machine(ENTRY=24)
    assert "add, block (0, 0, 0) wave 0, UNKNOWN at 0x18: cannot be executed" in fault(hip, kernels, stream)


def test_guard_pages_hold_for_machine_code(hip, kernels, stream, machine):
    machine(OVERRUN=64)
    text = fault(hip, kernels, stream, lambda *a: run_add(*a, n=32))
    assert "add, block (0, 0, 0) wave" in text and "ADD at 0x0: access to byte 128 of an allocation of 128 bytes" in text


def test_the_width_of_waves_must_be_the_programs(hip, kernels, stream, machine):
    machine(WAVE=96 - kernels.wave)
    assert f"add: waves of {96 - kernels.wave} lanes; the host's program was made for {kernels.wave}" in fault(hip, kernels, stream)


def test_code_of_another_wave_is_refused(hip, kernels, stream, machine):
    machine(WAVE32=int(kernels.wave == 64))
    assert f"add was compiled for waves of {96 - kernels.wave} lanes" in fault(hip, kernels, stream)


def test_blocks_larger_than_compiled_for(hip, kernels, stream, machine):
    machine(THREADS=32)
    assert "add: compiled for blocks of 32 threads and launched with 64" in fault(hip, kernels, stream)


def test_a_target_that_was_not_translated(hip, kernels, stream, machine):
    machine()
    hip.configure("isa=gfx0")
    assert "scripts/isa_translate.py makes it" in fault(hip, kernels, stream)
