#!/usr/bin/env python3
"""Runs the ROCm back end with every launch executed as AMD machine code, instruction by instruction, on this CPU.

    scripts/isa_check.py --passes                  small nets of every family, and parts of wide ones: passes, captures and replays
    scripts/isa_check.py --pass net.pb.gz -t gfx1100 --kinds rocm-fp16
    scripts/isa_check.py --kernel "attention or layer_norm"     tests/kernels, those that pytest's -k names; "" for all
    scripts/isa_check.py --game -t gfx1100         20 moves at few nodes by rocm-fp16, through UCI
    scripts/isa_check.py --faults                  what the checks must find: wrong copies of the kernels
    scripts/isa_check.py --short                   passes of an attention net, also in 8 bits, and of two towers on gfx1100
    scripts/isa_check.py --table                   all of it on all targets, and docs/amd_verification.md's tables from it

Outputs are compared with the back end cpu, and the memory that each launch writes with what the same source, compiled for this CPU, makes
of the same memory. Blocks, and waves of a block, run in another order in each of a net's three runs (plain, captured, replayed), and the
three must agree in every bit: a missing barrier shows, and blocks that read what others write.
Any kernel that cannot be found among the code objects, is given other arguments than it takes, faults or differs ends the run.

Needs the package with the emulated GPU (make test) and what scripts/isa_translate.py --help says.
"""
import argparse
import collections
import ctypes
import importlib
import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bars
import isa_counts
import isa_translate
import kernel_report
import make_net
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ISA = ROOT / 'build/isa'
TARGETS = ['gfx1100', 'gfx1201', 'gfx942']
ALL = [*TARGETS, 'gfx1151', 'gfx90a', 'gfx950', 'gfx11-generic', 'gfx12-generic', 'gfx9-4-generic']
OURS = {'streams': 1, 'warm_up': False, 'without': 'hipblaslt rocblas miopen'}  # no library: our own kernels do all
KINDS = ['rocm', 'rocm-fp16']
ORDERS = 'forward', 'reverse', 'random:1'
CONFIGURED = 'test_order', 'test_size'  # tests that set up the emulated machine anew, after which it executes no machine code

small = dict(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=16)
NETS = {  # every family in miniature, and sizes that no kernel likes
    'attention': small | dict(smolgen=(4, 16, 16)),
    'tower': dict(body='tower', filters=32, blocks=1, se_ratio=4, policy='convolution', value_size=8, head_hidden=16),
    'dense': small | dict(pe='dense', preprocessing=8, ffn_activation='relu2'),
    'multihead': small | dict(multihead=True, heads=1, gates=True, policy_size=16),
    'policy encoders': small | dict(policy_encoders=1, policy_heads=2, policy_size=32, moves_left=False),
    'narrow tower': dict(body='tower', filters=64, blocks=9, se_ratio=8, policy='convolution', value_size=8, head_hidden=16),  # two launches
    'classical': dict(body='tower', filters=16, blocks=1, policy='classical', policy_size=8, value='classical', activation='relu'),
    'tower with attention': dict(body='tower', filters=16, blocks=1, se_ratio=2, policy='attention', policy_size=24),
    'both': dict(body='both', filters=24, blocks=1, se_ratio=4, embedding=40, encoders=1, heads=4, dff=40),
    'odd attention': dict(embedding=36, encoders=1, heads=3, dff=50, smolgen=(3, 10, 7), policy_size=20, value_size=5, head_hidden=9),
    'odd tower': dict(body='tower', filters=21, blocks=1, se_ratio=3, policy='convolution', value_size=3, head_hidden=7),
}

# Widths that people play with, of which only some blocks of each launch run: these are compared, the net's outputs mean nothing. Their batch, kinds.
wide = dict(encoders=1, dff=64, policy_size=32, value_size=8, head_hidden=16, moves_left=False)
PARTS = {
    'of 512': (1, KINDS, wide | dict(embedding=512, heads=16, smolgen=(32, 256, 256))),
    'of 768': (1, KINDS, wide | dict(embedding=768, heads=24, smolgen=(32, 256, 256), pe='dense')),
    'of 1024': (1, KINDS, wide | dict(embedding=1024, heads=32, smolgen=(32, 256, 256))),
    'many heads': (64, ['rocm-fp16'], wide | dict(embedding=256, heads=8, smolgen=(8, 32, 32), policy_encoders=1, policy_heads=8, policy_size=256)),
    'tower of 128': (4, ['rocm-fp16'], dict(body='tower', filters=128, blocks=1, se_ratio=8, policy='convolution', value_size=8, head_hidden=16)),
    'tower of 256': (2, KINDS, dict(body='tower', filters=256, blocks=1, se_ratio=8, policy='convolution', value_size=8, head_hidden=16)),
}
wide_smolgen = small | dict(embedding=64, smolgen=(32, 256, 256))
tower_of_64 = dict(body='tower', filters=64, blocks=2, se_ratio=4, policy='convolution', value_size=8, head_hidden=16)
OTHERWISE = {  # other options, batch, and ways that plans tell (part of a key: way); a kernel that is launched then
    'odd attention with rocblas': (NETS['odd attention'], KINDS, {'without': 'hipblaslt miopen'}, 1, {}, 'gemm_finish'),  # the ends of products are ours
    'attention with int8 weights': (NETS['attention'], ['rocm-fp16'], {'weights': 'int8'}, 1, {}, 'gemm_int8'),
    'attention in 8 bits': (NETS['attention'], ['rocm-int8'], {}, 1, {}, 'gemm_rows8'),
    'attention in fp8': (NETS['attention'], ['rocm-fp8'], {}, 1, {}, 'gemm_rows8'),  # where the target has it
    'smolgen by its kernels': (wide_smolgen, ['rocm-fp16'], {}, 2, {'/pass/': 'beside+smolgen'}, 'generate'),
    'chained tower': (tower_of_64, KINDS, {}, 2, {'/tower/': 'chained'}, 'winograd_between'),
}


class Failure(Exception):
    pass


def translated(target):
    """Makes target's machine code executable, if it is not yet, or its kernels changed."""
    library = ISA / f'{target}.so'
    sources = [*(ROOT / isa_translate.KERNELS).iterdir(), Path(isa_translate.__file__), isa_translate.STANDIN / 'isa.h']
    if not library.exists() or library.stat().st_mtime < max(f.stat().st_mtime for f in sources):
        isa_translate.translate(target, ISA)


def suffix(target):
    """Of the back end's name, for the wave width of a target."""
    return '_wave64' if target.startswith('gfx9') else ''


class Machine:
    """The emulated machine of this process."""

    def __init__(self):
        package = Path(importlib.util.find_spec('lc0rocm').origin).parent
        if not (package / 'librocm_emulated.so').exists():
            raise Failure('this package has no emulated GPU: make test builds one that has')
        self.library = ctypes.CDLL(str(package / 'librocm_emulated.so'))

    def configure(self, words):
        self.library.hip_emulated_configure(words.encode())


def net_paths(names, folder):
    """Files of nets: paths as they are, names of NETS made in a folder."""
    for name in names:
        if name in NETS:
            path = Path(folder) / f'{name.replace(" ", "-")}.pb.gz'
            make_net.write_net(make_net.make_net(seed=1, **NETS[name]), path)
            yield name, path
        else:
            yield Path(name).stem.removesuffix('.pb'), Path(name)


def launches(path):
    """What report= wrote of each launch."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def inputs(file, count):
    """Masks and values of the first positions of games."""
    from lc0rocm import _core
    moves = ['e2e4', 'e7e5', 'g1f3', 'b8c6']
    games = [_core.Game(moves=moves[:i % len(moves) + 1]).planes(file.architecture()['input_format']) for i in range(count)]
    return tuple(map(np.stack, zip(*games)))


def plans_of(machine, target, kind, core, options, planes, ways):
    """Plans by which what has a part of `ways` in its key goes that way: keys of a measured pass that computes nothing."""
    from lc0rocm import _core
    machine.configure(f'isa={target} memory=65536 blocks=0')
    backend = _core.Backend(kind, core, options | {'measure': 1000, 'max_batch': len(planes[0])})
    backend.evaluate(*planes)
    keys = [line.split()[0] for line in backend.plans.splitlines()]
    plans = ''.join(f'{key} {way} 1\n' for key in keys for part, way in ways.items() if part in key)
    if not plans:
        raise Failure(f'no plan for {", ".join(ways)} among {backend.plans}')
    return plans


def run_passes(machine, target, name, path, kinds, batches, options=OURS, blocks=0, ways=None):
    """A net on a target: each batch plainly, captured and replayed. With `blocks` that many of each launch run; ways: as in OTHERWISE. Yields a
    record a precision and batch."""
    from lc0rocm import _core
    from lc0rocm.netfile import net
    importlib.import_module('lc0rocm._rocm' + suffix(target))
    file = net.load(path)
    planes = inputs(file, max(batches))
    core = file.core()
    expected = None if blocks else _core.Backend('cpu', core, {}).evaluate(*planes)
    words = f'isa={target} compare=1 memory=65536' + (f' blocks={blocks}' if blocks else '')
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            configure = lambda report, order='forward': machine.configure(f'{words} order={order} report={folder}/{report}')
            try:
                if ways:
                    options = options | {'plans': plans_of(machine, target, kind + suffix(target), core, options, [a[:batches[0]] for a in planes], ways)}
                configure('loading')
                backend = _core.Backend(kind + suffix(target), core, options | {'max_batch': max(batches)})
                for batch in batches:
                    began, first = time.monotonic(), None
                    for order in ORDERS:
                        configure(f'{batch}-{order}', order)
                        outputs = backend.evaluate(*(a[:batch] for a in planes))
                        if expected and not max((worst := bars.shares(kind, outputs, [e[:batch] for e in expected])).values()) <= 1:
                            raise Failure(f'outputs differ from those of the back end cpu, as shares of what is allowed: {worst}')
                        first = first or outputs
                        if expected and any(a.tobytes() != b.tobytes() for a, b in zip(first, outputs)):
                            raise Failure(f'the order {order} of blocks and waves makes other outputs')
                    yield {'target': target, 'kind': kind, 'net': name, 'batch': batch, 'launches': launches(f'{folder}/{batch}-{ORDERS[-1]}'),
                           'seconds': time.monotonic() - began}
                del backend
            except Exception as error:
                raise Failure(f'{target} {kind} {name}: {error}') from error
            finally:
                machine.library.hipDeviceReset()
                machine.configure('')


def run_parts(machine, target, kinds):
    """The nets of PARTS, whose memory has what earlier passes left where no block ran."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'net.pb'
        for name, (batch, of, shape) in PARTS.items():
            make_net.write_net(make_net.make_net(seed=1, **shape), path)
            yield from run_passes(machine, target, name, path, [k for k in of if k in kinds], [batch], blocks=3)


def run_otherwise(machine, target, kinds, names):
    """Nets of OTHERWISE."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'net.pb'
        for name in names:
            shape, of, options, batch, ways, kernel = OTHERWISE[name]
            make_net.write_net(make_net.make_net(seed=1, **shape), path)
            can = [k for k in of if re.sub('int8|fp8', 'fp16', k) in kinds and (k != 'rocm-fp8' or kernel_report.TARGETS[target].fp8 != 'none')]
            for record in run_passes(machine, target, name, path, can, [batch], OURS | options, ways=ways):
                if not any(kernel in launch['kernel'] for launch in record['launches']):
                    raise Failure(f'{target} {record["kind"]} {name}: {kernel} was not launched')
                yield record


def summary(record):
    counts = isa_counts.classes(record['launches'])
    worst = max(launch['worst'] for launch in record['launches'])
    classes = ', '.join(f'{n:,} {c}' for c, n in counts.items() if n)
    return (f'{record["target"]} {record["kind"]} {record["net"]}, batch {record["batch"]}: {len(record["launches"])} launches, '
            f'{counts.total():,} wave instructions ({classes}), worst {worst:.1e} ({record["seconds"]:.0f} s)')


def run_nets(machine, target, nets, kinds, batches):
    with tempfile.TemporaryDirectory() as folder:
        for name, path in net_paths(nets, folder):
            yield from run_passes(machine, target, name, path, kinds, batches)


def passes(targets, nets, kinds, batches, parts=False, otherwise=()):
    """Of each target the nets, those of OTHERWISE that are named, and with `parts` those of PARTS. Prints and returns the records."""
    machine, records = Machine(), []
    for target in targets:
        translated(target)
        for record in itertools.chain(run_nets(machine, target, nets, kinds, batches), run_parts(machine, target, kinds) if parts else [],
                                      run_otherwise(machine, target, kinds, otherwise)):
            print(summary(record), flush=True)
            records.append(record)
    return records


def environment(words):
    return os.environ | {'ROCM_EMULATED': words, 'ROCM_ISA': str(ISA)}


def kernel_tests(targets, words):
    """tests/kernels as machine code; returns a record a target."""
    records = []
    for target in targets:
        translated(target)
        with tempfile.NamedTemporaryFile() as file:
            command = [sys.executable, '-I', '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider', 'tests/kernels', '-k', words or 'test',
                       *(f'--ignore=tests/kernels/{name}.py' for name in CONFIGURED)]
            platform = {'KERNEL_PLATFORMS': 'emulated64' if suffix(target) else 'emulated32'}
            run = subprocess.run(command, cwd=ROOT, env=environment(f'isa={target} compare=1 report={file.name}') | platform, capture_output=True,
                                 text=True)
            print(f'{target} tests/kernels: {run.stdout.strip().splitlines()[-1] if run.stdout.strip() else run.stderr}', flush=True)
            if run.returncode:
                raise Failure(f'{target}: {run.stdout[-3000:]}')
            records.append({'target': target, 'launches': launches(file.name)})
    return records


def game(target, kind='rocm-fp16', plies=40, nodes=4):
    """A game that the machine code plays against itself through UCI: `plies` half moves."""
    import chess
    import chess.engine
    translated(target)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as report:
        (_, path), = net_paths(['attention'], folder)
        without = OURS['without']
        command = [sys.executable, '-I', '-m', 'lc0rocm', '--config=', f'--weights={path}', f'--backend={kind}{suffix(target)}', '--threads=1',
                   '--minibatch-size=4', f'--backend-opts=streams=1,max_batch=4,warm_up=false,without="{without}"']
        with chess.engine.SimpleEngine.popen_uci(command, timeout=600, env=environment(f'isa={target} report={report.name}')) as engine:
            board = chess.Board()
            while len(board.move_stack) < plies and not board.is_game_over():
                move = engine.play(board, chess.engine.Limit(nodes=nodes), info=chess.engine.INFO_ALL)
                board.push(move.move)
        executed = collections.Counter()
        for launch in launches(report.name):
            executed.update(launch['instructions'])
    if not executed:
        raise Failure(f'{target}: the game was not played by machine code')
    said = (f'{target} {kind}: {len(board.move_stack)} half moves of {nodes} nodes against itself, {executed.total():,} wave instructions '
            f'({time.monotonic() - began:.0f} s): {chess.Board().variation_san(board.move_stack)}')
    print(said, flush=True)
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--passes', action='store_true')
    parser.add_argument('--pass', dest='nets', metavar='NET', action='append', default=[], help='a file, or what --passes calls it')
    parser.add_argument('--kernel', metavar='NAME')
    parser.add_argument('--game', action='store_true')
    parser.add_argument('--faults', action='store_true')
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--table', action='store_true')
    parser.add_argument('-t', '--targets', nargs='+', help=f'of {" ".join(ALL)}; {" ".join(TARGETS)} unless told, all for --table')
    parser.add_argument('--kinds', nargs='+', default=KINDS)
    parser.add_argument('--batches', nargs='+', type=int, default=[1, 3])
    options = parser.parse_args()
    os.environ['ROCM_ISA'] = str(ISA)
    targets = options.targets or TARGETS
    try:
        if options.short:
            passes(['gfx1100'], ['attention', 'tower', 'narrow tower'], ['rocm-fp16'], [1], otherwise=['attention in 8 bits'])
        if options.passes or options.nets:
            nets = [n for n in options.nets if n not in OTHERWISE]
            passes(targets, NETS if options.passes else nets, options.kinds, options.batches, parts=options.passes,
                   otherwise=OTHERWISE if options.passes else [n for n in OTHERWISE if n in options.nets])
        if options.kernel is not None:
            kernel_tests(targets, options.kernel)
        if options.faults:
            importlib.import_module('isa_faults').run()
        if options.table:
            importlib.import_module('isa_table').write(options.targets or ALL)
        if options.game:
            for target in targets:
                game(target)
    except (Failure, isa_translate.Failure) as error:
        sys.exit(f'isa_check: {error}')


if __name__ == '__main__':
    sys.modules['isa_check'] = sys.modules['__main__']  # for the parts that use this one
    main()
