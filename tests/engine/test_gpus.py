"""Test GPUs and their driver on doubles: outdated, broken or missing ones, MIG slices, several GPUs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastsam_engine import find_graph, open_session, opener, read_spec
from fastsam_engine.backends import all_backends
from fastsam_engine.backends.onnxruntime import backend as onnxruntime_backend
from fastsam_engine.backends.onnxruntime import devices as onnxruntime_devices
from fastsam_engine.backends.openvino import backend as openvino_backend
from fastsam_engine.backends.registry import Readiness
from fastsam_engine.backends.tensorrt import api as api_module
from fastsam_engine.backends.tensorrt import backend as backend_module
from fastsam_engine.errors import BackendFailedError, BackendUnavailableError, BuildRequestError, GpuError
from fastsam_engine.gpus import Gpu, GpuCount, driver, gpu_count, gpus
from fastsam_engine.packages import version
from fastsam_engine.plans.plan_file import read_plan
from fastsam_engine.session import OpenOptions
from fastsam_trt.cli.main import main
from support.fake_driver import GIB, FakeDriver, FakeGpu, install
from support.tensorrt_machine import A10, L4, Machine
from support.typed import double

_A10 = FakeGpu("NVIDIA A10")
_SLICES = (
    FakeGpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", (8, 0), 5 * GIB),
    FakeGpu("NVIDIA A100-SXM4-40GB MIG 3g.20gb", (8, 0), 20 * GIB),
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    opener._warn_once.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """TensorRT on an A10, faster than all else."""
    return Machine(monkeypatch, "tensorrt")


def test_the_driver_tells_its_version_and_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(_A10, *_SLICES), "580.65.06")
    found = driver()
    assert (found.cuda, found.release, found.problems, found.is_broken) == ((13, 0), "580.65.06", (), False)
    assert found.gpus == gpus()
    assert found.gpus[0] == Gpu(0, "NVIDIA A10", (8, 6), 24 * GIB)
    assert [gpu.mig_profile for gpu in found.gpus] == ["", "MIG 1g.5gb", "MIG 3g.20gb"]
    assert [gpu.memory_bytes // GIB for gpu in found.gpus] == [24, 5, 20]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (803, "of different versions); restart the machine, which ends an update of the driver, or the container"),
        (804, "remove the folder 'compat' from LD_LIBRARY_PATH, or update the driver"),
        (802, "start the service nvidia-fabricmanager"),
        (34, "remove the folder 'stubs' from LD_LIBRARY_PATH"),
        (999, "CUDA error 999: unknown error); restart the machine"),
        (12345, "CUDA error 12345); see: nvidia-smi"),
    ],
)
def test_a_driver_that_fails_says_what_fixes_it(monkeypatch: pytest.MonkeyPatch, status: int, message: str) -> None:
    install(monkeypatch, FakeDriver(_A10, init=status))
    found = driver()
    assert (found.gpus, found.is_broken) == ((), True)
    (problem,) = found.problems
    assert message in problem
    assert gpu_count() == GpuCount(0, problem, has_failed=True)


def test_no_driver_and_no_gpu_are_no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    assert not driver().is_broken
    assert "libcuda" in driver().problems[0]
    install(monkeypatch, FakeDriver(init=100))
    assert not driver().is_broken
    assert driver().problems[0].endswith("(CUDA error 100); see: nvidia-smi -L, where a GPU in MIG mode needs slices")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-6e3c")
    assert "CUDA_VISIBLE_DEVICES is 'MIG-6e3c': unset it" in driver().problems[0]
    install(monkeypatch, double())
    assert "another library called" in driver().problems[0]
    assert gpu_count().count == 0


def test_a_gpu_that_does_not_answer_is_passed_over_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(dataclasses.replace(_A10, status=999), _A10))
    found = driver()
    assert [gpu.device for gpu in found.gpus] == ["cuda:1"]
    assert found.is_broken
    assert found.problems[0].startswith("GPU 0 does not answer (CUDA error 999")


@pytest.mark.parametrize(("package", "cuda", "lacking"), [
    ("tensorrt-cu13", 12040, "expected an NVIDIA driver for CUDA 13 (580 or later), found one for CUDA 12.4 (550.54)"),
    ("tensorrt-cu12", 12040, ""),
    ("tensorrt-cu12", 11080, "CUDA 12 (525 or later), found one for CUDA 11.8"),
    ("tensorrt", 11080, ""),  # which does not say what it needs
    ("tensorrt-cu13", 13000, ""),
])  # fmt: skip
def test_a_driver_too_old_for_the_installed_package_is_reported(
    monkeypatch: pytest.MonkeyPatch, package: str, cuda: int, lacking: str
) -> None:
    install(monkeypatch, FakeDriver(_A10, cuda=cuda), "550.54")
    monkeypatch.setattr(api_module, "version", lambda name: "11.0" if name == package else "")
    monkeypatch.setattr(
        backend_module, "packages", SimpleNamespace(version=lambda name: "1.2" if name == "cuda-core" else "")
    )
    readiness = all_backends()["tensorrt"].readiness()
    assert bool(readiness.devices) == (not lacking)
    assert lacking in readiness.reason
    if lacking:
        with pytest.raises(BackendUnavailableError, match="update the NVIDIA driver"):
            open_session(find_graph("colours"), "tensorrt")
        session = open_session(find_graph("colours"))
        assert session.backend != "tensorrt"


def test_onnxruntime_for_gpus_needs_a_driver_for_its_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = tmp_path / "onnxruntime" / "capi" / "build_and_package_info.py"
    facts.parent.mkdir(parents=True)
    facts.write_text("cuda_version = '13.0'\n")
    monkeypatch.setattr(onnxruntime_devices, "_package_folder", lambda _: tmp_path / "onnxruntime")
    monkeypatch.setattr(onnxruntime_devices, "_missing", lambda *_: [])
    install(monkeypatch, FakeDriver(_A10, _A10, cuda=12080))
    devices, lacks = onnxruntime_devices.find_devices("onnxruntime-gpu")
    assert devices == ("cpu",)
    assert lacks == (
        "no cuda: expected an NVIDIA driver for CUDA 13 (580 or later), found one for CUDA 12.8; update the driver"
    )
    install(monkeypatch, FakeDriver(_A10, _A10))
    devices, _ = onnxruntime_devices.find_devices("onnxruntime-gpu")
    assert devices == ("cuda", "cuda:1", "tensorrt", "tensorrt:1", "cpu")


# What fails when it is opened


def _nullptr(*_: object) -> Any:
    raise TypeError("pybind11::init(): factory function returned nullptr")


def _breaks(machine: Machine, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "runtime":
        monkeypatch.setattr(machine.api, "Runtime", _nullptr)
    elif how == "builder":
        monkeypatch.setattr(machine.api, "Builder", _nullptr)
    elif how == "load":

        def load(_flavour: str) -> Any:
            raise BackendFailedError("tensorrt", "its libraries can't be loaded (libnvinfer.so.11)", "pip install x")

        monkeypatch.setattr(api_module, "load", load)
    else:

        def broken(_index: int) -> Any:
            raise GpuError("cuda:0", "setting the GPU up", "CUDA_ERROR_UNKNOWN")

        monkeypatch.setattr("fastsam_engine.backends.tensorrt.cuda_device.CudaDevice", broken)


@pytest.mark.parametrize("how", ["runtime", "builder", "load", "device"])
def test_auto_passes_on_with_one_line_and_a_name_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    install(monkeypatch, FakeDriver(_A10, cuda=12040))
    _breaks(machine, monkeypatch, how)
    with pytest.raises((BackendFailedError, GpuError)) as raised:
        machine.open()
    if how in ("runtime", "builder"):
        assert str(raised.value) == (
            f"backend 'tensorrt' can't be used: it can't create a {how}, because it can't use the GPU (found an NVIDIA "
            "driver for CUDA 12.4, which may be too old for this version); update the NVIDIA driver, or use "
            "--backend onnxruntime; see: fastsam-trt doctor"
        )
    caplog.clear()
    for name in ("colours", "things", "colours"):
        session = open_session(find_graph(name))
        assert session.backend in ("onnxruntime", "openvino")
        assert session.run({session.spec.input_names[0]: np.zeros((1, 3, 64, 64), np.float32)})
    told = [each.getMessage() for each in caplog.records if "the next fastest backend is used" in each.getMessage()]
    assert len(told) == 1
    assert told[0].startswith(str(raised.value))


@pytest.mark.parametrize(("name", "other"), [("openvino", "onnxruntime"), ("onnxruntime", "openvino")])
def test_auto_passes_over_a_package_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, other: str
) -> None:
    """Installed, and yet it can't be imported: another Python's, or a library that it needs is not there."""
    backend = all_backends()[name]
    first = dataclasses.replace(backend.readiness(), speed_rank=1, device_ranks={})
    monkeypatch.setattr(backend, "readiness", lambda: first)
    if name == "openvino":  # as in a process that has not loaded it yet
        monkeypatch.setattr(openvino_backend, "_make_core", openvino_backend._make_core.__wrapped__)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendFailedError, match=rf"libraries can't be loaded \(.*\); pip install .*{name}"):
        open_session(find_graph("colours"), name)
    assert open_session(find_graph("colours")).backend == other
    assert len([each for each in caplog.records if "the next fastest backend" in each.getMessage()]) == 1


def test_auto_does_not_hide_what_is_wrong_with_a_model(machine: Machine) -> None:
    machine.api.refused.add("parse")
    with pytest.raises(RuntimeError, match="the parser refused it"):
        open_session(find_graph("colours"))


def test_auto_uses_the_cpu_of_a_backend_whose_gpu_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = all_backends()["onnxruntime"]
    others = {name: each for name, each in all_backends().items() if each is not backend}
    for each in others.values():
        monkeypatch.setattr(each, "readiness", lambda: Readiness("", (), "not installed"))
    ready = Readiness("1.31", ("cuda", "cpu"), "runs", speed_rank=10, device_ranks={"cpu": 50})
    monkeypatch.setattr(backend, "readiness", lambda: ready)
    real = type(backend).open

    def opened(path: Path, spec: Any, device: str, *given: Any) -> Any:
        if device == "cuda":
            raise BackendFailedError("onnxruntime", "cuda can't be used (CUDA failure 999)", "see: fastsam-trt doctor")
        return real(backend, path, spec, device, *given)

    monkeypatch.setattr(backend, "open", opened)
    assert open_session(find_graph("colours")).device == "cpu"
    for given in ({"cuda_graph": True}, {"device": "cuda"}, {"backend": "onnxruntime"}):
        with pytest.raises(BackendFailedError, match="CUDA failure 999"):
            open_session(find_graph("colours"), **given)


@pytest.mark.parametrize(("text", "is_machine"), [
    ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0", True),
    ("CUDA error cudaErrorUnknown:unknown error", True),
    ("Error loading libonnxruntime_providers_cuda.so: libcudnn.so.9: cannot open shared object file", True),
    ("This is an invalid model. Error in Node:x : No Op registered for Odd", False),
])  # fmt: skip
def test_onnxruntime_tells_the_machine_from_the_model(
    monkeypatch: pytest.MonkeyPatch, text: str, is_machine: bool
) -> None:
    import onnxruntime

    def fail(*_: object, **__: object) -> Any:
        raise RuntimeError(text)

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    monkeypatch.setattr(onnxruntime_backend, "load_libraries", lambda *_: None)
    ready = Readiness("1.31", ("cuda", "cpu"), "runs")
    monkeypatch.setattr(all_backends()["onnxruntime"], "readiness", lambda: ready)
    with pytest.raises(ValueError if not is_machine else BackendFailedError, match="fastsam-trt doctor"):
        open_session(find_graph("colours"), "onnxruntime", "cuda")


# Several GPUs, and slices of one


def test_slices_have_plans_of_their_own(machine: Machine) -> None:
    machine.become(*(Gpu(index, each.name, each.capability) for index, each in enumerate(_SLICES)))
    for device in ("cuda", "cuda:1"):
        machine.build(device=device)
    found = sorted(read_plan(each).facts.gpu for each in machine.kept())
    assert found == ["NVIDIA A100-SXM4-40GB MIG 1g.5gb (sm80)", "NVIDIA A100-SXM4-40GB MIG 3g.20gb (sm80)"]


@pytest.mark.parametrize("device", ["cuda:2", "cuda:-1", "CUDA:1", "gpu"])
def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(machine: Machine, device: str) -> None:
    machine.become(A10, L4)
    with pytest.raises(BackendUnavailableError, match=f"no device {device!r} here; use one of: auto, cuda, cuda:1"):
        machine.open(device=device)
    with pytest.raises(BackendUnavailableError, match=r"use --device auto, or one of: cpu, cuda, cuda:1"):
        open_session(find_graph("colours"), device=device)
    message = rf"device: expected auto or cuda \(NVIDIA A10\), cuda:1 \(NVIDIA L4\), found {device}"
    with pytest.raises(BuildRequestError, match=message):
        machine.build(device=device)


def test_onnxruntimes_engines_of_two_gpus_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(_A10, FakeGpu("NVIDIA RTX A4000")))
    monkeypatch.setattr(onnxruntime_backend, "check_assignment", lambda *_, **__: None)
    folders: list[str] = []

    def load(path: Path, device: Any, told: Any, *given: Any) -> Any:
        folders.append(told[0][1]["trt_engine_cache_path"])
        raise LookupError

    monkeypatch.setattr(onnxruntime_backend, "_load", load)
    graph = find_graph("colours")
    for name in ("tensorrt", "tensorrt:1", "tensorrt"):
        device = onnxruntime_devices.Device.parse(name)
        with pytest.raises(LookupError):
            onnxruntime_backend.open_bound(graph, read_spec(graph), device, "tf32", OpenOptions())
    assert folders[0] == folders[2] != folders[1]


# What doctor says


def test_doctor_reports_driver_and_gpus(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, FakeDriver(*_SLICES, FakeGpu("NVIDIA L4", (8, 9), status=999)), "580.65.06")
    assert main(["doctor"]) == 1
    told = capsys.readouterr()
    assert "NVIDIA driver 580.65.06, for CUDA 13.0 and earlier" in told.out
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert "cuda:0 NVIDIA A100-SXM4-40GB MIG 1g.5gb 8.0 5.0 GiB MIG slice" in lines
    assert "cuda:1 NVIDIA A100-SXM4-40GB MIG 3g.20gb 8.0 20.0 GiB MIG slice" in lines
    assert "problem: GPU 2 does not answer (CUDA error 999" in told.err


def test_doctor_without_a_driver_says_so_and_finds_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, None)
    main(["doctor"])
    told = capsys.readouterr()
    assert "GPUs: none; the NVIDIA driver's" in told.out
    assert "driver" not in told.err
    assert max(map(len, told.out.splitlines())) < 160


def test_doctor_reports_a_driver_that_is_too_old(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not version("tensorrt-rtx-cu13"):
        pytest.skip("pip install 'fastsam-trt[tensorrt-rtx]'")
    install(monkeypatch, FakeDriver(_A10, cuda=12040), "550.54")
    main(["doctor"])
    assert "expected an NVIDIA driver for CUDA 13 (580 or later), found one for CUDA 12.4 (550.54)" in (
        capsys.readouterr().out
    )
