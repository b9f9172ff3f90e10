"""gemm(): libraries and our own kernel behind one call, the auction between them, and what happens when one of them fails."""
import collections
import ctypes as C
import json
import pathlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / 'kernels'), str(pathlib.Path(__file__).parent)]
import reference  # noqa: E402
from rocm_calls import Calls  # noqa: E402


class Asked(C.Structure):
    _fields_ = [*((name, C.c_void_p) for name in "y side x w bias skip norm w8 scales".split()),
                *((name, C.c_int) for name in "batch rows cols depth side_cols one_w in_place activation kind rows8".split())]


class Products(Calls):
    def run(self, x, w, bias=None, activation='none', norm=None, skip=None, side=0, in_place=False, scales=None, kind='int8', full=None,
            measure_s=0):
        """x (batch, rows, depth), w (1 or batch, cols, depth); norm (2, cols): gain and shift, and skip, or None; side: columns in an array
        of their own; scales (cols): w (1, cols, depth) is in 8 bits; full: likewise in halves, for x in either, too."""
        (batch, rows, depth), cols = x.shape, w.shape[1]
        y, aside = (np.full((batch, rows, n), np.nan, x.dtype) for n in (cols - side, side))
        pointer = lambda a: None if a is None else a.ctypes.data
        weights = (w, bias, skip, norm, None, None) if scales is None else (full, bias, skip, norm, w, np.resize(scales, -(-cols // 8) * 8))
        asked = Asked(*map(pointer, (y, aside, x, *weights)), batch, rows, cols, depth, side, len(w) == 1, in_place,
                      reference.ACTIVATIONS.index(activation), reference.NUMBERS.index(kind), full is not None)
        self.check(self.lib.run_product(x.dtype == np.float16, C.byref(asked), C.c_double(measure_s)))
        return np.concatenate([y, aside], 2)

    def launches(self):
        """Of kernels, and calls of libraries, so far."""
        self.lib.hip_emulated_calls.restype = C.c_size_t
        return sum(self.lib.hip_emulated_calls(kind) for kind in (b'launch', b'gemm'))

    def learn(self, arrays):
        """The keys of a product's plans."""
        self.reopen()
        self.run(**arrays, measure_s=60)
        return list(self.plans())


@pytest.fixture(params=[32, 64])
def products(request):
    p = Products(request.param)
    p.lib.configure(b'')
    p.lib.fail_in_products(b'')
    p.reopen()
    yield p
    p.lib.fail_in_products(b'')
    p.lib.configure(b'')
    p.lib.close_stream()


def make(batch, rows, cols, depth, dtype, one_w=False, bias=True, activation='none', norm=False, skip=False):
    rng = np.random.default_rng(rows)
    normal = lambda *shape: rng.normal(size=shape).astype(dtype)
    return dict(x=normal(batch, rows, depth), w=normal(1 if one_w else batch, cols, depth), bias=normal(cols) if bias else None,
                activation=activation, norm=normal(2, cols) if norm else None, skip=normal(batch, rows, cols) if skip else None)


def in_8_bits(arrays):
    w, scales = reference.quantise(arrays['w'][0])
    return arrays | dict(w=w[None], scales=scales)


def expected(x, w, bias, activation, norm, skip, scales=None, kind='int8', full=None):
    if scales is not None:
        w = reference.values_of(kind)[w] * scales[:, None].astype(np.float64)
    z = x.astype(np.float64) @ w.astype(np.float64).transpose(0, 2, 1) + (0 if bias is None else bias)
    if norm is not None:
        return reference.layer_norm(z, None, skip, *norm.astype(np.float64), 0.7, activation, 1e-3)
    return reference.activate(activation, z)


def close(y, case):
    depth = case['x'].shape[-1]
    reference.assert_close(y, expected(**case), *((1e-3 * depth ** 0.5, 3e-3) if y.dtype == np.float16 else (1e-5 * depth ** 0.5, 1e-5)))


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_default(products, dtype):
    case = make(2, 5, 16, 24, dtype, activation='mish')
    close(products.run(**case), case)


OWN = ['own:16x64:k1', 'own:32x64:k2', 'own:64x64:k1', 'own:128x64:k4', 'own:128x128:k1']
CANDIDATES = ['rocblas', 'hipblaslt:0', 'hipblaslt:1', 'hipblaslt:3', *OWN]
CASES = [  # batch, rows, cols, depth, one w, bias, activation
    (1, 1, 16, 64, True, True, 'none'), (1, 3, 24, 272, True, True, 'none'), (3, 17, 40, 136, False, True, 'mish'),
    (2, 64, 64, 64, True, False, 'relu'), (1, 17, 13, 64, True, True, 'swish'), (1, 3, 5, 31, True, True, 'sigmoid'),
    (36, 4, 16, 24, False, False, 'none'), (1, 192, 72, 64, True, True, 'relu_2'),
]
NORMED = [  # and with a skip or without
    (1, 5, 72, 136, True, True, 'none', True), (3, 1, 256, 264, True, True, 'swish', False), (1, 3, 21, 72, True, False, 'mish', True)]


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_all_candidates_agree(products, dtype, case):
    batch, rows, cols, depth, one_w, bias, activation = case
    arrays = make(batch, rows, cols, depth, dtype, one_w, bias, activation)
    known = products.learn(arrays)
    for candidate in CANDIDATES:
        products.load(known, candidate)
        close(products.run(**arrays), arrays)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', NORMED, ids=str)
def test_all_candidates_agree_before_a_norm(products, dtype, case):
    batch, rows, cols, depth, one_w, bias, activation, skip = case
    arrays = make(batch, rows, cols, depth, dtype, one_w, bias, activation, True, skip)
    [key] = products.learn(arrays)
    assert key.endswith('/norm/none')  # one plan, whatever the norm does with the sums
    for in_place in [False, True] if skip else [False]:
        for candidate in CANDIDATES:
            products.load([key], candidate)
            close(products.run(**arrays, in_place=in_place), arrays)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('cols, side', [(128, 32), (256, 5), (24, 8)])
def test_a_side_is_a_product_of_its_own_or_not(products, dtype, cols, side):
    """One whose columns do not begin with a tile never is part of the other."""
    arrays = make(1, 17, cols + side, 264, dtype, activation='relu')
    close(products.run(**arrays, side=side), arrays)
    products.reopen()
    products.run(**arrays, side=side, measure_s=60)
    keys = products.plans()
    assert [key.split('/')[7] for key in keys if '/side' not in key] == [f'c{n}' for n in sorted((cols, side), key=str)]
    if cols % 128 == 0:
        [key] = [key for key in keys if f'/c{cols + side}/' in key and f'/side{side}/' in key]
        for candidate in ['apart', *OWN]:
            products.load([key], candidate)
            close(products.run(**arrays, side=side), arrays)


@pytest.mark.parametrize('order', ['reverse', 'random:3'])
def test_order_of_threads_does_not_matter(products, order):
    arrays = make(1, 70, 72, 136, np.float16, activation='swish')
    known = products.learn(arrays)
    for candidate in OWN:
        products.load(known, candidate)
        products.lib.configure(b'')
        first = products.run(**arrays)
        products.lib.configure(f'order={order}'.encode())
        np.testing.assert_array_equal(products.run(**arrays), first)


def test_the_auction_names_a_winner_once(products):
    arrays = make(1, 64, 64, 64, np.float16, activation='relu')
    close(products.run(**arrays, measure_s=60), arrays)
    [(key, winner)] = products.plans().items()
    assert key.endswith('/half/gemm/b1/r64/c64/d64/w1/bias/relu') and key.startswith('emulated') and 'rocblas5.2.0' in key
    assert winner.startswith(('rocblas', 'hipblaslt:', 'own:'))
    products.load([key], 'own:32x64:k2')
    products.run(**arrays, measure_s=60)
    assert products.plans() == {key: 'own:32x64:k2'}  # known: not measured again


def untried(lib, architecture, units, rows, cols, depth):
    lib.untried_own_way.restype = C.c_char_p
    return lib.untried_own_way(architecture.encode(), units, 1, rows, cols, depth).decode().removeprefix('own:')


def test_an_untried_way_is_near_the_best_that_was_measured(products):
    """On the H200 whose tiles scripts/time_tiles.py has timed."""
    shapes = collections.defaultdict(dict)
    for *shape, tile, splits, us in json.loads((pathlib.Path(__file__).parents[2] / 'scripts/tiles_h200.json').read_text())['times']:
        shapes[tuple(shape)][f'{tile}:k{splits}'] = us
    over = [times[untried(products.lib, 'stand-in', 132, *shape)] / min(times.values()) for shape, times in shapes.items()]
    assert len(over) == 25 and np.exp(np.mean(np.log(over))) < 1.025 and max(over) < 1.25


def test_an_untried_way_knows_the_gpus_rates(products):
    ways = {name: [untried(products.lib, name, 48, rows, 1024, 768) for rows in (64, 256, 512, 1024, 2048, 4096, 16384)]
            for name in ('gfx906', 'gfx1100', 'gfx1101', 'gfx1153', 'gfx1201', 'gfx942')}
    assert ways['gfx1100'] == ways['gfx1101'] == ways['gfx1153']  # the last by the code of its family
    assert len({tuple(of) for of in ways.values()}) == 4


def test_not_measuring_names_none(products):
    products.run(**make(1, 64, 64, 64, np.float16))
    assert products.plans() == {}


def test_rows_share_the_plan_of_their_bucket(products):
    for rows in (60, 64, 70):
        products.run(**make(1, rows, 16, 64, np.float16), measure_s=60)
    assert len(products.plans()) == 1
    products.run(**make(1, 90, 16, 64, np.float16), measure_s=60)
    assert [key.split('/')[6] for key in products.plans()] == ['r64', 'r96']


def test_an_interrupted_auction_names_none(products):
    arrays = make(1, 8, 16, 64, np.float16)
    close(products.run(**arrays, measure_s=1e-4), arrays)
    assert products.plans() == {}
    products.run(**arrays, measure_s=60)  # the default of before was not the last word
    assert len(products.plans()) == 1


def test_a_library_that_may_not_be_called_takes_no_part(products):
    products.reopen(without='hipblaslt rocblas')
    arrays = make(1, 8, 16, 64, np.float16)
    products.run(**arrays)
    ours = products.lib.live_objects()
    close(products.run(**arrays, measure_s=60), arrays)
    [(key, winner)] = products.plans().items()
    assert winner.startswith('own:') and 'blas' not in key
    products.reopen(f'{key} hipblaslt:0 1', without='hipblaslt rocblas')  # a plan from elsewhere does not bring it back
    products.run(**arrays)
    assert products.lib.live_objects() == ours
    products.load(products.learn(arrays), 'hipblaslt:0')
    products.run(**arrays)
    assert products.lib.live_objects() > ours  # its handle and descriptors


@pytest.mark.parametrize('candidate', ['rocblas', 'hipblaslt:0', 'hipblaslt:1'])
def test_a_failing_library_is_replaced(products, candidate):
    arrays = make(1, 8, 16, 64, np.float16, activation='mish')
    products.load(products.learn(arrays), candidate)
    products.run(**arrays)
    products.lib.fail_in_products(b'fail=gemm:1+')
    close(products.run(**arrays), arrays)
    close(products.run(**arrays), arrays)


def test_a_library_without_a_handle_is_replaced(products):
    arrays = make(1, 8, 16, 64, np.float16)
    for nth in (1, 2, 3):
        products.lib.fail_in_products(b'')
        products.reopen()
        products.lib.fail_in_products(f'fail=alloc:{nth}'.encode())
        close(products.run(**arrays), arrays)


@pytest.mark.parametrize('fault', ['gemm:1+', 'gemm:9', 'launch:3', 'alloc:7', 'alloc:1+'])
def test_the_auction_survives(products, fault):
    """Candidates that fail are out; without memory for an auction there is none."""
    arrays = make(1, 8, 16, 128, np.float16, activation='mish')
    products.run(**arrays)
    products.lib.fail_in_products(f'fail={fault}'.encode())
    close(products.run(**arrays, measure_s=60), arrays)
    if fault == 'gemm:1+':
        assert all(winner.startswith('own:') for winner in products.plans().values())


def test_the_auctions_check_sees_what_is_wrong(products):
    for shape in ((0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 2, 1)):  # w in 8 bits, the kind of numbers, x too
        assert products.lib.trial_accepts(0, 0, 0, *shape) == 1
        for left_out in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
            assert products.lib.trial_accepts(*left_out, *shape) == 0


def test_plan_files_are_read_with_care(products):
    products.reopen('a own:64x64:k2 12.5\nbroken\nb rocblas fast\nc rocblas 1 more\n\nd nonsense 3\n')
    assert products.plans() == {'a': 'own:64x64:k2', 'd': 'nonsense'}
    arrays = make(1, 8, 16, 64, np.float16)
    for winner in ('nonsense', 'own:17x3:k9', 'hipblaslt:99', 'hipblaslt:-1', 'hipblaslt:x'):
        products.load(products.learn(arrays), winner)
        close(products.run(**arrays), arrays)


def test_only_libraries_can_be_left_out(products):
    with pytest.raises(RuntimeError, match='without names cublas, expected some of hipblaslt, rocblas, miopen'):
        products.reopen(without='rocblas cublas')


def test_bad_sizes_are_one_sentence(products):
    products.reopen(without='hipblaslt rocblas')
    with pytest.raises(RuntimeError, match='use a smaller batch'):
        products.run(**make(70000, 1, 8, 8, np.float16))


# by 8-bit weights ------------------------------------------------------------

INT8 = ['int8:16x128:k1', 'int8:32x64:k2', 'int8:64x64:k1', 'int8:64x64:k4', 'expanded']


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', [(1, 3, 24, 272, 'none', False), (2, 17, 40, 144, 'mish', False), (1, 130, 13, 64, 'swish', False),
                                  (1, 5, 72, 144, 'none', True), (3, 1, 256, 272, 'swish', True)], ids=str)
def test_all_ways_by_8_bit_weights_agree(products, dtype, case):
    batch, rows, cols, depth, activation, norm = case
    arrays = in_8_bits(make(batch, rows, cols, depth, dtype, True, True, activation, norm, norm))
    [key] = [key for key in products.learn(arrays) if '/int8/' in key]
    for candidate in INT8:
        products.load([key], candidate)  # in 32 bits all but the last are refused, and it is the default
        close(products.run(**arrays), arrays)
        if norm:
            close(products.run(**arrays, in_place=True), arrays)


@pytest.mark.parametrize('cols, side', [(128, 32), (256, 5), (24, 8)])
def test_a_side_by_8_bit_weights(products, cols, side):
    arrays = in_8_bits(make(1, 17, cols + side, 272, np.float16, True, activation='relu'))
    known = [key for key in products.learn(arrays) if '/int8/' in key]
    for candidate in INT8:
        products.load(known, candidate)
        close(products.run(**arrays, side=side), arrays)


def test_few_rows_expand_weights_in_their_load_and_many_once(products):
    """The guess before anything is measured."""
    expansions = []
    for rows in (1, 64, 4096):
        arrays = in_8_bits(make(1, rows, 64, 64, np.float16, True))
        before = products.launches()
        close(products.run(**arrays), arrays)
        expansions.append(products.launches() - before)
    assert expansions[:2] == [1, 1] and expansions[2] > 1


# of rows in 8 bits ------------------------------------------------------------

def exact_rows(kind, *shape):
    """Halves that are numbers of a kind times a power of two, the largest in each row."""
    values = np.nan_to_num(reference.values_of(kind), nan=1)[np.random.default_rng(shape[1]).integers(0, 256, shape)]
    values[..., 3] = reference.MOST[kind]
    return (values.clip(-reference.MOST[kind]) / 256).astype(np.float16)


def in_rows8(arrays, kind):
    """x and w in halves that lose nothing in 8 bits, and w in these."""
    _, rows, depth = arrays['x'].shape
    full = exact_rows(kind, 1, arrays['w'].shape[1], depth)
    w, scales = reference.quantise(full[0], kind)
    return arrays | dict(x=exact_rows(kind, 1, rows, depth), w=w[None], scales=scales, kind=kind, full=full)


@pytest.mark.parametrize('kind', reference.NUMBERS)
@pytest.mark.parametrize('case', [(17, 48, 144, 'mish', False), (130, 64, 272, 'relu', False), (5, 80, 144, 'none', True)], ids=str)
def test_all_ways_of_rows_in_8_bits_agree(products, kind, case):
    rows, cols, depth, activation, norm = case
    arrays = in_rows8(make(1, rows, cols, depth, np.float16, True, True, activation, norm, norm), kind)
    name = 'int8x8' if kind == 'int8' else 'fp8x8'
    [key] = [key for key in products.learn(arrays) if f'/{name}q/half' in key]
    tiles = [f'{name}:{tile}' for tile in ('64x64', '128x64', '128x128', '256x128')]
    for way in [*tiles, 'half', *(['hipblaslt:0', 'hipblaslt:1', 'hipblaslt:2'] if kind != 'int8' else [])]:
        products.load([key], way)
        before = products.lib.hip_emulated_calls(b'gemm')
        close(products.run(**arrays), arrays)
        assert way == 'half' or (products.lib.hip_emulated_calls(b'gemm') > before) == way.startswith('hipblaslt')
        if norm:
            close(products.run(**arrays, in_place=True), arrays)


def test_a_side_of_rows_in_8_bits(products):
    """By our kernel in one product, by a library in two."""
    arrays = in_rows8(make(1, 17, 128 + 32, 272, np.float16, True, activation='relu'), 'fp8')
    known = [key for key in products.learn(dict(arrays, side=32)) if '/fp8x8q/half' in key]
    assert any('/side32' in key for key in known) and len(known) == 3
    for way, calls in ('fp8x8:128x64', 0), ('apart', 2):
        products.reopen(''.join(f'{key} {way if "/side" in key else "hipblaslt:0"} 1\n' for key in known))
        before = products.lib.hip_emulated_calls(b'gemm')
        close(products.run(**arrays, side=32), arrays)
        assert products.lib.hip_emulated_calls(b'gemm') - before == calls


@pytest.mark.parametrize('kind', reference.NUMBERS)
@settings(max_examples=30)
@given(st.data())
def test_quantised_bit_for_bit(kind, data):
    """Any rows: of zeros, of numbers near the least that there are, with an outlier; the scale of one is no matter of another."""
    rows, cols = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    w = rng.normal(size=(rows, cols)).astype(np.float32)
    w *= np.array(data.draw(st.lists(st.sampled_from([0, 1e-44, 1e-38, 1e-3, 1, 1e30]), min_size=rows, max_size=rows)), np.float32)[:, None]
    w[data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))] *= data.draw(st.sampled_from([1, 100, -1e4]))
    halves = data.draw(st.booleans())
    if halves:  # numbers in the middle between two
        w = (np.rint(w) + np.float32(0.5)).clip(-126.5, 126.5)
        w[:, 0] = 127
    lib = Products(32).lib
    numbers, scales = np.full((rows, cols), 99, np.uint8), np.full(-(-rows // 8) * 8, np.nan, np.float32)
    lib.quantise(w.ctypes.data_as(C.c_void_p), rows, cols, reference.NUMBERS.index(kind), numbers.ctypes.data_as(C.c_void_p), scales.ctypes.data_as(C.c_void_p))
    want, want_scales = reference.quantise(w, kind)
    np.testing.assert_array_equal(numbers, want)
    np.testing.assert_array_equal(scales, np.append(want_scales, np.zeros(len(scales) - rows, np.float32)))


def test_quantised_refuses_what_is_no_number(products):
    w = np.ones((2, 16), np.float32)
    w[1, 3] = np.inf
    place = np.zeros(64, np.float32).ctypes.data_as(C.c_void_p)
    with pytest.raises(RuntimeError, match='of a test is no finite number: leave out weights=int8'):
        products.check(products.lib.quantise(w.ctypes.data_as(C.c_void_p), 2, 16, 0, place, place))
