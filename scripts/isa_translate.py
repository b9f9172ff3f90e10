#!/usr/bin/env python3
"""Makes the AMD machine code of all kernels executable on this CPU: build/isa/TARGET.so, for ROCM_EMULATED="isa=TARGET".

    scripts/isa_translate.py gfx1100 gfx942

hipcc compiles each kernel; each kind of instruction in it becomes a C function by tinygrad's emulator, which makes it from AMD's own
description of the instruction; the table of both is linked to a library (src/rocm_standin/emulated/isa.h). Functions are kept in
build/isa/FAMILY-... and made once, which takes minutes for the first target of a family.

The emulator is tinygrad's, pinned, in $TINYGRAD_SRC:
    git init tinygrad && cd tinygrad
    git fetch --depth 1 https://github.com/tinygrad/tinygrad a9069c177a9da9cca18593edf55acd2e6073cca6 && git checkout FETCH_HEAD
It needs clang on the PATH (or the command in $CC) and the Python packages msgpack and pyelftools (make .venv/.tools-isa). hipcc is
ROCm's, or the command in $HIPCC. Without an installed ROCm (docs/build.md):
    export HIPCC="scripts/rocm_sysroot /var/tmp/rocm run hipcc"

What an instruction does that the emulator does not know, or is known to get wrong, is an error when a wave comes to it, not before.
"""
import argparse
import contextlib
import functools
import hashlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kernel_report

ROOT = Path(__file__).resolve().parents[1]
KERNELS = 'src/backends/rocm/kernels'
STANDIN = ROOT / 'src/rocm_standin/emulated'
FAMILIES = {'gfx9': 'cdna', 'gfx11': 'rdna3', 'gfx12': 'rdna4'}  # that the emulator knows
# Without effect on an emulator with one memory and waves one after the other.
NOTHING = re.compile('BUFFER_GL[01]_INV|GLOBAL_INV|GLOBAL_WB|GLOBAL_WBINV|BUFFER_INV|BUFFER_WBL2|S_WAIT_IDLE|S_ICACHE_INV|S_DCACHE_INV|S_SETPRIO')
# What the emulator gets wrong, or leaves out without a word: relative registers, halves of registers loaded from LDS, the mode register.
WRONG = re.compile('V_MOVREL|DS_LOAD_.*D16|DS_READ_.*D16|DS_SWIZZLE|S_SETREG|S_GETREG|S_SWAPPC|S_CALL')


class Failure(Exception):
    pass


def family_of(target):
    generation = re.match('gfx(9|1[0-9])', target)
    if not generation or generation[0] not in FAMILIES:
        raise Failure(f'{target}: the emulator executes {", ".join(FAMILIES)} and nothing else')
    return FAMILIES[generation[0]]


def compile_kernels(target, folder, root=ROOT, more=()):
    """The code objects of all kernels of a checkout; those newer than their sources stay."""
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.split(os.environ.get('HIPCC', 'hipcc'))
    flags = ['-x', 'hip', '-std=c++20', '-O3', '-mllvm', '-disable-promote-alloca-to-lds', f'-I{root}/src', f'--offload-arch={target}',
             '--no-gpu-bundle-output', '--cuda-device-only', *more]
    headers = max(f.stat().st_mtime for f in [*(root / KERNELS).glob('*.h'), *(root / 'src/nn').glob('*.h')])

    def compile_one(source):
        result = folder / f'{source.stem}.co'
        if not result.exists() or result.stat().st_mtime < max(headers, source.stat().st_mtime):
            try:
                run = subprocess.run([*command, *flags, source, '-o', result], text=True, capture_output=True, cwd=ROOT)
            except OSError as error:
                raise Failure(f'{command[0]} cannot be run ({error.strerror}): set $HIPCC as --help says') from error
            if run.returncode:
                raise Failure(f'{source.name} for {target}: {run.stderr.strip()}')
        return result

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sorted((root / KERNELS).glob('*.hip'))))


class CodeObject:
    """A code object as it is loaded: image; kernels: their notes; code: (first byte, end) of each function."""

    def __init__(self, path):
        import msgpack
        from elftools.elf.elffile import ELFFile
        with open(path, 'rb') as file:
            elf = ELFFile(file)
            segments = [s for s in elf.iter_segments() if s['p_type'] == 'PT_LOAD']
            self.image = bytearray(max(s['p_vaddr'] + s['p_memsz'] for s in segments))
            for segment in segments:
                self.image[segment['p_vaddr']:segment['p_vaddr'] + segment['p_filesz']] = segment.data()
            relocations = elf.get_section_by_name('.rela.dyn')
            if relocations and relocations.num_relocations():
                raise Failure(f'{path}: relocations, which are not made here')
            symbols = list(elf.get_section_by_name('.symtab').iter_symbols())
            self.code = {s.name: (s['st_value'], s['st_value'] + s['st_size']) for s in symbols if s['st_info']['type'] == 'STT_FUNC'}
            self.address = {s.name: s['st_value'] for s in symbols}
            notes = [n['n_desc'] for part in elf.iter_sections() if part['sh_type'] == 'SHT_NOTE' for n in part.iter_notes()
                     if n['n_name'] == 'AMDGPU']
        notes = [n.encode('latin1') if isinstance(n, str) else n for n in notes]
        self.kernels = [kernel for n in notes for kernel in msgpack.unpackb(n)['amdhsa.kernels']]

    def descriptor(self, kernel):
        """LDS, entry, rsrc1, rsrc2, properties, preload of a kernel's descriptor, with the entry in the image."""
        at = self.address[kernel['.symbol']]
        word = lambda offset, size=4: int.from_bytes(self.image[at + offset:at + offset + size], 'little', signed=size == 8)
        return word(0), at + word(16, 8), word(48), word(52), word(56, 2), word(58, 2)


# What the emulator gets wrong and is mended here: functions of its, with texts of theirs and what replaces them.
MENDED = {
    '_compile_wmma': [  # a constant that is the C of gfx12's matrix instruction was read from the vector register of that number
        ('src2_r = (src2_r >= 256).where(src2_r - _c(256), src2_r)', 'src2 = src2_r; src2_r = src2_r - _c(256)'),
        ('ctx.rvgpr_dyn(src2_r + _c(vgpr), UOp.const(lane, dtypes.int))',
         'ctx.rsrc_dyn((src2 >= 256).where(src2 + _c(vgpr), src2), UOp.const(lane, dtypes.int))'),
        ("'bf16_to_f32' if is_bf16 else", "'bf16_to_f32' if is_bf16 else 'fp8_to_f32' if 'FP8_FP8' in op_name else")],  # read as halves
    '_compile_mfma': [  # infinities and NaN in half were numbers to gfx9's matrix instruction, subnormal halves 0
        ('return exp.eq(_c(0)).where(_c(0), f32_bits)',
         'small = (mant.cast(dtypes.float32) * UOp.const(2.0 ** -24, dtypes.float32)).bitcast(dtypes.uint32) | (sign << _c(31)); '
         'return exp.eq(_c(0)).where(small, exp.eq(_c(31)).where(f32_bits | _c(0x7F800000), f32_bits))'),
        ('return (byte.cast(dtypes.int32) ^ UOp.const(0x80, dtypes.int32)) - UOp.const(0x80, dtypes.int32)',  # C that takes no int for an unsigned
         'return ((byte.cast(dtypes.int32) ^ UOp.const(0x80, dtypes.int32)) - UOp.const(0x80, dtypes.int32)).bitcast(dtypes.uint32)')],
    # registers from 128 on of gfx9's instructions on halves were taken for upper halves, which they are from gfx11 on
    '_load_vsrc0': [("if bits['s0'] == 16:", "if bits['s0'] == 16 and 'cdna' not in type(inst).__module__:")],
    '_compile_vop12': [("bits['d'] == 16 and (", "bits['d'] == 16 and 'cdna' not in type(inst).__module__ and ("),
                       ("bits['s0'] == 16 and (", "bits['s0'] == 16 and 'cdna' not in type(inst).__module__ and (")],
    '_compile_vopc': [("if bits['s0'] == 16:", "if bits['s0'] == 16 and 'cdna' not in type(inst).__module__:")],
}

# ds_bpermute_b32 and ds_permute_b32 did not ignore the high bits of a lane's number, which an inactive lane has: in their C.
PERMUTED = r'(unsigned int alu\d+ = )(\(\(val\d+\[\d\]\+alu\d+\)>>2u\));'


def fma(a, b, c):
    """With one rounding, where the emulator's rounds the product too: a double holds that, and is off by a bit of its own at most before the rounding."""
    from tinygrad.dtype import dtypes
    return (a.cast(dtypes.double) * b.cast(dtypes.double) + c.cast(dtypes.double)).cast(a.dtype) if a.dtype == dtypes.float else a * b + c


def float8(bias):
    """The conversions of E4M3, whose exponent has a bias of 7 (OCP) or 8 (FNUZ): the emulator has no FNUZ, and loses NaN and subnormal numbers."""
    from tinygrad.dtype import dtypes
    from tinygrad.uop.ops import UOp
    word, number = lambda x: UOp.const(x, dtypes.uint32), lambda x: UOp.const(x, dtypes.float32)
    nan, most = (0x7f, 0x7e) if bias == 7 else (0x80, 0x7f)

    def fp8_to_f32(v):
        b = v.cast(dtypes.uint32) & word(0xff)
        exponent, mantissa, sign = (b >> word(3)) & word(15), b & word(7), (b & word(0x80)) << word(24)
        small = (mantissa.cast(dtypes.float32) * number(2.0 ** (-2 - bias))).bitcast(dtypes.uint32)
        size = exponent.eq(word(0)).where(small, ((exponent + word(127 - bias)) << word(23)) | (mantissa << word(20)))
        is_nan = (b & word(0x7f)).eq(word(nan)) if bias == 7 else b.eq(word(nan))
        return is_nan.where(word(0x7fc00000), size | sign).bitcast(dtypes.float32)

    def f32_to_fp8(v):  # to nearest even; what is beyond becomes NaN
        bits = v.bitcast(dtypes.uint32)
        size, sign = bits & word(0x7fffffff), (bits >> word(24)) & word(0x80)
        normal = ((size + word(0x7ffff) + ((size >> word(20)) & word(1))) >> word(20)) - word((127 - bias) << 3)
        small = (size.bitcast(dtypes.float32) + number(2.0 ** (21 - bias))).bitcast(dtypes.uint32) - word((148 - bias) << 23)
        result = (size < word((128 - bias) << 23)).where(small, normal)
        signed = result | sign if bias == 7 else result.eq(word(0)).where(result, result | sign)
        return (result > word(most)).where(word(nan), signed).cast(dtypes.uint8)

    return {'fp8_to_f32': fp8_to_f32, 'f32_to_fp8': f32_to_fp8}


@functools.cache
def emulator():
    """The emulator's module, mended: it also reads the LDS for inactive lanes, whose addresses may be anything."""
    source = os.environ.get('TINYGRAD_SRC', '')
    if not os.path.isdir(source):
        raise Failure('$TINYGRAD_SRC names no folder; --help says what the emulator is and where it comes from')
    sys.path.insert(0, source)
    from test.mockgpu.amd import emu, pcode
    context, parse, plain = [], emu.parse_pcode, emu._compile_mem_op

    def parse_pcode(pcode, sources, *rest):
        if '_lds' in sources:
            sources = dict(sources, _active=emu._lane_active(context[0].rexec(), sources['laneId']))
        return parse(pcode, sources, *rest)

    def memory(inst, ctx):
        context[:] = [ctx]
        return plain(inst, ctx)

    emu.parse_pcode = parse_pcode
    pcode._FUNCS['fma'] = fma
    for function, pairs in MENDED.items():
        text = inspect.getsource(getattr(emu, function))
        for old, new in pairs:
            assert text.count(old) == 1, 'not the pinned emulator'
            text = text.replace(old, new)
        exec(text, vars(emu))
    emu._INST_HANDLERS.update({kind: memory if handler is plain else vars(emu)[handler.__name__]
                               for kind, handler in emu._INST_HANDLERS.items() if handler is plain or handler.__name__ in MENDED})
    return emu


class Family:
    """The instructions of a family as C functions, kept in a folder: chunks of a JSON list and an object file of the same name."""

    def __init__(self, arch, folder, bias):
        self.arch, self.folder, self.fresh, self.seen, self.emu = arch, folder, [], {}, emulator()
        sys.modules['test.mockgpu.amd.pcode']._FUNCS.update(float8(bias))
        folder.mkdir(parents=True, exist_ok=True)
        self.known = [entry for chunk in sorted(folder.glob('*.json')) for entry in json.loads(chunk.read_text())]

    def instruction(self, data):
        """(name, size, function or None, is it a barrier) of the instruction that 16 bytes begin with."""
        for size in 4, 8:  # the first four bytes say how long it is
            if data[:size] in self.seen:
                return self.seen[data[:size]]
        found = self._read(data)
        self.seen[data[:found[1]]] = found
        return found

    def _read(self, data):
        if self.arch == 'rdna3' and data[3] >> 2 == 0x38:  # a format that the emulator does not read
            name = self.emu.ir3.MUBUFOp(int.from_bytes(data[:4], 'little') >> 18 & 255).name
            return name, 8, 'nothing_8' if NOTHING.fullmatch(name) else None, False
        if self.arch == 'cdna' and data[2:4] != b'\xac\xd3':  # alone has more: the emulator looks for the end of it behind any
            data = data[:8] + bytes(8)
        inst = self.emu.decode_inst(data, self.arch)
        name = inst.op.name if hasattr(inst, 'op') else f'{inst.opx.name}_{inst.opy.name}'  # the latter: two in one, of gfx11 and gfx12
        size, bits = inst.size(), int.from_bytes(data, 'little')
        if NOTHING.fullmatch(name):
            return name, size, f'nothing_{size}', False
        if WRONG.match(name) or self._is_wrong(inst, name):
            return name, size, None, False
        barrier = name in ('S_BARRIER', 'S_BARRIER_WAIT')
        kind, own = type(inst).__name__, bits & (1 << 8 * size) - 1
        for e in self.known:
            if e['kind'] == kind and e['size'] == size and own & e['mask'] == e['base']:
                return name, size, e['function'], barrier
        return name, size, self._make(inst, data, kind, name, size), barrier

    def _is_wrong(self, inst, name):
        """What the emulator does lane by lane, from registers that it has already written; and a selector that it does not read."""
        is_dpp = 'DPP' in type(inst).__name__ and hasattr(inst, 'vsrc0')
        return (is_dpp and inst.vdst.offset == inst.vsrc0.offset) or ('PERMLANEX16' in name and 255 in (inst.src1.offset, inst.src2.offset))

    def _make(self, inst, data, kind, name, size):
        emu = self.emu
        handler = next((emu._INST_HANDLERS[c] for c in type(inst).__mro__ if c in emu._INST_HANDLERS), None)
        entry = {'kind': kind, 'size': size, 'function': None, 'base': int.from_bytes(data[:size], 'little'), 'mask': (1 << 8 * size) - 1}
        if handler:
            ctx = emu._Ctx(size, emu._wave_size(self.arch))
            with contextlib.suppress(NotImplementedError, RuntimeError, AssertionError, KeyError):
                sink = handler(inst, ctx)
                entry['base'], entry['mask'], _ = ctx.canonical_mask(data)
                function = f'{name.lower()}_{kind.lower()}_{entry["base"]:x}'
                sink = sink.replace(arg=emu.KernelInfo(name=function)).rtag(1)
                with emu.Context(NOOPT=1, CHECK_OOB=0, TUPLE_ORDER=0, EMULATED_DTYPES='', CAPTURE_PROCESS_REPLAY=0, PROFILE=0):
                    program = emu.to_program(sink, self.renderer())
                text = next(part.arg for part in program.src if part.op.name == 'SOURCE')
                if kind == 'DS' and 'PERMUTE' in name:
                    text, count = re.subn(PERMUTED, rf'\1(\2&{emu._wave_size(self.arch) - 1}u);', text)
                    assert count == emu._wave_size(self.arch), 'not the pinned emulator'
                entry['function'] = function
                self.fresh.append((entry, text, program.arg.globals, program.arg.function_name))
        self.known.append(entry)
        return entry['function']

    def renderer(self):
        """The emulator's way to C, without its compiler: all functions are compiled at once."""
        renderer = self.emu.Device['CPU'].renderer
        renderer.compiler.compile_cached = lambda source: b''
        return renderer

    def save(self):
        """Compiles the functions made since, and returns all object files."""
        if self.fresh:
            types, bodies = set(), []
            for entry, text, buffers, original in self.fresh:
                types.update(re.findall('^typedef .*', text, re.M))
                body = re.sub('^typedef .*\n', '', text, flags=re.M).replace(f'void {original}(', f'static void {original}(')
                arguments = ', '.join(f'memory[{b}]' for b in buffers)
                bodies.append(f'{body}\nvoid isa_{entry["function"]}(void** memory) {{ {original}({arguments}); }}\n')
            source = '\n'.join(sorted(types)) + '\n' + '\n'.join(bodies)
            chunk = self.folder / hashlib.sha256(source.encode()).hexdigest()[:12]
            compile_c(source, chunk.with_suffix('.o'))
            chunk.with_suffix('.json').write_text(json.dumps([entry for entry, *_ in self.fresh]))
            self.fresh = []
        return [chunk.with_suffix('.o') for chunk in sorted(self.folder.glob('*.json'))]


def compile_c(source, result):
    compiler = shlex.split(os.environ.get('CC', 'clang'))
    command = [*compiler, '-x', 'c', '-O2', '-march=native', '-fPIC', '-fno-math-errno', '-ffp-contract=off', '-fvisibility=hidden', '-w',
               f'-I{STANDIN}', '-c', '-', '-o', result]
    run = subprocess.run(command, input=source, text=True, capture_output=True)
    if run.returncode:
        raise Failure(f'{shlex.join(map(str, command))}: {run.stderr[:2000]}')


def translate(target, out, root=ROOT, more=()):
    """Makes out/TARGET.so of a checkout's kernels, with more flags for hipcc; returns its path."""
    arch, folder = family_of(target), out / target
    objects = [CodeObject(path) for path in compile_kernels(target, folder, root, more)]
    bias = 8 if kernel_report.TARGETS[target].fp8 == 'kFp8Fnuz' else 7
    mended = hashlib.sha256(repr((MENDED, bias, PERMUTED, *map(inspect.getsource, (fma, float8, Family._read)))).encode()).hexdigest()[:8]
    family = Family(arch, ROOT / 'build/isa' / f'{arch}-{mended}', bias)
    image, words, kernels, table = bytearray(), [], [], {('no instruction', None, False): 0}
    for code in objects:
        base = len(image)
        image += code.image + bytes(-len(code.image) % 4096)
        words += [0] * (len(image) // 4 - len(words))
        for kernel in code.kernels:
            lds, entry, *rest = code.descriptor(kernel)
            at, end = code.code[kernel['.name']]
            kernels.append((kernel, base + entry, base + end, lds, rest))
            while at < end:
                data = bytes(image[base + at:base + at + 16])
                try:
                    name, size, function, barrier = family.instruction(data)
                except ValueError:  # of a format that the emulator does not know
                    name, size, function, barrier = f'0x{int.from_bytes(data[:4], "little"):08x}', 4, None, False
                words[(base + at) // 4] = table.setdefault((name, function, barrier), len(table))
                at += size
    chunks = family.save()
    link(target, arch, folder, image, words, kernels, table, chunks, out / f'{target}.so')
    return out / f'{target}.so'


def link(target, arch, folder, image, words, kernels, table, chunks, library):
    (folder / 'image').write_bytes(image)
    (folder / 'words').write_bytes(b''.join(w.to_bytes(2, 'little') for w in words))
    text = lambda s: json.dumps(s)
    lines = ['#include "isa.h"']
    for section, name in ('.data', 'image'), ('.rodata', 'words'):
        lines += [f'asm(".section {section}\\n.balign 4096\\n.hidden isa_{name}\\n.globl isa_{name}\\nisa_{name}:\\n'
                  f'.incbin \\"{folder / name}\\"\\n.previous");']
    lines += ['extern unsigned char isa_image[];', 'extern const unsigned short isa_words[];']
    for size in 4, 8, 12, 16:
        lines += [f'static void isa_nothing_{size}(void** memory) {{ *(unsigned long*)((unsigned*)memory[0] + ISA_PC) += {size}; }}']
    lines += [f'void isa_{f}(void**);' for f in sorted({f for _, f, _ in table if f and not f.startswith('nothing_')})]
    lines += ['static const struct isa_instruction instructions[] = {']
    lines += [f'  {{{text(name)}, {f"isa_{function}" if function else 0}, {int(barrier)}}},' for name, function, barrier in table]
    lines += ['};']
    for i, (kernel, *_) in enumerate(kernels):
        places = ', '.join(f'{{{text(a[".value_kind"])}, {a[".offset"]}, {a[".size"]}}}' for a in kernel['.args'])
        lines += [f'static const struct isa_argument arguments_{i}[] = {{{places}}};']
    lines += ['static const struct isa_kernel kernels[] = {']
    for i, (kernel, entry, end, lds, (rsrc1, rsrc2, properties, preload)) in enumerate(kernels):
        lines += [f'  {{{text(kernel[".name"])}, arguments_{i}, {len(kernel[".args"])}, {kernel[".kernarg_segment_size"]}, {entry}, {end}, '
                  f'{lds}, {kernel[".private_segment_fixed_size"]}, {kernel[".max_flat_workgroup_size"]}, {rsrc1}u, {rsrc2}u, {properties}, {preload}}},']
    wave = 64 if arch == 'cdna' else 32
    generation = re.match('gfx(9|1[0-9])', target)[1]
    lines += ['};', f'__attribute__((visibility("default"))) const struct isa_code isa_code = {{{text(target)}, {generation}, {wave}, isa_image, '
              f'{len(image)}, isa_words, instructions, kernels, {len(kernels)}}};']
    compile_c('\n'.join(lines), folder / 'table.o')
    # Multiple definitions: two targets of a family that are translated at once may both make a function.
    command = [*shlex.split(os.environ.get('CC', 'clang')), '-shared', '-Wl,--allow-multiple-definition', '-o', library, folder / 'table.o', *chunks, '-lm']
    run = subprocess.run(command, text=True, capture_output=True)
    if run.returncode:
        raise Failure(run.stderr[:2000])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('targets', nargs='+')
    parser.add_argument('--output', type=Path, default=ROOT / 'build/isa', help='folder of the libraries (build/isa)')
    options = parser.parse_args()
    try:
        for target in options.targets:
            print(translate(target, options.output.resolve()))
    except Failure as error:
        sys.exit(f'isa_translate: {error}')


if __name__ == '__main__':
    main()
