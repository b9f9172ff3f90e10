"""Every net of the reference data loads, with the format that the specification's table gives it."""
import json

import pytest

from lc0rocm.netfile import net

# network, policy, value, input_embedding, and the architecture's activations: default, smolgen, feed-forward
SPEC_NETS = {
    "classical_noformat": (3, 1, 1, 0, "relu", "relu", "relu"),
    "classical_network1": (3, 1, 1, 0, "relu", "relu", "relu"),
    "se_network2": (4, 1, 1, 0, "relu", "relu", "relu"),
    "se_fcpolicy_wdl_mlh": (4, 1, 2, 0, "relu", "relu", "relu"),
    "se_attnpolicy_polencoder_mish": (4, 3, 2, 0, "mish", "mish", "mish"),
    "attn_pemap_plain": (6, 3, 2, 1, "relu", "relu", "relu"),
    "attn_pemap_smolgen_relu2": (6, 3, 2, 1, "relu", "swish", "relu2"),
    "attn_pemap_smolgen_mish": (6, 3, 2, 1, "mish", "swish", "mish"),
    "attn_pemap_smolgen_tanh_selu": (6, 3, 2, 1, "mish", "tanh", "selu"),
    "attn_network4_smolgen": (6, 3, 2, 1, "mish", "swish", "relu2"),
    "attn_network4_tanhvalue": (6, 3, 1, 1, "relu", "relu", "relu"),
    "multihead_134_dense": (7, 3, 2, 2, "mish", "swish", "mish"),
    "multihead_7_dense": (7, 3, 2, 2, "mish", "swish", "relu2"),
    "multihead_6_fixup": (7, 3, 2, 2, "relu", "swish", "relu"),
    "multihead_bfloat16": (7, 3, 2, 2, "mish", "swish", "mish"),
}


def test_net_loads(reference, reference_net):
    file = net.load(reference / "nets" / f"{reference_net}.pb.gz")
    core = file.core()
    architecture, arrays = file.read()
    assert all(core.array(array).size > 0 for array in arrays)
    assert architecture["attention_body"] == reference_net.startswith("ab-")


@pytest.mark.parametrize("name", SPEC_NETS)
def test_format_after_fix_ups(reference, name):
    file = net.load(reference / "spec/nets" / f"{name}.pb.gz")
    form, arch = file.format, file.architecture()
    assert (form.network, form.policy, form.value, form.input_embedding, arch["activation"], arch["smolgen_activation"],
            arch["ffn_activation"]) == SPEC_NETS[name]


def test_heads_of_the_expected_outputs(reference):
    """Every pair of heads that the expected outputs name resolves."""
    lines = map(json.loads, (reference / "spec/nets/expected.jsonl").read_text().splitlines())
    wanted = {(line["net"], line.get("policy_head", "vanilla"), line.get("value_head", "winner")) for line in lines}
    for name, policy_head, value_head in wanted:
        net.load(reference / "spec/nets" / name).core(policy_head, value_head)
    assert len({(policy, value) for _, policy, value in wanted}) == 4


def test_sizes_of_maia(reference):
    file = net.load(reference / "nets/maia-1900.pb.gz")
    arch, arrays = file.read()
    sizes = {name: len(params) // 2 for name, (_, params, *_) in arrays.items()}
    assert (arch["filters"], arch["blocks"], sizes["residual.0.se.b1"]) == (64, 6, 8)
    assert sizes["policy.policy.weights"] == 46080 and sizes["value.ip1_val_w"] == 262144
