"""Wrong copies of the kernels, each of which scripts/isa_check.py --faults must refuse: the proof that its passes find what they are for."""
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import isa_check
import isa_translate

TARGET = 'gfx1100'


class Fault(NamedTuple):
    what: str
    file: str
    text: str         # of the file, a regular expression;
    replacement: str  # for the first place
    kernel: str       # the file to compile anew
    family: str       # of isa_check.NETS, that launches it
    flags: tuple = ()  # of hipcc


FAULTS = [
    Fault('two arguments in each other\'s place', 'bias_activation.hip', r'bias,(.*?)skip,', r'skip,\1bias,', 'bias_activation', 'multihead'),
    Fault('an argument of another size', 'kernels.h', r'(struct LastLayer.*?)int width', r'\1long width, more', 'values', 'attention'),
    Fault('a missing barrier', 'values.hip', r'__syncthreads\(\);', '', 'values', 'attention'),
    Fault('a missing barrier behind loads', 'attention.hip', r'scale\);\n  __syncthreads\(\);', 'scale);', 'attention', 'attention'),
    Fault('a missing barrier between layers', 'tower.hip', r'__syncthreads\(\);\n    for_each_row', 'for_each_row', 'tower', 'narrow tower'),
    Fault('a wrong lane in a sum', 'wave.h', '0x4e', '0xb1', 'values', 'attention'),
    Fault('a wrong lane between two products', 'mma.h', r'lane_xor<16>\(mine.z\)', 'lane_xor<15>(mine.z)', 'attention', 'attention'),
    Fault('waves of another width', 'values.hip', '$', '', 'values', 'attention', ('-mwavefrontsize64',)),
    Fault('an array in LDS that is too short', 'gemm.hip', r'using Tiles = uint4\[\(kBlock.rows \+ kBlock.cols\) \* kPieces\]',
          'using Tiles = uint4[(kBlock.rows + kBlock.cols) * kPieces / 2]', 'gemm', 'attention'),
    Fault('LDS that nobody wrote', 'gemm.hip', r'i < L::kCopies; \+\+i\) tiles', 'i < L::kCopies - 1; ++i) tiles', 'gemm', 'attention'),
    Fault('a read behind the end of an array', 'gemm.hip', r'min\(unsigned\(row\), left - 1\)', 'unsigned(row)', 'gemm', 'odd attention'),
    Fault('a block that reads what another writes', 'layer_norm.hip', r'load8\(at\(skip, first \+ i \* kLanes \* kPiece\)\)',
          'load8(at(skip, (first + cols) % (unsigned(rows) * cols) + i * kLanes * kPiece))', 'layer_norm', 'attention'),
]


def run():
    """Raises Failure for a fault that is not found."""
    isa_check.translated(TARGET)
    for fault in FAULTS:
        with tempfile.TemporaryDirectory(dir=isa_check.ISA) as copy:
            translate(fault, Path(copy))
            os.environ['ROCM_ISA'] = copy
            try:
                list(isa_check.run_nets(isa_check.Machine(), TARGET, [fault.family], ['rocm-fp16'], [1, 3]))
            except isa_check.Failure as found:
                print(f'{fault.what}: found. {found}', flush=True)
            else:
                raise isa_check.Failure(f'{fault.what} ({fault.file}) was not found')
            finally:
                os.environ['ROCM_ISA'] = str(isa_check.ISA)


def translate(fault, copy):
    """The machine code of a checkout with the fault, in `copy`; the kernels that it does not touch are those of the checkout."""
    shutil.copytree(isa_check.ROOT / 'src', copy / 'src', ignore=shutil.ignore_patterns('*.cc'))
    source = copy / isa_translate.KERNELS / fault.file
    text, count = re.subn(fault.text, fault.replacement, source.read_text(), count=1, flags=re.S)
    if not count:
        raise isa_check.Failure(f'{fault.file} has no {fault.text} any more: mend FAULTS')
    source.write_text(text)
    (copy / TARGET).mkdir()
    for unchanged in (isa_check.ISA / TARGET).glob('*.co'):
        if unchanged.stem != fault.kernel:
            shutil.copy(unchanged, copy / TARGET)
    isa_translate.translate(TARGET, copy, copy, fault.flags)
