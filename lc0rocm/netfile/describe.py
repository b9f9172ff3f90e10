"""What a net file holds, in words and numbers: the sections and labels of Lc0's `describenet`, as text or as a dictionary.

Unlike there, sizes hold for every encoding and come from the chosen heads; their elements are counted by encoding.
"""
from typing import Any

from lc0rocm import report
from lc0rocm.netfile import netproto
from lc0rocm.netfile.weights import ELEMENT_SIZE, POLICY_HEADS, VALUE_HEADS

_FORMAT = {
    "Weights encoding": "weights_encoding", "Input": "input", "Network": "network", "Policy": "policy", "Value": "value",
    "MLH": "moves_left", "Default activation": "default_activation", "Smolgen activation": "smolgen_activation",
    "FFN activation": "ffn_activation", "Input embedding": "input_embedding",
}
_TRAINING = {"Training steps": "training_steps", "Learning rate": "learning_rate", "MSE loss": "mse_loss",
             "Policy loss": "policy_loss", "Accuracy": "accuracy", "Lc0 Params": "lc0_params"}
_ONNX = {"Data type": "data_type", "Input planes": "input_planes", "Output value": "output_value", "Output WDL": "output_wdl",
         "Output Policy": "output_policy", "Output MLH": "output_mlh"}


def describe(net, policy_head: str = "vanilla", value_head: str = "winner") -> dict:
    """Section -> label -> value (text, number or list) of a net.NetFile; ready for JSON. Raises Error if the weights are not sound."""
    message = net.message
    v = message.min_version
    general = {"File": str(net.path), "Minimal Lc0 version": f"v{v.major}.{v.minor}.{v.patch}"}
    if message.license:
        general["License"] = message.license.decode(errors="replace")
    sections = {"General": general, "Format": _format(net)}
    if message.HasField("training_params"):
        sections["Training Parameters"] = _present(message.training_params, _TRAINING)
    if message.HasField("weights"):
        sections["Weights"] = _weights(net, policy_head, value_head)
    if message.HasField("onnx_model"):
        sections["ONNX interface"] = _present(message.onnx_model, _ONNX)
    return sections


def text(sections: dict) -> str:
    """The dictionary of `describe` as lines: a title underlined with ~, labels right-justified to 28 columns."""
    lines = []
    for title, rows in sections.items():
        lines += ["", title, "~" * len(title)]
        for label, value in rows.items():
            value = ", ".join(map(str, value)) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else value
            lines.append(report.printable(f"{label:>28}: {value}"))
    return "\n".join(lines[1:])


def _present(message, labels: dict) -> dict:
    return {label: _shown(message, field) for label, field in labels.items() if message.HasField(field)}


def _shown(message, field):
    value = getattr(message, field)
    if field in netproto.ENUMS:
        return netproto.ENUMS[field].get(value, str(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _format(net) -> dict:
    """The format as it is evaluated; where the file says something else, that too."""
    stored = net.message.format
    rows: dict[str, Any] = {}
    for label, field in _FORMAT.items():
        if field == "weights_encoding":
            rows |= _present(stored, {label: field})
        elif net.format.HasField(field):
            rows[label] = _shown(net.format, field)
            if not stored.network_format.HasField(field):
                rows[label] += " (absent in the file)"
            elif getattr(stored.network_format, field) != getattr(net.format, field):
                rows[label] += f" (the file: {_shown(stored.network_format, field)})"
    return rows


def _weights(net, policy_head: str, value_head: str) -> dict:
    arch, arrays = net.read(policy_head, value_head)
    weights = net.message.weights
    sizes = {name: len(data) // ELEMENT_SIZE[encoding] for name, (encoding, data, *_) in arrays.items()}
    attention_policy = arch["policy"] == 3
    rows: dict[str, Any] = {}
    if arch["encoders"]:
        rows |= {"Encoders": arch["encoders"], "Encoder heads": arch["heads"], "Embedding size": arch["embedding"],
                 "Dmodel": sizes["encoder.0.mha.q_b"], "Encoder DFF": sizes["encoder.0.ffn.dense1_b"]}
        if smolgen := sum(layer.mha.HasField("smolgen") for layer in weights.encoder):
            rows["Smolgen layers"] = smolgen
    if arch["blocks"] or not arch["encoders"]:
        rows["Blocks"] = arch["blocks"]
        if se := sum(block.HasField("se") for block in weights.residual):
            rows["SE blocks"] = se
        rows["Filters"] = arch["filters"]
    rows["Policy"] = {1: "Dense", 2: "Convolution", 3: "Attention"}[arch["policy"]]
    on_tower = attention_policy and not arch["attention_body"]
    rows["Policy activation"] = "selu" if on_tower else arch["activation"]
    if attention_policy:
        if arch["policy_encoders"]:
            rows |= {"Policy encoders": arch["policy_encoders"], "Policy encoder heads": arch["policy_heads"],
                     "Policy encoder Dmodel": sizes["policy.pol_encoder.0.mha.q_b"],
                     "Policy encoder DFF": sizes["policy.pol_encoder.0.ffn.dense1_b"],
                     "Policy FFN activation": "selu" if on_tower else arch["ffn_activation"]}
        rows["Policy Dmodel"] = sizes["policy.ip2_pol_b"]
    elif arch["policy"] == 1:
        rows["Policy channels"] = sizes["policy.ip_pol_w"] // (64 * sizes["policy.ip_pol_b"])
    rows |= {"Value": "WDL" if arch["wdl"] else "Classical", "MLH": "Present" if arch["moves_left"] else "Absent"}
    for label, field, heads in (("Policy heads", "policy_heads", POLICY_HEADS), ("Value heads", "value_heads", VALUE_HEADS)):
        if weights.HasField(field):
            rows[label] = [name for name, head in heads.items() if getattr(weights, field).HasField(head)]
    rows["Elements"] = sum(sizes.values())
    for number, name in netproto.ENUMS["encoding"].items():
        if count := sum(size for array, size in sizes.items() if arrays[array][0] == number):
            rows[f"Elements in {name}"] = count
    return rows
