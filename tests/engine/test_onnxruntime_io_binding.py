"""Test ONNX Runtime with arrays bound to a device: on the CPU, and on a GPU if there is one (marked `gpu`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.backends import all_backends
from fastsam_engine.backends.onnxruntime import backend as backend_module
from fastsam_engine.backends.onnxruntime.backend import open_bound
from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.backends.onnxruntime.io_binding import OnnxRuntimeBoundSession, OrtDeviceArray
from fastsam_engine.device_array import HostArray
from fastsam_engine.errors import (
    GpuError,
    InputMismatchError,
    ModelFileError,
    OperatorFallbackError,
)
from fastsam_engine.graph.onnx_graph import read_graph
from fastsam_engine.session import OpenOptions
from fastsam_engine.spec.model_input import FeatureInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from support import colour_models

onnxruntime = pytest.importorskip("onnxruntime")

_SPEC = colour_models.segmenter_spec()


def _bound(graph: Path, **options: bool) -> OnnxRuntimeBoundSession:
    """The session that GPUs get, on the CPU."""
    return open_bound(graph, read_spec(graph), Device("cpu"), "fp32", OpenOptions(**options))


def _pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def test_bound_runs_equal_plain_ones_at_every_size() -> None:
    session, plain = _bound(find_graph("colours")), open_session(find_graph("colours"), "onnxruntime", "cpu")
    for seed, shape in enumerate([(1, 3, 256, 256), (1, 3, 128, 256), (2, 3, 256, 64), (1, 3, 256, 256)]):
        picture = _pictures(*shape, seed=seed)
        found, expected = session.run({"images": picture}), plain.run({"images": picture})
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-6)


def test_bound_runs_equal_plain_ones_at_every_batch() -> None:
    graph = find_graph("clip-colours", "image")
    session, plain = _bound(graph), open_session(graph, "onnxruntime", "cpu")
    for count in (5, 1, 16, 5):
        batch = _pictures(count, 3, 32, 32, seed=count)[:, :, ::-1]  # not contiguous
        np.testing.assert_array_equal(
            session.run({"pixel_values": batch})["image_embeds"], plain.run({"pixel_values": batch})["image_embeds"]
        )


def test_bound_outputs_are_the_callers_to_keep() -> None:
    for graph, shape in (
        (find_graph("colours"), (1, 3, 64, 64)),
        (find_graph("clip-colours", "image"), (2, 3, 32, 32)),
    ):
        for cuda_graph in (False, True):
            session = _bound(graph, cuda_graph=cuda_graph)
            (name,) = session.spec.input_names
            runs = [session.run({name: _pictures(*shape, seed=seed)}) for seed in range(4)]
            kept = [{key: array.copy() for key, array in run.items()} for run in runs]
            session.run({name: np.zeros(shape, np.float32)})
            for run, before in zip(runs, kept, strict=True):
                for key, array in run.items():
                    np.testing.assert_array_equal(array, before[key])


def test_a_graph_of_any_size_is_opened_once_a_shape_with_every_axis_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, int]] = []
    real = backend_module._load
    monkeypatch.setattr(backend_module, "_load", lambda *args: (opened.append(dict(args[3])), real(*args))[1])
    session = _bound(find_graph("colours"))
    assert opened == [{"n": 1, "h": 256, "w": 256}]
    sides = [32 * each for each in range(1, 13)]
    for side in (256, *sides, *sides, 416, 32):
        session.run({"images": _pictures(1, 3, side, 32)})
    heights = [each["h"] for each in opened[1:]]
    new = [side for side in sides if side != 256]  # 256 x 32 was there
    assert heights == [256, *new, 416, 32]  # twelve are kept, of which 32 x 32 fell out
    opened.clear()
    batches = _bound(find_graph("clip-colours", "image"))
    for count in (1, 2, 3):
        batches.run({"pixel_values": _pictures(count, 3, 32, 32)})
    assert opened == [{}]


def test_axes_without_names_stay_as_they_are(tmp_path: Path) -> None:
    graph = colour_models.segmenter_graph()
    for at in (0, 2, 3):
        graph.input[0].type.tensor_type.shape.dim[at].Clear()
    path = colour_models.save(graph, tmp_path / "unnamed.onnx", _SPEC)
    assert read_graph(path).input_axes == {"images": ("", 3, "", "")}
    session, plain = _bound(path), open_session(path, "onnxruntime", "cpu")
    for shape in ((1, 3, 64, 64), (2, 3, 64, 96)):
        found, expected = (each.run({"images": _pictures(*shape)}) for each in (session, plain))
        np.testing.assert_allclose(found["output0"], expected["output0"], atol=1e-6)


def test_the_axes_of_inputs_are_read_as_onnx_reads_them() -> None:
    for graph in (find_graph("colours"), find_graph("clip-colours", "image"), find_graph("clip-colours", "text")):
        inputs = onnx.load(str(graph)).graph.input
        expected = {
            each.name: tuple(dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim)
            for each in inputs
        }
        assert read_graph(graph).input_axes == expected


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    """A graph that takes what the colours' image tower gives, twice."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["image_embeds", "more"], ["sum"])],
        "doubler",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["K", 4]) for name in ("image_embeds", "more")],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["K", 4])],
    )
    taken = FeatureInput(("image_embeds", "more"), ("K 4", "K 4"))
    spec = ModelSpec("doubler", "none", "masks", taken, (Output("sum", "sum", "K 4"),))
    return colour_models.save(graph, tmp_path / "doubler.onnx", spec)


def test_an_output_that_is_kept_feeds_another_session_without_a_copy(
    doubler: Path, bound_inputs: list[tuple[str, int]]
) -> None:
    tower, head = _bound(find_graph("clip-colours", "image")), _bound(doubler)
    pictures = _pictures(3, 3, 32, 32)
    fetched, kept = tower.run_kept({"pixel_values": pictures}, ["image_embeds"])
    embeds: Any = kept["image_embeds"]
    assert fetched == {}
    assert type(embeds) is OrtDeviceArray
    assert (embeds.memory, embeds.shape, embeds.dtype) == (head.memory, (3, 4), np.float32)
    more: Any = head.upload(np.ones((3, 4), np.float32))
    for _ in range(2):
        bound_inputs.clear()
        found = head.run({"image_embeds": embeds.to_host(), "more": np.ones((3, 4), np.float32)})["sum"]
        assert {address for _, address in bound_inputs}.isdisjoint({embeds.value.data_ptr(), more.value.data_ptr()})
        bound_inputs.clear()
        summed, _ = head.run_kept({"image_embeds": embeds, "more": more}, [])
        assert dict(bound_inputs) == {"image_embeds": embeds.value.data_ptr(), "more": more.value.data_ptr()}
        np.testing.assert_array_equal(summed["sum"], found)
        np.testing.assert_array_equal(found, embeds.to_host() + 1)


@pytest.mark.parametrize(
    "rows", [np.arange(12.0, dtype=np.float32).reshape(4, 3).T, np.arange(24.0).reshape(3, 8)[:, ::2]]
)
def test_any_layout_in_memory_is_uploaded_as_it_reads(doubler: Path, rows: np.ndarray) -> None:
    array = _bound(doubler).upload(rows)
    np.testing.assert_array_equal(array.to_host(), rows)
    assert (array.shape, array.dtype) == (rows.shape, rows.dtype)


def test_arrays_of_another_place_are_refused(doubler: Path) -> None:
    session = _bound(doubler)
    assert session.memory == "onnxruntime:cpu:0"
    rows = np.ones((3, 4), np.float32)
    elsewhere = OrtDeviceArray(onnxruntime.OrtValue.ortvalue_from_numpy(rows), "onnxruntime:cuda:1")
    for other in (HostArray(rows), elsewhere):
        with pytest.raises(InputMismatchError, match=f"an array in onnxruntime:cpu:0, found one in {other.memory}"):
            session.run_kept({"image_embeds": rows, "more": other}, [])
    with pytest.raises(InputMismatchError, match=r"'more': expected shape \(3 \(K\), 4\)"):
        session.run_kept({"image_embeds": rows, "more": session.upload(rows[:2])}, [])


def test_a_run_that_fails_is_reported_in_one_line(doubler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA failure 2: out of memory\n at somewhere.cc:7")

    session = _bound(doubler)
    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", fail)
    rows = np.ones((3, 4), np.float32)
    with pytest.raises(GpuError, match=r"cpu: running .* failed \(CUDA failure 2: out of memory\); use a") as caught:
        session.run({"image_embeds": rows, "more": rows})
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "odd.onnx", colour_models.clip_specs()[0])
    with pytest.raises(ModelFileError, match=r"its spec names .*pixel_values"):
        _bound(path)


# Recordings: the CPU ignores them, so the options that a GPU would get are counted


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The `gpu_graph_id` of each bound run; None for a run without one."""
    told: list[str | None] = []
    real = onnxruntime.InferenceSession.run_with_iobinding

    def run(self: Any, binding: Any, options: Any = None) -> None:
        told.append(None if options is None else options.get_run_config_entry("gpu_graph_id"))
        real(self, binding, options)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", run)
    return told


def test_without_recordings_nothing_is_reported(runs: list[str | None]) -> None:
    session = _bound(find_graph("clip-colours", "image"))
    for _ in range(3):
        session.run({"pixel_values": _pictures(1, 3, 32, 32)})
    assert runs == [None] * 3


def test_a_shape_is_recorded_when_it_comes_again(runs: list[str | None]) -> None:
    graph = find_graph("clip-colours", "image")
    session, plain = _bound(graph, cuda_graph=True), open_session(graph, "onnxruntime", "cpu")
    for seed, count in enumerate([1, 4, 1, 1, 4, 1]):
        batch = _pictures(count, 3, 32, 32, seed=seed)
        np.testing.assert_array_equal(
            session.run({"pixel_values": batch})["image_embeds"], plain.run({"pixel_values": batch})["image_embeds"]
        )
    assert runs == ["-1", "-1", "1", "1", "2", "1"]


def test_a_recording_keeps_its_addresses_and_takes_arrays_of_the_device_by_a_copy(
    doubler: Path, bound_inputs: list[tuple[str, int]], runs: list[str | None]
) -> None:
    session = _bound(doubler, cuda_graph=True)
    addresses = set()
    for i in range(4):
        rows = np.full((2, 4), i, np.float32)
        bound_inputs.clear()
        _, kept = session.run_kept({"image_embeds": session.upload(rows), "more": rows}, ["sum"])
        np.testing.assert_array_equal(kept["sum"].to_host(), rows * 2)
        assert isinstance(kept["sum"], OrtDeviceArray)
        if runs[-1] == "1":
            addresses.add((kept["sum"].value.data_ptr(), *sorted(bound_inputs)))
    assert runs == ["-1", "1", "1", "1"]
    assert len(addresses) == 1
    # What was kept may be the next run's input: it is copied before it is overwritten.
    fetched, _ = session.run_kept({"image_embeds": kept["sum"], "more": kept["sum"]}, [])
    np.testing.assert_array_equal(fetched["sum"], np.full((2, 4), 12))


def test_recordings_that_are_not_used_are_released_and_their_numbers_not_given_again(
    runs: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[int] = []
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "release_captured_graph", lambda _, graph_id: released.append(graph_id)
    )
    session = _bound(find_graph("clip-colours", "image"), cuda_graph=True)
    for count in (1, 1, *range(2, 14), 1, 1):
        session.run({"pixel_values": _pictures(count, 3, 32, 32)})
    assert runs == ["-1", "1", *["-1"] * 12, "-1", "14"]
    assert released == [1]  # the others that fell out were never recorded


# On a GPU


def _gpu_devices() -> list[str]:
    return [each for each in all_backends()["onnxruntime"].readiness().devices if each != "cpu"]


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "cuda_graph"), [("cuda", False), ("cuda", True), ("tensorrt", False)])
def test_a_gpu_answers_as_the_cpu(kind: str, cuda_graph: bool) -> None:
    if kind not in _gpu_devices():
        pytest.skip(f"no device {kind}: {all_backends()['onnxruntime'].readiness().reason}")
    precision = "fp32" if kind == "cuda" else "auto"
    graph = find_graph("colours")
    session = open_session(graph, "onnxruntime", kind, precision, cuda_graph=cuda_graph)
    plain = open_session(graph, "onnxruntime", "cpu")
    assert session.memory == "onnxruntime:cuda:0"
    for seed, shape in enumerate([(1, 3, 256, 256), (1, 3, 128, 256), (1, 3, 256, 256), (1, 3, 256, 256)]):
        picture = _pictures(*shape, seed=seed)
        found, expected = session.run({"images": picture}), plain.run({"images": picture})
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-4 if kind == "cuda" else 2e-2)


@pytest.mark.gpu
def test_arrays_stay_on_a_gpu(doubler: Path) -> None:
    if not _gpu_devices():
        pytest.skip(all_backends()["onnxruntime"].readiness().reason)
    tower = open_session(find_graph("clip-colours", "image"), "onnxruntime", "cuda", cpu_fallback=True)
    with pytest.raises(OperatorFallbackError, match="LpNormalization"):
        open_session(find_graph("clip-colours", "image"), "onnxruntime", "cuda")
    for cuda_graph in (False, True):
        head = open_session(doubler, "onnxruntime", "cuda", "fp32", cuda_graph=cuda_graph)
        for seed in range(3):
            _, kept = tower.run_kept({"pixel_values": _pictures(2, 3, 32, 32, seed=seed)}, ["image_embeds"])
            embeds = kept["image_embeds"]
            found, _ = head.run_kept({"image_embeds": embeds, "more": embeds}, [])
            np.testing.assert_allclose(found["sum"], embeds.to_host() * 2, atol=1e-6)
