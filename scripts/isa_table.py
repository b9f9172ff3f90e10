"""Writes the generated part of docs/amd_verification.md: scripts/isa_check.py --table."""
import collections
import itertools
import json
import os
import platform
import subprocess
import time

import isa_check
import isa_counts
import isa_model
import isa_translate

FAMILIES = {'gfx11': 32, 'gfx12': 32, 'gfx9': 64}  # lanes of a wave
CARD, BATCHES = isa_model.CARDS[0], (1, 16, 64, 256)
SHORT = {'matrix': 'matrix', 'vector': 'vector', 'scalar': 'scalar', 'LDS': 'LDS', 'memory': 'memory', 'wait': 'waits'}
TIMES = isa_check.ROOT / 'scripts/tiles_h200.json'  # by time_tiles.py


def compiled(target):
    """Names of all kernels in a target's code objects."""
    return {kernel['.name'] for path in sorted((isa_check.ISA / target).glob('*.co')) for kernel in isa_translate.CodeObject(path).kernels}


def kernels_of(records, targets):
    return {launch['kernel'] for r in records if r['target'] in targets for launch in r['launches']}


def check(targets, passes, tests):
    """Raises Failure for a kernel that a pass launches on one target and that another never executes; and, where the kernels' own tests ran as well,
    for any kernel that nothing executes."""
    launched = kernels_of(passes, targets)
    for target in targets:
        tested = kernels_of(tests, [target])
        wanted = launched & compiled(target) if not tested else compiled(target)
        if missing := sorted(wanted - tested - kernels_of(passes, [target])):
            raise isa_check.Failure(f'{target}: never executed as machine code: {" ".join(missing)}')


def rows(head, lines):
    return '\n'.join(['| ' + ' | '.join(map(str, line)) + ' |' for line in [head, ['---'] * len(head), *lines]])


def kernel_table(targets, passes, tests):
    names = collections.defaultdict(set)
    for kernel in sorted(set().union(*map(compiled, targets))):
        names[isa_counts.base_name(kernel)].add(kernel)
    lines = []
    for name, variants in sorted(names.items()):
        cells = []
        for family in FAMILIES:
            of = [t for t in targets if t.startswith(family)]
            in_passes = variants & kernels_of(passes, of)
            cells.append(f'{len(in_passes | variants & kernels_of(tests, of))} ({len(in_passes)})')
        emulated = [len(variants & kernels_of([*passes, *tests], [t for t in targets if FAMILIES[family_of(t)] == wave])) for wave in (32, 64)]
        lines.append([name, len(variants), *emulated, len(variants & kernels_of(tests, targets)), *cells])
    return rows(['kernel', 'variants', 'emulated 32', 'emulated 64', 'CUDA', *FAMILIES], lines)


def family_of(target):
    return next(family for family in FAMILIES if target.startswith(family))


def executed(passes, target, net):
    """Wave instructions of a pass in halves at its smallest batch."""
    some = [r for r in passes if (r['target'], r['kind'], r['net']) == (target, 'rocm-fp16', net)]
    return f'{isa_counts.classes(min(some, key=lambda r: r["batch"])["launches"]).total():,}' if some else '-'


def pass_table(targets, passes):
    nets = list(dict.fromkeys(r['net'] for r in passes))
    return rows(['net', *targets], [[net, *(executed(passes, t, net) for t in targets)] for net in nets])


def speed_table(cards):
    lines = [[f'{card.name} ({card.target})', net, *(f'{isa_model.positions_a_second(card, net, batch):,.0f}' for batch in BATCHES)]
             for card in cards for net in isa_model.BIG]
    return rows(['card', 'net', *(f'batch {batch}' for batch in BATCHES)], lines)


def percent(factor):
    return f'{100 * (factor - 1):.1f} %'


def ways_table(cards):
    head = ['card', 'TFLOP/s, 4096 cubed', 'products: guessed otherwise', 'over the best', 'at worst', 'attention: blocks of a unit', 'over the better',
            'at worst']
    lines = []
    for card in cards:
        products = isa_model.guesses(card, isa_model.products(card.target, isa_model.BIG, BATCHES))
        attention = [isa_model.threshold(card, bias) for bias in (True, False)]
        lines.append([card.name, f'{isa_model.teraflops(card, 4096):.0f}', f'{products.other} of {products.shapes}', percent(products.mean),
                      percent(products.worst), ', '.join(f'{a.least:.1f}' for a in attention), percent(max(a.mean for a in attention)),
                      percent(max(a.worst for a in attention))])
    return rows(head, lines)


def count_table(net, batch):
    kernels = sorted(isa_model.by_kernel(CARD, net, batch).items(), key=lambda item: -item[1]['us'])
    lines = [[kernel, f'{c["launches"]:.0f}', *(f'{c.get(k, 0):,.0f}' for k in ('waves', *SHORT)), f'{c["us"]:,.0f}'] for kernel, c in kernels]
    return rows(['kernel', 'launches', 'waves', *SHORT.values(), 'model, us'], lines)


def write(targets):
    """Runs everything on these targets and writes the tables; the kernels' own tests on those of isa_check.TARGETS. Raises Failure."""
    began = time.monotonic()
    passes = isa_check.passes(targets, isa_check.NETS, isa_check.KINDS, [1, 3], parts=True, otherwise=isa_check.OTHERWISE)
    tests = isa_check.kernel_tests([t for t in targets if t in isa_check.TARGETS], '')
    check(targets, passes, tests)
    games = [isa_check.game(t) for t in targets[:1]]
    cards = [card for card in isa_model.CARDS if card.target in targets]
    checked = isa_model.check(json.loads(TIMES.read_text())['times'])
    parts = [
        'A variant is a set of template arguments. Emulated: executed in fibers beside the machine code, from the same memory. CUDA: launched by '
        f'tests/kernels, which `scripts/cuda_check.py` runs there. {", ".join(FAMILIES)}: executed as machine code, in brackets by passes.', '',
        kernel_table(targets, passes, tests), '',
        'A pass in halves: executed wave instructions (of 32 lanes, on gfx9 of 64), at batch 1, "many heads" at 64, "tower of 128" at 4, "tower of 256" at 2. '
        f'{len(passes)} passes in all, in both precisions, each plainly, captured and replayed; those of wide nets run three blocks of a launch.', '',
        pass_table(targets, passes), '', *games, '',
        '**A model**, not a measurement: positions a second in halves by our own kernels alone, on one stream; `scripts/isa_model.py` says how. On the H200 '
        f'whose tiles {TIMES.relative_to(isa_check.ROOT)} has, its ranks correlate with the measured ones by {checked.correlation:.2f}, its times are off by '
        f'{100 * checked.error:.0f} %, and the tile that it chooses takes {percent(checked.mean)} more than the best ({percent(checked.worst)} at worst).', '',
        speed_table([*cards, isa_model.H200]), '',
        'What the back end does before anything was measured, by the same model. Products: those of these passes by our own kernel; of how many the way '
        "that `cost()` of linear/gemm.cc takes is not the model's best, and what it takes over that. On the H200 it takes "
        f'{percent(checked.guessed_mean)} more than the best that was measured ({percent(checked.guessed_worst)} at worst). Attention, heads of 32: blocks '
        "of a unit from which on waves of twice the queries are faster, with smolgen's bias and without; they are taken from "
        f'{isa_model.MANY_BLOCKS} on, which takes so much over the better.', '',
        ways_table([*cards, isa_model.H200]), '']
    for net, batch in itertools.product(isa_model.BIG, (1, 64)):
        parts += [f'{net}, batch {batch} on a {CARD.name}: executed wave instructions by class, of the first, a middle and the last block of each launch, '
                  'scaled by the grid; layers beyond the second are taken to be as the second.', '', count_table(net, batch), '']
    commit = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=isa_check.ROOT, text=True, capture_output=True).stdout.strip()
    parts.append(f'Written by `scripts/isa_check.py --table` on {time.strftime("%Y-%m-%d")} at commit {commit}, in {(time.monotonic() - began) / 60:.0f} '
                 f'minutes on {os.cpu_count()} {platform.machine()} processors.')
    document = isa_check.ROOT / 'docs/amd_verification.md'
    before, _, rest = document.read_text().partition('<!-- isa_check -->\n')
    after = rest.partition('<!-- end of isa_check -->\n')[2]
    document.write_text(f'{before}<!-- isa_check -->\n' + '\n'.join(parts) + f'\n<!-- end of isa_check -->\n{after}')
