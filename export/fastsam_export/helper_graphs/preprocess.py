"""The preprocess graph: a frame to a segmenter's input, on the device. The crops graph uses the same uploaded frame.

The position of the frame in the input is given by arrays that are the same for all frames of a source. One graph thus
serves frames of every size, and computes no shapes. There are two kinds, by the resize of the model.

*Letterbox* (bilinear, not antialiased). Inputs:
    `frame`: uint8 (H, W, 3) BGR.
    `rows`: float32 (h,), `columns`: float32 (w,). Position of each row and column of the input in the frame, px, from 0
        (centre of the first pixel) to the centre of the last. Padding has a position below 0.
*Stretch* (antialiased). Inputs:
    `frame`: as above.
    `row_weights`: float32 (h, H), `column_weights`: float32 (w, W). Weight of each pixel of the frame in each row and
        column of the input. Columns are computed first, and both results are rounded to whole levels, as in Pillow.
Output of both: the model's input (1, 3, h, w) float32, under its name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
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
from fastsam_export.helper_graphs.graph_builder import GraphBuilder
from fastsam_export.helper_graphs.steps import interpolated, normalised, whole_levels
from fastsam_export.parity import synthetic_pictures

_SIZES = ((300, 400), (90, 70), (1080, 1920))  # (height, width) of frames to compare on, px
_LEVELS = {"letterbox": 1.001, "stretch": 2.001}  # OpenCV rounds once, Pillow after either axis
_MEAN_LEVEL = 0.25


def export(model: ModelSpec, image: ImageInput, folder: Path) -> Exported:
    """Export and prove `M.preprocess.onnx` for a segmenter with one of the two kinds of resize."""
    path = folder / f"{model.name}.preprocess.onnx"
    stretch = image.resize == "stretch"
    spec = _stretch_spec(model, image) if stretch else _letterbox_spec(model, image)
    graph = GraphBuilder(spec)
    (_stretch if stretch else _letterbox)(graph, path, image)
    frames = [synthetic_pictures(1, *size)[0] for size in _SIZES]
    cases = [(_stretch_case if stretch else _letterbox_case)(frame, image) for frame in frames]
    reference = "Pillow" if stretch else "OpenCV"
    tolerance = {"max_abs_level": _LEVELS[image.resize], "max_mean_level": _MEAN_LEVEL}
    return prove_graph(path, spec, reference, cases, tolerance, lambda a, b: level_metrics(image, a, b))


def input_axes(image: ImageInput) -> dict[str, tuple[int, int, int]]:
    """Smallest, usual (16:9) and largest height `h` and width `w` of a letterboxed input, px."""
    multiple = image.size_multiple
    if multiple is None:
        return {"h": (image.height,) * 3, "w": (image.width,) * 3}
    usual = -(-image.width * 9 // 16 // multiple) * multiple
    return {"h": (multiple, min(usual, image.height), 2 * image.height), "w": (multiple, image.width, 2 * image.width)}


def _letterbox_spec(model: ModelSpec, image: ImageInput) -> ModelSpec:
    taken = ArraysInput(
        ("frame", "rows", "columns"),
        ("H W 3", "h", "w"),
        ("uint8", "float32", "float32"),
        {**FRAME_AXES, **input_axes(image)},
    )
    return helper_spec(model, "preprocess", taken, Output(image.name, "model-input", "1 3 h w"))


def _letterbox(graph: GraphBuilder, path: Path, image: ImageInput) -> None:
    frame = graph.cast("frame", "float32")
    narrow = interpolated(graph, frame, graph.Max("rows", 0.0), axis=0, rank=3)
    small = interpolated(graph, narrow, graph.Max("columns", 0.0), axis=1, rank=3)
    picture = whole_levels(graph, graph.Transpose(small, perm=[2, 0, 1]))
    inside = graph.And(
        graph.Unsqueeze(graph.GreaterOrEqual("rows", 0.0), [1]), graph.GreaterOrEqual("columns", 0.0)
    )  # (h, w)
    padded = graph.Where(inside, picture, float(image.pad_value))
    graph.save(path, {normalised(graph, graph.Unsqueeze(padded, [0]), image): "float32"})


def _letterbox_case(frame: NDArray[np.uint8], image: ImageInput) -> Case:
    """A frame in the centre of the model's default input."""
    import cv2

    height, width = frame.shape[:2]
    gain = min(image.height / height, image.width / width)
    content = round(height * gain), round(width * gain)
    top, left = (image.height - content[0]) // 2, (image.width - content[1]) // 2
    expected = np.full((1, image.height, image.width, 3), image.pad_value, np.uint8)
    rows, columns = slice(top, top + content[0]), slice(left, left + content[1])
    expected[0, rows, columns] = cv2.resize(frame, content[::-1], interpolation=cv2.INTER_LINEAR)
    inputs: dict[str, Array] = {
        "frame": frame,
        "rows": np.full(image.height, -1, np.float32),
        "columns": np.full(image.width, -1, np.float32),
    }
    for name, part, before, after in (("rows", rows, height, content[0]), ("columns", columns, width, content[1])):
        inputs[name][part] = ((np.arange(after) + 0.5) * (before / after) - 0.5).clip(0, before - 1)
    return Case(f"a drawn frame of {height} x {width}", inputs, normalise(expected, image))


def _stretch_spec(model: ModelSpec, image: ImageInput) -> ModelSpec:
    taken = ArraysInput(
        ("frame", "row_weights", "column_weights"),
        ("H W 3", f"{image.height} H", f"{image.width} W"),
        ("uint8", "float32", "float32"),
        FRAME_AXES,
    )
    output = Output(image.name, "model-input", f"1 3 {image.height} {image.width}")
    return helper_spec(model, "preprocess", taken, output)


def _stretch(graph: GraphBuilder, path: Path, image: ImageInput) -> None:
    planes = graph.Transpose(graph.cast("frame", "float32"), perm=[2, 0, 1])
    narrow = whole_levels(graph, graph.MatMul(planes, graph.Transpose("column_weights", perm=[1, 0])))
    picture = whole_levels(graph, graph.MatMul("row_weights", narrow))
    graph.save(path, {normalised(graph, graph.Unsqueeze(picture, [0]), image): "float32"})


def _stretch_case(frame: NDArray[np.uint8], image: ImageInput) -> Case:
    """A frame stretched by Pillow. The weights are Pillow's resize of an identity matrix."""
    height, width = frame.shape[:2]
    inputs = {
        "frame": frame,
        "row_weights": resized(np.eye(height, dtype=np.float32), image.height, height, image.interpolation),
        "column_weights": resized(np.eye(width, dtype=np.float32), image.width, width, image.interpolation),
    }
    expected = resized(frame, image.height, image.width, image.interpolation)[None]
    return Case(f"a drawn frame of {height} x {width}", inputs, normalise(expected, image))
