"""Measure cold starts: from the start of a new process to its first result, with and without a filled cache.

Each start has its own `FASTSAM_TRT_HOME` with links to the models. The cache is either empty, or `fastsam-trt build`
has compiled the model for the shape of its input, if the backend caches compiled models.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastsam_bench.cases.case import ModelCase
from fastsam_bench.cases.fresh_process import run_child
from fastsam_bench.errors import ChildFailedError
from fastsam_bench.results.records import Cold, Interval
from fastsam_bench.timing.blocks import state
from fastsam_engine.backend_choice import all_builders
from fastsam_engine.store.home_folder import home
from fastsam_engine.store.model_store import find_graph
from fastsam_trt.bundled_models import locate

_HOME = "FASTSAM_TRT_HOME"
_FEWEST, _LONG_MS = 2, 30_000.0  # starts that compile for minutes are measured only twice
_PARTS = ("import", "open", "first_frame")


def measure_cold(
    case: ModelCase,
    engine: tuple[str, str, str],
    shape: tuple[int, int] | None,
    picture: bytes,
    starts: int,
    show: Callable[[str], None] = lambda _: None,
) -> Iterator[Cold]:
    """Measure the cold starts of a model.

    Args:
        case: The model.
        engine: Name of the model, and its actual backend and precision.
        shape: (height, width) of its input for the picture, px; None if it is fixed.
        picture: An encoded picture to segment.
        starts: Number of starts of each kind.
        show: Called with a description of each step.

    Raises:
        ChildFailedError: A process failed.
    """
    name, backend, precision = engine
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.jpg"
        file.write_bytes(picture)
        request = json.dumps({**asdict(case), "backend": backend, "picture": str(file)})
        kinds: dict[bool, Callable[[int], Path]] = {False: lambda number: _new_home(Path(folder) / f"new-{number}")}
        if backend in all_builders() and case.precision == "auto":  # which is what `build` compiles for
            built = _new_home(Path(folder) / "built")
            show(f"cold {name}: building")
            _build(case, backend, shape, built)
            kinds[True] = lambda _: built
        found: dict[bool, list[dict[str, float]]] = {cached: [] for cached in kinds}
        for number in range(starts):
            for cached, make_home in kinds.items():  # in turn, so that load hits both
                if len(found[cached]) >= _FEWEST and found[cached][-1]["whole"] > _LONG_MS:
                    continue
                show(f"cold {name}: start {number + 1} of {starts}")
                found[cached].append(_start(request, make_home(number)))
        for cached, times in found.items():
            stated = state([each["whole"] for each in times])
            parts = {part: statistics.median(each[part] for each in times) for part in _PARTS}
            interval = Interval(stated.median, stated.low, stated.high)
            yield Cold(
                model=name, backend=backend, precision=precision, cached=cached, first_result_ms=interval, parts=parts
            )


def first_result(request: Mapping[str, Any]) -> dict[str, float]:
    """In the child: segment a picture, and return the time at which each step was done.

    Args:
        request: The fields of a `ModelCase`, and `picture`, a file.
    """
    begun_s = time.time()
    from fastsam_trt.frames.image import read_image
    from fastsam_trt.pipeline.pipeline import Pipeline

    imported_s = time.time()
    pipeline = Pipeline(
        request["model"], backend=request["backend"], device=request["device"], precision=request["precision"]
    )
    opened_s = time.time()
    pipeline(read_image(Path(request["picture"]))).mask_crops()
    return {"begun_s": begun_s, "imported_s": imported_s, "opened_s": opened_s, "done_s": time.time()}


def _start(request: str, folder: Path) -> dict[str, float]:
    """Times of one start, ms; `import` includes the start of Python itself."""
    times_s = run_child("cold", request, {_HOME: str(folder)})
    return {
        "whole": (times_s["done_s"] - times_s["started_s"]) * 1e3,
        "import": (times_s["imported_s"] - times_s["started_s"]) * 1e3,
        "open": (times_s["opened_s"] - times_s["imported_s"]) * 1e3,
        "first_frame": (times_s["done_s"] - times_s["opened_s"]) * 1e3,
    }


def _new_home(folder: Path) -> Path:
    folder.mkdir()
    if (home() / "models").is_dir():
        (folder / "models").symlink_to((home() / "models").resolve(), target_is_directory=True)
    return folder


def _build(case: ModelCase, backend: str, shape: tuple[int, int] | None, folder: Path) -> None:
    """Compile the model into a home, as the command does."""
    graph = str(find_graph(locate(case.model)))
    command = [sys.executable, "-m", "fastsam_trt", "build", graph, "--backend", backend, "--device", case.device]
    if shape is not None:
        command += ["--imgsz", *map(str, shape)]
    environment = {**os.environ, _HOME: str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise ChildFailedError("build", done.stderr.strip().rsplit("\n", 1)[-1])
