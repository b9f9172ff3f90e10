#!/usr/bin/env python3
"""Runs the ROCm back end with every launch executed as AMD machine code, instruction by instruction, on this CPU.

    scripts/isa_check.py --passes                  small nets of every family: passes, captures and replays, on gfx1100 gfx1201 gfx942
    scripts/isa_check.py --pass net.pb.gz -t gfx1100 --kinds rocm-fp16
    scripts/isa_check.py --kernel "attention or layer_norm"     tests/kernels, those that pytest's -k names; "" for all
    scripts/isa_check.py --game -t gfx1100         20 moves at few nodes by rocm-fp16, through UCI
    scripts/isa_check.py --mutations               what the checks must find: wrong copies of the kernels
    scripts/isa_check.py --short                   one attention and one tower pass on gfx1100
    scripts/isa_check.py --table                   all of it on all targets, and docs/amd_verification.md's table from it

Outputs are compared with the back end cpu, and the memory that each launch writes with what the same source, compiled for this CPU, makes
of the same memory. Waves run in another order in each of a net's three runs (plain, captured, replayed): a missing barrier shows.
Any kernel that cannot be found among the code objects, is given other arguments than it takes, faults or differs ends the run.

Needs the package with the emulated GPU (make test) and what scripts/isa_translate.py --help says.
"""
import argparse
import collections
import ctypes
import functools
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import isa_translate
import make_net
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ISA = ROOT / 'build/isa'
TARGETS = ['gfx1100', 'gfx1201', 'gfx942']
ONE_PASS = ['gfx1151', 'gfx90a', 'gfx11-generic', 'gfx12-generic', 'gfx9-4-generic', 'gfx9-generic']  # a pass of an attention net and of a tower
OURS = {'streams': 1, 'warm_up': False, 'max_batch': 4, 'without': 'hipblaslt rocblas miopen'}  # no library: our own kernels do all
ORDERS = 'forward', 'reverse', 'random:1'

small = dict(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=16)
NETS = {  # every family in miniature, and sizes that no kernel likes
    'attention': small | dict(smolgen=(4, 16, 16)),
    'tower': dict(body='tower', filters=32, blocks=1, se_ratio=4, policy='convolution', value_size=8, head_hidden=16),
    'dense': small | dict(pe='dense', preprocessing=8, ffn_activation='relu2'),
    'multihead': small | dict(multihead=True, heads=1, gates=True, policy_size=16),
    'policy encoders': small | dict(policy_encoders=1, policy_heads=2, policy_size=32, moves_left=False),
    'classical': dict(body='tower', filters=16, blocks=1, policy='classical', policy_size=8, value='classical', activation='relu'),
    'tower with attention': dict(body='tower', filters=16, blocks=1, se_ratio=2, policy='attention', policy_size=24),
    'both': dict(body='both', filters=24, blocks=1, se_ratio=4, embedding=40, encoders=1, heads=4, dff=40),
    'odd attention': dict(embedding=36, encoders=1, heads=3, dff=50, smolgen=(3, 10, 7), policy_size=20, value_size=5, head_hidden=9),
    'odd tower': dict(body='tower', filters=21, blocks=1, se_ratio=3, policy='convolution', value_size=3, head_hidden=7),
}

CLASSES = {  # of instructions, by the beginning of their names; the first that fits
    'matrix': r'V_WMMA|V_MFMA|V_SMFMAC|V_SWMMAC', 'wait': r'S_WAIT|S_NOP|S_DELAY|S_SLEEP|S_CLAUSE|S_BARRIER|S_SETPRIO|BUFFER_GL|GLOBAL_INV|BUFFER_INV',
    'LDS': r'DS_', 'memory': r'GLOBAL|FLAT|BUFFER|SCRATCH', 'scalar': r'S_', 'vector': r'V_',
}


# Copies of the kernels that the checks must refuse: what is wrong, file, text, its replacement, the kernel to compile anew, the family that
# launches it.
MUTATIONS = [
    ('two arguments in each other\'s place', 'bias_activation.hip', r'bias,(.*?)skip,', r'skip,\1bias,', 'bias_activation', 'multihead'),
    ('an argument of another size', 'kernels.h', r'(struct LastLayer.*?)int width', r'\1long width, more', 'values', 'attention'),
    ('a missing barrier', 'values.hip', r'__syncthreads\(\);', '', 'values', 'attention'),
    ('a missing barrier behind loads', 'attention.hip', r'scale\);\n  __syncthreads\(\);', 'scale);', 'attention', 'attention'),
    ('a wrong lane in a sum', 'wave.h', '0x4e', '0xb1', 'values', 'attention'),
    ('a wrong lane between two products', 'mma.h', r'lane_xor<16>\(mine.z\)', 'lane_xor<15>(mine.z)', 'attention', 'attention'),
]


class Failure(Exception):
    pass


def class_of(instruction):
    return next(name for name, pattern in CLASSES.items() if re.match(pattern, instruction))


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


def within_bars(kind, outputs, expected):
    """What tests/backends/test_rocm.py asks of a precision."""
    half = 'fp16' in kind
    policy, q, d, m = (np.asarray(x, float) for x in outputs)
    right_policy, right_q, right_d, right_m = (np.asarray(x, float) for x in expected)
    allowed = 0.03 * np.ptp(right_policy, axis=-1, keepdims=True) if half else 2e-3
    return (all(np.isfinite(x).all() for x in (policy, q, d, m)) and (np.abs(policy - right_policy) <= allowed).all() and
            np.allclose(q, right_q, atol=0.01 if half else 1e-4) and np.allclose(d, right_d, atol=0.01 if half else 1e-4) and
            np.allclose(m, right_m, rtol=0.01 if half else 1e-3, atol=1e-3))


def launches(path):
    """What report= wrote of each launch."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def run_passes(machine, target, name, path, kinds, batches):
    """A net on a target: each batch plainly, captured and replayed. Yields a record a precision and batch."""
    from lc0rocm import _core
    from lc0rocm.netfile import net
    importlib.import_module('lc0rocm._rocm' + suffix(target))
    file = net.load(path)
    moves = ['e2e4', 'e7e5', 'g1f3', 'b8c6']
    planes = tuple(np.stack(a) for a in zip(*(_core.Game(moves=moves[:i + 1]).planes(file.architecture()['input_format'])
                                              for i in range(max(batches)))))
    core = file.core()
    expected = _core.Backend('cpu', core, {}).evaluate(*planes)
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            configure = lambda report, order='forward': machine.configure(f'isa={target} compare=1 order={order} report={folder}/{report}')
            try:
                configure('loading')
                backend = _core.Backend(kind + suffix(target), core, OURS | {'max_batch': max(batches)})
                for batch in batches:
                    began = time.monotonic()
                    for order in ORDERS:
                        configure(f'{batch}-{order}', order)
                        outputs = backend.evaluate(*(a[:batch] for a in planes))
                        if not within_bars(kind, outputs, [e[:batch] for e in expected]):
                            raise Failure('outputs differ from those of the back end cpu')
                    yield {'target': target, 'kind': kind, 'net': name, 'batch': batch, 'launches': launches(f'{folder}/{batch}-{ORDERS[-1]}'),
                           'seconds': time.monotonic() - began}
                del backend
            except Exception as error:
                raise Failure(f'{target} {kind} {name}: {error}') from error
            finally:
                machine.library.hipDeviceReset()
                machine.configure('')


def summary(record):
    counts = collections.Counter()
    for launch in record['launches']:
        for name, n in launch['instructions'].items():
            counts[class_of(name)] += n
    worst = max(launch['worst'] for launch in record['launches'])
    classes = ', '.join(f'{counts[c]:,} {c}' for c in CLASSES if counts[c])
    return (f'{record["target"]} {record["kind"]} {record["net"]}, batch {record["batch"]}: {len(record["launches"])} launches, '
            f'{counts.total():,} wave instructions ({classes}), worst {worst:.1e} ({record["seconds"]:.0f} s)')


def run_nets(machine, target, nets, kinds, batches):
    with tempfile.TemporaryDirectory() as folder:
        return [record for name, path in net_paths(nets, folder) for record in run_passes(machine, target, name, path, kinds, batches)]


def passes(targets, nets, kinds, batches):
    machine, records = Machine(), []
    for target in targets:
        translated(target)
        for net in nets:
            for record in run_nets(machine, target, [net], kinds, batches):
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
            command = [sys.executable, '-I', '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider', 'tests/kernels', '-k', words or 'test']
            platform = {'KERNEL_PLATFORMS': 'emulated64' if suffix(target) else 'emulated32'}
            run = subprocess.run(command, cwd=ROOT, env=environment(f'isa={target} compare=1 report={file.name}') | platform, capture_output=True,
                                 text=True)
            print(f'{target} tests/kernels: {run.stdout.strip().splitlines()[-1] if run.stdout.strip() else run.stderr}', flush=True)
            if run.returncode:
                raise Failure(f'{target}: {run.stdout[-3000:]}')
            records.append({'target': target, 'launches': launches(file.name)})
    return records


@functools.cache
def base_name(kernel):
    """attention_half, layer_norm_team half ...: a kernel of the code objects without its other template arguments."""
    text = subprocess.run(['c++filt'], input=kernel, text=True, capture_output=True, check=True).stdout
    name, arguments = re.match(r'void rocm::(\w+)(?:<(.*?)>\()?', text).groups()
    types = [{'__half': 'half'}.get(t, t) for t in (arguments or '').split(', ') if t in ('float', '__half')]
    return ' '.join([name, *types])


def compiled(target):
    """Names of all kernels in a target's code objects."""
    return {kernel['.name'] for path in sorted((ISA / target).glob('*.co')) for kernel in isa_translate.CodeObject(path).kernels}


BIG = {'768x15, batch 1': dict(embedding=768, encoders=15, heads=24, dff=1024, smolgen=(32, 256, 256), value_size=32, head_hidden=128),
       '256x10, batch 1': dict(body='tower', filters=256, blocks=10, se_ratio=8, policy='convolution')}


def count(target, name, kind='rocm-fp16'):
    """The launches of one pass of a net of BIG, nothing compared."""
    from lc0rocm import _core
    from lc0rocm.netfile import net
    importlib.import_module('lc0rocm._rocm' + suffix(target))
    translated(target)
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        make_net.write_net(make_net.make_net(**BIG[name]), Path(folder) / 'net.pb')
        try:
            machine.configure(f'isa={target}')  # to load it: fibers would take minutes
            backend = _core.Backend(kind + suffix(target), net.load(Path(folder) / 'net.pb').core(), OURS | {'max_batch': 1, 'graphs': False})
            machine.configure(f'isa={target} report={folder}/report')
            backend.evaluate(*(a[None] for a in _core.Game().planes(1)))
            return launches(f'{folder}/report')
        finally:
            machine.configure('')


def by_kernel(launches):
    """Of each base name: launches, waves, instructions by class."""
    counts = collections.defaultdict(collections.Counter)
    for launch in launches:
        c = counts[base_name(launch['kernel'])]
        c['launches'] += 1
        c['waves'] += launch['waves']
        for name, n in launch['instructions'].items():
            c[class_of(name)] += n
    return counts


def executed_by(records, target, family=None):
    """Instructions of a target's passes at batch 1 in fp16, of one family or all."""
    return sum(n for r in records if (r['target'], r['kind'], r['batch']) == (target, 'rocm-fp16', 1) and family in (None, r['net'])
               for launch in r['launches'] for n in launch['instructions'].values())


def rows(head, lines):
    return '\n'.join(['| ' + ' | '.join(line) + ' |' for line in [head, ['---'] * len(head), *lines]])


def table(targets, one_pass):
    """Runs everything and writes the generated part of docs/amd_verification.md. Raises Failure for a kernel that some pass launches and
    that is not executed on a target."""
    began = time.monotonic()
    records = passes(targets, NETS, ['rocm', 'rocm-fp16'], [1, 3])
    others = passes(one_pass, ['attention', 'tower'], ['rocm-fp16'], [1])
    tests = kernel_tests(targets, '')
    games = [game('gfx1100')]
    counts = {(target, name): count(target, name) for name in BIG for target in targets}
    in_passes = {t: {launch['kernel'] for r in records if r['target'] == t for launch in r['launches']} |
                 {launch['kernel'] for (of, _), some in counts.items() if of == t for launch in some} for t in targets}
    executed = {r['target']: {launch['kernel'] for launch in r['launches']} | in_passes[r['target']] for r in tests}
    launched = set().union(*in_passes.values())
    missing = {t: sorted(launched - executed[t]) for t in targets}
    if any(missing.values()):
        raise Failure('launched by a pass and never executed: ' + json.dumps(missing))
    everything = collections.defaultdict(set)
    for kernel in compiled(targets[0]):
        everything[base_name(kernel)].add(kernel)
    lines = []
    for name, variants in sorted(everything.items()):
        cells = [f'{len(variants & executed[t])}, {len(variants & in_passes[t])} in passes' for t in targets]
        lines.append([name, str(len(variants)), *cells])
    never = sorted(k for k in compiled(targets[0]) if not any(k in executed[t] for t in targets))
    parts = ['Variants of each kernel (a variant is a set of template arguments): how many there are, and how many were executed as machine code, '
             'by tests/kernels and by passes, each beside the same source in fibers.', '',
             rows(['kernel', 'variants', *targets], lines), '',
             'Executed nowhere: ' + (', '.join(f'`{k}`' for k in never) or 'none') + '.', '',
             'One pass of each family in miniature, fp16, batch 1: executed wave instructions (of 32 lanes, on gfx942 of 64):', '',
             rows(['family', *targets], [[family, *(f'{executed_by(records, t, family):,}' for t in targets)] for family in NETS]), '',
             'An attention net and a tower, likewise: ' + (', '.join(f'{t} {executed_by(others, t):,}' for t in one_pass) or 'no target') + '.', '', *games,
             '']
    for (target, name), some in counts.items():
        kernels = sorted(by_kernel(some).items(), key=lambda item: -item[1].total())
        lines = [[kernel, *(f'{c[k]:,}' for k in ('launches', 'waves', *CLASSES))] for kernel, c in kernels]
        parts += [f'{name} on {target}, fp16, our own kernels alone: executed wave instructions by class.', '',
                  rows(['kernel', 'launches', 'waves', *CLASSES], lines), '']
    commit = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT, text=True, capture_output=True).stdout.strip()
    minutes = (time.monotonic() - began) / 60
    parts.append(f'Written by `scripts/isa_check.py --table` on {time.strftime("%Y-%m-%d")} at commit {commit}, in {minutes:.0f} minutes.')
    document = ROOT / 'docs/amd_verification.md'
    before, _, rest = document.read_text().partition('<!-- isa_check -->\n')
    after = rest.partition('<!-- end of isa_check -->\n')[2]
    document.write_text(f'{before}<!-- isa_check -->\n' + '\n'.join(parts) + f'\n<!-- end of isa_check -->\n{after}')


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


def mutations(target='gfx1100'):
    """Each copy of MUTATIONS, compiled by hipcc, must fail a pass."""
    translated(target)
    for what, file, text, replacement, kernel, family in MUTATIONS:
        with tempfile.TemporaryDirectory(dir=ISA) as copy:
            shutil.copytree(ROOT / 'src', Path(copy) / 'src', ignore=shutil.ignore_patterns('*.cc'))
            source = Path(copy) / isa_translate.KERNELS / file
            mutated, count = re.subn(text, replacement, source.read_text(), count=1, flags=re.S)
            if not count:
                raise Failure(f'{file} has no {text} any more: mend MUTATIONS')
            source.write_text(mutated)
            (Path(copy) / target).mkdir()
            for unchanged in (ISA / target).glob('*.co'):
                if unchanged.stem != kernel:
                    shutil.copy(unchanged, Path(copy) / target)
            isa_translate.translate(target, Path(copy), Path(copy))
            os.environ['ROCM_ISA'] = copy
            try:
                run_nets(Machine(), target, [family], ['rocm-fp16'], [1])
            except Failure as found:
                print(f'{what}: found. {found}', flush=True)
            else:
                raise Failure(f'{what} ({file}) was not found')
            finally:
                os.environ['ROCM_ISA'] = str(ISA)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--passes', action='store_true')
    parser.add_argument('--pass', dest='nets', metavar='NET', action='append', default=[], help='a file, or a family of --passes')
    parser.add_argument('--kernel', metavar='NAME')
    parser.add_argument('--game', action='store_true')
    parser.add_argument('--mutations', action='store_true')
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--table', action='store_true')
    parser.add_argument('-t', '--targets', nargs='+', default=TARGETS)
    parser.add_argument('--kinds', nargs='+', default=['rocm', 'rocm-fp16'])
    parser.add_argument('--batches', nargs='+', type=int, default=[1, 3])
    options = parser.parse_args()
    os.environ['ROCM_ISA'] = str(ISA)
    try:
        if options.short:
            passes(['gfx1100'], ['attention', 'tower'], ['rocm-fp16'], [1])
        if options.passes or options.nets:
            passes(options.targets, options.nets or NETS, options.kinds, options.batches)
        if options.kernel is not None:
            kernel_tests(options.targets, options.kernel)
        if options.mutations:
            mutations()
        if options.table:
            table(options.targets, ONE_PASS)
        if options.game:
            for target in options.targets:
                game(target)
    except (Failure, isa_translate.Failure) as error:
        sys.exit(f'isa_check: {error}')


if __name__ == '__main__':
    main()
