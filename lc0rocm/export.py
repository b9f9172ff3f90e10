"""The command `lc0rocm export`: a network as an ONNX model, alone or inside a net file, as Lc0's `leela2onnx` writes them."""
from __future__ import annotations

import gzip
import pathlib

from lc0rocm import files, report
from lc0rocm._core import Error
from lc0rocm.loading import find_network
from lc0rocm.netfile import net, onnx_model
from lc0rocm.options import Settings


def export(settings: Settings) -> int:
    path = pathlib.Path(settings["output"])
    if not path.name.endswith((".onnx", ".pb", ".pb.gz")):
        raise Error(f"export writes a file that ends in .onnx, .pb or .pb.gz, not {settings['output']!r}: lc0rocm export net.onnx")
    with report.stages() as tell:
        source, _ = find_network(settings["WeightsFile"], unplayable=True, tell=tell)
    file = net.load(source)
    made = onnx_model.model(file, settings["policy-head"], settings["value-head"], settings["half"])
    if path.name.endswith(".onnx"):
        data = made.SerializeToString()
    else:
        data = onnx_model.message(made, file).SerializeToString()
    data = gzip.compress(data) if path.suffix == ".gz" else data
    try:
        files.replace(path, data)
    except (OSError, ValueError) as error:
        raise Error(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    shapes = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*made.graph.input, *made.graph.output)}
    facts = {"file": str(path), "bytes": len(data), "numbers": "float16" if settings["half"] else "float32",
             "input": onnx_model.INPUT, "tensors": shapes}
    if settings["json"]:
        report.write_json(facts)
    else:
        print(report.printable(f"{path}: {file.path.name} as an ONNX model, {len(data) / 1e6:.1f} MB of {facts['numbers']}"))
        for name, shape in shapes.items():
            print(f"  {name}: {', '.join(map(str, shape))}")
    return 0
