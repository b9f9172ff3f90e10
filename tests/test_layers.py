"""Looking into a network by the Python API: what is kept, what is replaced, and one sentence for what does not fit."""
import pathlib

import chess
import lc0rocm
import numpy as np
import pytest

NET = pathlib.Path(__file__).parents[1] / "nets/random-attention.pb.gz"
BOARDS = [chess.Board(), chess.Board("8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"), chess.Board("4k3/4p3/8/8/8/8/4P3/4K3 b - - 0 1")]


@pytest.fixture(scope="module")
def net():
    with lc0rocm.Network(NET, backend="cpu", backend_options="max_batch=2") as net:
        yield net


def test_layers_stand_beside_policy_and_value(net):
    out = net.evaluate(BOARDS, layers=["encoder.1", "encoder.0.attention"])
    assert {name: array.shape for name, array in out.layers.items()} == {
        name: (3, *net.layers[name]) for name in ("encoder.1", "encoder.0.attention")}
    np.testing.assert_allclose(out.layers["encoder.0.attention"].sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(out.policy, net.evaluate(BOARDS).policy, atol=1e-3)


def test_positions_of_several_batches_are_in_order(net):
    together = net.evaluate(BOARDS, layers="encoder.1").layers["encoder.1"]
    for board, layer in zip(BOARDS, together):
        np.testing.assert_allclose(net.evaluate(board, layers="encoder.1").layers["encoder.1"][0], layer, atol=1e-4)


def test_what_a_layer_was_gives_what_the_network_says(net):
    out = net.evaluate(BOARDS, layers=net.layers)
    again = net.evaluate(BOARDS, replace=out.layers)
    np.testing.assert_allclose(again.policy, out.policy, atol=1e-4)


def test_a_patched_layer_gives_the_other_positions_answer(net):
    last = [name for name in net.layers if name.startswith("encoder.") and name.count(".") == 1][-1]
    out = net.evaluate(BOARDS, layers=last)
    swapped = net.evaluate(BOARDS, replace={last: out.layers[last][::-1]})
    np.testing.assert_allclose(swapped.policy, out.policy[::-1], atol=1e-3)
    np.testing.assert_allclose(swapped.q, out.q[::-1], atol=1e-4)


def test_an_array_a_number_and_functions_ablate_alike(net):
    def returned(heads):
        return heads * others

    def in_place(heads):
        heads[:, :, 0] = 0

    others = np.arange(net.layers["encoder.0.heads"][1])[:, None] > 0
    kept = net.evaluate(BOARDS, layers="encoder.0.heads").layers["encoder.0.heads"] * others
    outs = [net.evaluate(BOARDS, "encoder.0.heads", {"encoder.0.heads": new}) for new in (returned, in_place, kept)]
    for out in outs:
        assert not out.layers["encoder.0.heads"][:, :, 0].any() and out.layers["encoder.0.heads"][:, :, 1:].any()
        np.testing.assert_allclose(out.policy, outs[0].policy, atol=1e-4)
    assert not net.evaluate(BOARDS, "encoder.0", {"encoder.0": 0}).layers["encoder.0"].any()


def test_a_function_sees_whole_batches_in_order(net):
    sizes = []
    net.evaluate(BOARDS, replace={"encoder.0": lambda layer: sizes.append(len(layer))})
    assert sizes == [2, 1]


def test_what_a_function_raises_comes_through(net):
    with pytest.raises(ZeroDivisionError):
        net.evaluate(BOARDS, replace={"encoder.0": lambda layer: 1 / 0})
    assert len(net.evaluate(BOARDS)) == 3


def test_a_function_may_evaluate_and_keep_what_it_got(net):
    kept = []

    def other(layer):
        kept.append(layer)
        return net.evaluate(BOARDS[:1], "encoder.0").layers["encoder.0"]

    out = net.evaluate(BOARDS[:2], "encoder.0", {"encoder.0": other})
    np.testing.assert_array_equal(out.layers["encoder.0"][0], out.layers["encoder.0"][1])
    np.testing.assert_allclose(kept[0], net.evaluate(BOARDS[:2], "encoder.0").layers["encoder.0"], atol=1e-5)


def test_no_boards_have_empty_layers(net):
    assert net.evaluate([], "embedding").layers["embedding"].shape == (0, *net.layers["embedding"])


def test_a_net_without_moves_left_shows_none():
    with lc0rocm.Network(NET, backend="cpu", backend_options="mlh=false") as net:
        assert not any(name.startswith("moves_left") for name in net.layers)


@pytest.mark.parametrize("arguments, sentence", [
    (dict(layers="encoder.99"), "this network has no layer 'encoder.99', but 'encoder."),
    (dict(layers=["nonsense of mine"]), "this network has no layer 'nonsense of mine'; `network.layers` lists them"),
    (dict(layers=7), "layers are names, a list of them, not int"),
    (dict(layers=[7]), "this network has no layer 7"),
    (dict(layers=[["encoder.0.q"]]), "this network has no layer ['encoder.0.q']"),
    (dict(replace={"encoder.0 ": 0}), "but 'encoder.0'"),
    (dict(replace=["encoder.0"]), "replace is a dictionary from layers to arrays or functions, not list"),
    (dict(replace="encoder.0"), "replace is a dictionary from layers to arrays or functions, not str"),
    (dict(replace={"encoder.0": np.zeros((2, 64, 1))}), "what replaces encoder.0 has the shape (2, 64, 1), expected (3, 64, "),
    (dict(replace={"encoder.0": "zeros"}), "what replaces encoder.0 is no array of numbers"),
    (dict(replace={"encoder.0": lambda layer: layer[:1, :3]}), "what replace's function for encoder.0 returns has the shape (1, 3, "),
    (dict(replace={"encoder.0": np.nan}), "values that are no numbers"),
])
def test_what_does_not_fit_is_one_sentence(net, arguments, sentence):
    with pytest.raises(lc0rocm.Error) as error:
        net.evaluate(BOARDS, **arguments)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_back_end_without_layers_says_so():
    with lc0rocm.Network(None, backend="random") as net:
        assert net.layers == {}
        with pytest.raises(lc0rocm.Error, match="shows no layers"):
            net.evaluate(BOARDS, "encoder.0")
