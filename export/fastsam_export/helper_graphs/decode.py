"""The decode graph: prototypes and coefficients to chosen masks at the size of the frame, eight pixels per byte.

The prototypes stay on the device that ran the segmenter. The packed masks have 1/32 of the bytes of the logits.

Inputs:
    `prototypes`: float32 (1, c, h, w), from the segmenter, or of the whole map from its masks graph.
    `coefficients`: float32 (K, c).
    `boxes`: float32 (K, 4) xyxy, px, inside the frame. A pixel column x belongs to a box if x0 <= x < x1.
    `row_cells`: float32 (r,), `column_cells`: float32 (q,). Positions of fine cells in the prototypes, in cells, from 0
        (centre of the first cell) to the centre of the last. Fine cells cover the frame without the padding.
    `rows`: float32 (H,), `columns`: float32 (W,). Position of each row and column of the frame among the fine cells,
        in the same way.
    `row_numbers`: float32 (H,), `column_numbers`: float32 (W,). Number of each row and column, from 0. W is a multiple
        of 8; columns added for that have the number -1 and belong to no box.
Output:
    `masks`: uint8 (K, H, W / 8), packed as by `numpy.packbits`: the first pixel is the highest bit. A bit is set if the
        logit, interpolated linearly, is above zero inside the box.

The graph computes the eight bits of all bytes one after the other, so that no logits of the frame's size are stored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ArraysInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.family import Exported
from fastsam_export.helper_graphs.comparison import FRAME_AXES, Case, helper_spec, prove_graph
from fastsam_export.helper_graphs.graph_builder import GraphBuilder
from fastsam_export.helper_graphs.preprocess import input_axes
from fastsam_export.helper_graphs.steps import interpolated

_BITS = 8
_FINEST = 4  # most fine cells per cell: the stride of the prototypes
_CHOSEN = (1, 10, 64)  # masks per run: smallest, usual, largest number
_SIZES = ((300, 400, 7), (90, 72, 1), (720, 1280, 3))  # comparisons: height and width of the frame, px; masks
_TOLERANCE = {"min_mask_iou": 0.999}


def export(model: ModelSpec, image: ImageInput, prototypes: Output, folder: Path) -> Exported:
    """Export and prove `M.decode.onnx` for a segmenter.

    Args:
        model: Spec of the segmenter.
        image: Its input.
        prototypes: Its prototypes, of the layout `N c H/s W/s`.
        folder: Folder for the file.

    Raises:
        ParityError: The graph computes other masks than OpenCV.
    """
    _, channels, height, _ = prototypes.layout.split()
    stride = int(height.partition("/")[2])
    cells = {
        axis: (low // stride, usual // stride, high // stride) for axis, (low, usual, high) in input_axes(image).items()
    }
    fine = {
        axis: (1, usual, _FINEST * high) for axis, (_, usual, high) in zip("rq", (cells["h"], cells["w"]), strict=True)
    }
    taken = ArraysInput(
        (
            "prototypes", "coefficients", "boxes", "row_cells", "column_cells", "rows", "columns", "row_numbers",
            "column_numbers",
        ),
        (f"1 {channels} h w", f"K {channels}", "K 4", "r", "q", "H", "W", "H", "W"),
        ("float32",) * 9,
        {**FRAME_AXES, **cells, **fine, "K": _CHOSEN},
    )  # fmt: skip
    spec = helper_spec(model, "decode", taken, Output("masks", "packed-masks", "K H W/8"))
    path = folder / f"{model.name}.decode.onnx"
    _build(GraphBuilder(spec), path)
    shape = int(channels), image.height // stride, image.width // stride
    cases = [_case(*size, shape) for size in _SIZES]
    return prove_graph(path, spec, "OpenCV", cases, _TOLERANCE, _compare)


def _build(graph: GraphBuilder, path: Path) -> None:
    x0, y0, x1, y1 = (graph.Unsqueeze(graph.Slice("boxes", [i], [i + 1], [1]), [2]) for i in range(4))  # (K, 1, 1)
    columns, column_numbers = (
        graph.Transpose(graph.Reshape(each, [-1, _BITS]), perm=[1, 0]) for each in ("columns", "column_numbers")
    )  # (8, W / 8)
    by_row = graph.Transpose(graph.Squeeze("prototypes", [0]), perm=[1, 0, 2])  # (h, c, w)
    logits = graph.Transpose(graph.MatMul("coefficients", by_row), perm=[1, 0, 2])  # (K, h, w)
    fine_rows = interpolated(graph, logits, "row_cells", axis=1, rank=3)  # (K, r, w)
    tall = interpolated(graph, fine_rows, "rows", axis=1, rank=3)  # (K, H, w)
    fine = interpolated(graph, tall, "column_cells", axis=2, rank=3)  # (K, H, q)
    masks = ""
    for bit in range(_BITS):
        cells, numbers = (graph.Gather(each, np.array(bit), axis=0) for each in (columns, column_numbers))
        value = graph.Where(_within(graph, numbers, x0, x1), float(1 << _BITS - 1 - bit), 0.0)  # (K, 1, W / 8)
        above = graph.Greater(interpolated(graph, fine, cells, axis=2, rank=3), 0.0)
        plane = graph.Where(above, value, 0.0)
        masks = graph.Add(masks, plane) if masks else plane
    inside = _within(graph, graph.Unsqueeze("row_numbers", [1]), y0, y1)  # (K, H, 1)
    graph.save(path, {graph.cast(graph.Where(inside, masks, 0.0), "uint8"): "uint8"})


def _within(graph: GraphBuilder, numbers: str, first: str, last: str) -> str:
    """Whether pixels are inside boxes, along one axis."""
    return graph.And(graph.GreaterOrEqual(numbers, first), graph.Less(numbers, last))


def _case(height: int, width: int, count: int, shape: tuple[int, int, int]) -> Case:
    """Random smooth prototypes (c, h, w), padded by half a cell or more on every side, and OpenCV's masks of them."""
    import cv2

    generator = np.random.default_rng(height)
    coarse = generator.normal(size=(shape[0], 6, 8)).astype(np.float32)
    prototypes = np.stack([cv2.resize(each, shape[:0:-1], interpolation=cv2.INTER_CUBIC) for each in coarse])
    coefficients = generator.normal(size=(count, shape[0])).astype(np.float32)
    corners = np.sort(generator.uniform(0, 1, (count, 2, 2)), axis=1).astype(np.float32)
    boxes = (corners * np.array([width, height], np.float32)).reshape(count, 4)
    x, y = np.arange(width), np.arange(height)[:, None]
    masks = []
    for logits, (x0, y0, x1, y1) in zip(np.tensordot(coefficients, prototypes, 1), np.ceil(boxes), strict=True):
        finer = cv2.resize(logits, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[3:-1, 1:-2]
        resized = cv2.resize(finer, (width, height), interpolation=cv2.INTER_LINEAR)
        masks.append((resized > 0) & (x >= x0) & (x < x1) & (y >= y0) & (y < y1))
    fine = [((np.arange(2 * cells) + 0.5) / 2 - 0.5).clip(0, cells - 1).astype(np.float32) for cells in shape[1:]]
    row_cells, column_cells = fine[0][3:-1], fine[1][1:-2]
    rows, columns = (
        ((np.arange(after) + 0.5) * (len(cells) / after) - 0.5).clip(0, len(cells) - 1)
        for cells, after in ((row_cells, height), (column_cells, width))
    )
    inputs = {
        "prototypes": prototypes[None],
        "coefficients": coefficients,
        "boxes": boxes,
        "row_cells": row_cells,
        "column_cells": column_cells,
        "rows": rows.astype(np.float32),
        "columns": columns.astype(np.float32),
        "row_numbers": np.arange(height, dtype=np.float32),
        "column_numbers": np.arange(width, dtype=np.float32),
    }
    return Case(f"{count} drawn masks of {height} x {width}", inputs, np.packbits(masks, axis=2))


def _compare(expected: Array, found: Array) -> dict[str, float]:
    a, b = np.unpackbits(expected, axis=2), np.unpackbits(found, axis=2)
    union = (a | b).sum(axis=(1, 2))
    return {"min_mask_iou": float(((a & b).sum(axis=(1, 2)) / np.maximum(union, 1))[union > 0].min(initial=1.0))}
