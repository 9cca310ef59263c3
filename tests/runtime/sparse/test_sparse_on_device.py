"""Features stay on the device, earlier results survive the next run, and masks are decoded where the features are."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine.device_array import DeviceArray
from fastsam_engine.errors import GpuError
from fastsam_trt import Pipeline
from fastsam_trt.results.result import Result
from fastsam_trt.sparse.mask_head import MaskHead
from fastsam_trt.sparse.masks import SparseMasks
from support import cut_yolo
from support.dense_yolo import CHANNELS, COEFFICIENTS
from support.fake_device import FakeDeviceArray, as_on_device
from support.sparse_models import KINDS, Model, frame, same_result, save_helpers, sparse_decoder

FEATURES, PROTOTYPES = f", {CHANNELS})", f", {COEFFICIENTS})"


@pytest.fixture(params=list(KINDS))
def with_helpers(request: pytest.FixtureRequest, model_of: Any, tmp_path: Path) -> tuple[Path, Path]:
    """Each kind of cut model with a graph that prepares frames, and the same with one that decodes masks, too."""
    made = model_of(request.param)
    for folder in ("prepares", "decodes"):
        (tmp_path / folder).mkdir()
        for part in cut_yolo.PARTS:
            shutil.copy(made.cut.with_suffix(f"{part}.onnx"), tmp_path / folder)
        save_helpers(tmp_path / folder / made.cut.name)
    (tmp_path / "prepares" / "small.decode.onnx").unlink()
    return tmp_path / "prepares" / made.cut.name, tmp_path / "decodes" / made.cut.name


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The transfers from now on: the runtime's sessions are as on a device."""
    return as_on_device(monkeypatch)


def _pipeline(path: Path, **options: Any) -> Pipeline:
    return Pipeline(path, backend="onnxruntime", imgsz=192, conf=0.3, **options)


def _expected(model: Model, count: int, **options: Any) -> list[Result]:
    """The results of the dense graph on the host; made before the sessions are as on a device."""
    pipe = _pipeline(model.dense, **options)
    return [pipe(frame(seed)) for seed in range(count)]


@pytest.mark.parametrize("compute", ["auto", "sparse"])
def test_masks_are_decoded_on_the_device(
    with_helpers: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, compute: Any
) -> None:
    host = _pipeline(with_helpers[0], frames_on_device=True)
    expected = [host(frame(seed)) for seed in range(3)]
    log = as_on_device(monkeypatch)
    pipe = _pipeline(with_helpers[1], compute=compute)
    pipe(frame(3)).masks()  # uploads what depends on the size of the frame only
    for seed in range(3):
        log.clear()
        result = pipe(frame(seed))
        assert [line for line in log if line.startswith("uploaded")] == ["uploaded (180, 320, 3)"]
        result.masks()
        fetched = [line for line in log if line.startswith("fetched")]
        packed = [line for line in fetched if line.endswith(", 180, 40)")]  # several runs of a few masks each
        assert sum(int(line.removeprefix("fetched (").partition(",")[0]) for line in packed) == len(result) > 5
        maps = [line for line in fetched if line.startswith("fetched (1, ")]
        assert not [line for line in maps if line.endswith((FEATURES, PROTOTYPES))]
        assert not [line for line in log if line.startswith("sent (1, ") and line.endswith(FEATURES)]
        np.testing.assert_array_equal(result.class_ids, expected[seed].class_ids)
        np.testing.assert_allclose(result.boxes, expected[seed].boxes, atol=1e-3)
        np.testing.assert_array_equal(result.masks(), expected[seed].masks())


def test_masks_are_decoded_on_the_host_without_a_decode_graph(
    any_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _expected(any_model, 2)
    log = as_on_device(monkeypatch)
    pipe = _pipeline(any_model.cut)
    for seed in range(2):
        result = pipe(frame(seed))
        result.masks()
        assert not [line for line in log if line.startswith("fetched (1, ") and line.endswith(FEATURES)]
        same_result(result, expected[seed])


@pytest.mark.parametrize("prompts", [[], ["class 2"]])
def test_earlier_results_survive_the_next_runs(
    model: Model, monkeypatch: pytest.MonkeyPatch, prompts: list[str]
) -> None:
    expected = _expected(model, 6, prompts=prompts)
    log = as_on_device(monkeypatch)
    pipe = _pipeline(model.cut, prompts=prompts)
    results = [pipe(frame(0))]
    assert not [line for line in log if line.startswith("owned")]
    (masks,) = sparse_decoder(pipe.segmenter).earlier
    sparse_decoder(pipe.segmenter).max_feature_bytes = 3 * masks.kept_bytes
    del masks
    results += [pipe(frame(seed)) for seed in range(1, 6)]
    assert len([line for line in log if line.startswith("owned")]) == 5 * 2  # the features of two levels
    assert len(list(sparse_decoder(pipe.segmenter).earlier)) == 4
    pipe.close()
    for found, wanted in zip(results, expected, strict=True):
        same_result(found, wanted)


def test_dropped_results_cost_no_copies(model: Model, log: list[str]) -> None:
    pipe = _pipeline(model.cut)
    for seed in range(4):
        pipe(frame(seed))
    assert not [line for line in log if line.startswith("owned")]


def test_masks_move_to_the_host_when_the_device_is_full(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FakeDeviceArray) -> DeviceArray:
        raise GpuError("far", "allocating", "out of memory")

    expected = _expected(model, 3)
    as_on_device(monkeypatch)
    monkeypatch.setattr(FakeDeviceArray, "copy_owned", full)
    pipe = _pipeline(model.cut)
    for found, wanted in zip([pipe(frame(seed)) for seed in range(3)], expected, strict=True):
        same_result(found, wanted)


def test_threads_without_helper_graphs_take_turns(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _expected(model, 4)
    as_on_device(monkeypatch)
    pipe = _pipeline(model.cut)

    def work(index: int) -> None:
        for _ in range(4):
            same_result(pipe(frame(index)), expected[index])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_a_run_waits_while_another_frame_s_prototypes_are_on_the_device(model: Model, log: list[str]) -> None:
    pipe = _pipeline(model.cut)
    result = pipe(frame())
    (masks,) = sparse_decoder(pipe.segmenter).earlier
    assert isinstance(masks, SparseMasks)
    head: MaskHead = masks._head
    features, anchors = masks._features, np.arange(3)
    assert features is not None
    with head.run_on_device(features, anchors) as (_, prototypes):
        before = prototypes.to_host()
        other = threading.Thread(target=head.run, args=(features, anchors, None), daemon=True)
        other.start()
        other.join(0.2)
        np.testing.assert_array_equal(prototypes.to_host(), before)
        assert before.any()
    other.join(60)
    assert not other.is_alive()
    assert len(result)
