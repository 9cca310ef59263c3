"""A small seeded segmenter that is cut into a trunk, heads and masks, as an export does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import METADATA_KEY, ModelSpec, Output
from support import colour_models

STRIDES = (8, 16)
CHANNELS = 6
REACH, MARGIN = 2, 2
DISTANCES = 64
COEFFICIENTS = 8
SIZE_PX = 128  # of the largest image
_SPEC = colour_models.segmenter_spec()
_OPSET = helper.make_opsetid("", 18)


def axes(most_patches: int = 64) -> dict[str, tuple[int, int, int]]:
    """Letter to its smallest, usual and largest length."""
    part = (1 + 2 * MARGIN, 8 + 2 * MARGIN, SIZE_PX // 8 + 2 * MARGIN)
    found = {"N": (1, 1, 8), "k": (1, 4, 8), "y": part, "x": part}
    for stride in STRIDES:
        side, patch = SIZE_PX // stride, 2 * REACH + 1
        for letter in "hw":
            found[f"{letter}{stride}"] = (1, side // 2, side)
        for letter in "yx":
            found[f"{letter}{stride}"] = (patch, patch, side + 2 * REACH)
        found[f"k{stride}"] = (1, 8, most_patches)
        found[f"m{stride}"] = (1, 8, max(most_patches, side * side))
    return found


def heads_spec(**change: Any) -> ModelSpec:
    """The spec of the heads."""
    output = Output("boxes", "anchor-boxes", f"M {DISTANCES}")
    spec = _part_spec("heads", *_patch_inputs(), (output,), {"reach_cells": REACH})
    return dataclasses.replace(spec, **change)


def masks_spec(**change: Any) -> ModelSpec:
    """The spec of the masks."""
    names, layouts, dtypes = _patch_inputs()
    outputs = (
        Output("coefficients", "mask-coefficients", f"M {COEFFICIENTS}"),
        Output("prototypes", "mask-prototypes", f"K {COEFFICIENTS} py px"),
    )
    defaults = {"reach_cells": REACH, "margin_cells": MARGIN, "prototypes_per_cell": 2}
    taken = (
        [*names, "tile_cells", "tile_inside"],
        [*layouts, "k y x", "k y x"],
        [*dtypes, "int64", "float32"],
    )
    return dataclasses.replace(_part_spec("masks", *taken, outputs, defaults), **change)


def trunk_spec(**change: Any) -> ModelSpec:
    """The spec of the trunk."""
    outputs = [Output("best_logits", "anchor-logits", "N ANCHORS"), Output("class_ids", "anchor-classes", "N ANCHORS")]
    outputs += [Output(f"features_{s}", "features", f"N H/{s} W/{s} {CHANNELS}") for s in STRIDES]
    spec = dataclasses.replace(
        _SPEC,
        name="cut",
        family="yolo-seg-sparse",
        outputs=tuple(outputs),
        input=dataclasses.replace(_SPEC.input, height=SIZE_PX, width=SIZE_PX),  # type: ignore[arg-type]
    )
    return dataclasses.replace(spec, **change)


def save_trunk(path: Path, **change: Any) -> Path:
    """Write the trunk. Its class logits are those of a convolution over the features."""
    spec = trunk_spec(**change)
    graph = _Graph()
    level, flat = graph.add("AveragePool", spec.input_names[0], kernel_shape=[8, 8], strides=[8, 8]), []
    shape = graph.constant(np.array([0, len(_SPEC.class_names), -1]))
    for stride in STRIDES:
        if stride > STRIDES[0]:
            level = graph.add("AveragePool", level, kernel_shape=[2, 2], strides=[2, 2])
        features = graph.convolution(level, 3, CHANNELS, 3, padded=True)
        graph.add("Transpose", features, perm=[0, 2, 3, 1], output=f"features_{stride}")
        logits = graph.convolution(features, CHANNELS, len(_SPEC.class_names), 1)
        flat.append(graph.add("Reshape", logits, shape))
    logits = graph.add("Concat", *flat, axis=2)
    graph.add("ReduceMax", logits, graph.constant(np.array([1])), keepdims=0, output="best_logits")
    best = graph.add("ArgMax", logits, axis=1, keepdims=0)
    graph.add("Cast", best, to=TensorProto.INT32, output="class_ids")
    return graph.save(path, spec, {"images": ("N", 3, "H", "W")})


def save_heads(path: Path, **change: Any) -> Path:
    """Write the heads: two 3 x 3 convolutions and a 1 x 1, exact at the map's border."""
    spec = heads_spec(**change)
    graph = _Graph()
    rows = [graph.branch(stride, DISTANCES) for stride in STRIDES]
    graph.add("Concat", *rows, axis=0, output="boxes")
    return graph.save(path, spec)


def save_masks(path: Path, **change: Any) -> Path:
    """Write the masks: the coefficients' branch, and prototypes of double size of tiles, without their margin."""
    spec = masks_spec(**change)
    graph = _Graph()
    graph.add("Concat", *(graph.branch(stride, COEFFICIENTS) for stride in STRIDES), axis=0, output="coefficients")
    flat = graph.add("Reshape", f"features_{STRIDES[0]}", graph.constant(np.array([-1, CHANNELS])))
    tiles = graph.add("Gather", flat, "tile_cells", axis=0)
    inside = graph.add("Unsqueeze", "tile_inside", graph.constant(np.array([1])))
    value = graph.add("Mul", graph.add("Transpose", tiles, perm=[0, 3, 1, 2]), inside)
    value = graph.add("Relu", graph.convolution(value, CHANNELS, CHANNELS, 3, padded=True))
    value = graph.add("Mul", value, inside)
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    value = graph.add("Resize", value, "", scales, mode="nearest")
    value = graph.convolution(value, CHANNELS, COEFFICIENTS, 3, padded=True)
    edges = (graph.constant(np.array(each)) for each in ([2 * MARGIN] * 2, [-2 * MARGIN] * 2, [2, 3]))
    graph.add("Slice", value, *edges, output="prototypes")
    return graph.save(path, spec)


def save_model(folder: Path, export_id: str = "ab" * 32) -> Path:
    """Write all three graphs to a folder. Returns the trunk's path."""
    folder.mkdir(parents=True, exist_ok=True)
    save_heads(folder / "cut.heads.onnx", export_id=export_id)
    save_masks(folder / "cut.masks.onnx", export_id=export_id)
    return save_trunk(folder / "cut.onnx", export_id=export_id)


def patches(cells: dict[int, list[tuple[int, int]]], features: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
    """The heads' inputs for anchors in the first image: their features, cells, inside and picks.

    Args:
        cells: Stride to (row, column) of its anchors; one or more per stride.
        features: Stride to its features (n, h, w, c).
    """
    offsets, inputs = np.arange(-REACH, REACH + 1), dict[str, np.ndarray]()
    for stride, anchors in cells.items():
        height, width = features[stride].shape[1:3]
        row, column = np.array(anchors).T
        rows, columns = row[:, None] + offsets, column[:, None] + offsets
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
        flat = rows.clip(0, height - 1)[:, :, None] * width + columns.clip(0, width - 1)[:, None]
        inputs |= {f"features_{stride}": features[stride], f"cells_{stride}": flat.astype(np.int64)}
        inputs |= {f"inside_{stride}": inside.astype(np.float32), f"picks_{stride}": np.arange(len(anchors))}
    return inputs


def whole_levels(features: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
    """The heads' inputs for every anchor of the first image, each level as one patch."""
    inputs = dict[str, np.ndarray]()
    for stride, each in features.items():
        height, width = each.shape[1:3]
        flat = np.pad(np.arange(height * width).reshape(height, width), REACH)[None]
        inside = np.pad(np.ones((height, width), np.float32), REACH)[None]
        inputs |= {f"features_{stride}": each, f"cells_{stride}": flat, f"inside_{stride}": inside}
        inputs[f"picks_{stride}"] = np.arange(height * width)
    return inputs


def _patch_inputs() -> tuple[list[str], list[str], list[Any]]:
    names, layouts, dtypes = [], [], []
    for s in STRIDES:
        names += [f"features_{s}", f"cells_{s}", f"inside_{s}", f"picks_{s}"]
        layouts += [f"N h{s} w{s} {CHANNELS}", f"k{s} y{s} x{s}", f"k{s} y{s} x{s}", f"m{s}"]
        dtypes += ["float32", "int64", "float32", "int64"]
    return names, layouts, dtypes


def _part_spec(
    task: Any, names: list[str], layouts: list[str], dtypes: list[Any], outputs: tuple[Output, ...],
    defaults: Mapping[str, float],
) -> ModelSpec:  # fmt: skip
    needed = {axis for layout in layouts for axis in layout.split() if not axis.isdigit()}
    lengths = {axis: each for axis, each in axes().items() if axis in needed}
    return dataclasses.replace(
        trunk_spec(),
        task=task,
        input=ArraysInput(tuple(names), tuple(layouts), tuple(dtypes), lengths),
        outputs=outputs,
        defaults={**_SPEC.defaults, **defaults},
    )


class _Graph:
    """Collects the nodes and seeded weights of a graph."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._generator = np.random.default_rng(0)

    def constant(self, array: np.ndarray) -> str:
        self._weights.append(numpy_helper.from_array(array, f"c{len(self._weights)}"))
        return self._weights[-1].name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(self, value: str, taken: int, given: int, side: int, *, padded: bool = False) -> str:
        weights = self._generator.normal(0, 1 / (side * taken**0.5), (given, taken, side, side)).astype(np.float32)
        bias = self._generator.normal(size=given).astype(np.float32)
        return self.add(
            "Conv", value, self.constant(weights), self.constant(bias), pads=[side // 2 if padded else 0] * 4
        )

    def branch(self, stride: int, given: int) -> str:
        """The rows (m, given) of a level's picks."""
        flat = self.add("Reshape", f"features_{stride}", self.constant(np.array([-1, CHANNELS])))
        gathered = self.add("Gather", flat, f"cells_{stride}", axis=0)
        inside = self.add("Unsqueeze", f"inside_{stride}", self.constant(np.array([1])))
        value = self.add("Mul", self.add("Transpose", gathered, perm=[0, 3, 1, 2]), inside)
        for cut in range(1, REACH + 1):
            value = self.add("Relu", self.convolution(value, CHANNELS, CHANNELS, 3))
            edges = (self.constant(np.array(each)) for each in ([cut, cut], [-cut, -cut], [2, 3]))
            value = self.add("Mul", value, self.add("Slice", inside, *edges))
        value = self.convolution(value, CHANNELS, given, 1)
        rows = self.add(
            "Reshape", self.add("Transpose", value, perm=[0, 2, 3, 1]), self.constant(np.array([-1, given]))
        )
        return self.add("Gather", rows, f"picks_{stride}", axis=0)

    def save(self, path: Path, spec: ModelSpec, inputs: dict[str, tuple[int | str, ...]] | None = None) -> Path:
        if inputs is None:
            assert isinstance(spec.input, ArraysInput)
            inputs = {name: _axes(layout) for name, layout in zip(spec.input.names, spec.input.layouts, strict=True)}
        taken = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), inputs[name])
            for name, dtype in zip(spec.input_names, spec.input_dtypes, strict=True)
        ]
        given = [
            helper.make_tensor_value_info(
                output.name, TensorProto.INT32 if output.name == "class_ids" else TensorProto.FLOAT,
                _axes(output.layout),
            )
            for output in spec.outputs
        ]  # fmt: skip
        graph = helper.make_graph(self._nodes, "cut", taken, given, self._weights)
        model = helper.make_model(graph, opset_imports=[_OPSET], ir_version=10)
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return path


def _axes(layout: str) -> tuple[int | str, ...]:
    return tuple(int(axis) if axis.isdigit() else axis for axis in layout.split())
