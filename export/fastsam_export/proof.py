"""Prove that a graph computes the same as its reference, and record the proof in the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fastsam_engine.opener import open_session
from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import NotFiniteError
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import ParityRecorder

PYTORCH = "PyTorch"
"""The reference of an fp32 graph."""

FP32_GRAPH = "the fp32 graph"
"""The reference of a graph in another precision; it was itself compared with PyTorch."""


def run_on_cpu(
    path: Path, inputs: Sequence[Mapping[str, Array]], backend: str = "onnxruntime"
) -> list[dict[str, Array]]:
    """Run a graph on the CPU, once per element of `inputs`.

    Args:
        path: An ONNX file.
        inputs: Arrays by input name, for each run.
        backend: A backend that supports the device `cpu`.

    Returns:
        Arrays by output name, of each run.
    """
    with open_session(path, backend=backend, device="cpu") as session:
        return [session.run(arrays) for arrays in inputs]


def check_finite(path: Path, outputs: Iterable[Mapping[str, Array]], inputs: str) -> None:
    """Refuse a graph with NaN or infinite outputs.

    Args:
        path: File of the graph, for the message.
        outputs: Arrays by output name, of each run.
        inputs: Description of the inputs, for the message.

    Raises:
        NotFiniteError: A number is NaN or infinite.
    """
    for run in outputs:
        for name, array in run.items():
            if count := int((~np.isfinite(array)).sum()):
                raise NotFiniteError(path.name, name, count, inputs)


def prove(
    path: Path,
    spec: ModelSpec,
    bounds: Mapping[str, float],
    comparisons: Iterable[tuple[str, Mapping[str, float]]],
    reference: str,
) -> ModelSpec:
    """Check the metrics of comparisons against bounds, and write the record into the file.

    Args:
        path: An ONNX file.
        spec: Its spec.
        bounds: Metric name to bound. `max_*` metrics have an upper bound, `min_*` metrics a lower one.
        comparisons: Description of the inputs, and metrics, of each comparison.
        reference: What the graph was compared with.

    Returns:
        The spec with the record, as written to the file.

    Raises:
        ParityError: A metric is beyond its bound, or missing.
    """
    recorder = ParityRecorder(bounds)
    for inputs, metrics in comparisons:
        recorder.add(inputs, metrics)
    proven = dataclasses.replace(spec, parity=recorder.close(path.name, reference))
    write_spec(path, proven)
    return proven


def prove_against_fp32(
    path: Path,
    spec: ModelSpec,
    bounds: Mapping[str, float],
    inputs: str,
    metrics: Iterable[Mapping[str, float]],
    note: str = "",
) -> ModelSpec:
    """Prove a graph in another precision by its comparisons with the fp32 graph.

    Args:
        path, spec, bounds: See `prove`.
        inputs: Description of the inputs.
        metrics: Metrics of each comparison.
        note: Added to the record.

    Returns:
        The spec with the record, as written to the file.

    Raises:
        ParityError: A metric is beyond its bound, or missing.
    """
    record = f"{inputs}, against {FP32_GRAPH}, which was compared with {PYTORCH}{note}"
    return prove(path, spec, bounds, ((record, each) for each in metrics), FP32_GRAPH)
