"""Operations: how many a graph takes, and how many a second a device gives at most.

A multiplication and the addition of its product count as two, and nothing but convolutions and matrix products counts:
these are what a chip's limit is stated for. Published figures of the YOLO family that are older than ultralytics-thop
2.2 are higher, since they count a transposed convolution over its output, which is four times too much at stride 2:
12.6 GFLOPs for YOLOv8n-seg at 640 x 640, where 12.0 are done.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

_OF_BODIES = {"If", "Loop", "Scan"}
_PRODUCTS_A_TIMING = 10  # so that the launch of one is not felt


def count(graph: Path | onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> Counter[str]:
    """Count the operations of one run.

    Args:
        graph: An ONNX model, or its file.
        shapes: Of the inputs whose axes are not fixed.

    Returns:
        Kind of node (`Conv`, `ConvTranspose`, `Gemm`, `MatMul`) to operations.

    Raises:
        ValueError: What a node computes can't be inferred from the inputs' shapes.
    """
    import onnx

    model = onnx.load(str(graph)) if isinstance(graph, Path) else graph
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for given in named.graph.input:
        for axis, length in zip(given.type.tensor_type.shape.dim, shapes.get(given.name, ()), strict=False):
            axis.dim_value = length
    del named.graph.value_info[:]  # what an exporter noted of its own shapes
    known = _shapes(onnx.shape_inference.infer_shapes(named, data_prop=True))
    operations = Counter[str]()
    for node in named.graph.node:
        if node.op_type in _OF_BODIES:
            raise ValueError(f"expected a graph without bodies, found {node.op_type} {node.name!r}")
        if node.op_type in _RULES:
            left, right, made = (known.get(name) for name in (node.input[0], node.input[1], node.output[0]))
            if left is None or right is None or made is None:
                around = f"{node.op_type} {node.name!r}"
                raise ValueError(f"expected known shapes around {around}, found {left} and {right} to {made}")
            operations[node.op_type] += 2 * _RULES[node.op_type](node, left, right, made)
    return operations


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of the values of a graph, those that are wholly known."""
    shapes = {constant.name: tuple(constant.dims) for constant in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            shapes.update((node.output[0], tuple(each.t.dims)) for each in node.attribute if each.name == "value")
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        axes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            shapes[value.name] = tuple(axis.dim_value for axis in axes)
    return shapes


def _conv(_node: Any, _given: Sequence[int], kernel: Sequence[int], made: Sequence[int]) -> int:
    return math.prod(made) * math.prod(kernel[1:])  # (out, in / groups, ...)


def _conv_transpose(_node: Any, given: Sequence[int], kernel: Sequence[int], _made: Sequence[int]) -> int:
    return math.prod(given) * math.prod(kernel[1:])  # (in, out / groups, ...): each input value meets each of these


def _matmul(_node: Any, left: Sequence[int], _right: Sequence[int], made: Sequence[int]) -> int:
    return math.prod(made) * left[-1]


def _gemm(node: Any, left: Sequence[int], _right: Sequence[int], made: Sequence[int]) -> int:
    flipped = any(each.name == "transA" and each.i for each in node.attribute)
    return math.prod(made) * left[0 if flipped else 1]


_RULES = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul}


def ceiling(device: str, precision: str, sides: Sequence[int], timings: int = 5) -> float:
    """The most operations a second that products of square matrices reach in PyTorch, on random numbers.

    Args:
        device: `cuda` or `cpu`, in PyTorch's words.
        precision: `fp32` (whole), `tf32`, `fp16` or `bf16`.
        sides: Sizes to try.
        timings: How often each is timed; the best counts.
    """
    import torch

    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    before, best = torch.backends.cuda.matmul.allow_tf32, 0.0
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        for side in sides:
            a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
            for timing in range(timings + 1):  # the first chooses kernels
                _finish(device)
                start = time.perf_counter()
                for _ in range(_PRODUCTS_A_TIMING):
                    torch.matmul(a, b)
                _finish(device)
                spent_s = time.perf_counter() - start
                if timing:
                    best = max(best, 2 * side**3 * _PRODUCTS_A_TIMING / spent_s)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    return best


def _finish(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.synchronize()


def chip() -> dict[str, Any]:
    """The first GPU as its driver describes it now: name, driver, clocks (MHz), power (W), temperature (C)."""
    import pynvml  # type: ignore[import-untyped]  # of the package nvidia-ml-py

    pynvml.nvmlInit()
    try:
        gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        kinds = {"sm": pynvml.NVML_CLOCK_SM, "memory": pynvml.NVML_CLOCK_MEM}
        return {
            "name": pynvml.nvmlDeviceGetName(gpu),
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            **{f"{kind}_mhz": pynvml.nvmlDeviceGetClockInfo(gpu, each) for kind, each in kinds.items()},
            **{f"{kind}_max_mhz": pynvml.nvmlDeviceGetMaxClockInfo(gpu, each) for kind, each in kinds.items()},
            "power_limit_w": pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1e3,
            "temperature_c": pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU),
        }
    finally:
        pynvml.nvmlShutdown()
