"""Doubles of TensorRT's builder and ONNX parser; the doubles of `fake_tensorrt` run their plans."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx

from support.fake_tensorrt import FakeDevice, FakeTensorRt, make_plan

_TIMINGS = b"timings"


class _Created(enum.IntEnum):
    STRONGLY_TYPED = 1


class _BuilderFlag(enum.Enum):
    TF32 = 7
    VERSION_COMPATIBLE = 12


class _Hardware(enum.Enum):
    NONE = 0
    AMPERE_PLUS = 1
    SAME_COMPUTE_CAPABILITY = 2


class _Pool(enum.Enum):
    WORKSPACE = 0


class _Capability(enum.Enum):
    NONE = 0
    CURRENT = 1
    SM86 = 86
    SM89 = 89
    SM120 = 120


class _ProgressMonitor:
    def __init__(self) -> None:
        self.is_set_up = True


class FakeBuildingTensorRt(FakeTensorRt):
    """The module `tensorrt`, or `tensorrt_rtx`, with its builder.

    Attributes:
        builds: The configurations of plans that were built, in order; see `FakeConfig`.
        gain: What the outputs of plans that it builds are multiplied by: anything but 1 is wrong.
        capabilities: Compute capability of each GPU; plans of TensorRT-RTX run on those of their targets.
        refused: What the parser or the builder refuses: `parse`, `build`.
        steps: How many steps a build has.
        at_step: Called before each step is told, with its number.
    """

    BuilderFlag = _BuilderFlag
    Dims = tuple
    HardwareCompatibilityLevel = _Hardware
    IProgressMonitor = _ProgressMonitor
    MemoryPoolType = _Pool
    NetworkDefinitionCreationFlag = _Created

    def __init__(self, capabilities: tuple[int, ...] = (86,), *, rtx: bool = False, version: str = "1.0") -> None:
        super().__init__(FakeDevice(), rtx=rtx)
        self.__version__ = version
        self.builds: list[FakeConfig] = []
        self.gain = 1.0
        self.capabilities = capabilities
        self.refused: set[str] = set()
        self.steps = 2
        self.at_step: Callable[[int], None] = lambda _step: None
        self.Builder = self._builder
        self.OnnxParser = lambda network, _logger: FakeParser(self, network)
        if rtx:
            self.ComputeCapability = _Capability

    def _builder(self, logger: Any) -> FakeBuilder:
        self.use(logger)
        return FakeBuilder(self)


class FakeNetwork:
    def __init__(self, flags: int) -> None:
        self.graph = Path()
        self.flags = flags
        self.inputs: list[SimpleNamespace] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, index: int) -> SimpleNamespace:
        return self.inputs[index]


class FakeParser:
    def __init__(self, api: FakeBuildingTensorRt, network: FakeNetwork) -> None:
        self._api = api
        self._network = network
        self.num_errors = 0

    def parse_from_file(self, path: str) -> bool:
        if "parse" in self._api.refused:
            self.num_errors = 5
            return False
        self._network.graph = Path(path)
        for given in onnx.load(path).graph.input:
            shape = tuple(axis.dim_value or -1 for axis in given.type.tensor_type.shape.dim)
            self._network.inputs.append(SimpleNamespace(name=given.name, shape=shape))
        return True

    def get_error(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(
            node_operator=lambda: "Odd", node_name=lambda: f"node {index}", node=lambda: index, desc=lambda: "no\nway"
        )


class FakeProfile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: tuple[int, ...], opt: tuple[int, ...], max: tuple[int, ...]) -> None:  # noqa: A002
        assert all(a <= b <= c for a, b, c in zip(min, opt, max, strict=True))
        self.shapes[input] = min, opt, max


class FakeTimings:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytearray:
        return bytearray(self.data)


class FakeConfig:
    """How a plan was built; setting anything else fails.

    Attributes:
        graph, gpu: Of the build: the file, and the index of the GPU that was the thread's, None without one.
        typed: Whether the network was strongly typed.
        given: The timings that it was to start from, in order of trial.
    """

    __slots__ = (
        "_api", "builder_optimization_level", "capabilities", "flags", "given", "gpu", "graph",
        "hardware_compatibility_level", "num_compute_capabilities", "pools", "profiles", "progress_monitor", "timings",
        "typed",
    )  # fmt: skip

    def __init__(self, api: FakeBuildingTensorRt) -> None:
        self._api = api
        self.graph = Path()
        self.gpu: int | None = None
        self.typed = False
        self.builder_optimization_level = 3
        self.hardware_compatibility_level = _Hardware.NONE
        self.flags = {_BuilderFlag.TF32}
        self.pools: dict[_Pool, int] = {}
        self.profiles: list[FakeProfile] = []
        self.progress_monitor: Any = None
        self.timings: FakeTimings | None = None
        self.given: list[bytes] = []
        self.num_compute_capabilities = 0
        self.capabilities: dict[int, _Capability] = {}

    def set_memory_pool_limit(self, pool: _Pool, nbytes: int) -> None:
        self.pools[pool] = nbytes

    def set_flag(self, flag: _BuilderFlag) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: _BuilderFlag) -> None:
        self.flags.discard(flag)

    def create_timing_cache(self, serialized_timing_cache: bytes) -> FakeTimings:
        self.given.append(serialized_timing_cache)
        return FakeTimings(serialized_timing_cache)

    def set_timing_cache(self, cache: FakeTimings, ignore_mismatch: bool) -> bool:
        assert not self._api.rtx, "TensorRT-RTX has no use for timings"
        assert not ignore_mismatch
        fits = not cache.data or cache.data.startswith(_TIMINGS)
        if fits:
            self.timings = cache
        return fits

    def add_optimization_profile(self, profile: FakeProfile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def set_compute_capability(self, capability: _Capability, index: int) -> bool:
        assert self._api.rtx
        assert index < self.num_compute_capabilities
        self.capabilities[index] = capability
        return True


class FakeBuilder:
    def __init__(self, api: FakeBuildingTensorRt) -> None:
        self._api = api

    def create_network(self, flags: int) -> FakeNetwork:
        return FakeNetwork(flags)

    def create_builder_config(self) -> FakeConfig:
        return FakeConfig(self._api)

    def create_optimization_profile(self) -> FakeProfile:
        return FakeProfile()

    def build_serialized_network(self, network: FakeNetwork, config: FakeConfig) -> bytearray | None:
        if "build" in self._api.refused:
            self._api.fail("IBuilder::buildSerializedNetwork: Error Code 10: Internal Error (no implementation)")
            return None
        device = getattr(FakeDevice.current, "device", None)
        config.graph, config.typed = network.graph, network.flags == 1 << _Created.STRONGLY_TYPED
        config.gpu = None if device is None else device.index
        self._api.builds.append(config)
        monitor = config.progress_monitor
        assert monitor.is_set_up
        monitor.phase_start("Building", None, self._api.steps)
        report_step = all(self._step(monitor, step) for step in range(self._api.steps))
        monitor.phase_finish("Building")
        if not report_step:
            return None
        if config.timings is not None:
            config.timings.data = (config.timings.data or _TIMINGS) + b"+"
        gain = self._api.gain if math.isfinite(self._api.gain) else math.nan
        (profile,) = config.profiles
        ranges = {name: (low, high) for name, (low, _, high) in profile.shapes.items()}
        later = _BuilderFlag.VERSION_COMPATIBLE in config.flags
        version, gpus = self._api.__version__, self._gpus(config)
        return bytearray(make_plan(network.graph, ranges, version=version, later=later, gpus=gpus, gain=gain))

    def _step(self, monitor: Any, step: int) -> bool:
        """Report a step. Like the bindings, print an exception and treat it as False."""
        self._api.at_step(step)
        try:
            return bool(monitor.step_complete("Building", step))
        except BaseException as error:  # noqa: BLE001
            sys.stderr.write(f"[ERROR] Exception caught in step_complete(): {error}\n")
            return False

    def _gpus(self, config: FakeConfig) -> list[int]:
        """The GPUs that the plan runs on."""
        if self._api.rtx:
            wanted = {each.value for each in config.capabilities.values()}
            return [index for index, found in enumerate(self._api.capabilities) if found in wanted]
        assert config.gpu is not None, "TensorRT builds for the GPU that is the thread's"
        if config.hardware_compatibility_level is _Hardware.NONE:
            return [config.gpu]
        least, most = 80, 1000
        if config.hardware_compatibility_level is _Hardware.SAME_COMPUTE_CAPABILITY:
            least = most = self._api.capabilities[config.gpu]
        return [index for index, found in enumerate(self._api.capabilities) if least <= found <= most]
