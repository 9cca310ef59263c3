"""Closing streams in every way: no thread or file descriptor is left."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastsam_trt import Pipeline
from support.colour_models import scene

Write = Callable[[Path, list[np.ndarray]], Path]

_REPETITIONS = 50


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    return write_video(tmp_path / "clip.avi", [scene(("red", 1, 1))] * 30)


def _close(pipeline: Pipeline, video: Path) -> None:
    stream = pipeline.stream(video)
    next(stream)
    stream.close()


def _break(pipeline: Pipeline, video: Path) -> None:
    for _ in pipeline.stream(video):
        break


def _fail(pipeline: Pipeline, video: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in pipeline.stream(video):
            1 / 0  # noqa: B018


def _interrupt(pipeline: Pipeline, video: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        for _ in pipeline.stream(video):
            raise KeyboardInterrupt


def _collect_elsewhere(pipeline: Pipeline, video: Path) -> None:
    held: list[object] = [stream := pipeline.stream(video)]
    next(stream)
    held.append(held)  # garbage that only a collection finds
    del held, stream
    collecting = threading.Thread(target=gc.collect)
    collecting.start()
    collecting.join()


def _never_begin(pipeline: Pipeline, video: Path) -> None:
    pipeline.stream(video)


@pytest.mark.parametrize("leave", [_close, _break, _fail, _interrupt, _collect_elsewhere, _never_begin])
def test_nothing_outlives_a_stream(leave: Callable[[Pipeline, Path], None], video: Path) -> None:
    pipeline = Pipeline("colours", backend="onnxruntime")
    leave(pipeline, video)  # what is loaded once is loaded now
    threads, descriptors = set(threading.enumerate()), _descriptors()
    gc.freeze()  # collections need not look at the rest
    for _ in range(_REPETITIONS):
        leave(pipeline, video)
    gc.unfreeze()
    assert set(threading.enumerate()) == threads
    assert _descriptors() == descriptors


@pytest.mark.parametrize("ending", ["", "raise KeyboardInterrupt", "import sys; sys.exit(3)"])
def test_a_process_that_ends_with_an_open_stream_is_not_aborted(ending: str, video: Path) -> None:
    code = f"""
from fastsam_trt import Pipeline
stream = Pipeline("colours", backend="onnxruntime").stream({str(video)!r})
next(stream)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (3 if "exit" in ending else 0 if not ending else -2), done.stderr
    assert "terminate" not in done.stderr
    assert "ignored" not in done.stderr


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no list of descriptors here")
    time.sleep(0.01)
    return len(list(folder.iterdir()))
