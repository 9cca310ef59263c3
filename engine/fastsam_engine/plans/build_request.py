"""Describe a build and its result, for all backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastsam_engine.spec.model_spec import ModelSpec

Progress = Callable[[str, int, int], None]
"""Called with a phase's name, its finished steps and their number, on any thread."""

Hardware = Literal["this", "same-capability", "ampere-plus"]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a plan is built; part of its key in the cache.

    Attributes:
        targets: TensorRT-RTX only: compute capabilities such as `sm89`; none: that of this machine's GPU.
        workspace_mb: Largest memory that a kernel may use, MiB; None: TensorRT's default, all memory of the GPU.
        optimization_level: 0 (quick to build) to 5 (fastest plan, long to build).
        hardware: TensorRT only: the GPUs that the plan runs on: this model, its compute capability, or Ampere and
            later; the more GPUs, the slower.
        version_compatible: TensorRT only: whether later versions run the plan; this makes it slower.
        tf32: Whether fp32 products may use TF32.
    """

    targets: tuple[str, ...] = ()
    workspace_mb: int | None = None
    optimization_level: int = 3
    hardware: Hardware = "this"
    version_compatible: bool = False
    tf32: bool = True


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A graph to build for a machine.

    Attributes:
        graph: The ONNX file.
        spec: Of the graph.
        batch: Usual and largest number of images or texts; None: by task, 1 and 8 for segmenters.
        imgsz: (height, width) px to restrict a model of several sizes to; None: every size up to its default one.
        options: How to build.
        out: A file to write to instead of the cache; None: the cache.
        again: Build even if the cache has the plan.
        threads: OpenVINO only: the number of threads of later sessions; see `open_session`.
    """

    graph: Path
    spec: ModelSpec
    batch: tuple[int, int] | None = None
    imgsz: tuple[int, int] | None = None
    options: BuildOptions = dataclasses.field(default_factory=BuildOptions)
    out: Path | None = None
    again: bool = False
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of a build.

    Attributes:
        path: File or folder; None if the cache could not be written.
        size: Bytes.
        built_s: Duration, seconds; None if it was in the cache.
        target: What it runs on, in words.
        parity: `OUTPUT METRIC` to how much it differs from the graph; empty if there was no GPU to run it on.
    """

    path: Path | None
    size: int
    built_s: float | None
    target: str
    parity: Mapping[str, float]
