#!/usr/bin/env python3
"""Registers, LDS, occupancy, spills and instruction counts of every kernel in objects that hipcc made, for each AMD target in them.

Exits with 1, after one line a defect, if a kernel spills or uses scratch memory, if it stores nothing, or if a kernel of
MATRIX_INSTRUCTIONS is missing or has another number of matrix instructions than its tiles need on a target that has such instructions.
"""
import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

TABLE = pathlib.Path(__file__).resolve().parents[1] / "src/backends/rocm/device/targets.def"


class Target(NamedTuple):
    """A line of the table, whose head says what the columns are."""
    stands_for: str
    fragment_rows: int
    instructions: int
    fp8: str
    registers: int
    granule: int
    most_waves: int
    lds: int
    lds_granule: int
    lds_simds: int
    units: int
    multiply_adds: int
    weak: str


def read_table() -> dict[str, Target]:
    rows = [[cell.strip() for cell in row.split(",")] for row in re.findall(r"^TARGET\((.*)\)$", TABLE.read_text(), re.M)]
    return {name: Target(*(int(cell) if cell.isdigit() else cell for cell in cells)) for name, *cells in rows}


TARGETS = read_table()


def attention_half(target, dim, threads):
    rows = target.fragment_rows
    wave = 2 * rows
    tiles, key_tiles, dim_tiles = 64 // 16 * wave // threads, 64 // rows, dim // rows
    return 2 * tiles * key_tiles * dim_tiles * target.instructions  # K Q^T and V^T P^T


GEMM_TILES = [(16, 64, 64, 64), (32, 64, 64, 128), (64, 64, 3 * 32, 128), (128, 64, 32, 128), (128, 128, 3 * 32, 256)]
# rows, cols, depth of the steps that the code spells out, threads


def gemm_half(target, tile):
    rows = target.fragment_rows
    tile_rows, tile_cols, depth, threads = GEMM_TILES[tile]
    fragments = tile_rows * tile_cols // (rows * 16) * (2 * rows) // threads  # of a wave
    return fragments * depth // rows * target.instructions


INT8_TILES = [(16, 128), (32, 64), (64, 64)]  # of gemm_int8; its blocks have 128 threads, its steps a depth of 64


def gemm_int8(target, tile):
    rows = target.fragment_rows
    tile_rows, tile_cols = INT8_TILES[tile]
    return tile_rows * tile_cols // (rows * 16) * (2 * rows) // 128 * 64 // rows * target.instructions


NUMBERS = ["kInt8", "kFp8", "kFp8Fnuz"]  # of rows8.h
ROWS8_TILES = [(64, 64, 128), (128, 64, 128), (128, 128, 256), (256, 128, 512)]
# of gemm_rows8: rows, cols, threads; its steps have 64 bytes of a row, or 128 of gfx950's for fp8


def has_numbers(target, kind):
    """Whether a target has matrix instructions for a kind of rows8.h."""
    return bool(target.instructions) and target.fp8 == NUMBERS[kind] if kind else bool(target.instructions)


def gemm_rows8(target, tile, kind):
    rows = target.fragment_rows
    tile_rows, tile_cols, threads = ROWS8_TILES[tile]
    fragments = tile_rows * tile_cols // (rows * 16) * (2 * rows) // threads  # of a wave
    if not has_numbers(target, kind):
        return 0
    # An instruction takes 8 bytes of each lane, or four of gfx908's and gfx90a's; of gfx950's 16, and 32 for fp8.
    twice = 2 if target.multiply_adds == 512 or rows == 16 else 1
    return 3 * fragments * 32 // rows * target.instructions * twice  # three steps are in the code


def tower(target, channels, threads):
    rows = target.fragment_rows
    waves, columns = threads // (2 * rows), channels // rows
    wave_rows = max(1, waves // columns)
    my_columns, my_tiles, tap_steps = columns * wave_rows // waves, 4 // wave_rows, channels // rows
    turn = (3 if channels == 64 else 1) * tap_steps  # steps that the code spells out, in each of its three convolutions
    return 3 * turn * my_columns * my_tiles * target.instructions


ROWS8 = re.compile(r"gemm_rows8<(\d), (\d)>")
# A kernel's demangled name and the number of matrix instructions it must have, from its template arguments.
MATRIX_INSTRUCTIONS = [
    (re.compile(r"attention_half<(\d+), \w+, \w+, (\d+)>"),
     lambda target, match: attention_half(target, int(match[1]), int(match[2]))),
    (re.compile(r"gemm_half<(\d), \w+>"), lambda target, match: gemm_half(target, int(match[1]))),
    (re.compile(r"gemm_int8<(\d), \w+>"), lambda target, match: gemm_int8(target, int(match[1]))),
    (ROWS8, lambda target, match: gemm_rows8(target, int(match[1]), int(match[2]))),
    (re.compile(r"tower<(\d+), (\d+)>"), lambda target, match: tower(target, int(match[1]), int(match[2]))),
]
COLUMNS = ("target", "vgprs", "agprs", "sgprs", "lds", "waves", "matrix", "stores", "instructions", "kernel")


tools = {}  # name: path


def find_tools(root):
    folders = [root / "llvm/bin", root / "lib/llvm/bin", *sorted(pathlib.Path("/usr/lib").glob("llvm-*/bin"), reverse=True)]
    for name in ("llvm-objcopy", "clang-offload-bundler", "llvm-readobj", "llvm-objdump", "llvm-cxxfilt"):
        tools[name] = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
        if not tools[name]:
            sys.exit(f"kernel_report: {name} is not in {root}; --rocm says where ROCm is, scripts/rocm_sysroot makes one")


def run(name, *arguments):
    return subprocess.run([tools[name], *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def code_objects(path, folder, wanted=TARGETS):
    """The file of each AMD code object in a host object, or of those that are wanted, by target."""
    fat = folder / "fat"
    run("llvm-objcopy", f"--dump-section=.hip_fatbin={fat}", path, folder / "host")
    entries = {}
    for entry in run("clang-offload-bundler", "--list", "--type=o", f"--input={fat}").split():
        if "amdgcn" in entry:
            target = entry.rsplit("--", 1)[1]  # hipv4-amdgcn-amd-amdhsa--gfx9-4-generic
            if target not in TARGETS:
                sys.exit(f"kernel_report: {path.name} has code for {target}, which is not in {TABLE.name}")
            if target in wanted:
                entries[target] = entry
    run("clang-offload-bundler", "--unbundle", "--type=o", f"--targets={','.join(entries.values())}", f"--input={fat}",
        *(f"--output={folder / target}" for target in entries))
    return {target: folder / target for target in entries}


def extract(objects, target, out):
    """The code objects of a target, as scripts/isa_translate.py keeps them."""
    out.mkdir(parents=True, exist_ok=True)
    for path in objects:
        with tempfile.TemporaryDirectory() as folder:
            for code in code_objects(path, pathlib.Path(folder), [target]).values():
                shutil.copyfile(code, out / f"{path.stem}.co")


def of_each(codes, heading, *command):
    """What a tool says of each file: one process for all, as starting it takes longer than its work."""
    parts = re.split(heading, run(*command, *codes.values()), flags=re.M)
    return dict(zip(codes, parts[1:], strict=True))


def metadata(codes):
    """The compiler's record of each kernel: a dict of the fields without their leading dot."""
    for path, text in of_each(codes, "^File: ", "llvm-readobj", "--notes").items():
        notes = text.split("amdhsa.kernels:", 1)[1].split("amdhsa.target", 1)[0]
        for entry in re.split(r"^(?=  - )", notes, flags=re.M)[1:]:
            yield path, dict(re.findall(r"^(?:  - |    )\.(\w+): +(\S+)$", entry, re.M))


def instructions(codes):
    """Mnemonics of each function of each file."""
    texts = of_each(codes, "^.*:\tfile format .*$", "llvm-objdump", "--disassemble", "--no-show-raw-insn")
    return {(path, name): re.findall(r"^\t(\w+)", body, re.M) for path, text in texts.items()
            for name, body in re.findall(r"^[0-9a-f]+ <([^>]+)>:\n(.*?)(?=\n\n|\Z)", text, re.M | re.S)}


def kernel_names(symbols):
    """As in the source, with template arguments, by symbol."""
    text = run("llvm-cxxfilt", *symbols).splitlines()
    return {symbol: re.sub(r"^void |\(.*", "", re.sub(r"\(anonymous namespace\)::|\(rocm::Numbers\)", "", line)).replace("rocm::", "")
            for symbol, line in zip(symbols, text, strict=True)}


def occupancy(target, vgprs, agprs, lds, waves_per_block):
    """Waves a SIMD can hold; dynamic LDS is not known here."""
    of = TARGETS[target]

    def up(value, to):
        return -(-value // to) * to
    registers = up(vgprs, of.granule) if of.registers != 256 else up(max(vgprs, agprs), of.granule)  # 908: a file for each kind
    by_registers = of.registers // max(registers, of.granule)
    by_lds = of.lds // up(lds, of.lds_granule) * waves_per_block / of.lds_simds if lds else of.most_waves
    return int(min(of.most_waves, by_registers, by_lds))


def examine(target, codes):
    """Of each kernel in the code objects of a target a row of the report, and the defects."""
    bodies, kernels = instructions(codes), list(metadata(codes))
    names = kernel_names(sorted({kernel["name"] for _, kernel in kernels}))
    for path, kernel in kernels:
        name, body = names[kernel["name"]], bodies[path, kernel["name"]]
        matrix = sum(m.startswith(("v_wmma", "v_mfma", "v_swmmac", "v_smfmac")) for m in body)
        stores = sum(m.startswith(("global_store", "flat_store", "buffer_store", "global_atomic")) for m in body)
        value = {key: int(kernel.get(key, 0)) for key in ("vgpr_count", "agpr_count", "sgpr_count", "group_segment_fixed_size",
                                                          "private_segment_fixed_size", "vgpr_spill_count", "sgpr_spill_count")}
        blocks = -(-int(kernel["max_flat_workgroup_size"]) // int(kernel["wavefront_size"]))
        lds = value["group_segment_fixed_size"]
        waves = occupancy(target, value["vgpr_count"], value["agpr_count"], lds, blocks)
        defects = [f"{key} is {value[key]}" for key in ("vgpr_spill_count", "sgpr_spill_count", "private_segment_fixed_size") if value[key]]
        rows8 = ROWS8.search(name)
        if not stores and not (rows8 and not has_numbers(TARGETS[target], int(rows8[2]))):  # which nobody launches there
            defects.append("no global store: it computes nothing")
        for pattern, expected in MATRIX_INSTRUCTIONS:
            if (match := pattern.search(name)) and TARGETS[target].instructions and matrix != (wanted := expected(TARGETS[target], match)):
                defects.append(f"{matrix} matrix instructions instead of {wanted}")
        yield ((target, value["vgpr_count"], value["agpr_count"], value["sgpr_count"], lds, waves, matrix, stores, len(body), name),
               [f"{path.name}: {target} {name}: {d}" for d in defects])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", nargs="+", type=pathlib.Path, help="objects of kernels/*.hip")
    parser.add_argument("--rocm", type=pathlib.Path, default="/opt/rocm", help="where ROCm is, for its LLVM tools")
    parser.add_argument("--output", type=pathlib.Path, help="write the table there instead of printing it")
    parser.add_argument("--code", nargs=2, metavar=("TARGET", "FOLDER"), help="instead of that: leave TARGET's code objects in FOLDER, NAME.co of NAME.o")
    options = parser.parse_args()
    find_tools(options.rocm)
    if options.code:
        return extract(options.objects, options.code[0], pathlib.Path(options.code[1]))
    rows, defects = [], []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = collections.defaultdict(dict)  # by target: a disassembler keeps to the first one's instructions
        for path in options.objects:
            own = pathlib.Path(folder, path.stem)
            own.mkdir()
            for target, code in code_objects(path, own).items():
                codes[target][path] = code
        for found in pool.map(lambda item: list(examine(*item)), codes.items()):
            for row, more in found:
                rows.append(row)
                defects += more
    for pattern, _ in MATRIX_INSTRUCTIONS:
        if not any(pattern.search(row[-1]) for row in rows):
            defects.append(f"no kernel is called {pattern.pattern}: was it renamed? its matrix instructions are not checked")
    widths = [max(len(str(row[i])) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS) - 1)]
    lines = ["  ".join([*(str(v).rjust(w) for v, w in zip(row, widths)), row[-1]]) for row in [COLUMNS, *rows]]
    text = "\n".join(lines) + "\n"
    options.output.write_text(text) if options.output else print(text, end="")
    print("\n".join(defects), file=sys.stderr, end="\n" if defects else "")
    return 1 if defects or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
