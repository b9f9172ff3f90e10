"""conv3x3(): Winograd, patches and MIOpen behind one call, the auction between them, and what happens when MIOpen fails."""
import ctypes as C
import pathlib
import sys

import numpy as np
import pytest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / 'kernels'), str(pathlib.Path(__file__).parent)]
import reference  # noqa: E402
from rocm_calls import Calls  # noqa: E402

WAYS = ['winograd', 'patches', 'miopen']


class Convolutions(Calls):
    def run(self, x, w, bias, se=None, skip=None, activation='relu', in_place=False, measure_s=0):
        """x (batch, 64, in), w (out, in, 3, 3), se (w1, b1, w2, b2)."""
        out, channels = w.shape[:2]
        y = np.full((len(x), 64, out), np.nan, x.dtype)
        flat = None if se is None else np.concatenate([a.ravel() for a in se])
        arrays = [None if a is None else np.ascontiguousarray(a) for a in (y, x, w.astype(np.float32), bias.astype(np.float32), flat, skip)]
        pointers = [None if a is None else a.ctypes.data_as(C.c_void_p) for a in arrays]
        self.check(self.lib.run_convolution(x.dtype == np.float16, *pointers, len(x), channels, out, 0 if se is None else len(se[1]), in_place,
                                            reference.ACTIVATIONS.index(activation), C.c_double(measure_s)))
        return y

    def plans(self):
        return {key: winner for key, winner in super().plans().items() if '/conv3x3/' in key}

    known = {}  # keys of plans, by what they depend on: measuring is most of these tests' time

    def force(self, way, **case):
        """A new stream with a plan for the case that takes this way."""
        x, w, se, skip = (case[name] for name in ('x', 'w', 'se', 'skip'))
        shape = self.wave, x.dtype.name, x.shape, w.shape, se and len(se[1]), skip is not None
        if shape not in self.known:
            self.run(**case, measure_s=60)
            self.known[shape] = list(self.plans())
        self.load(self.known[shape], way)


@pytest.fixture(params=[32, 64])
def convolutions(request):
    c = Convolutions(request.param)
    c.lib.configure(b'')
    c.reopen()
    yield c
    c.lib.configure(b'')
    c.lib.close_stream()


def make(batch, channels, out, dtype, width=0, skip=False, activation='relu'):
    rng = np.random.default_rng(out)
    normal = lambda *shape, scale=1.0: (rng.normal(size=shape) * scale).astype(dtype)
    se = [normal(width, out, scale=out ** -0.5), normal(width), normal(2 * out, width, scale=width ** -0.5), normal(2 * out)] if width else None
    return dict(x=normal(batch, 64, channels), w=normal(out, channels, 3, 3, scale=(9 * channels) ** -0.5), bias=normal(out), se=se,
                skip=normal(batch, 64, out) if skip else None, activation=activation)


def close(y, x, w, bias, se, skip, activation):
    wide = lambda a: a.astype(np.float64)
    z = reference.patches(wide(x)).reshape(len(x), 64, -1) @ wide(w).transpose(2, 3, 1, 0).reshape(-1, len(w)) + bias
    if se:
        z = reference.squeeze_excitation(z, *map(wide, se), activation)
    expected = reference.activate(activation, z + (0 if skip is None else skip))
    reference.assert_close(y, expected, *((0.04, 5e-3) if y.dtype == np.float16 else (2e-5, 1e-5)))


CASES = [  # batch, in, out, width of SE, skip, activation
    (1, 112, 16, 0, False, 'relu'), (3, 24, 24, 6, True, 'mish'), (17, 8, 16, 0, True, 'relu'), (2, 5, 7, 3, True, 'mish'), (1, 16, 80, 0, False, 'none'),
]


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', CASES, ids=str)
@pytest.mark.parametrize('way', WAYS)
def test_all_ways_agree(convolutions, dtype, case, way):
    batch, channels, out, width, skip, activation = case
    arrays = make(batch, channels, out, dtype, width, skip, activation)
    convolutions.force(way, **arrays)
    for in_place in [False, True] if skip else [False]:
        close(convolutions.run(**arrays, in_place=in_place), **arrays)
    assert set(convolutions.plans().values()) == {way}


def test_default(convolutions):
    for batch in (1, 3):
        arrays = make(batch, 16, 16, np.float16)
        close(convolutions.run(**arrays), **arrays)
    assert convolutions.plans() == {}


def test_the_auction_names_a_winner_once(convolutions):
    arrays = make(3, 16, 24, np.float16, 8, True)
    close(convolutions.run(**arrays, measure_s=60), **arrays)
    [(key, winner)] = convolutions.plans().items()
    assert key.endswith('/half/conv3x3/b3/i16/o24/se8/skip') and key.startswith('emulated') and winner in WAYS
    convolutions.load([key], 'patches')
    convolutions.run(**arrays, measure_s=60)
    assert convolutions.plans() == {key: 'patches'}


def test_a_failing_library_is_replaced(convolutions):
    arrays = make(3, 16, 16, np.float16, 4, True)
    convolutions.force('miopen', **arrays)
    close(convolutions.run(**arrays), **arrays)
    convolutions.lib.configure(b'fail=conv:1+')
    close(convolutions.run(**arrays), **arrays)


def test_a_library_that_may_not_be_called_is_not(convolutions):
    arrays = make(3, 16, 16, np.float16, 4, True)
    ours = convolutions.run(**arrays)
    convolutions.force('miopen', **arrays)
    assert (convolutions.run(**arrays) != ours).any()  # MIOpen rounds elsewhere
    convolutions.reopen(''.join(f'{key} miopen 1\n' for key in convolutions.plans()), without='miopen')
    np.testing.assert_array_equal(convolutions.run(**arrays), ours)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('order', ['reverse', 'random:3'])
def test_order_of_threads_does_not_matter(convolutions, way, order):
    arrays = make(3, 24, 24, np.float16, 6, True, 'mish')
    convolutions.force(way, **arrays)
    first = convolutions.run(**arrays)
    convolutions.lib.configure(f'order={order}'.encode())
    np.testing.assert_array_equal(convolutions.run(**arrays), first)


def test_nothing_is_leaked(convolutions):
    convolutions.lib.close_stream()
    before = convolutions.lib.live_objects()
    convolutions.reopen()
    arrays = make(3, 16, 16, np.float16, 4, True)
    convolutions.run(**arrays, measure_s=60)
    for way in WAYS:
        convolutions.force(way, **arrays)
        convolutions.run(**arrays)
    convolutions.lib.close_stream()
    assert convolutions.lib.live_objects() == before
