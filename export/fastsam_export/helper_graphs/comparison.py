"""Specs of helper graphs, the sizes of frames that they support, and the proof against a reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ArraysInput, ImageInput, Interpolation
from fastsam_engine.spec.model_spec import ModelSpec, Output, Task
from fastsam_export.family import Exported
from fastsam_export.parity import describe, fp32_sessions
from fastsam_export.proof import prove

FRAME_AXES = {"H": (16, 1080, 2160), "W": (16, 1920, 4096)}
"""Sizes of frames, px: smallest, usual, largest. The graphs accept any size; plans are built for this range."""


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison of a graph: a description, the inputs, and the expected output."""

    what: str
    inputs: Mapping[str, Array]
    expected: Array


def helper_spec(model: ModelSpec, task: Task, taken: ArraysInput, output: Output) -> ModelSpec:
    """The spec of a helper graph. Its source names the weights of the model, but the graph holds none of them."""
    source = dataclasses.replace(model.source, licence="Apache-2.0")
    return ModelSpec(model.name, model.family, task, taken, (output,), source=source)


def prove_graph(
    path: Path,
    spec: ModelSpec,
    reference: str,
    cases: Sequence[Case],
    tolerance: Mapping[str, float],
    compare: Callable[[Array, Array], Mapping[str, float]],
) -> Exported:
    """Compare a graph with its reference on every backend of this machine, and record the proof in the file.

    Args:
        path, spec: The graph.
        reference: The library that computed the expected outputs.
        cases: The comparisons.
        tolerance: Metric name to bound.
        compare: Computes the metrics from the expected output and the graph's output.

    Raises:
        ParityError: A metric is beyond its bound.
    """
    sessions = fp32_sessions(path)
    output = spec.outputs[0].name
    comparisons = (
        (
            f"{case.what} on {describe(sessions)}, against {reference}",
            compare(case.expected, session.run(case.inputs)[output]),
        )
        for case in cases
        for session in sessions
    )
    return Exported(path, prove(path, spec, tolerance, comparisons, reference))


def level_metrics(image: ImageInput, expected: Array, found: Array) -> dict[str, float]:
    """The difference of two inputs of a model (n, 3, h, w), in grey levels: the largest, and the largest mean."""
    std = np.asarray(image.std)[:, None, None]
    apart = np.abs(expected.astype(np.float64) - found) * std / image.scale
    return {"max_abs_level": float(apart.max()), "max_mean_level": float(apart.mean(axis=(1, 2, 3)).max())}


def resized(pixels: NDArray[Any], height: int, width: int, interpolation: Interpolation) -> NDArray[Any]:
    """Resize a picture (h, w, 3) uint8, or numbers (h, w) float32, by Pillow, which antialiases, to (height, width).

    The width is resized first, as by PyTorch and by older versions of Pillow. Since version 13 Pillow begins with the
    cheaper axis, and bicubic pictures differ by a few levels, since they are rounded and clipped after either axis.
    """
    from PIL import Image

    kernel = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    narrow = Image.fromarray(pixels).resize((width, len(pixels)), kernel)
    return np.asarray(narrow.resize((width, height), kernel))


def normalise(pictures: NDArray[np.uint8], image: ImageInput) -> NDArray[np.float32]:
    """Normalise BGR pictures (n, h, w, 3) to a model's input (n, 3, h, w), in numpy."""
    ordered = pictures[..., ::-1] if image.colour == "RGB" else pictures
    values = (ordered.astype(np.float64) * image.scale - np.asarray(image.mean)) / np.asarray(image.std)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)
