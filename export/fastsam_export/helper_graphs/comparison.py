"""What the making of all helper graphs shares: their specs, the range of frames, and the proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ArraysInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output, Task
from fastsam_export.family import Exported
from fastsam_export.parity import describe, fp32_sessions
from fastsam_export.proof import prove

FRAME_AXES = {"H": (16, 1080, 2160), "W": (16, 1920, 4096)}
"""Frames, px: smallest, usual, largest. The graphs take any; plans are built for this range."""


@dataclass(frozen=True, slots=True)
class Case:
    """Something to compare a graph on: what it is in words, its inputs, and what the one output should be."""

    what: str
    inputs: Mapping[str, Array]
    expected: Array


def helper_spec(model: ModelSpec, task: Task, taken: ArraysInput, output: Output) -> ModelSpec:
    """The spec of a helper graph. It names the weights of the model that it was made for, but holds none of them."""
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
    """Compare a graph with its reference on every backend of this machine, and record it in the file.

    Args:
        path, spec: The graph.
        reference: What made the expected answers.
        cases: To compare on.
        tolerance: Bounds by figure.
        compare: The figures of what is expected and what was found.

    Raises:
        ParityError: A figure is out of its bound.
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


def level_figures(image: ImageInput, expected: Array, found: Array) -> dict[str, float]:
    """How far apart two inputs of a model (n, 3, h, w) are, in grey levels: at worst, and on a picture's average."""
    std = np.asarray(image.std)[:, None, None]
    apart = np.abs(expected.astype(np.float64) - found) * std / image.scale
    return {"max_abs_level": float(apart.max()), "max_mean_level": float(apart.mean(axis=(1, 2, 3)).max())}


def normalise(pictures: NDArray[np.uint8], image: ImageInput) -> NDArray[np.float32]:
    """BGR pictures (n, h, w, 3) as a model's input (n, 3, h, w), in numpy."""
    ordered = pictures[..., ::-1] if image.colour == "RGB" else pictures
    values = (ordered.astype(np.float64) * image.scale - np.asarray(image.mean)) / np.asarray(image.std)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)
