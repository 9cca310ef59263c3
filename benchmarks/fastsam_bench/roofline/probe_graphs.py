"""Build probe graphs: a chain of products, with a spec, so that every backend opens them like models.

A probe takes one array and returns one number, so that input and output cost nothing compared with the products. All
products of a chain share their weights. Numbers are random and keep their magnitude from product to product, since
zeros or overflows may run faster than real data. Kinds:

    square          matrices of one size, (n, n) by (n, n)
    convolution     3 x 3 convolutions, which libraries can compute with fewer operations than are counted
    vector          (1, n) by (n, n), which takes the time of reading each weight once per product
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastsam_bench.roofline.shape_inference import load_onnx
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import METADATA_KEY, ModelSpec, Output, Precision

Kind = Literal["square", "convolution", "vector"]

_OPSET = 18
_IR_VERSION = 8  # the first with opset 18; older runtimes refuse newer versions
_LEVELS = 127  # int8 steps in either direction
_REACH = 4.0  # range of int8 activations in either direction, standard deviations


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    Attributes:
        kind: Kind of its products.
        size: n, or the channels of a convolution.
        side: Height and width of the maps of a convolution; 1 for other kinds.
        depth: Number of products in the chain.
    """

    kind: Kind
    size: int
    side: int = 1
    depth: int = 8

    @property
    def name(self) -> str:
        """Name for files and reports."""
        return f"{self.kind} {self.size}" + (f" at {self.side} x {self.side}" if self.kind == "convolution" else "")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        if self.kind == "convolution":
            return 1, self.size, self.side, self.side
        return (self.size if self.kind == "square" else 1), self.size

    @property
    def weights(self) -> tuple[int, ...]:
        """Shape of the weights."""
        return (self.size, self.size, 3, 3) if self.kind == "convolution" else (self.size, self.size)

    @property
    def operations(self) -> int:
        """Of one run: two a multiply-add; at the edge of a map all of the kernel counts, as it does in models."""
        places = int(np.prod(self.shape)) // self.size
        return 2 * self.depth * places * int(np.prod(self.weights))


def draw_input(probe: Probe) -> NDArray[np.float32]:
    """What a probe is run on."""
    return np.random.default_rng(1).standard_normal(probe.shape, np.float32)


def write_probe(folder: Path, probe: Probe, precision: Precision) -> Path:
    """Write the graph of a probe.

    Args:
        folder: Where to.
        probe: Which.
        precision: Of its weights: `fp32`, `fp16` or `int8`. In int8, Q and DQ nodes stand before each product as our
            exports have them.

    Raises:
        PackagesMissingError: The extra `[bench]` is not installed.
    """
    onnx = load_onnx()
    drawn = np.random.default_rng(0).standard_normal(probe.weights, np.float32)
    drawn /= np.sqrt(np.prod(probe.weights) / probe.size, dtype=np.float32)  # so that numbers keep their size
    nodes, stored = list[Any](), list[Any]()

    def store(name: str, array: NDArray[Any]) -> str:
        stored.append(onnx.numpy_helper.from_array(array, name))
        return name

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(nodes)}"
        nodes.append(onnx.helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    value, weights = "x", ""
    before: Callable[[str], str] = _as_it_is
    if precision == "int8":
        weights, before = _quantised(probe, drawn, store, add)
    elif precision == "fp16":
        value, weights = add("Cast", value, to=onnx.TensorProto.FLOAT16), store("w", drawn.astype(np.float16))
    else:
        weights = store("w", drawn)
    for _ in range(probe.depth):
        if probe.kind == "convolution":
            value = add("Conv", before(value), weights, pads=[1, 1, 1, 1])
        else:
            value = add("MatMul", before(value), weights)
    value = add("Cast", add("ReduceMax", value, keepdims=1), to=onnx.TensorProto.FLOAT)
    nodes[-1].output[0] = "y"
    ones = [1] * len(probe.shape)
    graph = onnx.helper.make_graph(
        nodes, "probe",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, probe.shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ones)],
        stored,
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    taken = ArraysInput(("x",), (" ".join(map(str, probe.shape)),), ("float32",), {})
    spec = ModelSpec(
        f"probe {probe.name}", "probe", "decode", taken, (Output("y", "value", " ".join(map(str, ones))),),
        precision=precision,
    )  # fmt: skip
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    path = folder / f"{probe.name.replace(' ', '-')}.{precision}.onnx"
    onnx.save(model, str(path))
    return path


def _as_it_is(value: str) -> str:
    return value


def _quantised(
    probe: Probe, drawn: NDArray[np.float32], store: Callable[[str, NDArray[Any]], str], add: Callable[..., str]
) -> tuple[str, Callable[[str], str]]:
    """Weights in int8 with a scale per output channel, and a function that quantises the other factor to uint8."""
    channel = 0 if probe.kind == "convolution" else 1
    others = tuple(axis for axis in range(drawn.ndim) if axis != channel)
    scales = np.abs(drawn).max(axis=others) / np.float32(_LEVELS)
    spread = scales.reshape([-1 if axis == channel else 1 for axis in range(drawn.ndim)])
    steps = store("w", np.round(drawn / spread).astype(np.int8))
    zeros = store("w_zeros", np.zeros(len(scales), np.int8))
    weights = add("DequantizeLinear", steps, store("w_scales", scales), zeros, axis=channel)
    scale, zero = store("x_scale", np.array(_REACH / 128, np.float32)), store("x_zero", np.array(128, np.uint8))

    def before(value: str) -> str:
        return add("DequantizeLinear", add("QuantizeLinear", value, scale, zero), scale, zero)

    return weights, before
