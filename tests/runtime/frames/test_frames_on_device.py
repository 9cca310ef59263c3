"""Frames that stay on the device: the same results as on the host, one upload a frame, and only what is chosen fetched.

There is no GPU here: the sessions are those of the processor, which run the same graphs through the same calls, and
what would lie on a device is told apart by wrapping it.
"""

from __future__ import annotations

import copy
import pickle
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine.device_array import Array, DeviceArray, HostArray
from fastsam_engine.errors import GpuError, ModelFileError
from fastsam_engine.session import Session
from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import locate
from fastsam_trt.demo import draw_scene
from fastsam_trt.frames.helper_graphs import takes
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.masks.prototype_maker import PrototypeDecoding
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.sources.demo_video import DemoVideo
from fastsam_trt.streaming import Flow

PROMPTS = ["a red circle", "a blue square", "circle"]


def _frames(count: int = 3, height: int = 360, width: int = 640) -> list[np.ndarray]:
    return [draw_scene(seed, height=height, width=width).frame for seed in range(count)]


def _same(a: Result, b: Result) -> None:
    assert len(a) == len(b) > 0
    assert len(a.segments) == len(b.segments) > 2
    np.testing.assert_allclose(a.boxes, b.boxes, atol=0.6)
    np.testing.assert_allclose(a.scores, b.scores, atol=0.01)
    np.testing.assert_array_equal(a.prompt_ids, b.prompt_ids)
    np.testing.assert_allclose(a.similarities, b.similarities, atol=0.05)
    for one, other in zip(a.masks(), b.masks(), strict=True):
        assert (one & other).sum() / (one | other).sum() > 0.99


@pytest.mark.parametrize("size", [(360, 640), (480, 480), (715, 501), (300, 700)])
def test_results_are_those_of_the_host(backend: str, size: tuple[int, int]) -> None:
    options: dict[str, Any] = {"prompts": PROMPTS, "backend": backend, "precision": "fp32"}
    host = Pipeline("demo-seg", frames_on_device=False, **options)
    device = Pipeline("demo-seg", frames_on_device=True, **options)
    for frame in _frames(2, *size):
        _same(device(frame), host(frame))


@pytest.mark.parametrize("act", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
def test_a_result_whose_masks_lie_on_a_device_can_be_sent(act: Callable[[Result], Result]) -> None:
    pipe = Pipeline("demo-seg", frames_on_device=True)
    result = pipe(_frames(1)[0])
    again = act(result)
    assert len(again) > 2
    np.testing.assert_array_equal(again.masks(), result.masks())


class _There(DeviceArray):
    """What a session of `_Far` left; gone once that session runs again, as memory that is used again."""

    def __init__(self, array: Array, log: list[str]) -> None:
        self.place, self.shape, self.dtype = "far", array.shape, array.dtype
        self._array, self._log = array, log

    def to_host(self) -> Array:
        self._log.append(f"fetched {self.shape}")
        return self._array.copy()

    def own(self) -> DeviceArray:
        self._log.append(f"owned {self.shape}")
        return _There(self._array.copy(), self._log)

    def overwrite(self) -> None:
        self._array[...] = 0


class _Far(Session):
    """A session as on a device: what lies there is told apart, and is overwritten by the next run."""

    def __init__(self, session: Session, log: list[str]) -> None:
        super().__init__(session.path, session.spec, session.backend, session.device, session.precision)
        self._session, self._log = session, log
        self._left: list[_There] = []

    @property
    def place(self) -> str:
        return "far"

    def upload(self, array: Array) -> DeviceArray:
        self._log.append(f"uploaded {array.shape}")
        return _There(array.copy(), self._log)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._run_kept(inputs, ())[0]

    def _run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        given = {name: each._array if isinstance(each, _There) else each for name, each in inputs.items()}
        self._log += [f"sent {each.shape}" for each in inputs.values() if not isinstance(each, DeviceArray)]
        fetched, kept = self._session.run_kept({name: np.array(each) for name, each in given.items()}, keep)
        for each in self._left:
            each.overwrite()
        self._left = [_There(each.to_host().copy(), self._log) for each in kept.values()]
        self._log += [f"fetched {each.shape}" for each in fetched.values()]
        return fetched, dict(zip(kept, self._left, strict=True))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What crosses the bus from now on: sessions of the runtime are far away."""
    from fastsam_engine import open_session

    crossings: list[str] = []

    def far(*args: Any, **kwargs: Any) -> Session:
        return _Far(open_session(*args, **kwargs), crossings)

    for module in ("segmenter", "clip", "device_helpers"):
        monkeypatch.setattr(f"fastsam_trt.{module}.open_session", far)
    return crossings


def test_frames_of_many_threads_are_uploaded_once_each_and_let_go(log: list[str]) -> None:
    pipe = _pipeline(prompts=PROMPTS)
    frames = _frames(1, 120, 160) * 6
    waiting = [pipe.segment(frame) for frame in frames]
    results = [pipe.select(each) for each in waiting]
    assert log.count("uploaded (120, 160, 3)") == len(frames)
    assert len(pipe._models.uploads._begun) == len(frames)
    waiting.clear()
    assert len(results) == 6
    assert not pipe._models.uploads._begun  # results that are kept keep no memory of the device
    log.clear()
    pipe.rank(results[0])
    assert log.count("uploaded (120, 160, 3)") == 1


def test_frames_that_are_done_are_not_kept_where_the_device_is_the_host() -> None:
    pipe = Pipeline("demo-seg", frames_on_device=True)
    results = [pipe(frame) for frame in _frames(2, 120, 160)]
    assert len(results[0]) > 2
    assert not pipe._models.uploads._begun


def _pipeline(**options: Any) -> Pipeline:
    return Pipeline("demo-seg", backend="onnxruntime", **options)


def _decoding(pipe: Pipeline) -> PrototypeDecoding:
    return pipe.segmenter._decoder._masks


def test_a_device_prepares_crops_and_decodes_by_itself(log: list[str]) -> None:
    pipe = _pipeline(prompts=PROMPTS)
    expected = Pipeline("demo-seg", backend="onnxruntime", prompts=PROMPTS, frames_on_device=False)
    frames = _frames()
    pipe(frames[0]).masks()  # the geometry goes up once
    for frame in frames[1:]:
        log.clear()
        result = pipe(frame)
        assert [line for line in log if line.startswith("uploaded")] == [f"uploaded {frame.shape}"]
        sent = [line for line in log if line.startswith("sent")]
        assert all(line.endswith(", 4)") for line in sent), sent  # windows alone
        fetched = [line for line in log if line.startswith("fetched")]
        assert not any("32, " in line for line in fetched), fetched  # no prototypes
        log.clear()
        result.masks()
        packed = [line for line in log if line.startswith("fetched")]
        assert packed == [f"fetched ({len(result)}, {frame.shape[0]}, {frame.shape[1] // 8})"]
        _same(result, expected(frame))


def test_results_that_are_kept_outlive_the_next_runs(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = _frames(7)
    pipe = _pipeline()
    first = pipe(frames[0])
    (masks,) = [each() for each in _decoding(pipe)._made]
    assert masks is not None
    monkeypatch.setattr(_decoding(pipe), "_kept_bytes", 4 * masks.device_bytes)
    del first, masks
    log.clear()
    kept = [pipe(frame) for frame in frames]
    brought = [line for line in log if line.startswith("fetched") and "(1, 32, " in line]
    assert len(brought) == 2  # of the seven; the others' prototypes are still there
    expected = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False)
    for result, frame in zip(kept, frames, strict=True):
        for one, other in zip(result.masks(), expected(frame).masks(), strict=True):
            assert (one & other).sum() / (one | other).sum() > 0.99


def test_a_full_device_gives_room_to_the_host(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: _There) -> DeviceArray:
        raise GpuError("far", "allocating", "out of memory")

    monkeypatch.setattr(_There, "own", full)
    frames = _frames(3)
    pipe = _pipeline()
    kept = [pipe(frame) for frame in frames]
    assert len([line for line in log if line.startswith("fetched") and "(1, 32, " in line]) == 2
    expected = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False)
    for result, frame in zip(kept, frames, strict=True):
        for one, other in zip(result.masks(), expected(frame).masks(), strict=True):
            assert (one & other).sum() / (one | other).sum() > 0.99


def test_all_that_a_flow_holds_stays_on_the_device(log: list[str]) -> None:
    """Output is the bottleneck: the consumer waits until nothing moves before it."""
    pipe = _pipeline()
    with DemoVideo(60) as source, Flow(source, pipe, "every") as flow:
        for number, (_, result) in enumerate(flow):
            deadline_s = time.monotonic() + 2
            while len(_decoding(pipe)._made) < 5 and time.monotonic() < deadline_s:
                time.sleep(0.001)
            result.crops()
            if number == 8:
                break
    assert not [line for line in log if line.startswith("fetched") and "(1, 32, " in line]


def test_where_shapes_are_kept_few_come(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [draw_scene(seed, height=360, width=640, items=(2 + seed, 3 + seed)).frame for seed in range(8)]
    shapes: dict[str, set[tuple[int, ...]]] = {}
    run_kept = _Far._run_kept

    def record(self: _Far, inputs: Any, keep: Any) -> Any:
        for name, array in inputs.items():
            shapes.setdefault(f"{self.spec.task} {name}", set()).add(array.shape[:1])
        return run_kept(self, inputs, keep)

    monkeypatch.setattr(_Far, "_run_kept", record)
    monkeypatch.setattr(_Far, "keeps_shapes", True)
    pipe = _pipeline(prompts=PROMPTS)
    host = Pipeline("demo-seg", backend="onnxruntime", prompts=PROMPTS, frames_on_device=False)
    everything = _pipeline()
    host_everything = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False)
    found = set()
    for frame in frames:
        result, expected = pipe(frame), host(frame)
        found.add(len(result.segments))
        assert len(result) == len(expected)
        np.testing.assert_allclose(result.similarities, expected.similarities, atol=0.05)
        _same(everything(frame), host_everything(frame))
    allowed = {(n,) for n in LADDER}
    for name in ("decode coefficients", "decode boxes", "crops windows", "embed-image pixel_values"):
        assert shapes[name] <= allowed, name
    assert len(found) > 2, "the test should meet several numbers"


def test_results_that_nobody_holds_cost_nothing(log: list[str]) -> None:
    pipe = _pipeline()
    for frame in _frames(4):
        pipe(frame)
    assert not [line for line in log if line.startswith("owned") or "(1, 32, " in line]


def test_a_frame_that_is_written_into_is_uploaded_again(log: list[str]) -> None:
    first, second = _frames(2)
    pipe = _pipeline()
    buffer = first.copy()
    before = pipe(buffer).boxes
    buffer[:] = second
    np.testing.assert_array_equal(pipe(buffer).boxes, pipe(second.copy()).boxes)
    assert not np.array_equal(before, pipe(buffer).boxes)


def test_masked_crops_and_boxes_work_from_the_device(log: list[str]) -> None:
    frame = _frames(1)[0]
    for options in (
        {"prompts": PROMPTS, "crop": "masked"},
        {"boxes": [[100, 100, 300, 300]]},
        {"points": [[320, 180]]},
    ):
        host = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False, **options)
        found, expected = _pipeline(**options)(frame), host(frame)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.6)


def test_a_frame_beyond_the_graphs_range_takes_the_host_path(log: list[str]) -> None:
    segmenter = Segmenter("demo-seg", backend="onnxruntime")
    frame = _frames(1, 2200, 300)[0]
    assert segmenter._on_device is not None
    assert not takes(segmenter._on_device._session, *frame.shape[:2])
    assert len(segmenter(frame))
    assert not [line for line in log if line.startswith("uploaded")]


def test_models_without_helpers(log: list[str], tmp_path: Path) -> None:
    shutil.copy(Path(locate("demo-seg")) / "demo-seg.onnx", tmp_path / "demo-seg.onnx")
    assert len(Segmenter(tmp_path, backend="onnxruntime")(_frames(1)[0]))
    with pytest.raises(ModelFileError, match=r"expected demo-seg\.preprocess\.onnx beside it, found none"):
        Segmenter(tmp_path, backend="onnxruntime", frames_on_device=True)


def test_arrays_of_the_host_are_their_own() -> None:
    array = HostArray(np.ones(3))
    assert array.own() is array
