"""Containers, versions, fix-ups and damage: what loads, and the one sentence for what does not."""
import bz2
import gzip
import lzma
import subprocess
import sys

import pytest

import lc0rocm
from lc0rocm.netfile import net, netproto, weights

SMALL = dict(embedding=16, encoders=1, heads=2, dff=16, smolgen=(1, 8, 4), value_size=2, head_hidden=8)
TOWER = dict(body="tower", filters=8, blocks=4, se_ratio=2, policy="convolution", value_size=2, head_hidden=8)


@pytest.fixture(scope="module")
def attention(maker):
    return maker.make_net(**SMALL)


@pytest.fixture(scope="module")
def tower(maker):
    return maker.make_net(**TOWER)


def copy(message):
    return netproto.Net.FromString(message.SerializeToString())


def refusal(path, *heads):
    """The sentence after the file's name."""
    with pytest.raises(lc0rocm.Error) as caught:
        net.load(path).core(*heads)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


# containers

@pytest.mark.parametrize("name", ["net.pb", "net.pb.gz", "gz-without-the-name.pb"])
def test_containers(attention, written, name):
    data = attention.SerializeToString()
    path = written(data if name == "net.pb" else gzip.compress(data), name)
    assert net.load(path).message == attention


def test_several_gzip_members_and_padding(attention, written):
    data = attention.SerializeToString()
    path = written(gzip.compress(data[:999]) + gzip.compress(data[999:]) + bytes(512))
    assert net.load(path).message == attention


@pytest.mark.parametrize("rest", [b"\n", b"garbage", bytes(600) + b"\n", b"\0" * 2**20 + b"x"])
def test_what_follows_the_gzip_data_is_passed_over(attention, written, rest):
    """As gunzip does, and what else reads nets."""
    assert net.load(written(gzip.compress(attention.SerializeToString()) + rest)).message == attention


def test_unknown_fields_are_skipped(attention, written):
    data = attention.SerializeToString() + b"\xa2\x06\x03abc"  # field 100, 3 bytes
    assert net.load(written(data)).core()


def test_truncated_anywhere(attention, written):
    data = attention.SerializeToString()
    for size in range(1, len(data), 97):
        assert refusal(written(data[:size]))
    packed = gzip.compress(data)
    assert refusal(written(packed[:-9])) == "is cut short: expected the end of the gzip data"


@pytest.mark.parametrize("content,expected", [
    (b"", "is empty"),
    (b"2\n0.1 0.2\n", "is an old text-format net"), (b"\xef\xbb\xbf1\r\n0.1 0.2\r\n", "is an old text-format net"),
    (gzip.compress(b"1\n0.1 0.2\n"), "is an old text-format net"), (gzip.compress(gzip.compress(b"net")), "is gzipped twice: unpack it once"),
    (b"PK\x03\x04 and so on", "is an archive: unpack it"), (lzma.compress(b"net"), "is an archive: unpack it"), (bz2.compress(b"net"), "is an archive"),
    (b"\n<!DOCTYPE html><html>", "is a web page, not the net: download the file itself"), (b"<HTML>", "is a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS, not the net: git lfs pull"),
    (b"\x0d\xc1\x01\0\0", "is no Lc0 net: magic is 0x1c1, expected 0x1c0"),
    (b"Portable executables are no nets", "is no Lc0 net: expected one protobuf message"),
    (b"\x1f\x8b and then no gzip", "is damaged: expected gzip data"),
    (b"\x0d\xc0\x01\0\0", "has no weights and no onnx_model"),
])
def test_what_is_no_net(written, content, expected):
    assert refusal(written(content)).startswith(expected)


def test_missing_file_and_folder(tmp_path):
    assert refusal(tmp_path / "none.pb.gz") == "cannot be read: No such file or directory"
    assert refusal(tmp_path).startswith("is no regular file")


def test_gzip_bomb_stops_early(written):
    assert refusal(written(gzip.compress(bytes(net.FREE_SIZE + 1)))) == f"unpacks to more than {net.FREE_SIZE} bytes, expected a net"


# format

@pytest.mark.parametrize("version,ok", [((0, 33, 0), True), ((0, 32, 999), True), ((97, 98, 99), True), ((0, 33, 1), False),
                                        ((1, 0, 0), False), ((2**32 - 1,) * 3, False)])
def test_minimum_version(attention, written, version, ok):
    message = copy(attention)
    message.min_version.major, message.min_version.minor, message.min_version.patch = version
    path = written(message)
    if ok:
        net.load(path)
    else:
        assert refusal(path).startswith(f"min_version is {'.'.join(map(str, version))}, expected at most 0.33.0")


def test_weights_encoding_may_be_absent_from_0_33(attention, written):
    message = copy(attention)
    message.format.ClearField("weights_encoding")
    assert refusal(written(message)).startswith("format.weights_encoding is 0, expected 1")
    message.min_version.minor = 33
    assert net.load(written(message)).core()


@pytest.mark.parametrize("field,value,expected", [
    ("input", 0, "0 (INPUT_UNKNOWN), expected 1 (INPUT_CLASSICAL_112_PLANE), 2"),
    ("input", 6, "6, expected 1"),
    ("network", 5, "5 (NETWORK_ONNX), expected 3"),
    ("network", -1, "-1, expected 3"),
    ("policy", 7, "7, expected 1"),
    ("policy", 2, "2, expected 3 (POLICY_ATTENTION) with an attention body"),
    ("value", 3, "3 (VALUE_PARAM), expected 1"),
    ("moves_left", 2, "2, expected 0"),
    ("default_activation", 2, "2, expected 0"),
    ("smolgen_activation", 9, "9 (ACTIVATION_SOFTMAX), expected 0"),
    ("ffn_activation", 77, "77, expected 0"),
    ("input_embedding", 3, "3, expected 0"),
])
def test_unknown_values(attention, written, field, value, expected):
    message = copy(attention)
    setattr(message.format.network_format, field, value)
    assert refusal(written(message)).startswith(f"format.network_format.{field} is {expected}")


def test_onnx_net(written):
    message = netproto.Net(magic=net.MAGIC)
    message.format.network_format.network = 5
    message.onnx_model.model = b"model"
    assert refusal(written(message)).startswith("holds only an ONNX model, expected a net with weights")


def test_network_6_gets_an_input_embedding_only_if_absent(attention):
    message = copy(attention)
    message.format.network_format.ClearField("input_embedding")
    assert net.fixed_format(message).input_embedding == 1
    message.format.network_format.input_embedding = 0
    assert net.fixed_format(message).input_embedding == 0
    message.format.network_format.ClearField("input_embedding")
    message.format.network_format.network = 7
    assert not net.fixed_format(message).HasField("input_embedding")


def test_fix_up_4_overrides_activations(attention):
    message = copy(attention)
    form = message.format.network_format
    form.network, form.ffn_activation, form.smolgen_activation = 4, 1, 1
    fixed = net.fixed_format(message)
    assert (fixed.network, fixed.ffn_activation, fixed.smolgen_activation) == (6, 8, 7)
    message.weights.ClearField("smolgen_w")
    fixed = net.fixed_format(message)
    assert (fixed.network, fixed.ffn_activation, fixed.smolgen_activation) == (6, 1, 1)


# arrays

def shortened(layer):
    layer.params = layer.params[:-2]


@pytest.mark.parametrize("path,expected", [
    ("input.weights", "has 8063 values, expected a multiple of 1008 (112 x 3 x 3)"),
    ("residual[3].conv1.weights", "has 575 values, expected 576 (8 x 8 x 3 x 3)"),
    ("residual[0].conv2.bn_gammas", "has 7 values, expected 8"),
    ("residual[1].se.w2", "has 63 values, expected 64 (16 x 4)"),
    ("policy.weights", "has 5759 values, expected 5760 (80 x 8 x 3 x 3)"),
    ("policy.biases", "has 79 values, expected 80"),
    ("ip1_val_w", "has 1023 values, expected 1024 (8 x 128)"),
    ("ip2_val_b", "has 2 values, expected 3"),
])
def test_wrong_size_in_a_tower(tower, written, path, expected):
    message = copy(tower)
    shortened(eval("weights." + path, {"weights": message.weights}))
    assert refusal(written(message)) == f"weights.{path} {expected}"


@pytest.mark.parametrize("path", [
    "ip_emb_w", "ip_emb_b", "encoder[0].mha.q_w", "encoder[0].mha.k_b", "encoder[0].mha.dense_w", "encoder[0].ln1_gammas",
    "encoder[0].ffn.dense1_b", "encoder[0].ln2_betas", "encoder[0].mha.smolgen.compress", "encoder[0].mha.smolgen.dense2_w",
    "encoder[0].mha.smolgen.ln2_gammas", "smolgen_w", "ip_pol_w", "ip2_pol_b", "ip3_pol_b", "ip4_pol_w", "ip_val_b", "ip1_val_w",
    "ip_mov_w", "ip2_mov_w"])
def test_missing_array_in_an_attention_body(attention, written, path):
    message = copy(attention)
    eval("weights." + path, {"weights": message.weights}).ClearField("params")
    assert refusal(written(message)).startswith(f"weights.{path} is missing")


@pytest.mark.parametrize("encoding,change,expected", [
    ("linear16", {"encoding": 0}, "has encoding 0, expected 1 (LINEAR16)"),
    ("linear16", {"encoding": 5}, "has encoding 5, expected 1 (LINEAR16)"),
    ("linear16", {"params": b"odd"}, "has 3 bytes, expected a multiple of 2"),
    ("linear16", {"max_val": float("nan")}, "has infinities or NaN"),
    ("float16", {"params": b"\0\x7c" * 256}, "has infinities or NaN"),
    ("bfloat16", {"params": b"\x80\xff" * 256}, "has infinities or NaN"),
    ("float32", {"params": b"\0\0\x80\x7f" * 256}, "has infinities or NaN"),
    ("float32", {"params": b"\0\0\0\0" * 255 + b"\0"}, "has 1021 bytes, expected a multiple of 4"),
])
def test_bad_values(maker, written, encoding, change, expected):
    message = maker.make_net(**SMALL, encoding=encoding)
    for field, value in change.items():
        setattr(message.weights.ip2_pol_w, field, value)
    assert refusal(written(message)).startswith(f"weights.ip2_pol_w {expected}")


def test_encoding_defaults_to_linear16(attention, written):
    message = copy(attention)
    message.weights.ip2_pol_w.ClearField("encoding")
    assert net.load(written(message)).read()[1]["policy.ip2_pol_w"][0] == 1


def test_negative_variance(tower, written):
    message = copy(tower)
    message.weights.input.bn_stddivs.min_val = -1
    assert refusal(written(message)).startswith("weights.input.bn_stddivs gives scales that are not finite")


def test_relative_position_encodings_are_refused(attention, written):
    message = copy(attention)
    message.weights.encoder[0].mha.rpe_k.min_val = 0
    assert refusal(written(message)).startswith("weights.encoder[0].mha.rpe_k is present")


@pytest.mark.parametrize("heads,expected", [(0, "weights.headcount is 0"), (3, "weights.encoder[0].mha.q_b has 16 values, expected a multiple of 3")])
def test_head_count(attention, written, heads, expected):
    message = copy(attention)
    message.weights.headcount = heads
    assert refusal(written(message)).startswith(expected)


# heads

@pytest.fixture(scope="module")
def multihead(maker):
    return maker.make_net(**SMALL, multihead=True, pe="dense", preprocessing=1)


def test_every_head(multihead, written):
    file = net.load(written(multihead))
    policies = {file.read(name)[1]["policy.ip2_pol_w"][1] for name in weights.POLICY_HEADS}
    values = {file.read("vanilla", name)[1]["value.ip1_val_w"][1] for name in weights.VALUE_HEADS}
    assert (len(policies), len(values)) == (4, 3)


def test_unknown_and_missing_heads(multihead, attention, written):
    message = copy(multihead)
    message.weights.policy_heads.ClearField("soft")
    path = written(message)
    assert refusal(path, "soft") == "has no policy head soft, expected one of vanilla, optimistic, opponent"
    assert refusal(path, "best") == "has no policy head best, expected one of vanilla, optimistic, soft, opponent"
    assert refusal(written(attention), "vanilla", "q") == "has no value head q, expected winner: the only one in this net"


def test_embedding_of_a_head_own_then_shared_then_top_level(multihead, written, maker):
    """Weights and biases are looked up separately."""
    message = copy(multihead)
    heads = message.weights.policy_heads
    shared = heads.ip_pol_w.params

    def taken():
        arrays = net.load(written(message)).read()[1]
        return arrays["policy.ip_pol_w"][1], arrays["policy.ip_pol_b"][1]

    assert taken() == (shared, heads.ip_pol_b.params)
    maker.set_array(heads.vanilla.ip_pol_w, range(256))
    assert taken() == (heads.vanilla.ip_pol_w.params, heads.ip_pol_b.params)
    heads.ClearField("ip_pol_b")
    maker.set_array(message.weights.ip_pol_b, range(16))
    assert taken() == (heads.vanilla.ip_pol_w.params, message.weights.ip_pol_b.params)


# what ships

def test_default_net_is_a_sound_net():
    entry = net.default_net()
    assert net.load(entry["path"]).core() and entry in net.shipped_nets()


def test_newest_playable_net_is_the_default(tmp_path, monkeypatch):
    (tmp_path / "nets.json").write_text(
        '[{"name": "a", "playable": true}, {"name": "b", "playable": true}, {"name": "c", "playable": false},'
        ' {"name": "d", "playable": true}]')
    for name in "abc":
        (tmp_path / name).touch()
    monkeypatch.setattr(net, "NETS", tmp_path)
    assert net.default_net()["name"] == "b"  # d is listed but not there


def test_importing_the_package_stays_light(tmp_path):
    script = "import sys, lc0rocm, lc0rocm.netfile.net; sys.exit('google.protobuf' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path).returncode == 0
