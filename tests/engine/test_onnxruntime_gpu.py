"""Test decisions for ONNX Runtime on GPUs that need no GPU. Runs are in test_onnxruntime_io_binding.py."""

from __future__ import annotations

import ctypes
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastsam_engine import find_graph, open_session
from fastsam_engine.backends import Readiness, all_backends
from fastsam_engine.backends.onnxruntime import backend as backend_module
from fastsam_engine.backends.onnxruntime import devices as onnxruntime_devices
from fastsam_engine.backends.onnxruntime.devices import Device, find_devices, load_libraries
from fastsam_engine.backends.onnxruntime.node_placement import check_assignment
from fastsam_engine.backends.onnxruntime.provider_options import compute_precision, engine_folder, providers
from fastsam_engine.errors import (
    BackendFailedError,
    BackendUnavailableError,
    OperatorFallbackError,
)
from fastsam_engine.gpus import gpu_count
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.spec.model_spec import ModelSpec
from support import colour_models
from support.typed import double, image_input

onnxruntime = pytest.importorskip("onnxruntime")

_SPEC = colour_models.segmenter_spec()
_CUDA = Device("cuda")


def _half(spec: ModelSpec) -> ModelSpec:
    return dataclasses.replace(spec, precision="fp16")


# Devices and what can serve


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "tensorrt", "tensorrt:12"])
def test_a_device_is_read_and_written_the_same(name: str) -> None:
    assert str(Device.parse(name)) == name


class _Driver:
    """What the NVIDIA driver says."""

    def __init__(self, count: int, status: int = 0) -> None:
        self._count, self._status = count, status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._count
        return 0


_CUDA_FILES = (
    "nvidia/cu13/lib/libcublasLt.so.13",
    "nvidia/cu13/lib/libcublas.so.13",
    "nvidia/cu13/lib/libcudart.so.13",
    "nvidia/cu13/lib/libcurand.so.10",
    "nvidia/cudnn/lib/libcudnn.so.9",
)
_TENSORRT_FILES = ("tensorrt_libs/libnvinfer.so.10", "tensorrt_libs/libnvonnxparser.so.10")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A machine with ONNX Runtime's package for GPUs, a driver or none, and wheels in `tmp_path`/site, beside it."""

    def make(driver: _Driver | None, files: tuple[str, ...] = ()) -> Path:
        facts = tmp_path / "site" / "onnxruntime" / "capi" / "build_and_package_info.py"
        for path in (facts, *(tmp_path / "site" / each for each in files)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        facts.write_text("package_name = 'onnxruntime-gpu'\n__version__ = '1.31.1'\ncuda_version = '13.0'\n")

        def load(name: str) -> object:
            if driver is None or name != "libcuda.so.1":
                raise OSError(name)
            return driver

        monkeypatch.setattr(ctypes, "CDLL", load)
        monkeypatch.setattr(onnxruntime_devices, "_package_folder", lambda _: tmp_path / "site" / "onnxruntime")
        folders = ["", str(tmp_path / "other"), str(tmp_path / "site"), str(tmp_path / "nowhere")]
        monkeypatch.setattr(onnxruntime_devices, "sys", SimpleNamespace(platform=sys.platform, path=folders))
        return tmp_path / "site"

    return make


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries' names are Linux's")
@pytest.mark.parametrize(
    ("driver", "files", "devices", "missing"),
    [
        (None, (), "cpu", "no GPU: the NVIDIA driver's libcuda.so.1 is not found; install the driver"),
        (_Driver(1, status=100), _CUDA_FILES, "cpu", "no GPU to this process (CUDA error 100); see: nvidia-smi"),
        (_Driver(0), _CUDA_FILES, "cpu", "no GPU to this process; see: nvidia-smi"),
        (_Driver(1), _CUDA_FILES[2:], "cpu", "no cuda: libcublasLt.so.13, libcublas.so.13 not found; pip install"),
        (_Driver(2), _CUDA_FILES, "cuda cuda:1 cpu", "no tensorrt: libnvinfer.so.10, libnvonnxparser.so.10 not found"),
        (_Driver(2), _CUDA_FILES + _TENSORRT_FILES, "cuda cuda:1 tensorrt tensorrt:1 cpu", ""),
        (_Driver(1), [f"../other/{each}" for each in _CUDA_FILES + _TENSORRT_FILES], "cuda tensorrt cpu", ""),
    ],
)
def test_devices_are_those_that_can_serve(
    machine: Callable[..., Path], driver: _Driver | None, files: tuple[str, ...], devices: str, missing: str
) -> None:
    machine(driver, files)
    found, why = find_devices("onnxruntime-gpu")
    assert " ".join(found) == devices
    assert missing in why
    assert bool(why) == bool(missing)


def test_the_package_for_cpus_never_looks_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> object:
        raise AssertionError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert find_devices("onnxruntime") == (
        ("cpu",),
        "for an NVIDIA GPU: pip uninstall -y onnxruntime && pip install 'fastsam-trt[gpu]'",
    )


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime that believes in two GPUs; what it opens is the library as it is installed."""
    found = ("cuda", "cuda:1", "tensorrt", "tensorrt:1", "cpu"), ""
    monkeypatch.setattr(backend_module, "find_devices", lambda _: found)


def test_readiness_says_why_a_gpu_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = all_backends()["onnxruntime"]
    monkeypatch.setattr(backend_module, "owners", lambda _: ["onnxruntime-gpu"])
    monkeypatch.setattr(backend_module, "find_devices", lambda _: (("cpu",), "no GPU: none is plugged in"))
    readiness = backend.readiness()
    assert (readiness.devices, readiness.fix, readiness.rank("auto")) == (("cpu",), "", 50)
    assert readiness.reason == "runs every graph as it was exported; no GPU: none is plugged in"
    with pytest.raises(
        BackendUnavailableError, match=r"device 'cuda' here \(onnxruntime: no GPU: none is plugged in\)"
    ):
        open_session(find_graph("colours"), "onnxruntime", device="cuda")
    with pytest.raises(BackendUnavailableError, match=r"a device 'cuda' .*none is plugged in"):
        open_session(find_graph("colours"), device="cuda")


def test_a_gpu_is_faster_than_any_cpu_and_the_cpu_is_ranked_by_itself(
    with_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness = all_backends()["onnxruntime"].readiness()
    assert readiness.rank("auto") == readiness.rank("cuda:1") < 20 < readiness.rank("cpu")
    opened: list[tuple[str, str]] = []

    def note(name: str) -> Callable[..., Any]:
        def opening(_self: object, path: Path, spec: ModelSpec, device: str, *_: object) -> Any:
            opened.append((name, device))
            return SimpleNamespace(device=device, precision="fp32")

        return opening

    fast = Readiness("1.0", ("cpu",), "fast", speed_rank=20)
    monkeypatch.setattr(type(all_backends()["openvino"]), "readiness", lambda _: fast)
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setattr(type(all_backends()[name]), "open", note(name))
    for device in ("auto", "cuda:0", "cuda:1", "cpu"):
        open_session(find_graph("colours"), "auto", device)
    assert opened == [("onnxruntime", "cuda"), ("onnxruntime", "cuda"), ("onnxruntime", "cuda:1"), ("openvino", "cpu")]


def test_a_gpu_that_is_not_there_and_a_recording_on_the_cpu_are_refused(with_gpu: None) -> None:
    with pytest.raises(BackendUnavailableError, match="no device 'cuda:2' here; use one of: auto, cuda, cuda:1, tens"):
        open_session(find_graph("colours"), "onnxruntime", device="cuda:2")
    with pytest.raises(BackendUnavailableError, match="a CUDA graph needs a GPU, found device 'cpu'"):
        open_session(find_graph("colours"), "onnxruntime", device="cpu", cuda_graph=True)


# Options for ONNX Runtime


def test_options_of_cuda() -> None:
    [(name, told)] = providers(_SPEC, Device("cuda", 1), "fp32")
    assert name == "CUDAExecutionProvider"
    assert told == {
        "device_id": "1",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "use_tf32": "0",
        "prefer_nhwc": "0",
        "enable_cuda_graph": "0",
    }
    changes = {
        (providers(_SPEC, _CUDA, "tf32")[0][1]["use_tf32"], "1"),
        (providers(_half(_SPEC), _CUDA, "fp16")[0][1]["prefer_nhwc"], "1"),
        (providers(_half(colour_models.clip_specs()[1]), _CUDA, "fp16")[0][1]["prefer_nhwc"], "0"),
        (providers(_SPEC, _CUDA, "fp32", cuda_graph=True)[0][1]["enable_cuda_graph"], "1"),
    }
    assert all(found == expected for found, expected in changes)
    assert providers(_SPEC, Device("cpu"), "fp32") == [("CPUExecutionProvider", {})]


def test_options_of_tensorrt(tmp_path: Path) -> None:
    ranges = {"a": ShapeRange((1, 3), (16, 3), (32, 3)), "b": ShapeRange((1,), (2,), (4,))}
    told = providers(
        _half(_SPEC), Device("tensorrt", 1), "fp16", cuda_graph=True, ranges=ranges, engines=tmp_path / "engines"
    )
    assert [name for name, _ in told] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    assert told[0][1] == {
        "device_id": "1",
        "trt_cuda_graph_enable": "1",
        "trt_fp16_enable": "1",
        "trt_bf16_enable": "0",
        "trt_int8_enable": "0",
        "trt_layer_norm_fp32_fallback": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / "engines"),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(tmp_path / "engines"),
        "trt_profile_min_shapes": "a:1x3,b:1",
        "trt_profile_opt_shapes": "a:16x3,b:2",
        "trt_profile_max_shapes": "a:32x3,b:4",
    }
    assert told[1][1]["device_id"] == "1"
    plain = providers(_SPEC, Device("tensorrt"), "tf32")[0][1]
    assert plain["trt_fp16_enable"] == plain["trt_int8_enable"] == "0"
    assert not [name for name in plain if "profile" in name or "cache" in name]


@pytest.mark.parametrize(
    ("precision", "device", "asked", "found"),
    [
        ("fp32", "cpu", "auto", "fp32"), ("fp32", "cuda", "auto", "tf32"), ("fp32", "cuda", "fp32", "fp32"),
        ("fp32", "cuda", "tf32", "tf32"), ("fp32", "tensorrt", "auto", "tf32"), ("fp16", "cpu", "auto", "fp32"),
        ("fp16", "cuda", "auto", "fp16"), ("fp16", "tensorrt:1", "fp16", "fp16"), ("int8", "cpu", "auto", "int8"),
        ("int8", "tensorrt", "auto", "int8"), ("int8", "cuda", "auto", "tf32"), ("bf16", "cuda", "auto", "bf16"),
        ("fp32", "cpu", "tf32", None), ("fp32", "tensorrt", "fp32", None), ("fp16", "cuda", "fp32", None),
        ("int8", "cuda", "int8", None), ("fp32", "cuda", "fp7", None),
    ],
)  # fmt: skip
def test_precision_is_what_is_really_computed(precision: Any, device: str, asked: str, found: str | None) -> None:
    spec = dataclasses.replace(_SPEC, precision=precision)
    if found is not None:
        assert compute_precision(spec, Device.parse(device), asked) == found
        return
    with pytest.raises(BackendUnavailableError, match=f"which is {precision}, in .* on {device}, not in {asked}"):
        compute_precision(spec, Device.parse(device), asked)


def test_engines_of_other_weights_shapes_and_versions_lie_apart(home: Path, tmp_path: Path) -> None:
    """TensorRT's provider names its engines by a graph's operators alone."""
    graph = find_graph("colours")
    other = colour_models.save(colour_models.segmenter_graph(), tmp_path / "colours.onnx", _SPEC, {"weights": "other"})
    first = engine_folder(graph, _SPEC, "1.31.1", {"n": 1, "h": 64})
    assert first.parent == home / "engines" / "onnxruntime"
    assert first == engine_folder(graph, _SPEC, "1.31.1", {"h": 64, "n": 1})
    others = {
        engine_folder(other, _SPEC, "1.31.1", {"n": 1, "h": 64}),
        engine_folder(graph, _SPEC, "1.32.0", {"n": 1, "h": 64}),
        engine_folder(graph, _SPEC, "1.31.1", {"n": 1, "h": 96}),
        engine_folder(graph, _SPEC, "1.31.1", {"images": ShapeRange((1,), (1,), (8,))}),
    }
    assert len(others - {first}) == 4


def test_loading_the_libraries_says_nothing(
    capsys: pytest.CaptureFixture[str], machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = machine(_Driver(1), _CUDA_FILES + _TENSORRT_FILES)
    loaded: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", loaded.append)
    load_libraries(double(preload_dlls=lambda: print("Failed to load libcufft")), _CUDA)  # noqa: T201
    names = [Path(each).name for each in _CUDA_FILES]
    assert loaded == names  # as `preload_dlls` left them
    load_libraries(double(preload_dlls=lambda: None), Device("tensorrt"))
    assert loaded[len(names) :] == [*names, *(str(site / each) for each in _TENSORRT_FILES)]
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries' names are Linux's")
def test_libraries_of_wheels_elsewhere_on_the_path_are_loaded(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime looks beside itself only: not in what `pip --target`, or another folder, holds."""
    site = machine(_Driver(1), (*_CUDA_FILES[2:], *(f"../other/{each}" for each in _CUDA_FILES)))
    loaded: list[str] = []

    def load(name: str) -> None:
        if "/" not in name or "cudnn" in name:
            raise OSError(f"{name}: cannot open shared object file")
        loaded.append(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    with pytest.raises(BackendFailedError, match=r"libcudnn\.so\.9 can't be loaded \(.*; see: fastsam-trt doctor"):
        load_libraries(double(preload_dlls=lambda: None), _CUDA)
    other = site.parent / "other"
    assert loaded == [str((other if at < 2 else site) / each) for at, each in enumerate(_CUDA_FILES[:4])]


# What runs where


def _assigned(*groups: tuple[str, str]) -> Any:
    """A session that says where its operators went."""

    def group(provider: str, names: str) -> Any:
        nodes = [SimpleNamespace(op_type=name) for name in names.split()]
        return SimpleNamespace(ep_name=provider, get_nodes=lambda: nodes)

    info = [group(*each) for each in groups]
    return SimpleNamespace(get_provider_graph_assignment_info=lambda: info)


def _check(session: Any, device: Device = _CUDA, *, cpu_fallback: bool = False, cuda_graph: bool = False) -> None:
    check_assignment(session, device, cpu_fallback=cpu_fallback, cuda_graph=cuda_graph)


def test_operators_on_the_cpu_are_named_unless_they_are_allowed() -> None:
    session = _assigned(
        ("CUDAExecutionProvider", "Conv Relu"),
        ("CPUExecutionProvider", "Shape Gather LpNormalization"),
        ("CPUExecutionProvider", "RoiAlign LpNormalization"),
    )
    expected = r"every operator on cuda, found on the CPU: LpNormalization \(2\), RoiAlign \(1\); .*cpu_fallback=T"
    with pytest.raises(OperatorFallbackError, match=expected):
        _check(session)
    _check(session, cpu_fallback=True)
    _check(session, Device("cpu"))


def test_the_arithmetic_of_shapes_belongs_on_the_cpu() -> None:
    _check(_assigned(("CUDAExecutionProvider", "Conv"), ("CPUExecutionProvider", "Shape Gather Mul Concat Range")))


def test_a_provider_that_takes_nothing_is_refused() -> None:
    mixed = _assigned(("CUDAExecutionProvider", "Conv"))
    with pytest.raises(BackendUnavailableError, match="TensorrtExecutionProvider supports no operator of this graph"):
        _check(mixed, Device("tensorrt"))
    _check(_assigned(("TensorrtExecutionProvider", "Conv"), ("CUDAExecutionProvider", "NonZero")), Device("tensorrt"))


def test_shapes_that_depend_on_data_rule_a_recording_out() -> None:
    session = _assigned(("CUDAExecutionProvider", "Conv NonZero"))
    _check(session)
    with pytest.raises(BackendUnavailableError, match="NonZero can't be recorded in a CUDA graph"):
        _check(session, cuda_graph=True)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_session_that_falls_back_whole_is_refused(with_gpu: None, capfd: pytest.CaptureFixture[str]) -> None:
    """The library warns, and opens the graph on the CPU."""
    if gpu_count().count:
        pytest.skip("a GPU is here")
    with pytest.raises(BackendUnavailableError, match="expected CUDAExecutionProvider, got CPUExecutionProvider"):
        open_session(find_graph("colours"), "onnxruntime", device="cuda")
    assert capfd.readouterr().out == ""


def test_a_recording_that_the_library_refuses_is_reported(with_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "This session cannot use the graph capture feature as requested by the user as all compute graph nodes ..."

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(
        BackendUnavailableError, match=r"colours.onnx can\'t be recorded as a CUDA graph: .*without cuda_graph"
    ):
        open_session(find_graph("colours"), "onnxruntime", device="cuda", cuda_graph=True)


def test_what_is_reported_reaches_the_library(with_gpu: None, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Providers, fixed axes and the engines' folder of each kind of graph."""
    told: list[tuple[dict[str, Any], dict[str, str]]] = []
    real = onnxruntime.InferenceSession

    class _Session(real):  # type: ignore[misc, valid-type]
        def __init__(self, path: str, options: Any, providers: Any, enable_fallback: int) -> None:
            assert enable_fallback == 0
            assert options.get_session_config_entry("session.record_ep_graph_assignment_info") == "1"
            self._names = [name for name, _ in providers]
            super().__init__(path, options, providers=["CPUExecutionProvider"])
            told.append((providers[0][1], {i.name: i.shape for i in self.get_inputs()}))

        def get_providers(self) -> list[str]:
            return self._names

        def get_provider_graph_assignment_info(self) -> list[Any]:
            return _assigned((self._names[0], "Conv")).get_provider_graph_assignment_info()

    monkeypatch.setattr(onnxruntime, "InferenceSession", _Session)
    monkeypatch.setattr(backend_module, "load_libraries", lambda *_: None)
    for graph, axes, profile in (
        (find_graph("colours"), {"images": [1, 3, 256, 256]}, None),
        (find_graph("clip-colours", "image"), {"pixel_values": ["n", 3, 32, 32]}, "pixel_values:1x3x32x32"),
    ):
        told.clear()
        session = open_session(graph, "onnxruntime", device="tensorrt:1")
        assert (session.device, session.precision) == ("tensorrt:1", "tf32")
        [(options, found)] = told
        assert found == axes
        assert options.get("trt_profile_min_shapes") == profile
        engines = Path(options["trt_engine_cache_path"])
        assert engines.is_dir()
        assert engines.stat().st_mode & 0o077 == 0
        assert engines.parent == home / "engines" / "onnxruntime"
        # A profile's largest batch is the session's.
        assert image_input(session.spec).batch[1] is (None if profile is None else 32)
    told.clear()
    open_session(find_graph("colours"), "onnxruntime", device="cuda", cuda_graph=True)
    assert told[0][0]["enable_cuda_graph"] == "1"
