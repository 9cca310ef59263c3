"""Frames on the device: the same results as on the host, one upload per frame, and only chosen masks come back.

There is no GPU here. The sessions run the same graphs by the same calls on the processor, and arrays that would be on a
device are wrapped, so that every transfer is seen.
"""

from __future__ import annotations

import copy
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine.device_array import DeviceArray, HostArray
from fastsam_engine.errors import GpuError, ModelFileError
from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import locate
from fastsam_trt.demo import draw_scene
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.prototype_decoder import PrototypeDecoder
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.sources.demo_video import DemoVideo
from fastsam_trt.streaming import Flow
from support.fake_device import FakeDeviceArray, FakeDeviceSession, as_on_device

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
def test_results_equal_those_of_the_host(backend: str, size: tuple[int, int]) -> None:
    options: dict[str, Any] = {"prompts": PROMPTS, "backend": backend, "precision": "fp32"}
    host = Pipeline("demo-seg", frames_on_device=False, **options)
    device = Pipeline("demo-seg", frames_on_device=True, **options)
    for frame in _frames(2, *size):
        _same(device(frame), host(frame))


@pytest.mark.parametrize("act", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
def test_a_result_with_masks_on_a_device_can_be_pickled_and_copied(act: Callable[[Result], Result]) -> None:
    pipe = Pipeline("demo-seg", frames_on_device=True)
    result = pipe(_frames(1)[0])
    again = act(result)
    assert len(again) > 2
    np.testing.assert_array_equal(again.masks(), result.masks())


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The transfers from now on: the runtime's sessions are as on a device."""
    return as_on_device(monkeypatch)


def test_frames_in_flight_are_uploaded_once_each_and_released(log: list[str]) -> None:
    pipe = _pipeline(prompts=PROMPTS)
    frames = _frames(1, 120, 160) * 6
    waiting = [pipe.segment(frame) for frame in frames]
    results = [pipe.select(each) for each in waiting]
    assert log.count("uploaded (120, 160, 3)") == len(frames)
    assert len(pipe._models.uploads._registered) == len(frames)
    waiting.clear()
    assert len(results) == 6
    assert not pipe._models.uploads._registered  # results that are kept keep no memory of the device
    log.clear()
    pipe.rank(results[0])
    assert log.count("uploaded (120, 160, 3)") == 1


def test_frames_are_released_where_the_device_is_the_host() -> None:
    pipe = Pipeline("demo-seg", frames_on_device=True)
    results = [pipe(frame) for frame in _frames(2, 120, 160)]
    assert len(results[0]) > 2
    assert not pipe._models.uploads._registered


def _pipeline(**options: Any) -> Pipeline:
    return Pipeline("demo-seg", backend="onnxruntime", **options)


def _decoder(pipe: Pipeline) -> PrototypeDecoder:
    decoder = pipe.segmenter._decoder
    assert isinstance(decoder, PrototypeDecoder)
    return decoder


def test_frames_are_prepared_cropped_and_decoded_on_the_device(log: list[str]) -> None:
    pipe = _pipeline(prompts=PROMPTS)
    expected = Pipeline("demo-seg", backend="onnxruntime", prompts=PROMPTS, frames_on_device=False)
    frames = _frames()
    pipe(frames[0]).masks()  # uploads the coordinates, once
    for frame in frames[1:]:
        log.clear()
        result = pipe(frame)
        assert [line for line in log if line.startswith("uploaded")] == [f"uploaded {frame.shape}"]
        sent = [line for line in log if line.startswith("sent")]
        assert sent
        assert all(line.endswith(", 4)") for line in sent), sent  # only crop windows
        fetched = [line for line in log if line.startswith("fetched")]
        assert not any("32, " in line for line in fetched), fetched  # no prototypes
        log.clear()
        result.masks()
        packed = [line for line in log if line.startswith("fetched")]
        assert packed == [f"fetched ({len(result)}, {frame.shape[0]}, {frame.shape[1] // 8})"]
        _same(result, expected(frame))


def test_results_stay_valid_after_further_runs(log: list[str]) -> None:
    frames = _frames(7)
    pipe = _pipeline()
    first = pipe(frames[0])
    (masks,) = _decoder(pipe).earlier
    _decoder(pipe).max_device_bytes = 4 * masks.kept_bytes
    del first, masks
    log.clear()
    kept = [pipe(frame) for frame in frames]
    brought = [line for line in log if line.startswith("fetched") and "(1, 32, " in line]
    assert len(brought) == 2  # the prototypes of the other five are still on the device
    expected = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False)
    for result, frame in zip(kept, frames, strict=True):
        for one, other in zip(result.masks(), expected(frame).masks(), strict=True):
            assert (one & other).sum() / (one | other).sum() > 0.99


def test_prototypes_move_to_the_host_when_the_device_is_full(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FakeDeviceArray) -> DeviceArray:
        raise GpuError("far", "allocating", "out of memory")

    monkeypatch.setattr(FakeDeviceArray, "copy_owned", full)
    frames = _frames(3)
    pipe = _pipeline()
    kept = [pipe(frame) for frame in frames]
    assert len([line for line in log if line.startswith("fetched") and "(1, 32, " in line]) == 2
    expected = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False)
    for result, frame in zip(kept, frames, strict=True):
        for one, other in zip(result.masks(), expected(frame).masks(), strict=True):
            assert (one & other).sum() / (one | other).sum() > 0.99


def test_all_results_in_a_flow_stay_on_the_device(log: list[str]) -> None:
    """The consumer is the bottleneck: it waits until all queues are full."""
    pipe = _pipeline()
    with DemoVideo(60) as source, Flow(source, pipe, "every") as flow:
        for number, (_, result) in enumerate(flow):
            deadline_s = time.monotonic() + 2
            while len(list(_decoder(pipe).earlier)) < 5 and time.monotonic() < deadline_s:
                time.sleep(0.001)
            result.mask_crops()
            if number == 8:
                break
    assert not [line for line in log if line.startswith("fetched") and "(1, 32, " in line]


def test_batch_sizes_are_few_where_a_session_prefers_few_shapes(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [draw_scene(seed, height=360, width=640, items=(2 + seed, 3 + seed)).frame for seed in range(8)]
    shapes: dict[str, set[tuple[int, ...]]] = {}
    run_kept = FakeDeviceSession._run_kept

    def record(self: FakeDeviceSession, inputs: Any, keep: Any) -> Any:
        for name, array in inputs.items():
            shapes.setdefault(f"{self.spec.task} {name}", set()).add(array.shape[:1])
        return run_kept(self, inputs, keep)

    monkeypatch.setattr(FakeDeviceSession, "_run_kept", record)
    monkeypatch.setattr(FakeDeviceSession, "prefers_few_shapes", True)
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
    assert len(found) > 2, "the test needs several numbers of segments"


def test_dropped_results_cost_no_copies(log: list[str]) -> None:
    pipe = _pipeline()
    for frame in _frames(4):
        pipe(frame)
    assert not [line for line in log if line.startswith("owned") or "(1, 32, " in line]


def test_a_reused_frame_buffer_is_uploaded_again(log: list[str]) -> None:
    first, second = _frames(2)
    pipe = _pipeline()
    buffer = first.copy()
    before = pipe(buffer).boxes
    buffer[:] = second
    np.testing.assert_array_equal(pipe(buffer).boxes, pipe(second.copy()).boxes)
    assert not np.array_equal(before, pipe(buffer).boxes)


def test_masked_crops_boxes_and_points_work_with_masks_on_the_device(log: list[str]) -> None:
    frame = _frames(1)[0]
    for options in (
        {"prompts": PROMPTS, "crop": "masked"},
        {"boxes": [[100, 100, 300, 300]]},
        {"points": [[320, 180]]},
    ):
        host = Pipeline("demo-seg", backend="onnxruntime", frames_on_device=False, **options)
        found, expected = _pipeline(**options)(frame), host(frame)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.6)


def test_frames_outside_the_graphs_range_are_prepared_on_the_host(log: list[str]) -> None:
    segmenter = Segmenter("demo-seg", backend="onnxruntime")
    frame = _frames(1, 2200, 300)[0]
    assert segmenter._on_device is not None
    assert not segmenter._on_device.accepts(frame)
    assert len(segmenter(frame))
    assert not [line for line in log if line.startswith("uploaded")]


def test_models_without_helper_graphs(log: list[str], tmp_path: Path) -> None:
    shutil.copy(Path(locate("demo-seg")) / "demo-seg.onnx", tmp_path / "demo-seg.onnx")
    assert len(Segmenter(tmp_path, backend="onnxruntime")(_frames(1)[0]))
    with pytest.raises(ModelFileError, match=r"expected demo-seg\.preprocess\.onnx beside it, found none"):
        Segmenter(tmp_path, backend="onnxruntime", frames_on_device=True)


def test_a_host_array_needs_no_copy() -> None:
    array = HostArray(np.ones(3))
    assert array.copy_owned() is array
