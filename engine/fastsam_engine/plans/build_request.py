"""What can be asked of a build, and what comes of it, whatever the backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastsam_engine.spec.model_spec import ModelSpec

Progress = Callable[[str, int, int], None]
"""Told a phase's name, its steps done and how many there are; from any thread."""

Hardware = Literal["this", "same-capability", "ampere-plus"]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a plan is built; part of its key in the cache.

    Attributes:
        targets: Compute capabilities such as `sm89`, TensorRT-RTX only; none: that of the GPU here.
        workspace_mb: Most memory that a kernel may ask for, MiB; None: TensorRT's default, the whole GPU's.
        optimization_level: 0 (quick to build) to 5 (fastest plan, long to build).
        hardware: On which GPUs the plan runs, TensorRT only: this model of GPU, its compute capability, or Ampere and
            later; the wider, the slower.
        version_compatible: Whether later versions of TensorRT run the plan, TensorRT only; costs speed.
        tf32: Whether products of fp32 may round their factors to TF32.
    """

    targets: tuple[str, ...] = ()
    workspace_mb: int | None = None
    optimization_level: int = 3
    hardware: Hardware = "this"
    version_compatible: bool = False
    tf32: bool = True


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A graph that is to be made ready for a machine.

    Attributes:
        graph: The ONNX file.
        spec: Of it.
        batch: Usual and largest number of pictures or texts; None: by task, 1 and 8 for segmenters.
        imgsz: (height, width) px, the only size of a model that takes several; None: every size up to its default one.
        options: How.
        out: A file to write to, past the cache; None: the cache.
        again: Build though the cache has it.
        threads: As the session's that are to use it, OpenVINO only; see `open_session`.
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
    """What a build made.

    Attributes:
        path: File or folder; None where the cache could not be written.
        size: Bytes.
        built_s: Seconds it took; None where the cache had it.
        target: What it runs on, in words.
        parity: Output name to how far it is from the graph's; empty where there was nothing to run it on.
    """

    path: Path | None
    size: int
    built_s: float | None
    target: str
    parity: Mapping[str, float]
