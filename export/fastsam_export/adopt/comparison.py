"""Compare an adopted graph with the original on every backend of the CPU, and record the proof in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fastsam_engine.opener import open_session
from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.adopt.agreement import OTHER_BACKEND, bounds, compare
from fastsam_export.adopt.hub_files import AdoptedPrecision
from fastsam_export.adopt.original import original_backend
from fastsam_export.family import Exported
from fastsam_export.parity import cpu_backends
from fastsam_export.proof import prove

ORIGINAL = "the original graph"
"""The reference of an adopted graph."""


def prove_adopted(
    path: Path,
    spec: ModelSpec,
    precision: AdoptedPrecision,
    inputs: Sequence[Array],
    expected: Sequence[Mapping[str, Array]],
    what: str,
) -> Exported:
    """Compare an adopted graph with the original.

    Args:
        path, spec: The adopted graph, which has one input.
        precision: Its precision, which decides the bounds.
        inputs: The input of each run.
        expected: What the original computes from them, by the output names of the spec.
        what: Description of the inputs.

    Raises:
        ParityError: The adopted graph computes something else.
    """
    backends = cpu_backends()

    def comparisons() -> Iterator[tuple[str, Mapping[str, float]]]:
        for backend in backends:  # one after the other, since a text tower may take gigabytes
            with open_session(path, backend, "cpu", compute_precision(precision)) as session:
                for array, reference in zip(inputs, expected, strict=True):
                    metrics = compare(spec.outputs, reference, session.run({spec.input_names[0]: array}))
                    if precision != "fp32" and backend != original_backend():
                        metrics = {f"{name}{OTHER_BACKEND}": metric for name, metric in metrics.items()}
                    yield f"{what} on {' and '.join(backends)}, against {ORIGINAL}", metrics

    limits = bounds(spec.outputs, precision, backends=len(backends))
    return Exported(path, prove(path, spec, limits, measured(comparisons(), limits), ORIGINAL))


def compute_precision(precision: str) -> str:
    """The precision to compute a graph in for a comparison: fp32, except where the graph is in int8."""
    return "auto" if precision == "int8" else "fp32"


def measured(
    comparisons: Iterable[tuple[str, Mapping[str, float]]], limits: Mapping[str, float]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Comparisons with those of their metrics that have bounds."""
    for what, metrics in comparisons:
        yield what, {name: metric for name, metric in metrics.items() if name in limits}
