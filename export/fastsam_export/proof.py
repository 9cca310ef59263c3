"""Prove that a graph computes what its reference does, and record the proof in the file."""

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
FP32_GRAPH = "the fp32 graph"
"""References. The fp32 graph, which was itself compared with PyTorch, is that of a graph in another precision."""


def run_on_cpu(
    path: Path, inputs: Sequence[Mapping[str, Array]], backend: str = "onnxruntime"
) -> list[dict[str, Array]]:
    """Run a graph on the processor, once for each of its inputs.

    Args:
        path: An ONNX file.
        inputs: For each run the arrays by input name.
        backend: A backend that has the device `cpu`.

    Returns:
        For each run the arrays by output name.
    """
    session = open_session(path, backend=backend, device="cpu")
    return [session.run(each) for each in inputs]


def check_finite(path: Path, outputs: Iterable[Mapping[str, Array]], inputs: str) -> None:
    """Refuse a graph that overflows.

    Args:
        path: The graph's file, for the message.
        outputs: What it computed.
        inputs: What it was run on, for the message.

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
        bounds: Metric name to bound; a name begins with `max_` or `min_`, which says the side.
        comparisons: For each comparison its inputs in words, and its metrics.
        reference: What the graph was compared with.

    Returns:
        The spec with the record, as the file now holds it.

    Raises:
        ParityError: A metric is out of its bound, or missing.
    """
    recorder = ParityRecorder(bounds)
    for inputs, metrics in comparisons:
        recorder.add(inputs, metrics)
    proven = dataclasses.replace(spec, parity=recorder.close(path.name, reference))
    write_spec(path, proven)
    return proven
