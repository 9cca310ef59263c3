"""How often CLIP's text tower runs: never for prompts whose features are in memory or on disk."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from claims.common import harness

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session, open_session
from fastsam_trt import Pipeline

_PROMPTS = ("red bus", "a cat that sleeps")


def compare(
    segmenter: Path, exported: Path, pictures: Sequence[NDArray[np.uint8]], temporary: Path
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """How often the text tower runs, in two processes that share a cache folder."""
    rows: list[dict[str, Any]] = []
    for process in ("first", "second"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            counted = fresh.submit(count, segmenter, exported, temporary / "home", pictures).result()
        rows.append({"process": process, **counted})
    first, second = rows
    checks = [
        harness.Check("first process: runs of the text tower for the first frame", first["prompts"], ">=", 1),
        harness.Check("first process: further runs for a second frame", first["second frame"], "==", 0),
        harness.Check("first process: further runs for the same prompts set again", first["set again"], "==", 0),
        harness.Check("second process: runs of the text tower", second["runs at the end"], "==", 0),
        harness.Check("second process: text towers opened", second["text towers opened"], "==", 0),
    ]
    return harness.show_rows("runs of the text tower, prompts through CLIP", rows), checks


def count(segmenter: Path, exported: Path, home: Path, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, int]:
    """Run two frames in this process, and count runs of the text tower; text embeddings are cached in `home`."""
    os.environ["FASTSAM_TRT_HOME"] = str(home)
    with _opened_graphs() as opened:
        pipeline = Pipeline(segmenter, clip=exported, prompts=_PROMPTS, selector="clip", threshold=0)
        clip = pipeline.clip
        if clip is None:
            raise harness.BenchmarkError("expected the pipeline to open CLIP, found that it did not")
        pipeline(pictures[0])
        after_first = clip.text.tower_runs
        pipeline(pictures[-1])
        after_second = clip.text.tower_runs
        pipeline.prompts = _PROMPTS
        pipeline(pictures[0])
        at_end = clip.text.tower_runs
    return {
        "prompts": after_first,
        "second frame": after_second - after_first,
        "set again": at_end - after_second,
        "runs at the end": at_end,
        "text towers opened": sum(path.name.endswith(".text.onnx") for path in opened),
    }


@contextmanager
def _opened_graphs() -> Iterator[list[Path]]:
    """The graphs that CLIP opens meanwhile, in order."""
    opened: list[Path] = []

    def noted(path: Path, *args: Any, **kwargs: Any) -> Session:
        opened.append(path)
        return open_session(path, *args, **kwargs)

    with mock.patch("fastsam_trt.clip.model.open_session", noted):
        yield opened
