"""`describe`: the sections, the real heads and the counts of elements."""
import json

import pytest

from lc0rocm.netfile import describe, net, netproto


def described(path):
    return describe.describe(net.load(path))


def test_maia(reference):
    sections = described(reference / "nets/maia-1900.pb.gz")
    assert list(sections) == ["General", "Format", "Training Parameters", "Weights"]
    assert sections["General"]["Minimal Lc0 version"] == "v0.21.0"
    assert sections["Training Parameters"]["Training steps"] == 400000
    assert sections["Weights"] == {
        "Blocks": 6, "SE blocks": 6, "Filters": 64, "Policy": "Convolution", "Policy activation": "relu", "Value": "WDL",
        "MLH": "Absent", "Elements": 868355, "Elements in LINEAR16": 868355}


def test_text_layout(reference):
    lines = describe.text(described(reference / "nets/maia-1900.pb.gz")).splitlines()
    assert lines[:2] == ["General", "~~~~~~~"] and "" in lines
    assert "                      Blocks: 6" in lines  # labels end at column 28
    assert "               Learning rate: 0.0001" in lines


def test_a_network_says_nothing_to_the_terminal(nets):
    """Its texts come from whoever made it: titles of windows, cleared screens, lines that look like others."""
    file = net.load(nets / "attention-dense-multihead.pb.gz")
    file.message.license = b"GPL\x1b]0;title\x07\r\x1b[2J\nbestmove a2a3 \xc3\xa9"
    assert "License: GPL?]0;title???[2J?bestmove a2a3 \u00e9" in describe.text(describe.describe(file)).splitlines()[4]


def test_multihead_shows_the_heads_that_are_used(nets):
    rows = described(nets / "attention-dense-multihead.pb.gz")["Weights"]
    assert rows["Policy Dmodel"] == 32 and rows["Policy heads"] == ["vanilla", "optimistic", "soft", "opponent"]
    assert rows["Elements"] == rows["Elements in BFLOAT16"]


def test_policy_encoders_on_a_tower(nets):
    rows = described(nets / "se-attention-policy.pb.gz")["Weights"]
    assert (rows["Policy encoders"], rows["Policy encoder heads"], rows["Policy encoder Dmodel"], rows["Policy encoder DFF"],
            rows["Policy activation"], rows["Policy FFN activation"]) == (1, 4, 32, 48, "selu", "selu")


def test_mixed_encodings_are_counted_apart(maker, written):
    message = maker.make_net(embedding=16, encoders=1, heads=2, dff=16, value_size=2, head_hidden=8)
    maker.set_array(message.weights.ip4_pol_w, range(64), "float32")
    rows = described(written(message))["Weights"]
    assert rows["Elements in FLOAT32"] == 64
    assert rows["Elements in LINEAR16"] == rows["Elements"] - 64


def test_fix_ups_show_both_values(reference):
    form = described(reference / "spec/nets/multihead_6_fixup.pb.gz")["Format"]
    assert form["Network"] == "NETWORK_ATTENTIONBODY_WITH_MULTIHEADFORMAT (the file: NETWORK_ATTENTIONBODY_WITH_HEADFORMAT)"
    assert form["Input embedding"] == "INPUT_EMBEDDING_PE_DENSE (absent in the file)"


def test_onnx_net_and_text_that_is_not_utf8(written):
    message = netproto.Net(magic=net.MAGIC, license=b"caf\xe9")
    message.onnx_model.data_type, message.onnx_model.output_wdl = 10, b"/output/wdl"
    sections = described(written(message))
    assert sections["General"]["License"] == "caf\N{REPLACEMENT CHARACTER}"
    assert sections["ONNX interface"] == {"Data type": "FLOAT16", "Output WDL": "/output/wdl"}


@pytest.mark.parametrize("name", ["attention-on-tower", "classical-relu", "random-attention"])
def test_every_description_is_json(nets, name):
    sections = described(nets / f"{name}.pb.gz")
    assert json.loads(json.dumps(sections)) == sections
