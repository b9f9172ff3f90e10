"""A model of the time that AMD cards take, from what their machine code executes. No number here was measured on one.

A unit (a work-group processor or compute unit) holds as many blocks of a launch as registers and LDS allow. Those that it holds at once take
either what their instructions take together, or what the slowest waits for alone:
    busy    matrix and other instructions by their issue cycles, or the bytes of LDS or of the second-level cache, whichever is more
    serial  START_US, STEP_US for each step between barriers, and a wave's own matrix instructions
A launch takes LAUNCH_US, and no less than its arrays need, read once from memory where the last cache does not hold them. START_US, STEP_US, the
cache's share of its width and the matrix instruction of NVIDIA's card were fitted to the H200 that scripts/time_tiles.py measured, with the
instructions of gfx12, whose fragments are as small: `check` says how far off they are there. Everything of an AMD card is docs/spec/amd.md's,
section 1, or as marked.
"""
import collections
import ctypes
import functools
import importlib
import itertools
import math
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import isa_check
import isa_counts
import isa_translate
import kernel_report
import make_net
import numpy as np

sys.path.extend(str(isa_check.ROOT / 'tests' / folder) for folder in ('kernels', 'backends'))
import device
import rocm_calls

START_US, STEP_US, LAUNCH_US = 1.1, 0.11, 1.2
LONE_LAUNCH_US = 3.5  # where the host launches one by one
SPLITS = 1, 2, 4, 8
TILES = [(16, 64), (32, 64), (64, 64), (128, 64), (128, 128)]  # of gemm.hip
TWO_STAGES = [(64, 64), (128, 128)]  # in LDS: one barrier a step instead of two


class Card(NamedTuple):
    name: str
    target: str  # whose machine code it runs
    units: int
    clock_ghz: float
    matrix: int      # cycles of a SIMD for one matrix instruction
    vector: int      # and for another
    alone: bool      # no other wave's vector instruction goes beside a matrix instruction
    lds: int         # bytes a clock of a unit
    cache: int       # of the second level, likewise: 24 of the 64 that a compute unit could take, as on the H200
    memory_gbs: int
    cache_mb: int    # of the last level


CARDS = [
    Card('RX 7900 XTX', 'gfx1100', 48, 2.5, 32, 1, True, 256, 48, 960, 96),
    Card('RX 9070 XT', 'gfx1201', 32, 2.97, 16, 1, True, 256, 48, 640, 64),
    Card('Radeon 8060S', 'gfx1151', 20, 2.9, 32, 1, True, 256, 48, 256, 32),
    Card('MI300X', 'gfx942', 304, 2.1, 16, 4, False, 128, 24, 5300, 256),
    Card('MI250, one die', 'gfx90a', 104, 1.7, 32, 4, False, 128, 24, 1638, 8),
]
H200 = Card('H200', 'gfx1201', 132, 1.75, 24, 1, True, 128, 24, 4800, 50)
SIMDS = 4


def resources(card):
    """A line of targets.def: what the blocks that a unit holds share. For the H200 its own numbers in it."""
    line = kernel_report.TARGETS[card.target]
    return line._replace(registers=512, granule=8, most_waves=16, lds=227 << 10) if card.name == 'H200' else line


@functools.cache
def notes(target):
    """Of each kernel's name: registers of a lane, bytes of LDS."""
    isa_check.translated(target)
    kernels = [k for path in (isa_check.ISA / target).glob('*.co') for k in isa_translate.CodeObject(path).kernels]
    return {k['.name']: (k['.vgpr_count'] + k.get('.agpr_count', 0), k['.group_segment_fixed_size']) for k in kernels}


class Block(NamedTuple):
    """What a block of a launch executes, all its waves together."""
    matrix: float
    other: float  # vector, LDS and memory instructions
    lds: float    # bytes
    memory: float
    barriers: float
    waves: float
    registers: int
    lds_size: int


def block_of(launch):
    classes, n = isa_counts.classes([launch]), launch['blocks']
    wave = 64 if isa_check.suffix(launch['target']) else 32
    barriers = isa_counts.scaled(launch, sum(launch['instructions'].get(name, 0) for name in ('S_BARRIER', 'S_BARRIER_WAIT')))
    of = lambda kind: isa_counts.lane_bytes(launch, kind, wave) / n
    return Block(classes['matrix'] / n, (classes['vector'] + classes['LDS'] + classes['memory']) / n, of('LDS'), of('memory'), barriers / n,
                 launch['waves'] / n, *notes(launch['target'])[launch['kernel']])


def microseconds(card, block, blocks, barriers_a_step=1):
    """Of `blocks` blocks, without their launch and what the memory takes."""
    r = resources(card)
    waves_by_registers = r.registers // (-(-max(block.registers, 1) // r.granule) * r.granule)
    held = max(1, int(min(r.most_waves, waves_by_registers) * SIMDS // block.waves))
    if block.lds_size:
        held = max(1, min(held, r.lds // block.lds_size))
    matrix, other = block.matrix * card.matrix / SIMDS, block.other * card.vector / SIMDS
    busy = max(matrix + other if card.alone else max(matrix, other), block.lds / card.lds, block.memory / card.cache)
    cycles = 1000 * card.clock_ghz
    serial = (START_US + STEP_US * block.barriers / block.waves / barriers_a_step) * cycles + block.matrix / block.waves * card.matrix
    most = -(-blocks // card.units)
    full, last = divmod(most, held)
    return (full * max(held * busy, serial) + (max(last * busy, serial) if last else 0)) / cycles


# products --------------------------------------------------------------------

@functools.cache
def launcher(target):
    """launch(name, arguments ...) of tests/kernels/launch.cc as machine code of the target; returns a block's work."""
    isa_check.translated(target)
    machine, platform = isa_check.Machine(), 'emulated64' if isa_check.suffix(target) else 'emulated32'
    kernels = device.Device(platform, device.build(platform))

    def launch(*arguments):
        with tempfile.NamedTemporaryFile() as report:
            machine.configure(f'isa={target} report={report.name}')
            kernels.launch(*arguments)
            machine.configure('')
            return block_of(isa_check.launches(report.name)[0])
    return launch


@functools.cache
def tiles(target):
    """Of each tile, without and with splits: a block's work at no depth, and what each of depth adds."""
    launch, found = launcher(target), {}
    for (index, (rows, cols)), splits in itertools.product(enumerate(TILES), (1, 2)):
        blocks = []
        for depth in 512, 1024:
            x, w, y = (np.zeros(shape, np.float16) for shape in ((rows, depth), (cols, depth), (rows, cols)))
            parts = np.zeros((splits, rows, cols), np.float32)
            blocks.append(launch('gemm', True, y, None, 0, x, w, None, 1, rows, cols, depth, True, 0, index, splits, parts))
        slope = [(b - a) / (512 // splits) for a, b in zip(*blocks)]
        found[(rows, cols), splits > 1] = [(a - 512 // splits * s, s) for a, s in zip(blocks[0], slope)]
    return found


def product(card, rows, cols, depth, tile, splits, batch=1, launch_us=LAUNCH_US):
    """Microseconds of a product by our own kernel, with its finish."""
    line = tiles(card.target)[tile, splits > 1]
    block = Block(*(at + slope * -(-depth // splits) for at, slope in line))
    block = block._replace(registers=round(line[6][0]), lds_size=round(line[7][0]))
    blocks = -(-rows // tile[0]) * -(-cols // tile[1]) * splits * batch
    time = microseconds(card, block, blocks, 1 if tile in TWO_STAGES else 2)
    weights, activations = 2 * batch * cols * depth, 2 * batch * rows * (cols + depth)
    memory = weights + (activations if activations > card.cache_mb << 20 else 0)
    finish = launch_us + from_memory(card, (4 * splits + 2) * batch * rows * cols) if splits > 1 else 0
    return launch_us + max(time, memory / card.memory_gbs / 1000) + finish


def inside(card):
    """GB a second of the last cache, about as wide as the second level's."""
    return card.units * card.cache * card.clock_ghz


def from_memory(card, size):
    """Microseconds for so many bytes: of the last cache where they fit."""
    return size / (inside(card) if size < card.cache_mb << 20 else card.memory_gbs) / 1000


def ways(depth):
    return [(tile, splits) for tile in TILES for splits in SPLITS if splits == 1 or depth >= 64 * splits]


def best(card, rows, cols, depth, batch=1):
    return min(((product(card, rows, cols, depth, tile, splits, batch), tile, splits) for tile, splits in ways(depth)), key=lambda way: way[0])


def teraflops(card, size):
    """Of a product of three sides of that size, in its best way."""
    return 2e-6 * size ** 3 / best(card, size, size, size)[0]


def geometric(factors):
    return np.exp(np.mean(np.log(factors)))


def guess(card, rows, cols, depth, batch=1):
    """The way that our product takes unmeasured: cost() in linear/gemm.cc."""
    calls = rocm_calls.Calls(64 if isa_check.suffix(card.target) else 32).lib
    calls.untried_own_way.restype = ctypes.c_char_p
    architecture = b'stand-in' if card.name == 'H200' else card.target.encode()
    _, tile, splits = calls.untried_own_way(architecture, card.units, batch, rows, cols, depth).decode().split(':')
    return tuple(map(int, tile.split('x'))), int(splits[1:])


class Guesses(NamedTuple):
    """How the ways that our product takes unmeasured compare with the model's best."""
    shapes: int
    other: int   # of which another is the model's best
    mean: float  # times the best, geometric
    worst: float


def guesses(card, shapes):
    """Of products (batch, rows, cols, depth)."""
    over, other = [], 0
    for batch, *shape in shapes:
        way, (time, *right) = guess(card, *shape, batch), best(card, *shape, batch)
        over.append(product(card, *shape, *way, batch) / time)
        other += way != tuple(right)
    return Guesses(len(over), other, geometric(over), max(over))


class Check(NamedTuple):
    """What the model, with a card's numbers, is worth there. Times over the best: geometric mean, and worst."""
    correlation: float  # of ranks, the mean over the shapes
    error: float        # root mean square of its logarithm
    mean: float         # of the model's choice
    worst: float
    guessed_mean: float  # of the way that is taken unmeasured
    guessed_worst: float


def check(times):
    """What a file of scripts/time_tiles.py says."""
    shapes = collections.defaultdict(dict)
    for rows, cols, depth, tile, splits, us in times:
        way = tuple(map(int, tile.split('x'))), splits
        if way in ways(depth):
            shapes[rows, cols, depth][way] = us
    correlations, losses, guessed, errors = [], [], [], []
    for shape, real in shapes.items():
        model = {way: product(H200, *shape, *way, launch_us=LONE_LAUNCH_US) for way in real}
        ranks = [np.argsort(np.argsort([of[way] for way in real])) for of in (model, real)]
        correlations.append(np.corrcoef(*ranks)[0, 1])
        losses.append(real[min(model, key=model.get)] / min(real.values()))
        guessed.append(real[guess(H200, *shape)] / min(real.values()))
        errors += [math.log(model[way] / real[way]) for way in real]
    return Check(np.mean(correlations), np.sqrt(np.mean(np.square(errors))), geometric(losses), max(losses), geometric(guessed), max(guessed))


# attention -------------------------------------------------------------------

# Of a unit: from here on launch_attention takes waves of twice the queries.
MANY_BLOCKS = int(re.search(r'kManyBlocks = (\d+)', (isa_check.ROOT / isa_translate.KERNELS / 'attention.hip').read_text())[1])


@functools.cache
def attention(target, bias):
    """A block's work, of a head of 32 channels, by waves of few queries and of many."""
    qkv, out = np.zeros((64, 96), np.float16), np.zeros((64, 32), np.float16)
    arguments = 'attention', True, out, qkv, qkv, qkv, np.zeros((64, 64), np.float16) if bias else None, 1, 1, 32, 96, 32
    return [launcher(target)(*arguments, units) for units in (1, 0)]


def attention_us(card, bias, blocks):
    """Without its launch and memory, by waves of few queries and of many."""
    return [microseconds(card, block, blocks) for block in attention(card.target, bias)]


class Threshold(NamedTuple):
    least: float  # blocks of a unit from which on waves of many queries are faster
    mean: float   # what the launcher's choice takes over the better one, geometric, of batches 1 to 256 of 24 heads
    worst: float


def threshold(card, bias):
    times = {blocks: attention_us(card, bias, blocks) for blocks in range(24, 24 * 257, 24)}
    few_is_faster = [blocks for blocks, (few, many) in times.items() if few < many]
    over = [t[blocks >= MANY_BLOCKS * card.units] / min(t) for blocks, t in times.items()]
    return Threshold((max(few_is_faster, default=0) + 24) / card.units, geometric(over), max(over))


# passes ----------------------------------------------------------------------

class Big(NamedTuple):
    shape: dict   # of make_net
    layers: str   # which of it says how many layers; of two passes, with one and two, follow all
    count: int


BIG = {'768x15': Big(dict(embedding=768, heads=24, dff=1024, smolgen=(32, 256, 256), value_size=32, head_hidden=128), 'encoders', 15),
       '256x10': Big(dict(body='tower', filters=256, se_ratio=8, policy='convolution'), 'blocks', 10)}


@functools.cache
def launches(target, name, batch):
    """Of a pass in halves with one layer, and with two: their launches. The first, a middle and the last block of each are executed."""
    from lc0rocm import _core
    from lc0rocm.netfile import net
    importlib.import_module('lc0rocm._rocm' + isa_check.suffix(target))
    isa_check.translated(target)
    machine, found = isa_check.Machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for layers in 1, 2:
            make_net.write_net(make_net.make_net(**BIG[name].shape, **{BIG[name].layers: layers}), Path(folder) / 'net.pb')
            file, report = net.load(Path(folder) / 'net.pb'), Path(folder) / f'report{layers}'
            try:
                machine.configure(f'isa={target} blocks=3 memory=65536')
                backend = _core.Backend('rocm-fp16' + isa_check.suffix(target), file.core(), isa_check.OURS | {'max_batch': batch, 'graphs': False})
                machine.configure(f'isa={target} blocks=3 memory=65536 report={report}')
                backend.evaluate(*isa_check.inputs(file, batch))
                del backend
            finally:
                machine.configure('')
            found.append(isa_check.launches(report))
    return found


ARRAYS = {'layer_norm': 3, 'attention_half': 6, 'winograd_input': 1.5, 'winograd_output': 4.25}  # of a kernel: bytes of all, of one that is written


def arrays(launch):
    """Bytes of a launch's arrays, each read or written once."""
    name = isa_counts.base_name(launch['kernel'])
    times = next((n for begin, n in ARRAYS.items() if name.startswith(begin)), 2)
    return times * isa_counts.lane_bytes(launch, 'memory', 64 if isa_check.suffix(launch['target']) else 32, 'STORE')


def launch_us(card, launch):
    """Microseconds of a launch: products in the way that the model finds best, their ends being in it."""
    name = isa_counts.base_name(launch['kernel'])
    if name == 'gemm_half':
        batch, rows, cols, _, depth, *_ = launch['numbers']
        return best(card, rows, cols, depth, batch)[0]
    if name.startswith('gemm_finish'):
        return 0
    block, blocks = block_of(launch), launch['blocks']
    time = microseconds(card, block, blocks)
    if name == 'attention_half':  # the emulated machine has one unit
        time = attention_us(card, 'ELb1ELb1E' in launch['kernel'], blocks)[blocks >= MANY_BLOCKS * card.units]
    asked, once = block.memory * blocks, arrays(launch)
    return LAUNCH_US + max(time, asked / inside(card) / 1000, once / card.memory_gbs / 1000 if once > card.cache_mb << 20 else 0)


def products(target, names, batches):
    """Of all passes, each once: (batch, rows, cols, depth)."""
    launched = (launch for name, batch in itertools.product(names, batches) for one in launches(target, name, batch) for launch in one)
    numbers = {tuple(launch['numbers'][:5]) for launch in launched if isa_counts.base_name(launch['kernel']) == 'gemm_half'}
    return sorted((batch, rows, cols, depth) for batch, rows, cols, _, depth in numbers)


def all_layers(name, one, two):
    return one + (BIG[name].count - 1) * (two - one)


def by_kernel(card, name, batch):
    """Of each kernel in a pass: launches, waves, instructions by class, microseconds."""
    found = []
    for some in launches(card.target, name, batch):
        counts = isa_counts.by_kernel(some)
        for launch in some:
            counts[isa_counts.base_name(launch['kernel'])]['us'] += launch_us(card, launch)
        found.append(counts)
    one, two = found
    return {kernel: {key: all_layers(name, one[kernel][key], two[kernel][key]) for key in two[kernel]} for kernel in two}


def positions_a_second(card, name, batch):
    return 1e6 * batch / sum(counts['us'] for counts in by_kernel(card, name, batch).values())
