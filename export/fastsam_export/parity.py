"""Compare the outputs of an exported graph with those of PyTorch on the same inputs: metrics, inputs, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.backends import all_backends
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.opener import open_session
from fastsam_engine.session import Array, Session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import Parity
from fastsam_export.errors import ParityError

TEXTS = (
    "a photo of a cat",
    "car",
    "the red bus that stands left of two people",
    "naïve café, 東京, \U0001f600",
    "",
    "word " * 200,
)
"""Texts to compare on: plain, long, empty, and in other scripts."""


class ParityRecorder:
    """Collects the worst metrics over inputs and backends. `max_*` metrics have an upper bound, `min_*` a lower one."""

    def __init__(self, tolerance: Mapping[str, float]) -> None:
        self._tolerance = dict(tolerance)
        self._worst: dict[str, float] = {}
        self._inputs: list[str] = []

    def add(self, inputs: str, metrics: Mapping[str, float]) -> None:
        """Add the metrics of one comparison; NaN counts as the worst value."""
        if inputs not in self._inputs:
            self._inputs.append(inputs)
        for name, metric in metrics.items():
            high = name.startswith("max_")
            value = float(metric) if np.isfinite(metric) else float("inf" if high else "-inf")
            worse = max if high else min
            self._worst[name] = worse(self._worst.get(name, value), value)

    def close(self, graph: str, reference: str = "PyTorch") -> Parity:
        """The record of the comparison with `reference`.

        Raises:
            ParityError: A metric is beyond its bound, or was never measured.
        """
        missed = []
        for name, bound in self._tolerance.items():
            metric = self._worst.setdefault(name, float("nan"))
            if not (metric <= bound if name.startswith("max_") else metric >= bound):
                missed.append(name)
        if missed:
            raise ParityError(graph, self._worst, self._tolerance, missed, reference)
        return Parity(tuple(self._inputs), self._worst, self._tolerance)


def cpu_backends() -> list[str]:
    """Names of the backends that run on this machine's CPU.

    Raises:
        BackendUnavailableError: There is none, so parity can't be checked.
    """
    ready = [name for name, backend in all_backends().items() if "cpu" in backend.readiness().devices]
    if not ready:
        raise BackendUnavailableError("auto", "parity needs one on the CPU", "pip install 'fastsam-trt[cpu]'")
    return ready


def fp32_sessions(path: Path) -> list[Session]:
    """Open a graph in fp32 on every backend of the CPU.

    Raises:
        BackendUnavailableError: There is no such backend.
    """
    return [open_session(path, backend=name, device="cpu", precision="fp32") for name in cpu_backends()]


def min_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Smallest cosine between the rows of two (n, d) arrays."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


def max_abs(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Largest absolute difference between two arrays of the same shape."""
    return float(np.abs(a.astype(np.float64) - b).max())


def max_rel(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Largest absolute difference between two arrays of the same shape, divided by the largest magnitude of `a`."""
    return max_abs(a, b) / max(float(np.abs(a).max()), 1e-12)


def compare_queries(
    classes_a: NDArray[np.float32],
    classes_b: NDArray[np.float32],
    masks_a: NDArray[np.float32],
    masks_b: NDArray[np.float32],
) -> dict[str, float]:
    """Compare two outputs of a model with queries: class logits (n, q, c) and mask logits (n, q, h, w)."""
    return {
        "max_rel_class_logit": max_rel(classes_a, classes_b),
        "max_rel_mask_logit": max_rel(masks_a, masks_b),
        "min_class_agreement": float((classes_a.argmax(axis=2) == classes_b.argmax(axis=2)).mean()),
        "min_mask_agreement": float(((masks_a > 0) == (masks_b > 0)).mean()),
    }


def synthetic_pictures(count: int, height: int, width: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Draw `count` pictures, (height, width, 3) uint8, with edges, gradients and noise at several scales."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    pictures = []
    for _ in range(count):
        picture = np.full((height, width, 3), generator.uniform(40, 200, 3), np.float32)
        picture += (rows / height * generator.uniform(-60, 60) + columns / width * generator.uniform(-60, 60))[
            ..., None
        ]
        for _ in range(12):
            y, x = generator.uniform(0, height), generator.uniform(0, width)
            ry, rx = generator.uniform(0.05, 0.3) * height, generator.uniform(0.05, 0.3) * width
            blob = ((rows - y) / ry) ** 2 + ((columns - x) / rx) ** 2 < 1
            picture[blob] = generator.uniform(0, 255, 3)
        picture += generator.normal(0, 6, picture.shape)
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


def drawn_batches(image: ImageInput) -> list[Array]:
    """Drawn pictures as inputs (2, 3, h, w): at the default size, and at a wide one if the graph has several.

    A graph that takes one picture gets one.
    """
    sizes = [(image.height, image.width)]
    if image.size_multiple is not None:
        wide = -(-image.height * 3 // 5 // image.size_multiple) * image.size_multiple
        sizes = sorted({*sizes, (wide, image.width)})
    mean, std = np.array(image.mean), np.array(image.std)
    count = 2 if image.batch[1] is None else min(2, image.batch[1])
    batches = (np.stack(synthetic_pictures(count, *size)) for size in sizes)
    return [((batch * image.scale - mean) / std).astype(np.float32).transpose(0, 3, 1, 2).copy() for batch in batches]


def describe(sessions: Sequence[Session]) -> str:
    """The names of the backends of sessions, for a record."""
    return " and ".join(session.backend for session in sessions)
