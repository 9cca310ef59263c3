"""The crops graph: windows of a frame to CLIP's input, on the device that holds the frame.

Inputs:
    `frame`: uint8 (H, W, 3) BGR, sides at most 8192 px.
    `windows`: float32 (K, 4) xyxy, whole px inside the frame, x1 and y1 exclusive, at least 1 px per side.
Output:
    CLIP's image input (K, 3, S, S) float32, under its name.

The graph computes the same as the model's image processor, with antialiasing: CLIP's resizes the shorter side to S and
crops the centre, SigLIP's stretches the window to S x S. It does so by two matrix products per crop, with weights
computed from the window.

Windows are read from a pyramid of the frame, in which each level has half the size of the previous one, so that the
cost of a crop does not depend on the size of its window. If the shorter side of a window, or the longer one where
windows are stretched, is at most 2 * S px, the crop is read from the frame itself and is exact. Larger windows are
averaged over 2 x 2, 4 x 4, ... px first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ArraysInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.family import Exported
from fastsam_export.helper_graphs.comparison import (
    FRAME_AXES,
    Case,
    helper_spec,
    level_metrics,
    normalise,
    prove_graph,
    resized,
)
from fastsam_export.helper_graphs.graph_builder import GraphBuilder, Value
from fastsam_export.helper_graphs.steps import normalised, whole_levels
from fastsam_export.parity import synthetic_pictures

_SHRINK = 2  # largest shrink factor of the kernel; the pyramid does the rest
_LONGEST_PX = 8192  # side of the largest window
_MARGIN_PX = 16  # the kernel reaches 2 * _SHRINK px beyond the crop on either side; the rest is for fractions of pixels
_ROUNDING = 1e-4  # devices divide inexactly; a true fraction is further than this from the next whole number
_BATCH = (1, 16, 32)  # crops per run: smallest, usual, largest number
_TOLERANCE = {"max_abs_level_unaveraged": 2.001, "max_mean_level": 4.0}


def export(model: ModelSpec, image: ImageInput, folder: Path) -> Exported:
    """Export and prove `M.crops.onnx` for CLIP's image tower."""
    size_px = image.height
    taken = ArraysInput(("frame", "windows"), ("H W 3", "K 4"), ("uint8", "float32"), {**FRAME_AXES, "K": _BATCH})
    spec = helper_spec(model, "crops", taken, Output(image.name, "model-input", f"K 3 {size_px} {size_px}"))
    path = folder / f"{model.name}.crops.onnx"
    _build(GraphBuilder(spec), path, image)
    cases = [_case(image, averaged=averaged) for averaged in (False, True)]

    def compare(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
        metrics = level_metrics(image, expected, found)
        exact = {"max_abs_level_unaveraged": metrics["max_abs_level"]} if expected is cases[0].expected else {}
        return {"max_mean_level": metrics["max_mean_level"], **exact}

    return prove_graph(path, spec, "Pillow", cases, _TOLERANCE, compare)


def _build(graph: GraphBuilder, path: Path, image: ImageInput) -> None:
    size_px = image.height
    largest = _SHRINK * size_px * 2.0 ** np.arange(max(math.ceil(math.log2(_LONGEST_PX / _SHRINK / size_px)), 1))
    atlas, starts, widths = _pyramid(graph, len(largest) + 1)
    x0, y0, x1, y1 = (graph.Slice("windows", [i], [i + 1], [1]) for i in range(4))  # (K, 1) each
    across_px, down_px = graph.Sub(x1, x0), graph.Sub(y1, y0)
    stretch = image.resize == "stretch"
    side = (graph.Max if stretch else graph.Min)(across_px, down_px)
    above = graph.cast(graph.Greater(side, largest[None].astype(np.float32)), "float32")  # (K, levels - 1)
    level = graph.cast(graph.ReduceSum(above, [1]), "int64")  # (K, 1)
    steps = (largest / largest[0])[None].astype(np.float32)  # from 1 px to 2, 2 to 4, 4 to 8, ...
    shrink = graph.Add(graph.ReduceSum(graph.Mul(above, steps), [1]), 1.0)
    reach = _SHRINK * size_px + _MARGIN_PX
    columns, across = _axis(graph, x0, x1, across_px if stretch else side, shrink, image, reach)
    rows, down = _axis(graph, y0, y1, down_px if stretch else side, shrink, image, reach)
    firsts = graph.Add(graph.Gather(starts, level), graph.Mul(rows, graph.Gather(widths, level)))  # (K, reach)
    cells = graph.Add(graph.Unsqueeze(firsts, [2]), graph.Unsqueeze(columns, [1]))  # (K, reach, reach)
    patches = graph.Gather(atlas, cells, axis=1)  # (3, K, reach, reach)
    narrow = whole_levels(graph, graph.MatMul(patches, graph.Transpose(across, perm=[0, 2, 1])))
    crops = whole_levels(graph, graph.MatMul(down, narrow))  # (3, K, S, S)
    graph.save(path, {normalised(graph, graph.Transpose(crops, perm=[1, 0, 2, 3]), image): "float32"})


def _pyramid(graph: GraphBuilder, count: int) -> tuple[str, str, str]:
    """All levels of the pyramid, (3, cells), one row per channel; the first cell (L,) and width (L,) of each level."""
    planes = graph.Unsqueeze(graph.Transpose(graph.cast("frame", "float32"), perm=[2, 0, 1]), [0])
    flat, starts, widths = [], [], []
    start: Value = [0]
    for index in range(count):
        if index:  # the last row or column of an odd size is averaged alone, so that no pixel of the frame is lost
            planes = graph.AveragePool(planes, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1])
        flat.append(graph.Reshape(planes, [3, -1]))
        starts.append(start)
        widths.append(graph.Shape(planes, start=3, end=4))
        start = graph.Add(start, graph.Shape(flat[-1], start=1, end=2))
    return graph.Concat(*flat, axis=1), graph.Concat(*starts, axis=0), graph.Concat(*widths, axis=0)


def _axis(
    graph: GraphBuilder, first: str, last: str, scaled: str, shrink: str, image: ImageInput, reach: int
) -> tuple[str, str]:
    """One axis of the windows: the cells to read from their level, and the weight of each cell in each crop pixel.

    Args:
        graph: The graph to add nodes to.
        first, last: (K, 1) edges of the windows, px of the frame.
        scaled: (K, 1) sides of the windows that become the crop's side, px.
        shrink: (K, 1) px of the frame per cell of the level.
        image: The model's input: size of a crop and interpolation.
        reach: Number of cells to read.

    Returns:
        (K, reach) int64 and (K, size_px, reach) float32.
    """
    size_px, length = image.height, graph.Sub(last, first)
    kernel = _KERNELS[image.interpolation]
    resized = graph.Floor(graph.Add(graph.Div(graph.Mul(length, float(size_px)), scaled), _ROUNDING))
    scale = graph.Div(length, graph.Mul(resized, shrink))  # cells per pixel of the crop
    widen = graph.Max(scale, 1.0)
    before = graph.Floor(graph.Mul(graph.Sub(resized, float(size_px)), 0.5))
    low, high = graph.Div(first, shrink), graph.Div(last, shrink)  # the window, in cells
    places = graph.Add(before, (np.arange(size_px, dtype=np.float32) + 0.5)[None])
    centres = graph.Add(low, graph.Mul(places, scale))  # (K, S)
    leftmost = graph.Sub(graph.Add(low, graph.Mul(before, scale)), graph.Mul(widen, kernel.support))
    origin = graph.Max(graph.Floor(leftmost), graph.Floor(low))
    cells = graph.Add(origin, np.arange(reach, dtype=np.float32)[None])  # (K, reach)
    inside = graph.Sub(graph.Min(graph.Add(cells, 1.0), high), graph.Max(cells, low))
    inside = graph.Unsqueeze(graph.Clip(inside, 0.0, 1.0), [1])  # share of a cell inside the window
    offsets = graph.Sub(graph.Unsqueeze(graph.Add(cells, 0.5), [1]), graph.Unsqueeze(centres, [2]))
    weights = graph.Mul(kernel.weights(graph, graph.Div(offsets, graph.Unsqueeze(widen, [2]))), inside)
    weights = graph.Div(weights, graph.ReduceSum(weights, [2]))
    read = graph.Min(cells, graph.Sub(graph.Ceil(high), 1.0))  # weights beyond the window are zero
    return graph.cast(read, "int64"), weights


def _keys(graph: GraphBuilder, x: str) -> str:
    """Keys' cubic convolution kernel (1981) with a = -0.5, as in Pillow."""
    x = graph.Abs(x)
    near = graph.Add(graph.Mul(graph.Mul(graph.Sub(graph.Mul(x, 1.5), 2.5), x), x), 1.0)
    far = graph.Add(graph.Mul(graph.Sub(graph.Mul(graph.Add(graph.Mul(x, -0.5), 2.5), x), 4.0), x), 2.0)
    return graph.Where(graph.Less(x, 1.0), near, graph.Where(graph.Less(x, 2.0), far, 0.0))


def _triangle(graph: GraphBuilder, x: str) -> str:
    """The kernel of linear interpolation."""
    return graph.Max(graph.Sub(1.0, graph.Abs(x)), 0.0)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """A kernel of interpolation: its weights at distances from a centre, and the distance from which they are zero."""

    weights: Callable[[GraphBuilder, str], str]
    support: float


_KERNELS = {"bicubic": _Kernel(_keys, 2.0), "bilinear": _Kernel(_triangle, 1.0)}


def _case(image: ImageInput, *, averaged: bool) -> Case:
    """Windows of a drawn frame, either all exact or all averaged first, and Pillow's crops of them."""
    generator = np.random.default_rng(int(averaged))
    side = image.height
    height, width = (9 * side, 11 * side) if averaged else (3 * side, 4 * side)
    frame = synthetic_pictures(1, height, width)[0]
    low, high = (2 * side + 1, 8 * side) if averaged else (3, 2 * side)
    shorter = generator.integers(low, high + 1, _BATCH[1])
    further = generator.integers(0, side, _BATCH[1])
    if image.resize == "stretch":  # the longer side counts
        further = -np.minimum(further, shorter - (low if averaged else 1))
    sizes = np.stack([shorter, np.minimum(shorter + further, height)], axis=1)
    sizes[::2] = sizes[::2, :1]  # every other one is square
    sizes[1::4] = sizes[1::4, ::-1]
    firsts = (generator.uniform(0, 1, sizes.shape) * (np.array([width, height]) - sizes)).astype(np.int64)
    windows = np.concatenate([firsts, firsts + sizes], axis=1)
    pictures = np.stack([_pillow_crop(frame[y0:y1, x0:x1], image) for x0, y0, x1, y1 in windows])
    what = f"{len(windows)} windows of {low} to {high} px of a drawn frame"
    return Case(what, {"frame": frame, "windows": windows.astype(np.float32)}, normalise(pictures, image))


def _pillow_crop(picture: NDArray[np.uint8], image: ImageInput) -> NDArray[np.uint8]:
    """Resize a picture (h, w, 3) by Pillow as the model's image processor does."""
    side, (height, width) = image.height, picture.shape[:2]
    if image.resize == "stretch":
        return resized(picture, side, side, image.interpolation)
    size = (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return resized(picture, *size, image.interpolation)[top : top + side, left : left + side]
