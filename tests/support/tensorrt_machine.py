"""A machine with GPUs and TensorRT's packages, made of doubles."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastsam_engine import Session, find_graph, open_session, read_spec
from fastsam_engine.backend_choice import choose_builder
from fastsam_engine.backends import all_backends
from fastsam_engine.backends.tensorrt import api as api_module
from fastsam_engine.backends.tensorrt.flavours import TensorRt, TensorRtRtx
from fastsam_engine.gpus import Gpu
from fastsam_engine.plans.build_request import BuildOptions, BuildReport, BuildRequest
from fastsam_engine.plans.engine_cache import EngineCache
from support import colour_models
from support.fake_builder import FakeBuildingTensorRt
from support.fake_tensorrt import FakeDevice

A10, L4, T4, H100 = (
    Gpu(0, "NVIDIA A10", (8, 6)),
    Gpu(0, "NVIDIA L4", (8, 9)),
    Gpu(0, "Tesla T4", (7, 5)),
    Gpu(0, "NVIDIA H100", (9, 0)),
)
BACKENDS = {"tensorrt": TensorRt, "tensorrt-rtx": TensorRtRtx}


class Machine:
    """A machine with GPUs and packages.

    Attributes:
        flavour: The one that is installed first.
        api: Its module.
        devices: The GPUs' queues that were made, in order.
        packages: What is installed beside TensorRT.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, flavour: str) -> None:
        self.flavour = flavour
        self.devices: list[FakeDevice] = []
        self.packages = {"cuda-core": "1.0"}
        self._monkeypatch = monkeypatch
        self._modules: dict[str, FakeBuildingTensorRt] = {}
        self._gpus: tuple[Gpu, ...] = ()
        FakeDevice.current.__dict__.clear()
        spec = colour_models.segmenter_spec()  # small, since each build is compared at its largest shape
        small = dataclasses.replace(spec, input=dataclasses.replace(spec.input, height=128, width=128))
        colour_models.save(colour_models.segmenter_graph(), find_graph("colours"), small)
        monkeypatch.setattr("fastsam_engine.backends.tensorrt.backend.gpus", lambda: self._gpus)
        installed = SimpleNamespace(version=lambda name: self.packages.get(name, ""))
        monkeypatch.setattr("fastsam_engine.backends.tensorrt.backend.packages", installed)
        monkeypatch.setattr("fastsam_engine.backends.tensorrt.cuda_device.CudaDevice", self._device)
        monkeypatch.setattr(api_module, "load", self._modules.__getitem__)
        monkeypatch.setattr(
            api_module, "installed_version", lambda name: getattr(self._modules.get(name), "__version__", "")
        )
        self.become(A10)

    @property
    def api(self) -> FakeBuildingTensorRt:
        return self._modules[self.flavour]

    def become(self, *gpus: Gpu, version: str = "1.0", flavours: tuple[str, ...] = ()) -> None:
        """Have other GPUs, another version, or other packages, in a process that begins now."""
        self._gpus = tuple(dataclasses.replace(gpu, index=index) for index, gpu in enumerate(gpus))
        capabilities = tuple(10 * major + minor for major, minor in (gpu.compute_capability for gpu in gpus))
        self._modules.clear()
        for flavour in flavours or (self.flavour,):
            rtx = flavour == "tensorrt-rtx"
            self._modules[flavour] = FakeBuildingTensorRt(capabilities, rtx=rtx, version=version)
        self.begin()

    def begin(self) -> None:
        """Begin as another process would: nothing is held in memory, and nothing was built in it."""
        self.devices.clear()
        for name, module in self._modules.items():
            module.builds.clear()
            module.contexts.clear()
            module.configs.clear()
            self._monkeypatch.setitem(all_backends(), name, BACKENDS[name]())

    def open(self, name: str = "colours", part: str = "", **options: Any) -> Session:
        return open_session(find_graph(name, part), self.flavour, **options)

    def build(self, name: str = "colours", part: str = "", *, device: str = "auto", **given: Any) -> BuildReport:
        options = BuildOptions(**given.pop("options", {}))
        graph = given.pop("graph", None) or find_graph(name, part)
        request = BuildRequest(graph, read_spec(graph), options=options, **given)
        return choose_builder(self.flavour).build(request, device, lambda *_: None)

    def kept(self, ending: str = "plan") -> list[Path]:
        """Files of the engine cache."""
        return sorted(EngineCache().folder.glob(f"*/*.{ending}"))

    def _device(self, index: int) -> FakeDevice:
        self.devices.append(FakeDevice(stream=5 + len(self.devices), index=index))
        return self.devices[-1]
