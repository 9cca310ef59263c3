"""Many threads share a cut model, with their own frames and prompts, while others close it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine.errors import ClosedError
from fastsam_trt import Pipeline
from fastsam_trt.results.result import Result
from support.sparse_models import Model, frame, same_result, sparse_decoder

THREADS = 8


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Make threads switch five hundred times as often as usual, so that rare interleavings occur."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def _at_once(work: Callable[[int], object]) -> None:
    begin = threading.Barrier(THREADS)

    def run(index: int) -> object:
        begin.wait()
        return work(index)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))


def _pipeline(path: Path, backend: str = "onnxruntime", **options: Any) -> Pipeline:
    return Pipeline(path, backend=backend, precision="fp32", imgsz=96, conf=0.3, **options)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """A frame per thread, of two sizes."""
    return [frame(seed, 120, 160 if seed % 2 else 120) for seed in range(THREADS)]


CALLS: list[dict[str, Any]] = [
    {"prompts": []}, {"prompts": ["class 2"]}, {"prompts": ["class 0"]}, {"boxes": [[20, 20, 90, 90]]}
]  # fmt: skip


def _call(index: int) -> dict[str, Any]:
    return CALLS[index % len(CALLS)]


def test_every_thread_gets_the_result_of_its_own_frame_and_prompt(
    model: Model, backend: str, frames: list[np.ndarray]
) -> None:
    dense, cut = _pipeline(model.dense, backend), _pipeline(model.cut, backend)
    sparse_decoder(cut.segmenter).max_feature_bytes = 150_000  # some results are brought to the host meanwhile
    expected = [dense(picture, **_call(index)) for index, picture in enumerate(frames)]

    def work(index: int) -> None:
        results = [cut(frames[index], **_call(index)) for _ in range(3)]
        for result in results:
            same_result(result, expected[index])

    _at_once(work)


def test_threads_share_a_result(model: Model, frames: list[np.ndarray]) -> None:
    expected = _pipeline(model.dense, prompts=["class 0"])(frames[0])
    pipe = _pipeline(model.cut, prompts=["class 0"])
    for _ in range(3):
        result = pipe(frames[0])
        _at_once(lambda _, result=result: same_result(result, expected))  # type: ignore[misc]


def test_closing_while_other_threads_decode(model: Model, frames: list[np.ndarray]) -> None:
    dense, cut = _pipeline(model.dense), _pipeline(model.cut)
    expected = [dense(picture, **_call(index)) for index, picture in enumerate(frames)]
    found: list[Result] = [cut(picture, **_call(index)) for index, picture in enumerate(frames)]

    def work(index: int) -> None:
        if index == 0:
            cut.close()
        same_result(found[index], expected[index])
        with pytest.raises(ClosedError):
            for _ in range(1000):
                same_result(cut(frames[index], **_call(index)), expected[index])

    _at_once(work)
