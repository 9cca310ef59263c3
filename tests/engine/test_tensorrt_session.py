"""Test TensorRtSession against ONNX Runtime, on doubles of the GPU and of TensorRT, or on real ones if present."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import itertools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fastsam_engine import gpus as gpus_module
from fastsam_engine import open_session
from fastsam_engine.backends.tensorrt.api import load
from fastsam_engine.backends.tensorrt.cuda_device import CudaDevice
from fastsam_engine.backends.tensorrt.plan_builder import build_plan, known_targets
from fastsam_engine.backends.tensorrt.session import TensorRtSession
from fastsam_engine.device_array import DeviceArray
from fastsam_engine.errors import BackendUnavailableError, ClosedError, GpuError, InputMismatchError, ModelFileError
from fastsam_engine.gpus import Gpu, gpus
from fastsam_engine.plans.build_request import BuildOptions
from fastsam_engine.plans.plan_file import Flavour
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.session import Session
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_engine.spec_reader import read_spec
from support import colour_models
from support.fake_tensorrt import (
    FakeDevice,
    FakeEngine,
    FakeTensorRt,
    _Diagnostics,
    _Graphs,
    _Strategy,
    _Validity,
    make_plan,
)

CROPS = {"pixel_values": ((1, 3, 32, 32), (4, 3, 32, 32))}
PICTURES = {"images": ((1, 3, 32, 32), (4, 3, 256, 256))}
SUMMED = {"H": (8, 8, 64), "W": (8, 8, 64), "K": (1, 3, 5)}
FLAVOURS = {"tensorrt": False, "tensorrt-rtx": True}


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture(params=FLAVOURS)
def api(request: pytest.FixtureRequest, device: FakeDevice) -> FakeTensorRt:
    return FakeTensorRt(device, rtx=FLAVOURS[request.param])


@pytest.fixture
def crops(home: Path) -> Path:
    return home / "models" / "clip-colours" / "clip-colours.image.onnx"


@pytest.fixture
def pictures(home: Path) -> Path:
    return home / "models" / "colours" / "colours.onnx"


@pytest.fixture
def summing(tmp_path: Path) -> Path:
    """A graph that takes prototypes as the segmenter gives them, and coefficients: a mask for each row of these."""
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["output1"], ["flat"], axis=2),
            helper.make_node("Reshape", ["flat", "channels"], ["rows"]),
            helper.make_node("MatMul", ["coefficients", "rows"], ["sums"]),
        ],
        "summing",
        [
            helper.make_tensor_value_info("output1", TensorProto.FLOAT, [1, 32, "h", "w"]),
            helper.make_tensor_value_info("coefficients", TensorProto.FLOAT, ["k", 32]),
        ],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["k", "pixels"])],
        [onnx.numpy_helper.from_array(np.array([32, -1]), "channels")],
    )
    taken = ArraysInput(("output1", "coefficients"), ("1 32 H W", "K 32"), ("float32", "float32"), SUMMED)
    spec = ModelSpec("summing", "none", "decode", taken, (Output("sums", "masks", "K P"),))
    return colour_models.save(graph, tmp_path / "summing.onnx", spec)


SUMMING = {"output1": ((1, 32, 8, 8), (1, 32, 64, 64)), "coefficients": ((1, 32), (50, 32))}


def _open(api: Any, graph: Path, *profiles: Any, spec: ModelSpec | None = None, **options: Any) -> Any:
    keywords = {
        name: options.pop(name)
        for name in ("cuda_graphs", "sizes_kept", "batches_kept", "kernels", "keep_kernels", "halves")
        if name in options
    }
    plan = make_plan(graph, *profiles, **options)
    flavour: Flavour = "tensorrt-rtx" if api.rtx else "tensorrt"
    return TensorRtSession(
        graph.with_suffix(".plan"), spec or read_spec(graph), flavour, api, plan, api.device, "fp32", **keywords
    )


def _random(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def _same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_batches_in_any_order_are_as_onnxruntime_has_them(api: FakeTensorRt, crops: Path, cuda_graphs: bool) -> None:
    session, reference = _open(api, crops, CROPS, cuda_graphs=cuda_graphs), open_session(crops, "onnxruntime")
    assert (session.backend, session.device, session.precision) == (
        "tensorrt-rtx" if api.rtx else "tensorrt", "cuda:0", "fp32"
    )  # fmt: skip
    for seed, batch in enumerate([1, 3, 1, 2, 3, 1, 2, 4]):
        inputs = {"pixel_values": _random((batch, 3, 32, 32), seed)}
        _same(session.run(inputs), reference.run(inputs))
    captured = cuda_graphs and not api.rtx
    assert api.device.captures == (3 if captured else 0), "every batch that came back, once"
    assert api.device.launches == (4 if captured else 0)
    assert len(api.contexts) == 4, "one a batch"


def test_what_comes_back_allocates_nothing(api: FakeTensorRt, crops: Path) -> None:
    session = _open(api, crops, CROPS)
    for batch in (1, 2):
        session.run({"pixel_values": _random((batch, 3, 32, 32))})
    before = api.device.allocations
    for seed in range(6):
        session.run({"pixel_values": _random((1 + seed % 2, 3, 32, 32), seed)})
    assert api.device.allocations == before


def test_working_memory_is_as_large_as_shapes_need(
    api: FakeTensorRt, crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEngine, "working_bytes", staticmethod(lambda shapes: 800 * shapes["pixel_values"][0]))
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    sizes, allocate = list[int](), api.device.allocate
    monkeypatch.setattr(
        type(api.device), "allocate", lambda _, nbytes: sizes.append(nbytes) or allocate(nbytes), raising=True
    )
    for seed, batch in enumerate([1, 1, 2, 3, 4, 1, 3]):
        inputs = {"pixel_values": _random((batch, 3, 32, 32), seed)}
        _same(session.run(inputs), reference.run(inputs))
    tensors = {4 * batch * each for batch in (1, 2, 3, 4) for each in (3 * 32 * 32, 4)}
    assert [size for size in sizes if size not in tensors] == [800, 1600, 3200]


def test_picture_sizes_in_any_order_are_as_onnxruntime_has_them(api: FakeTensorRt, pictures: Path) -> None:
    session, reference = _open(api, pictures, PICTURES), open_session(pictures, "onnxruntime")
    sizes = [(256, 256), (160, 256), (256, 256), (32, 64), (160, 256), (64, 32), (256, 256)]
    for seed, size in enumerate(sizes):
        inputs = {"images": _random((1 + seed % 2, 3, *size), seed)}
        _same(session.run(inputs), reference.run(inputs))


def test_outputs_are_the_callers_to_keep(api: FakeTensorRt, crops: Path) -> None:
    session = _open(api, crops, CROPS)
    first = session.run({"pixel_values": _random((2, 3, 32, 32), 1)})["image_embeds"]
    was = first.copy()
    second = session.run({"pixel_values": _random((2, 3, 32, 32), 2)})["image_embeds"]
    assert not np.array_equal(second, was)
    np.testing.assert_array_equal(first, was)
    first.fill(0)
    np.testing.assert_array_equal(session.run({"pixel_values": _random((2, 3, 32, 32), 1)})["image_embeds"], was)


def test_kept_outputs_feed_another_session_without_the_host(api: FakeTensorRt, pictures: Path, summing: Path) -> None:
    segmenter, masks = _open(api, pictures, PICTURES), _open(api, summing, SUMMING)
    references = open_session(pictures, "onnxruntime"), open_session(summing, "onnxruntime")
    for seed, (size, count) in enumerate([((256, 256), 4), ((64, 128), 1), ((256, 256), 4), ((256, 256), 9)]):
        picture, rows = {"images": _random((1, 3, *size), seed)}, _random((count, 32), seed + 100)
        fetched, kept = segmenter.run_kept(picture, ["output1"])
        assert fetched.keys() == {"output0"}
        assert (kept["output1"].memory, kept["output1"].dtype) == (masks.memory, np.float32)
        found = masks.run_kept({"output1": kept["output1"], "coefficients": rows}, [])[0]
        whole = references[0].run(picture)
        _same(fetched, {"output0": whole["output0"]})
        np.testing.assert_array_equal(kept["output1"].to_host(), whole["output1"])
        _same(found, references[1].run({"output1": whole["output1"], "coefficients": rows}))


def test_a_run_that_keeps_everything_is_not_overtaken_by_the_next(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    inputs = [{"pixel_values": _random((2, 3, 32, 32), seed)} for seed in range(4)]
    waited = []
    for each in inputs:  # nothing waits for a run here, save the next one, whose input goes the same way
        _, kept = session.run_kept(each, ["image_embeds"])
        waited.append(kept["image_embeds"])
    np.testing.assert_array_equal(waited[-1].to_host(), reference.run(inputs[-1])["image_embeds"])


def test_a_run_does_not_overtake_what_another_session_makes_of_the_last_one(
    api: FakeTensorRt, pictures: Path, summing: Path
) -> None:
    segmenter, masks = _open(api, pictures, PICTURES), _open(api, summing, SUMMING)
    references = open_session(pictures, "onnxruntime"), open_session(summing, "onnxruntime")
    rows = _random((3, 32))
    given = [{"images": _random((1, 3, 64, 64), seed)} for seed in range(3)]
    for first, second in itertools.pairwise(given):  # none of these waits for what it queues
        _, kept = segmenter.run_kept(first, ["output0", "output1"])
        _, sums = masks.run_kept({"output1": kept["output1"], "coefficients": rows}, ["sums"])
        segmenter.run_kept(second, ["output0", "output1"])
        prototypes = references[0].run(first)["output1"]
        expected = references[1].run({"output1": prototypes, "coefficients": rows})["sums"]
        np.testing.assert_array_equal(sums["sums"].to_host(), expected)


def test_what_is_given_may_change_after_the_call(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    given = _random((2, 3, 32, 32))
    expected = reference.run({"pixel_values": given})["image_embeds"]
    _, kept = session.run_kept({"pixel_values": given}, ["image_embeds"])
    given.fill(0)
    np.testing.assert_array_equal(kept["image_embeds"].to_host(), expected)


def test_uploaded_arrays_serve_many_runs(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    strided = _random((3, 32, 32, 3)).transpose(0, 3, 1, 2)
    there = session.upload(strided)
    session.upload(_random((1, 3, 32, 32)))  # what is not kept disturbs nothing
    assert (there.memory, there.shape, there.dtype) == (session.memory, (3, 3, 32, 32), np.float32)
    for _ in range(3):
        _same(session.run_kept({"pixel_values": there}, [])[0], reference.run({"pixel_values": strided}))
    np.testing.assert_array_equal(there.to_host(), strided)
    before = len(api.device.live)
    del there
    gc.collect()
    api.device.run_queue()
    assert len(api.device.live) == before - 1


class _Foreign(DeviceArray):
    shape, dtype = (1, 3, 32, 32), np.dtype(np.float32)

    def __init__(self, place: str) -> None:
        self.memory = place

    def to_host(self) -> np.ndarray:
        return _random(self.shape, 7)

    def copy_owned(self) -> DeviceArray:
        return self


def test_arrays_of_another_kind_or_queue(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    found = session.run_kept({"pixel_values": _Foreign(session.memory)}, [])[0]
    _same(found, reference.run({"pixel_values": _random((1, 3, 32, 32), 7)}))
    other = _open(FakeTensorRt(FakeDevice(stream=9), rtx=api.rtx), crops, CROPS)
    with pytest.raises(InputMismatchError, match=r"an array in .* stream 0x5, found one in .* stream 0x9"):
        session.run_kept({"pixel_values": other.upload(_random((1, 3, 32, 32)))}, [])


def test_an_output_of_its_own_comes_back_as_input_though_its_memory_is_given_up(
    api: FakeTensorRt, tmp_path: Path
) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["rows", "one"], ["more"]),
            helper.make_node("Concat", ["more", "rows"], ["longer"], axis=0),
        ],
        "growing",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("longer", TensorProto.FLOAT, ["m", 2])],
        [onnx.numpy_helper.from_array(np.float32(1), "one")],
    )
    rows = ArraysInput(("rows",), ("N 2",), ("float32",), {"N": (1, 1, 8)})
    spec = ModelSpec("growing", "none", "decode", rows, (Output("longer", "x", "M 2"),))
    path = colour_models.save(graph, tmp_path / "growing.onnx", spec)
    session = _open(api, path, {"rows": ((1, 2), (16, 2))}, batches_kept=1)
    rows = session.upload(np.zeros((1, 2), np.float32))
    for _ in range(4):
        _, kept = session.run_kept({"rows": rows}, ["longer"])
        rows = kept["longer"]
    ones = [(15 - n).bit_count() for n in range(16)]
    np.testing.assert_array_equal(rows.to_host(), np.repeat(np.array(ones, np.float32)[:, None], 2, 1))


@pytest.mark.parametrize("plan", [b"nothing of the kind", None])
def test_a_plan_that_is_refused(api: Any, crops: Path, plan: bytes | None) -> None:
    plan = plan or make_plan(crops, CROPS, version="0.9")
    why = r"\(IRuntime::deserializeCudaEngine: Error Code .*\); build it again"
    with pytest.raises(ModelFileError, match=rf"^[^\n]* {api.__name__} 1\.0 can't load .* cuda:0 .*{why}[^\n]*$"):
        TensorRtSession(crops, read_spec(crops), "tensorrt", api, plan, api.device, "fp32")


@pytest.mark.parametrize(
    ("diagnostics", "found"),
    [
        (_Diagnostics.VERSION_MISMATCH, "another version of TensorRT-RTX"),
        (_Diagnostics.UNSUPPORTED_CC | _Diagnostics.OLD_CUDA_DRIVER, "compute capability, and the GPU's driver is too"),
        (_Diagnostics.MALFORMED_ENGINE, "cut short"),
        (0, "TensorRT gave no reason"),
    ],
)
def test_rtx_says_why_it_refuses_a_plan(device: FakeDevice, crops: Path, diagnostics: int, found: str) -> None:
    api = FakeTensorRt(device, rtx=True)
    api.diagnosis = _Validity.INVALID, diagnostics
    with pytest.raises(ModelFileError, match=rf"{found}.*fastsam-trt build MODEL"):
        _open(api, crops, CROPS)


def test_a_plan_that_is_slower_here_than_it_could_be_is_reported(
    device: FakeDevice, crops: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = FakeTensorRt(device, rtx=True)
    api.diagnosis = _Validity.SUBOPTIMAL, 0
    with caplog.at_level(logging.INFO, "fastsam_engine.backends.tensorrt"):
        _open(api, crops, CROPS)
    assert "slower than one built on this machine" in caplog.text


def test_rtx_makes_its_own_graphs_and_shares_its_kernels(device: FakeDevice, crops: Path) -> None:
    api = FakeTensorRt(device, rtx=True)
    session = _open(api, crops, CROPS, kernels=b"earlier")
    for batch in (1, 2, 1, 2):
        session.run({"pixel_values": _random((batch, 3, 32, 32))})
    (config,) = api.configs
    assert config.cuda_graph_strategy is _Graphs.WHOLE_GRAPH_CAPTURE
    assert config.allocation is _Strategy.USER_MANAGED
    assert session.kernels().startswith(b"earlier+")
    assert session.kernels().count(b"+") == 2, "for two shapes"
    _open(api, crops, CROPS, cuda_graphs=False)
    assert api.configs[1].cuda_graph_strategy is _Graphs.DISABLED
    assert _open(FakeTensorRt(device), crops, CROPS).kernels() == b""


@pytest.mark.parametrize("how", ["close", "drop", "many runs", "exit"])
def test_rtx_stores_the_kernels_that_it_compiled(device: FakeDevice, crops: Path, how: str) -> None:
    api, stored = FakeTensorRt(device, rtx=True), list[bytes]()
    session = _open(api, crops, CROPS, keep_kernels=stored.append)
    inputs = {"pixel_values": _random((1, 3, 32, 32))}
    for _ in range(10):
        session.run(inputs)
    assert not stored, "not while frames come"
    if how == "many runs":
        for _ in range(100):
            session.run(inputs)
    elif how == "exit":
        session._finalizer()  # as weakref does at the interpreter's exit
    elif how == "close":
        session.close()
    else:
        del session
        gc.collect()
    assert len(stored) == 1
    assert stored[0].count(b"+") == 1
    later = _open(api, crops, CROPS, keep_kernels=stored.append, kernels=stored[0])
    later.run(inputs)
    later.close()
    assert len(stored) == 1, "there are no more of them"
    later = _open(api, crops, CROPS, keep_kernels=stored.append, kernels=stored[0])
    later.run({"pixel_values": _random((2, 3, 32, 32))})
    later.close()
    assert stored[1].startswith(stored[0])
    assert not device.broken


def test_kernels_that_cannot_be_stored_are_no_error(
    device: FakeDevice, crops: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full(kernels: bytes) -> None:
        raise OSError(28, "No space left on device")

    session = _open(FakeTensorRt(device, rtx=True), crops, CROPS, keep_kernels=full)
    session.run({"pixel_values": _random((1, 3, 32, 32))})
    with caplog.at_level(logging.INFO, "fastsam_engine.backends.tensorrt"):
        session.close()
    assert "can't be stored: [Errno 28] No space left" in caplog.text


def test_shapes_outside_the_profiles_are_refused_with_their_range(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    found = r"'pixel_values': expected shape \(1, 3, 32, 32\) to \(4, 3, 32, 32\), .* found \(5, 3, 32, 32\)"
    with pytest.raises(InputMismatchError, match=found):
        session.run({"pixel_values": _random((5, 3, 32, 32))})
    inputs = {"pixel_values": _random((4, 3, 32, 32))}
    _same(session.run(inputs), reference.run(inputs))
    one = {"pixel_values": ((1, 3, 32, 32), (1, 3, 32, 32))}
    many = {"pixel_values": ((2, 3, 32, 32), (8, 3, 32, 32))}
    session = _open(api, crops, one, many)
    for batch in (1, 8, 3, 1):
        inputs = {"pixel_values": _random((batch, 3, 32, 32))}
        _same(session.run(inputs), reference.run(inputs))
    with pytest.raises(InputMismatchError, match=r"\(1, 3, 32, 32\) or \(2, 3, 32, 32\) to \(8, 3, 32, 32\)"):
        session.run({"pixel_values": _random((9, 3, 32, 32))})


def test_shapes_that_no_one_profile_serves_together_are_refused(api: FakeTensorRt, summing: Path) -> None:
    small = {"output1": ((1, 32, 8, 8), (1, 32, 8, 8)), "coefficients": ((1, 32), (2, 32))}
    large = {"output1": ((1, 32, 16, 16), (1, 32, 16, 16)), "coefficients": ((3, 32), (9, 32))}
    session = _open(api, summing, small, large)
    inputs = {"output1": _random((1, 32, 16, 16)), "coefficients": _random((2, 32))}
    with pytest.raises(InputMismatchError, match="one profile of the plan"):
        session.run(inputs)
    inputs["coefficients"] = _random((3, 32))
    _same(session.run(inputs), open_session(summing, "onnxruntime").run(inputs))


def test_work_that_cannot_be_queued_is_an_error_and_the_next_run_goes_on(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS, cuda_graphs=False), open_session(crops, "onnxruntime")
    inputs = {"pixel_values": _random((2, 3, 32, 32), 1)}
    session.run(inputs)
    api.broken.add("execute")
    with pytest.raises(
        GpuError, match=r"cuda:0: queueing a plan's work failed \(IExec.*cudaError 700\)\); .* --backend onnxruntime"
    ):
        session.run({"pixel_values": _random((2, 3, 32, 32), 2)})
    api.broken.clear()
    _same(session.run(inputs), reference.run(inputs))


@pytest.mark.parametrize(
    ("broken", "found"),
    [("address", "binding 'pixel_values' .*not aligned"), ("context", "making a context .*Requested size was 7 bytes")],
)
def test_what_tensorrt_will_not_do_is_an_error_and_leaks_nothing(
    api: FakeTensorRt, crops: Path, broken: str, found: str
) -> None:
    session = _open(api, crops, CROPS)
    api.broken.add(broken)
    with pytest.raises(GpuError, match=found):
        session.run({"pixel_values": _random((2, 3, 32, 32))})
    session.close()
    gc.collect()
    api.device.run_queue()
    assert not api.device.live
    assert not api.device.broken


def test_too_little_memory_is_an_error_and_leaks_nothing(api: FakeTensorRt, pictures: Path) -> None:
    session = _open(api, pictures, PICTURES)
    api.device.free_bytes = 4096  # for the working memory, though for no picture
    with pytest.raises(GpuError, match="out of memory"):
        session.run({"images": _random((1, 3, 64, 64))})
    api.device.free_bytes = None
    session.run({"images": _random((1, 3, 64, 64))})
    session.close()
    gc.collect()
    api.device.run_queue()
    assert not api.device.live
    assert not api.device.pinned


def test_without_graphs_where_capture_fails(device: FakeDevice, crops: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = FakeTensorRt(device)
    api.broken.add("capture")
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    with caplog.at_level(logging.INFO, "fastsam_engine.backends.tensorrt"):
        for seed, batch in enumerate([1, 1, 2, 2, 1, 2]):
            inputs = {"pixel_values": _random((batch, 3, 32, 32), seed)}
            _same(session.run(inputs), reference.run(inputs))
    told = [record for record in caplog.records if "without CUDA graphs" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO]
    assert device.captures == device.launches == 0


def test_shapes_that_go_out_of_use_give_their_memory_back(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS, batches_kept=2), open_session(crops, "onnxruntime")
    most = 0
    for seed, batch in enumerate([1, 1, 2, 2, 3, 3, 4, 4, 1, 1, 3, 2, 1, 4]):
        inputs = {"pixel_values": _random((batch, 3, 32, 32), seed)}
        _same(session.run(inputs), reference.run(inputs))
        api.device.run_queue()
        most = max(most, len(api.device.live))
        assert len(api.device.pinned) <= 4
        assert api.device.graphs <= 2
    assert most == 5, "the working memory, and two tensors for each of two shapes"
    session.close()
    assert not api.device.pinned
    api.device.run_queue()
    assert not api.device.live
    assert not api.device.graphs
    assert not api.device.broken


def test_sizes_that_go_out_of_use_go_with_all_their_batches(api: FakeTensorRt, pictures: Path) -> None:
    session, reference = _open(api, pictures, PICTURES, sizes_kept=2), open_session(pictures, "onnxruntime")
    made = 0
    for seed, (batch, side, new) in enumerate(
        [(1, 64, True), (2, 64, True), (1, 96, True), (1, 64, False), (2, 64, False), (1, 128, True), (2, 64, False),
         (1, 96, True), (1, 128, True)]
    ):  # fmt: skip
        inputs = {"images": _random((batch, 3, side, side), seed)}
        _same(session.run(inputs), reference.run(inputs))
        made += new
        assert len(api.contexts) == made
    assert not api.device.broken


def test_a_closed_session_is_no_longer_used(api: FakeTensorRt, crops: Path) -> None:
    session = _open(api, crops, CROPS)
    there = session.upload(_random((1, 3, 32, 32)))
    session.run_kept({"pixel_values": there}, ["image_embeds"])
    session.close()
    session.close()
    for use in (
        lambda: session.run({"pixel_values": _random((1, 3, 32, 32))}),
        lambda: session.run_kept({"pixel_values": there}, []),
        lambda: session.upload(_random((1,))),
        lambda: session.warm([{"pixel_values": (1, 3, 32, 32)}]),
        session.kernels,
    ):
        with pytest.raises(ClosedError, match="the session of clip-colours"):
            use()
    assert there.to_host().shape == (1, 3, 32, 32), "arrays are their holders'"
    assert not api.device.broken


def test_the_shape_that_was_used_last_is_the_last_to_go(api: FakeTensorRt, crops: Path) -> None:
    session = _open(api, crops, CROPS, batches_kept=2)
    for batch in (1, 2, 1, 3, 1):
        session.run({"pixel_values": _random((batch, 3, 32, 32))})
    assert [context.shapes["pixel_values"][0] for context in api.contexts] == [1, 2, 3]


def test_what_was_left_on_the_gpu_outlives_the_session(api: FakeTensorRt, crops: Path) -> None:
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    inputs = {"pixel_values": _random((2, 3, 32, 32))}
    kept = session.run_kept(inputs, ["image_embeds"])[1]["image_embeds"]
    session.close()
    del session
    gc.collect()
    np.testing.assert_array_equal(kept.to_host(), reference.run(inputs)["image_embeds"])


@pytest.mark.parametrize("keep", [[], ["image_embeds"]])
def test_a_session_that_is_dropped_gives_its_memory_back(api: FakeTensorRt, crops: Path, keep: list[str]) -> None:
    session = _open(api, crops, CROPS)
    for batch in (1, 1, 2):
        session.run_kept({"pixel_values": _random((batch, 3, 32, 32))}, keep)
    assert api.device.live
    del session
    gc.collect()
    assert not api.device.pinned, "without a later use of the GPU"
    api.device.run_queue()
    assert not api.device.live
    assert not api.device.graphs
    assert not api.device.broken


def test_a_session_that_is_dropped_while_another_captures(
    device: FakeDevice, crops: Path, summing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its threads drop, or garbage collection finds, while another thread captures on the shared stream."""
    api = FakeTensorRt(device)
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    held: list[Any] = [session.upload(_random((1, 3, 32, 32))), _open(api, crops, CROPS)]
    held[1].run_kept({"pixel_values": held[0]}, ["image_embeds"])
    inputs = {"pixel_values": _random((2, 3, 32, 32))}
    session.run(inputs)
    capture = device.capture

    def drop_meanwhile(work: Any) -> Any:
        def work_and_drop() -> None:
            work()
            thread = threading.Thread(target=held.clear)
            thread.start()
            thread.join()
            gc.collect()

        return capture(work_and_drop)

    monkeypatch.setattr(device, "capture", drop_meanwhile)
    for _ in range(3):
        _same(session.run(inputs), reference.run(inputs))
    device.run_queue()
    assert not held
    assert not device.broken
    assert (device.captures, device.launches) == (1, 3)
    assert len(device.live) == 3, "working memory, and two tensors"


def test_a_capture_that_breaks_off_once_is_tried_again(device: FakeDevice, crops: Path) -> None:
    api = FakeTensorRt(device)
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    inputs = {"pixel_values": _random((2, 3, 32, 32))}
    session.run(inputs)
    api.broken.add("capture")
    _same(session.run(inputs), reference.run(inputs))
    api.broken.clear()
    for _ in range(2):
        _same(session.run(inputs), reference.run(inputs))
    assert (device.captures, device.launches) == (1, 2)


def test_warming_makes_the_largest_first_and_leaves_nothing_to_do(device: FakeDevice, crops: Path) -> None:
    api = FakeTensorRt(device)
    session, reference = _open(api, crops, CROPS), open_session(crops, "onnxruntime")
    session.warm([{"pixel_values": (batch, 3, 32, 32)} for batch in (1, 4, 2)])
    assert [context.shapes["pixel_values"][0] for context in api.contexts] == [4, 2, 1]
    assert device.captures == 3
    for seed, batch in enumerate([2, 1, 4, 2]):
        inputs = {"pixel_values": _random((batch, 3, 32, 32), seed)}
        _same(session.run(inputs), reference.run(inputs))
    assert (device.captures, len(api.contexts), device.launches) == (3, 3, 3 + 4)
    with pytest.raises(InputMismatchError, match="as the plan was built for"):
        session.warm([{"pixel_values": (5, 3, 32, 32)}])
    with pytest.raises(InputMismatchError, match="expected this one input, found crops"):
        session.warm([{"crops": (1, 3, 32, 32)}])


def test_inputs_of_another_tools_plan_are_rounded_on_the_way(api: FakeTensorRt, crops: Path) -> None:
    halves = {"pixel_values": "float16", "image_embeds": "float16"}
    session, reference = _open(api, crops, CROPS, dtypes=halves, halves=True), open_session(crops, "onnxruntime")
    given = _random((2, 3, 32, 32))
    found = session.run({"pixel_values": given})["image_embeds"]
    rounded = given.astype(np.float16).astype(np.float32)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, reference.run({"pixel_values": rounded})["image_embeds"].astype(np.float16))
    with pytest.raises(InputMismatchError, match=r"'pixel_values': expected float16, as the plan .* found float32"):
        session.run_kept({"pixel_values": session.upload(given)}, [])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shape_inputs": ("pixel_values",)}, "no tensor that determines shapes, found 'pixel_values'"),
        ({"dtypes": {"image_embeds": "bfloat16"}}, "'image_embeds' is bfloat16, which numpy does not have"),
        ({"dtypes": {"pixel_values": "float16"}}, "its spec declares float32, found float16 in the plan"),
        (
            {"dtypes": {"pixel_values": "int8"}},
            "input 'pixel_values': its spec declares float32, found int8 in the plan",
        ),
    ],
)
def test_plans_with_tensors_that_cannot_be_served(
    api: FakeTensorRt, crops: Path, changes: dict[str, Any], found: str
) -> None:
    with pytest.raises(ModelFileError, match=found):
        _open(api, crops, CROPS, **changes)


def test_outputs_whose_shapes_depend_on_values_are_refused(api: FakeTensorRt, crops: Path) -> None:
    session = _open(api, crops, CROPS, unsettled=("image_embeds",))
    with pytest.raises(ModelFileError, match=r"found \(-1,\) for 'image_embeds', which depends on input values"):
        session.run({"pixel_values": _random((1, 3, 32, 32))})


def test_a_spec_that_names_other_tensors_is_refused(api: FakeTensorRt, crops: Path, summing: Path) -> None:
    spec = read_spec(crops)
    with pytest.raises(ModelFileError, match="its spec names embeds"):
        _open(api, crops, CROPS, spec=dataclasses.replace(spec, outputs=(Output("embeds", "embedding", "N D"),)))
    spec = read_spec(summing)
    fewer = dataclasses.replace(spec, input=ArraysInput(("output1",), ("1 32 H W",), ("float32",), SUMMED))
    with pytest.raises(ModelFileError, match="its plan takes coefficients as well"):
        _open(api, summing, SUMMING, spec=fewer)


def test_sessions_of_two_threads_share_a_gpu(api: FakeTensorRt, pictures: Path, crops: Path) -> None:
    failed: list[BaseException] = []

    def run(session: Session, reference: Session, name: str, shapes: list[tuple[int, ...]]) -> None:
        try:
            for seed in range(12):
                inputs = {name: _random(shapes[seed % len(shapes)], seed)}
                _same(session.run(inputs), reference.run(inputs))
        except BaseException as error:  # noqa: BLE001  # raised below, in the test's thread
            failed.append(error)

    work = [
        (pictures, PICTURES, "images", [(1, 3, 64, 64), (2, 3, 64, 96)]),
        (crops, CROPS, "pixel_values", [(1, 3, 32, 32), (4, 3, 32, 32)]),
    ]
    threads = [
        threading.Thread(target=run, args=(_open(api, graph, ranges), open_session(graph, "onnxruntime"), name, shapes))
        for graph, ranges, name, shapes in work
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


class _Driver:
    """libcuda, for queries about GPUs."""

    def __init__(self, names: list[str], *, init: int = 0, broken: int | None = None) -> None:
        self._names, self._init, self._broken = names, init, broken

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self._names)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, nbytes: int, device: Any) -> int:  # noqa: N802
        name.value = self._names[device.value].encode()
        return 100 if device.value == self._broken else 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 8, 76: 6 + device.value}[attribute]
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[[_Driver | type[Exception]], None]:
    def use(driver: _Driver | type[Exception]) -> None:
        def load(name: str) -> _Driver:
            assert name == gpus_module._DRIVER
            if isinstance(driver, _Driver):
                return driver
            raise driver(name)

        monkeypatch.setattr(ctypes, "CDLL", load)

    return use


def test_gpus_as_the_driver_tells_them(driver: Any) -> None:
    driver(_Driver(["NVIDIA A10", "NVIDIA L4"]))
    assert gpus() == (Gpu(0, "NVIDIA A10", (8, 6)), Gpu(1, "NVIDIA L4", (8, 7)))
    assert gpus()[1].device == "cuda:1"
    driver(_Driver(["NVIDIA A10", "NVIDIA L4"], broken=0))
    assert [gpu.index for gpu in gpus()] == [1]
    driver(_Driver(["NVIDIA A10"], init=34))  # CUDA_ERROR_STUB_LIBRARY
    assert gpus() == ()
    driver(OSError)
    assert gpus() == ()


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    pytest.importorskip("cuda.core")
    with pytest.raises(GpuError, match=r"^cuda:0: setting the GPU up failed \(.*\); see: fastsam-trt doctor$"):
        CudaDevice(0)


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU")
def test_real_rtx_refuses_plans_without_a_gpu(device: FakeDevice, crops: Path) -> None:
    api = pytest.importorskip("tensorrt_rtx")
    ranges = {"pixel_values": ShapeRange(*((n, 3, 32, 32) for n in (1, 1, 4)))}
    whole = build_plan(api, crops, ranges, BuildOptions(targets=("sm86",))).plan
    for plan, found in (
        (b"nothing of the kind" * 50, "it is no plan of TensorRT-RTX"),
        (b"", "it is no plan of TensorRT-RTX"),
        (whole, "Error reading CUDA GPU properties: .*Ensure that the GPU driver is installed and up to date"),
        (whole[:-100], "Error reading CUDA GPU properties"),
    ):
        with pytest.raises(ModelFileError, match=rf"^[^\n]*TensorRT-RTX .* can't run this plan: {found}[^\n]*$"):
            TensorRtSession(crops, read_spec(crops), "tensorrt-rtx", api, plan, device, "fp32")


@pytest.mark.parametrize("module", ["tensorrt", "tensorrt_rtx"])
def test_the_doubles_have_nothing_that_the_real_modules_lack(module: str, device: FakeDevice, crops: Path) -> None:
    real = pytest.importorskip(module)
    api = FakeTensorRt(device, rtx=module == "tensorrt_rtx")
    session = _open(api, crops, CROPS)
    session.run({"pixel_values": _random((1, 3, 32, 32))})
    ours = {"device", "rtx", "broken", "diagnosis", "contexts", "configs", "logger", "use", "say", "fail", "_runtime"}
    assert not {name for name in dir(api) if not name.startswith("__")} - ours - set(dir(real))
    plan = session._plan
    for double, kind in (
        (plan._runtime, real.Runtime),
        (plan._engine, real.ICudaEngine),
        (plan.create_context({"pixel_values": (1, 3, 32, 32)}).context, real.IExecutionContext),
    ):
        public = {name for name in dir(double) if not name.startswith("_")}
        own = {"session", "api", "facts", "inputs", "outputs", "graph_dtype", "shapes", "working_bytes"}
        if not api.rtx:
            own |= {"create_runtime_config"}
        assert not public - own - set(dir(kind))
    if api.rtx:
        for name in ("WHOLE_GRAPH_CAPTURE",):
            assert hasattr(real.CudaGraphStrategy, name)
        assert {each.name for each in _Diagnostics} <= set(dir(real.EngineInvalidityDiagnostics))
        for name in ("create_runtime_cache", "set_runtime_cache", "get_runtime_cache", "cuda_graph_strategy"):
            assert hasattr(real.IRuntimeConfig, name)
    assert hasattr(real.ExecutionContextAllocationStrategy, "USER_MANAGED")
    for name in ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"):
        assert int(getattr(real.ILogger, name)) == getattr(api.ILogger, name)


@pytest.mark.gpu
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_real_plans_are_close_to_onnxruntime(flavour: Any, cuda_graphs: bool, pictures: Path, summing: Path) -> None:
    try:
        api = load(flavour)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    major, minor = gpus()[0].compute_capability
    if (targets := known_targets(api)) and f"sm{major}{minor}" not in targets:
        pytest.skip(f"{flavour} does not run on compute capability {major}.{minor}")
    device = CudaDevice(0)

    def real(graph: Path, ranges: dict[str, Any]) -> TensorRtSession:
        served = {name: ShapeRange(low, low, high) for name, (low, high) in ranges.items()}
        plan = build_plan(api, graph, served, BuildOptions(tf32=False)).plan
        return TensorRtSession(graph, read_spec(graph), flavour, api, plan, device, "fp32", cuda_graphs=cuda_graphs)

    segmenter, masks = real(pictures, PICTURES), real(summing, SUMMING)
    references = open_session(pictures, "onnxruntime"), open_session(summing, "onnxruntime")
    for seed, size in enumerate([(256, 256), (64, 128), (256, 256), (256, 256), (64, 128), (64, 128)]):
        picture, rows = {"images": _random((1, 3, *size), seed)}, _random((1 + seed % 3, 32), seed + 100)
        fetched, kept = segmenter.run_kept({"images": segmenter.upload(picture["images"])}, ["output1"])
        found = masks.run_kept({"output1": kept["output1"], "coefficients": rows}, [])[0] | fetched
        whole = references[0].run(picture)
        expected = references[1].run({"output1": whole["output1"], "coefficients": rows})
        for name, array in {**expected, "output0": whole["output0"]}.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputMismatchError, match="as the plan was built for"):
        segmenter.run({"images": _random((5, 3, 64, 64))})
