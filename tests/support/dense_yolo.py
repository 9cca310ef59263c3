"""Small seeded dense YOLO graphs with ultralytics' names of nodes, and heads of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fastsam_engine.spec.model_spec import METADATA_KEY, ModelSpec, Output, Source
from fastsam_engine.spec.yolo_seg import letterbox_input, thresholds

STRIDES = (8, 16)
SIDE = 96  # px
CLASSES, COEFFICIENTS, DISTANCES, CHANNELS = 3, 4, 4, 6

Head = Callable[["DenseYolo", str, str], str]
"""Adds a branch without its last convolution: the graph, the module's name, the features; returns the last tensor."""


class DenseYolo:
    """A graph under construction; each method adds a node and returns its output."""

    def __init__(self, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, name: str, *inputs: str | NDArray[Any], **attributes: Any) -> str:
        """Add a node with a name, which is also that of its output."""
        named = [each if isinstance(each, str) else self.constant(f"{name}.{i}", each) for i, each in enumerate(inputs)]
        self.nodes.append(helper.make_node(operator, named, [f"{name}_output_0"], name, **attributes))
        return f"{name}_output_0"

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def conv(self, name: str, given: str, inputs: int, outputs: int, kernel: Sequence[int], **options: Any) -> str:
        """A convolution that keeps the size of its map, unless the options say otherwise."""
        dilation, group = options.pop("dilation", 1), options.get("group", 1)
        factor, shift = options.pop("scale", (1, 0))
        weight = self._generator.normal(0, 0.5 * factor, (outputs, inputs // group, *kernel)).astype(np.float32)
        bias = self._generator.normal(shift, 0.5 * factor, outputs).astype(np.float32)
        reach = [dilation * (k - 1) // 2 for k in kernel]
        return self.add(
            "Conv", name, given, weight, bias,
            **{"kernel_shape": kernel, "pads": reach * 2, "dilations": [dilation] * 2, **options},
        )  # fmt: skip

    def silu(self, name: str, given: str) -> str:
        return self.add("Mul", f"{name}/Mul", given, self.add("Sigmoid", f"{name}/Sigmoid", given))

    def block(self, name: str, given: str, kernel: Sequence[int] = (3, 3), **options: Any) -> str:
        """A convolution of `CHANNELS` channels and its activation."""
        return self.silu(name, self.conv(f"{name}/Conv", given, CHANNELS, CHANNELS, kernel, **options))


def usual(graph: DenseYolo, name: str, features: str) -> str:
    """Two convolutions of 3 x 3, as ultralytics' heads."""
    return graph.block(f"{name}.1", graph.block(f"{name}.0", features))


def save(
    path: Path,
    heads: Mapping[str, Head] | None = None,
    prototypes: Callable[[DenseYolo, str], str] | None = None,
    classes: int = CLASSES,
    seed: int = 0,
    scales: Mapping[str, tuple[float, float]] | None = None,
    end2end: bool = False,
) -> ModelSpec:
    """Save a graph with its spec.

    Args:
        path: File to write.
        heads: Head of a kind of branch, `cv2`, `cv3` or `cv4`, instead of the usual one.
        prototypes: Adds the prototype branch: the graph, the features; returns the prototypes.
        classes: Number of classes.
        seed: Seed of the weights.
        scales: Kind of branch to the spread of what its last convolution computes, and the mean of its bias.
        end2end: Whether the graph ends with the best detections and needs no NMS, as YOLO26 does.
    """
    graph = DenseYolo(seed)
    patches = graph.conv("/model.0/Conv", "images", 3, CHANNELS, (8, 8), strides=[8, 8], pads=[0] * 4)
    maps = {8: graph.silu("/model.0", patches)}
    halved = graph.conv("/model.1/Conv", maps[8], CHANNELS, CHANNELS, (3, 3), strides=[2, 2])
    maps[16] = graph.silu("/model.1", halved)
    chosen = {"cv2": usual, "cv3": usual, "cv4": usual, **(heads or {})}
    counts = {"cv2": 4 if end2end else 4 * DISTANCES, "cv3": classes, "cv4": COEFFICIENTS}
    prefix = "one2one_" if end2end else ""
    raw: dict[str, list[str]] = {kind: [] for kind in chosen}
    rows = []
    for level, stride in enumerate(STRIDES):
        for kind, head in chosen.items():
            name = f"/model.22/{prefix}{kind}.{level}/{prefix}{kind}.{level}"
            hidden = head(graph, name, maps[stride])
            scale = (scales or {}).get(kind, (1, 0))
            raw[kind].append(graph.conv(f"{name}.2/Conv", hidden, CHANNELS, counts[kind], (1, 1), scale=scale))
        boxes = _boxes(graph, f"/model.22/level{level}", raw["cv2"][-1], stride, end2end=end2end)
        flat = [
            graph.add("Reshape", f"/model.22/{kind}{level}/flat", raw[kind][-1], np.array([0, count, -1]))
            for kind, count in (("cv3", classes), ("cv4", COEFFICIENTS))
        ]
        scores = graph.add("Sigmoid", f"/model.22/level{level}/scores", flat[0])
        rows.append(graph.add("Concat", f"/model.22/level{level}/row", boxes, scores, flat[1], axis=1))
    if end2end:
        _best(graph, graph.add("Concat", "/model.22/Concat", *rows, axis=2), classes)
    else:
        graph.nodes.append(helper.make_node("Concat", rows, ["output0"], "/model.22/Concat", axis=2))
    last = (prototypes or usual_prototypes)(graph, maps[8])
    graph.nodes.append(helper.make_node("Identity", [last], ["output1"], "/model.22/Identity"))
    return _write(path, graph, classes, end2end=end2end)


def usual_prototypes(graph: DenseYolo, features: str) -> str:
    """ultralytics' prototype branch."""
    first = graph.block("/model.22/proto/cv1", features)
    weight = np.random.default_rng(3).normal(0, 0.5, (CHANNELS, CHANNELS, 2, 2)).astype(np.float32)
    double = graph.add("ConvTranspose", "/model.22/proto/upsample", first, weight, kernel_shape=[2, 2], strides=[2, 2])
    second = graph.block("/model.22/proto/cv2", double)
    last = graph.conv("/model.22/proto/cv3/Conv", second, CHANNELS, COEFFICIENTS, (1, 1))
    return graph.silu("/model.22/proto/cv3", last)


def floats(*values: float) -> NDArray[np.float32]:
    """A float32 array."""
    return np.array(values, np.float32)


def _boxes(graph: DenseYolo, name: str, raw: str, stride: int, *, end2end: bool) -> str:
    """Boxes (n, 4, h * w), px, from raw distances: centres and sizes, or two corners if the graph needs no NMS."""
    distances = graph.add("Reshape", f"{name}/flat", raw, np.array([0, 4, -1])) if end2end else _means(graph, name, raw)
    near, far = _slice(graph, f"{name}/near", distances, 0, 2), _slice(graph, f"{name}/far", distances, 2, 4)
    zeros = graph.add("Mul", f"{name}/zeros", _slice(graph, f"{name}/one", raw, 0, 1), floats(0))
    ones = graph.add("Exp", f"{name}/ones", zeros)
    counted = [graph.add("CumSum", f"{name}/at{axis}", ones, np.array(axis)) for axis in (3, 2)]
    both = graph.add("Concat", f"{name}/counted", *counted, axis=1)
    places = graph.add("Reshape", f"{name}/places", both, np.array([0, 2, -1]))
    anchors = graph.add("Sub", f"{name}/anchors", places, floats(0.5))
    low, high = graph.add("Sub", f"{name}/low", anchors, near), graph.add("Add", f"{name}/high", anchors, far)
    if end2end:
        corners = graph.add("Concat", f"{name}/corners", low, high, axis=1)
        return graph.add("Mul", f"{name}/boxes", corners, floats(stride))
    centres = graph.add("Mul", f"{name}/centres", graph.add("Add", f"{name}/both", low, high), floats(stride / 2))
    sizes = graph.add("Mul", f"{name}/sizes", graph.add("Sub", f"{name}/between", high, low), floats(stride))
    return graph.add("Concat", f"{name}/boxes", centres, sizes, axis=1)


def _means(graph: DenseYolo, name: str, raw: str) -> str:
    """Mean distances (n, 4, h * w), cells, from their distributions."""
    four = graph.add("Reshape", f"{name}/four", raw, np.array([0, 4, DISTANCES, -1]))
    steps = np.arange(DISTANCES, dtype=np.float32)[:, None]
    weighted = graph.add("Mul", f"{name}/weighted", graph.add("Softmax", f"{name}/softmax", four, axis=2), steps)
    return graph.add("ReduceSum", f"{name}/sum", weighted, np.array([2]), keepdims=0)


def _best(graph: DenseYolo, everything: str, classes: int) -> None:
    """Add the end of a graph that needs no NMS: the 300 best anchors, and the 300 best of their classes."""
    rows = graph.add("Transpose", "/model.22/rows", everything, perm=[0, 2, 1])  # (n, anchors, 4 + classes + c)
    width = 4 + classes + COEFFICIENTS

    def columns(name: str, given: str, start: int, end: int) -> str:
        return graph.add("Slice", f"/model.22/{name}", given, np.array([start]), np.array([end]), np.array([2]))

    def top(name: str, values: str) -> str:
        """Sort (n, m) values: names of the values and of their indices."""
        length = graph.add("Slice", f"/model.22/{name}/length", graph.add("Shape", f"/model.22/{name}/shape", values),
                           np.array([1]), np.array([2]))  # fmt: skip
        most = graph.add("Min", f"/model.22/{name}/most", length, np.array([300]))
        outputs = [f"/model.22/{name}_values", f"/model.22/{name}_indices"]
        graph.nodes.append(helper.make_node("TopK", [values, most], outputs, f"/model.22/{name}", axis=1))
        return f"/model.22/{name}"

    def picked(name: str, given: str, indices: str, length: int) -> str:
        """The rows of (n, m, length) at indices (n, k)."""
        column = graph.add("Unsqueeze", f"/model.22/{name}/column", indices, np.array([2]))
        wide = graph.add("Tile", f"/model.22/{name}/wide", column, np.array([1, 1, length]))
        return graph.add("GatherElements", f"/model.22/{name}", given, wide, axis=1)

    scores = columns("scores", rows, 4, 4 + classes)
    anchors = top("anchors", graph.add("ReduceMax", "/model.22/highest", scores, np.array([2]), keepdims=0))
    chosen = picked("chosen", rows, f"{anchors}_indices", width)
    pairs = columns("pairs", chosen, 4, 4 + classes)
    best = top("best", graph.add("Reshape", "/model.22/flat_pairs", pairs, np.array([0, -1])))
    row = graph.add("Div", "/model.22/row", f"{best}_indices", np.array(classes))
    class_id = graph.add("Mod", "/model.22/class", f"{best}_indices", np.array(classes))
    last = picked("last", chosen, row, width)
    score, label = (
        graph.add("Unsqueeze", f"/model.22/{name}", given, np.array([2]))
        for name, given in (
            ("score", f"{best}_values"), ("label", graph.add("Cast", "/model.22/float", class_id, to=TensorProto.FLOAT))
        )
    )  # fmt: skip
    parts = columns("corners", last, 0, 4), score, label, columns("coefficients", last, 4 + classes, width)
    graph.nodes.append(helper.make_node("Concat", parts, ["output0"], "/model.22/Joined", axis=2))


def _slice(graph: DenseYolo, name: str, given: str, start: int, end: int) -> str:
    """Channels of a tensor."""
    return graph.add("Slice", name, given, np.array([start]), np.array([end]), np.array([1]))


def _write(path: Path, graph: DenseYolo, classes: int, *, end2end: bool) -> ModelSpec:
    detections = (
        Output("output0", "yolo-end2end-detections", f"N K 6+{COEFFICIENTS}") if end2end
        else Output("output0", "yolo-detections", f"N 4+{classes}+{COEFFICIENTS} ANCHORS")
    )  # fmt: skip
    spec = ModelSpec(
        path.stem,
        "yolo-end2end" if end2end else "yolo-seg",
        "segment",
        letterbox_input(SIDE, SIDE, 16, (1, None)),
        (detections, Output("output1", "mask-prototypes", f"N {COEFFICIENTS} H/4 W/4")),
        tuple(f"class {i}" for i in range(classes)),
        defaults=thresholds(),
        source=Source("seeded"),
    )
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (
            ("images", ["n", 3, "h", "w"]),
            ("output0", ["n", "k", 6 + COEFFICIENTS] if end2end else ["n", 4 + classes + COEFFICIENTS, "anchors"]),
            ("output1", ["n", COEFFICIENTS, "ph", "pw"]),
        )
    ]
    made = helper.make_graph(graph.nodes, "dense", ports[:1], ports[1:], graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return spec
