"""Lc0 net files: finds, reads and checks them, and hands them to the core.

A file is one protobuf message, plain or gzipped. `load` checks the container and the format fields; `NetFile.core` chooses
the heads, checks every array (weights.py) and builds the core's network. Arrays stay as the file encodes them: at most two
copies exist at a time, the message and the arrays taken from it.
"""
import dataclasses
import importlib.resources
import io
import json
import pathlib
import re
import zlib
from typing import Any

from lc0rocm._core import Error, Network

MAGIC = 0x1C0
COMPATIBLE_VERSION = (0, 33, 0)  # the Lc0 whose nets we accept
ANY_VERSION = (97, 98, 99)       # a minimum version that every Lc0 accepts
# Damaged or hostile files: real nets shrink by less than half, so more than this is no net.
MAX_SIZE = 2**31 - 1             # protobuf's own limit, bytes
MAX_RATIO = 50                   # decompressed by compressed size, beyond FREE_SIZE
FREE_SIZE = 16 << 20

# What people have in place of a net, by the start of the file.
_NO_NETS = {
    rb"(\xef\xbb\xbf)?[12]\s": "an old text-format net, expected a protobuf net (.pb or .pb.gz)",
    rb"\x1f\x8b": "gzipped twice: unpack it once, with gunzip",
    rb"PK\x03\x04|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!": "an archive: unpack it, the net is inside",
    rb"(?i)\s*<(!|html|\?xml)": "a web page, not the net: download the file itself",
    rb"version https://git-lfs": "a pointer of Git LFS, not the net: git lfs pull fetches that",
}

NETS = importlib.resources.files("lc0rocm") / "nets"  # elsewhere than this file in an editable install


def load(path) -> "NetFile":
    """Reads a .pb or .pb.gz file of any name. Raises Error, one sentence with the file's name, if it is no net that can run here.

    Only the container, versions and format are checked yet; NetFile.core checks the weights.
    """
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_file():
            raise Error(f"{path}: is no regular file, expected a net (.pb or .pb.gz)")
        data = _read(path)
    except (OSError, ValueError) as error:  # ValueError: no path holds a NUL
        raise Error(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise Error(f"{path}: is empty, expected a net (.pb or .pb.gz)")
    for start, what in _NO_NETS.items():
        if re.match(start, data):
            raise Error(f"{path}: is {what}")
    try:
        from google.protobuf.message import DecodeError  # here: importing protobuf takes 50 ms

        from lc0rocm.netfile import netproto
    except ImportError as error:
        raise Error(f"network files cannot be read: the Python package protobuf is missing or damaged ({error}): pip install protobuf") from None
    message = netproto.Net()
    try:
        message.ParseFromString(data)
    except DecodeError:
        hint = "damaged or cut short" if data[1:5] == MAGIC.to_bytes(4, "little") else "no Lc0 net"
        raise Error(f"{path}: is {hint}: expected one protobuf message pblczero.Net") from None
    if message.magic != MAGIC:
        raise Error(f"{path}: is no Lc0 net: magic is {message.magic:#x}, expected {MAGIC:#x}")
    net = NetFile(path, message, fixed_format(message))
    net.check_format()
    return net


@dataclasses.dataclass
class NetFile:
    """A net file in memory."""
    path: pathlib.Path
    message: Any  # netproto.Net as the file has it
    format: Any   # netproto.NetworkFormat after the fix-ups for old files

    def fail(self, text: str):
        raise Error(f"{self.path}: {text}")

    def check_format(self):
        message, wanted = self.message, _version(self.message.min_version)
        if wanted > _number(COMPATIBLE_VERSION) and wanted != _number(ANY_VERSION):
            v = message.min_version
            self.fail(f"min_version is {v.major}.{v.minor}.{v.patch}, expected at most "
                      f"{'.'.join(map(str, COMPATIBLE_VERSION))}: the net needs a newer engine")
        if not message.HasField("weights"):
            if not message.HasField("onnx_model"):
                self.fail("has no weights and no onnx_model, expected one of them")
            return
        if message.format.weights_encoding != 1 and wanted < _number(COMPATIBLE_VERSION):
            self.fail(f"format.weights_encoding is {message.format.weights_encoding}, expected 1 (LINEAR16) "
                      f"in a net for engines before {'.'.join(map(str, COMPATIBLE_VERSION))}")
        for field, values in _ACCEPTED.items():
            value = getattr(self.format, field)
            if value not in values:
                from lc0rocm.netfile import netproto
                names = netproto.ENUMS[field]
                what = f"{value} ({names[value]})" if value in names else str(value)
                self.fail(f"format.network_format.{field} is {what}, expected "
                          + ", ".join(f"{v} ({names[v]})" for v in values))
        if self.attention_body and self.format.policy != 3:
            self.fail(f"format.network_format.policy is {self.format.policy}, expected 3 (POLICY_ATTENTION) "
                      "with an attention body")

    @property
    def attention_body(self) -> bool:
        return self.format.network in (6, 7)

    def read(self, policy_head: str = "vanilla", value_head: str = "winner") -> tuple[dict, dict]:
        """The architecture (fields of nn::Architecture by name) and the arrays, name -> (encoding, bytes, min, max, shape), of the
        chosen heads, all checked. Heads: vanilla, optimistic, soft, opponent; winner, q, st. Raises Error."""
        from lc0rocm.netfile import weights
        return weights.read(self, policy_head, value_head)

    def architecture(self, policy_head: str = "vanilla", value_head: str = "winner") -> dict:
        return self.read(policy_head, value_head)[0]

    def core(self, policy_head: str = "vanilla", value_head: str = "winner") -> Network:
        """The core's Network. Raises Error as read() does."""
        return Network(*self.read(policy_head, value_head))


# What can be evaluated, by field of NetworkFormat. SOFTMAX (9) is no activation of one value: nothing implements it.
_ACCEPTED = {
    "network": (3, 4, 6, 7), "input": (1, 2, 3, 4, 5, 132, 133), "policy": (1, 2, 3), "value": (1, 2), "moves_left": (0, 1),
    "default_activation": (0, 1), "smolgen_activation": tuple(range(9)), "ffn_activation": tuple(range(9)),
    "input_embedding": (0, 1, 2),
}


def fixed_format(message):
    """The NetworkFormat of a net with the gaps and legacy values of old files set right. Source: docs/spec/networks.md 1.4."""
    from lc0rocm.netfile import netproto
    fixed = netproto.NetworkFormat()
    fixed.CopyFrom(message.format.network_format)
    weights = message.weights
    if not message.format.HasField("network_format"):
        fixed.input = fixed.output = fixed.value = fixed.policy = 1
        fixed.network = 3
    elif fixed.network in (1, 2):
        fixed.network += 2
        fixed.value = fixed.policy = 1
    elif fixed.network == 4 and weights.encoder:
        fixed.network = 6
        if weights.HasField("smolgen_w"):
            fixed.ffn_activation = 8
            fixed.smolgen_activation = 7
    elif fixed.network == 134:
        fixed.network = 7
    if fixed.network == 6:
        if weights.HasField("policy_heads") and weights.HasField("value_heads"):
            fixed.network = 7
            fixed.input_embedding = 2
        elif not fixed.HasField("input_embedding"):
            fixed.input_embedding = 1
    return fixed


def shipped_nets() -> list[dict]:
    """The nets that came with the package, oldest first: name, playable, description, path."""
    entries = json.loads((NETS / "nets.json").read_text())
    return [entry | {"path": NETS / entry["name"]} for entry in entries if (NETS / entry["name"]).is_file()]


def default_net() -> dict:
    """The newest playable of shipped_nets(), or the newest if none is."""
    nets = shipped_nets()
    return max(enumerate(nets), key=lambda item: (item[1]["playable"], item[0]))[1]


def _read(path: pathlib.Path) -> bytes:
    """The file's content, decompressed if its first bytes say gzip, in bounded time and memory."""
    with open(path, "rb") as file:
        start = file.read(2)
        file.seek(0)
        if start != b"\x1f\x8b":
            if (size := path.stat().st_size) > MAX_SIZE:
                raise Error(f"{path}: has {size} bytes, expected at most {MAX_SIZE}")
            return file.read()
        limit = min(MAX_SIZE, max(FREE_SIZE, MAX_RATIO * path.stat().st_size))
        out = io.BytesIO()  # getvalue() of one that is full shares its memory
        decoder, fed = None, False
        while block := file.read(1 << 20):
            while block:
                if decoder is None:  # a further gzip member, or padding or what else gunzip passes over after the last
                    block = block.lstrip(b"\0") if fed else block
                    if not block:
                        break
                    if fed and block[0] != start[0]:
                        return out.getvalue()
                    decoder = zlib.decompressobj(wbits=31)
                try:
                    out.write(decoder.decompress(block, 1 << 20))
                except zlib.error as error:
                    raise Error(f"{path}: is damaged: expected gzip data ({error})") from None
                if out.tell() > limit:
                    raise Error(f"{path}: unpacks to more than {limit} bytes, expected a net")
                fed = True
                if decoder.eof:
                    block, decoder = decoder.unused_data, None
                else:
                    block = decoder.unconsumed_tail
        if decoder is not None:
            raise Error(f"{path}: is cut short: expected the end of the gzip data")
        return out.getvalue()


def _number(version) -> int:
    major, minor, patch = version
    return 1000000 * major + 1000 * minor + patch


def _version(v) -> int:
    return _number((v.major, v.minor, v.patch))
