"""What a launch executed, as the emulated runtime reports it: instructions by class, bytes, and the kernel's name as people read it."""
import collections
import functools
import re
import subprocess

CLASSES = {  # of instructions, by the beginning of their names; the first that fits
    'matrix': r'V_WMMA|V_MFMA|V_SMFMAC|V_SWMMAC', 'wait': r'S_WAIT|S_NOP|S_DELAY|S_SLEEP|S_CLAUSE|S_BARRIER|S_SETPRIO|BUFFER_GL|GLOBAL_INV|BUFFER_INV',
    'LDS': r'DS_', 'memory': r'GLOBAL|FLAT|BUFFER|SCRATCH', 'scalar': r'S_', 'vector': r'V_',
}
DWORDS = {'B128': 4, 'DWORDX4': 4, 'B96': 3, 'DWORDX3': 3, 'B64': 2, 'DWORDX2': 2}  # ends of names of loads and stores; halves and bytes count as one


@functools.cache
def class_of(instruction):
    return next(name for name, pattern in CLASSES.items() if re.match(pattern, instruction))


def scaled(launch, count):
    """Of all blocks, where some of them were executed."""
    return count * launch['blocks'] / launch['executed']


def classes(launches):
    """Wave instructions of all blocks by class."""
    counts = collections.Counter()
    for launch in launches:
        for name, n in launch['instructions'].items():
            counts[class_of(name)] += round(scaled(launch, n))
    return collections.Counter({c: counts[c] for c in CLASSES})


@functools.cache
def dwords(instruction):
    """Words of four bytes that a lane moves, for what is of class LDS or memory."""
    if 'ADDTID' in instruction or 'PERMUTE' in instruction:
        return 0
    twice = 2 if re.match('DS_(READ2|WRITE2|LOAD_2|STORE_2)', instruction) else 1
    return twice * next((n for end, n in DWORDS.items() if instruction.endswith(end)), 1)


def lane_bytes(launch, kind, wave, named=''):
    """Bytes that the lanes of all blocks ask of `kind`, LDS or memory, were all of them active; by instructions that have `named` in their names."""
    return scaled(launch, sum(4 * dwords(name) * n for name, n in launch['instructions'].items() if class_of(name) == kind and named in name)) * wave


@functools.cache
def base_name(kernel):
    """attention_half, layer_norm_block float half ...: a kernel of the code objects without its other template arguments."""
    text = subprocess.run(['c++filt'], input=kernel, text=True, capture_output=True, check=True).stdout
    name, arguments = re.match(r'void rocm::(\w+)(?:<(.*?)>\()?', text).groups()
    types = [{'__half': 'half'}.get(t, t) for t in (arguments or '').split(', ') if t in ('float', '__half')]
    return ' '.join([name, *types])


def by_kernel(launches):
    """Of each base name: launches, waves, instructions by class."""
    counts = collections.defaultdict(collections.Counter)
    for launch in launches:
        counts[base_name(launch['kernel'])].update({'launches': 1, 'waves': launch['waves']} | classes([launch]))
    return counts
