"""A description is made of arrays that are all there, each with its shape; an error names the one that is not."""
import pytest

from lc0rocm import _core
from lc0rocm.netfile import net

NETS = ["se-relu-32x2", "ab-pemap-64x2", "ab-nosmolgen-64x2"]
# Without them a network means something else: no squeeze and excitation, no smolgen, no gates, another batch norm.
OPTIONAL = ("se.w1", "smolgen.compress", "ip_mult_gate", "ip_add_gate", ".biases", ".bn_betas", ".bn_means")


def backend(architecture, arrays):
    return _core.Backend("cpu", _core.Network(architecture, arrays), {"threads": 1})


@pytest.mark.parametrize("name", NETS)
def test_every_array_is_missed_and_measured(reference, name):
    architecture, arrays = net.load(reference / "nets" / f"{name}.pb.gz").read()
    backend(architecture, arrays)
    for array, (*entry, shape) in arrays.items():
        with pytest.raises(_core.Error, match=f"{array} .*expected"):
            backend(architecture, arrays | {array: (*entry, (*shape, 1))})
        if not array.endswith(OPTIONAL) and ".bn_" not in array:
            with pytest.raises(_core.Error, match=f"no array {array}"):
                backend(architecture, {key: value for key, value in arrays.items() if key != array})


def test_heads_that_do_not_divide(reference):
    architecture, arrays = net.load(reference / "nets" / "ab-pemap-64x2.pb.gz").read()
    with pytest.raises(_core.Error, match="encoder.0.mha.q_w .*5 heads"):
        backend(architecture | {"heads": 5}, arrays)
