"""Write the statistics file of a run."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastsam_engine.store.atomic_files import write_atomically
from fastsam_trt import __version__
from fastsam_trt.reports.machine import this_machine
from fastsam_trt.sources.names import hide_password, printable
from fastsam_trt.streaming import Flow

if TYPE_CHECKING:
    from fastsam_trt.pipeline.pipeline import Pipeline

_PACKAGES = (
    "numpy",
    "opencv-python",
    "av",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "tensorrt-rtx-cu13",
)


def write_stats(
    args: argparse.Namespace, flow: Flow, pipeline: Pipeline, *, interrupted: bool, error: BaseException | None
) -> None:
    """Write the statistics and the configuration of a run as one JSON document.

    Args:
        args: Options of the run; `args.stats` is the file.
        flow: The flow of the run, which has ended.
        pipeline: The pipeline of the run.
        interrupted: Whether the run was stopped before its source ended.
        error: The error that ended the run; None: it did not fail.

    Raises:
        OutputError: The file can't be written.
    """
    session, machine = pipeline.segmenter.session, this_machine(_PACKAGES)
    document = {
        **flow.stats.snapshot().as_record(),
        "source": hide_password(printable(args.source)),
        "policy": flow.policy,
        "track": pipeline.track,
        "budget_ms": pipeline.budget_ms,
        "prompts": list(pipeline.prompts),
        "model": session.spec.name,
        "backend": session.backend,
        "device": session.device,
        "precision": session.precision,
        "clip": None if pipeline.clip is None else pipeline.clip.name,
        "interrupted": interrupted,
        "error": None if error is None else f"{type(error).__name__}: {error}",
        "processor": machine.processor,
        "cores": machine.cores,
        "system": machine.system,
        "versions": {"fastsam-trt": __version__, "python": machine.python, **machine.versions},
    }
    write_atomically(args.stats, f"{json.dumps(document, ensure_ascii=False, indent=1)}\n".encode())
