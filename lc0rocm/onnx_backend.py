"""The back end onnx: net files that hold an ONNX model in place of weights, and by way of `export` all others, run by onnxruntime."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.netfile.net import NetFile
from lc0rocm.options import ONNX

try:
    import onnxruntime
except ImportError as error:
    raise Error(f"back end {ONNX} cannot run here: onnxruntime is missing or damaged ({error}): pip install onnxruntime") from None

_NUMBERS: dict[int, type[np.floating]] = {1: np.float32, 10: np.float16}  # OnnxModel.data_type
_CPU = "CPUExecutionProvider"


def make(file: NetFile, heads: Sequence[str], options: Mapping[str, Any]) -> _core.Backend:
    """Options: threads (0: all processors), max_batch, provider (one of onnxruntime's). Raises Error for a model that does not run or has other
    inputs and outputs than the file says."""
    threads, max_batch = _count(options, "threads", 0, 0), _count(options, "max_batch", 256, 1)
    provider = str(options.get("provider", _CPU))
    if provider not in onnxruntime.get_available_providers():
        raise Error(f"back-end option provider is {provider}, which this onnxruntime does not have; it has "
                    + ", ".join(onnxruntime.get_available_providers()))
    model = _model(file, heads)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = threads, 4  # what fails is raised
    try:
        session = onnxruntime.InferenceSession(model.model, settings, providers=[provider])
    except Exception as error:  # onnxruntime has a class for each kind, of no common base
        file.fail(f"its ONNX model cannot be run: {' '.join(str(error).split())}")
    outputs = {output.name for output in session.get_outputs()}
    names = {field: getattr(model, "output_" + field).decode(errors="replace") for field in ("policy", "wdl", "value", "mlh")}
    source = model.input_planes.decode(errors="replace")
    for name in filter(None, names.values()):
        if name not in outputs:
            file.fail(f"its ONNX model has no output {name}, only {', '.join(sorted(outputs))}")
    if source not in {tensor.name for tensor in session.get_inputs()}:
        file.fail(f"its ONNX model has no input {source!r}")
    if not names["policy"] or not (names["wdl"] or names["value"]):
        file.fail("onnx_model names no output for policy or value, expected output_policy and output_wdl or output_value")
    number = _NUMBERS[model.data_type]
    wanted = [name for name in (names["policy"], names["wdl"] or names["value"], names["mlh"]) if name]

    def evaluate(masks: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        planes = _core.expand_planes(masks, values).astype(number, copy=False)
        try:
            policy, value, *rest = session.run(wanted, {source: planes})
        except Exception as error:  # as above
            raise Error(f"onnxruntime failed: {' '.join(str(error).split())}") from None
        scalars = np.zeros((len(planes), 3), np.float32)
        value = np.asarray(value, np.float32).reshape(len(planes), -1)
        if np.shape(policy) != (len(planes), 1858) or value.shape[1] != (3 if names["wdl"] else 1) or rest and np.size(rest[0]) != len(planes):
            raise Error("the ONNX model gave arrays of wrong shapes, expected (n, 1858) of policy, (n, 3) of wdl, (n, 1) of value and of mlh")
        scalars[:, 0] = value[:, 0] - value[:, 2] if names["wdl"] else value[:, 0]
        scalars[:, 1] = value[:, 1] if names["wdl"] else 0
        if rest:
            scalars[:, 2] = np.reshape(rest[0], -1)
        return policy, scalars

    evaluate(np.zeros((1, 112), np.uint64), np.zeros((1, 112), np.float32))  # a model that does not fit is refused here
    workers = threads or len(os.sched_getaffinity(0))
    return _core.Backend.of_function(
        ONNX, evaluate, device=f"{provider.removesuffix('ExecutionProvider')} by onnxruntime {onnxruntime.__version__}, "
        + ("fp16" if number == np.float16 else "fp32"), input_format=file.format.input, wdl=bool(names["wdl"]), moves_left=bool(names["mlh"]),
        half=number == np.float16, cpu=provider == _CPU, max_batch=max_batch, best_batch=min(max_batch, 4 * workers if provider == _CPU else 256),
        unasked_options=sorted(set(options) - {"threads", "max_batch", "provider", "policy_head", "value_head"}))


def _model(file: NetFile, heads: Sequence[str]) -> Any:
    """The message OnnxModel of the file, or one that is made of its weights."""
    if file.message.HasField("weights"):
        from lc0rocm.netfile import onnx_model
        return onnx_model.message(onnx_model.model(file, heads[0], heads[1]), file).onnx_model
    model = file.message.onnx_model
    if model.data_type not in _NUMBERS:
        file.fail(f"onnx_model.data_type is {model.data_type}, expected 1 (FLOAT) or 10 (FLOAT16)")
    if file.format.input not in (1, 2, 3, 4, 5, 132, 133):
        file.fail(f"format.network_format.input is {file.format.input}, expected one of 1 to 5, 132 and 133")
    return model


def _count(options: Mapping[str, Any], key: str, fallback: int, least: int) -> int:
    value = options.get(key, fallback)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1024:
        raise Error(f"back-end option {key} is {value}, expected {least} to 1024")
    return value
