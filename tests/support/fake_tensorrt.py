"""Doubles of a GPU and of TensorRT, for tests where there is neither.

The GPU's memory is host memory that is read and written by address, and its queue does nothing before it is waited for,
which is as late as a real one may be. The plan is an ONNX file that ONNX Runtime runs at the addresses that were bound.
Whatever would be undefined on a GPU (memory that was freed, a capture before the first run, work out of `using`) fails.
"""

from __future__ import annotations

import ctypes
import enum
import json
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from fastsam_engine.backends.tensorrt.cuda_device import CudaDevice
from support.fake_cuda import FakeCuda

_GARBAGE = 0xA5
_WORKING_BYTES = 4096
_MAGIC = b"plan"
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(float16)": "float16",
}


class FakeDevice(CudaDevice):
    """`CudaDevice` on a double of CUDA: see `FakeCuda`, whose attributes it has.

    Attributes:
        cuda: The double.
    """

    current = FakeCuda.current

    def __init__(self, stream: int = 5, index: int = 0) -> None:
        self.cuda = FakeCuda(stream, index)
        super().__init__(index, self.cuda)
        self.cuda.is_held = self._lock_is_held

    def _lock_is_held(self) -> bool:
        lock: Any = self._lock._lock  # of a class whose annotations don't say all that it has
        return self._lock._depth > 0 and bool(lock._is_owned())

    def host(self, array: np.ndarray) -> Any:
        assert array.flags.c_contiguous
        buffer = super().host(array)
        buffer.array = weakref.ref(array)
        return buffer

    @property
    def free_bytes(self) -> int | None:
        return self.cuda.free_bytes

    @free_bytes.setter
    def free_bytes(self, free_bytes: int | None) -> None:
        self.cuda.free_bytes = free_bytes

    def run_queue(self) -> None:
        with self.using():
            self.synchronise()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["cuda"], name)


class _TensorIOMode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class _Strategy(enum.Enum):
    STATIC = 0
    USER_MANAGED = 2


class _Graphs(enum.Enum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


class _Validity(enum.Enum):
    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class _Diagnostics(enum.IntEnum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    OLD_CUDA_RUNTIME = 8
    INSUFFICIENT_GPU_MEMORY = 16
    MALFORMED_ENGINE = 32
    CUDA_ERROR = 64


def make_plan(
    graph: Path,
    *profiles: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    dtypes: Mapping[str, str] | None = None,
    shape_inputs: tuple[str, ...] = (),
    unsettled: tuple[str, ...] = (),
    version: str = "1.0",
    later: bool = False,
    gpus: Sequence[int] | None = None,
    gain: float = 1.0,
) -> bytes:
    """A plan of an ONNX graph.

    Args:
        graph: Run where the plan is run.
        profiles: Input name to its smallest and largest shape, for each profile.
        dtypes: Tensor name to another dtype than the graph's.
        shape_inputs: Inputs whose values decide shapes.
        unsettled: Outputs whose shapes depend on the inputs' values.
        version: Of the TensorRT that loads it.
        later: Whether other versions load it too.
        gpus: Indices of those that it runs on; None: all.
        gain: What its outputs are multiplied by, which is wrong.
    """
    facts = {
        "graph": str(graph),
        "profiles": profiles,
        "dtypes": dtypes or {},
        "shape_inputs": shape_inputs,
        "unsettled": unsettled,
        "version": version,
        "later": later,
        "gpus": gpus,
        "gain": gain,
    }
    return _MAGIC + json.dumps(facts).encode()


class FakeLogger:
    """The class `ILogger`."""

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self) -> None:
        self.is_set_up = True


class FakeTensorRt:
    """The module `tensorrt`, or `tensorrt_rtx`.

    Attributes:
        broken: What fails: `execute`, `capture`, `address`, `context`.
        diagnosis: What TensorRT-RTX says of every plan; None: that it is valid.
        contexts: The shapes of those made, in order.
        logger: The one that it logs to, weakly.
        configs: Runtime configurations made, in order; TensorRT-RTX only.
    """

    __version__ = "1.0"
    TensorIOMode = _TensorIOMode
    ExecutionContextAllocationStrategy = _Strategy
    ILogger = FakeLogger

    def __init__(self, device: FakeDevice, *, rtx: bool = False) -> None:
        self.__name__ = "tensorrt_rtx" if rtx else "tensorrt"
        self.device = device
        self.rtx = rtx
        self.broken: set[str] = set()
        self.diagnosis: tuple[_Validity, int] | None = None
        self.contexts: list[SimpleNamespace] = []
        self.configs: list[SimpleNamespace] = []
        self.logger: Any = None
        self.Runtime = self._runtime
        if rtx:
            self.CudaGraphStrategy = _Graphs
            self.EngineValidity = _Validity
            self.EngineInvalidityDiagnostics = _Diagnostics

    def _runtime(self, logger: Any) -> FakeRuntime:
        self.use(logger)
        return FakeRuntime(self)

    def use(self, logger: Any) -> None:
        """Log like the library: to the first logger it was given, which must still exist."""
        assert logger.is_set_up
        if self.logger is None:
            self.logger = weakref.ref(logger)
        elif self.logger() is not logger:
            self.say(FakeLogger.WARNING, "the logger passed differs from one already provided")

    def say(self, severity: int, message: str) -> None:
        self.logger().log(severity, message)

    def fail(self, message: str) -> None:
        """Log like the library: the cause, its consequences, and many messages that are no errors."""
        self.say(FakeLogger.VERBOSE, "trying")
        self.say(FakeLogger.ERROR, message)
        self.say(FakeLogger.ERROR, "[checkMacros.cpp::catchCudaError::250] Error Code 1: what followed from it")

    @staticmethod
    def nptype(dtype: str) -> Any:
        if dtype == "bfloat16":
            raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
        return np.dtype(dtype).type


class FakeRuntime:
    def __init__(self, api: FakeTensorRt) -> None:
        self._api = api
        self.engine_host_code_allowed = False
        if api.rtx:
            self.get_engine_validity = lambda _plan: api.diagnosis or (_Validity.VALID, 0)

    def deserialize_cuda_engine(self, plan: bytes) -> FakeEngine | None:
        if not plan.startswith(_MAGIC):
            self._api.fail(
                "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (magicTag failed.\nIn x.cpp:48)"
            )
            return None
        facts = json.loads(plan[len(_MAGIC) :])
        device = FakeDevice.current.device
        fits = facts["gpus"] is None or device.index in facts["gpus"]
        allowed = self.engine_host_code_allowed or not facts["later"]  # such plans contain a runtime
        loads = (facts["later"] or facts["version"] == self._api.__version__) and allowed
        if not fits or not loads:
            self._api.fail("IRuntime::deserializeCudaEngine: Error Code 6: it was built for another")
            return None
        return FakeEngine(self._api, facts, device)


class FakeEngine:
    device_memory_size_v2 = _WORKING_BYTES

    @staticmethod
    def working_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
        """What a context needs for its shapes."""
        return _WORKING_BYTES

    def __init__(self, api: FakeTensorRt, facts: dict[str, Any], device: FakeCuda) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(facts["graph"], options, providers=["CPUExecutionProvider"])
        self.api = api
        self.facts = facts
        self._device = device
        self.inputs = {each.name: each for each in self.session.get_inputs()}
        self.outputs = {each.name: each for each in self.session.get_outputs()}
        self.num_io_tensors = len(self.inputs) + len(self.outputs)
        self.num_optimization_profiles = max(len(facts["profiles"]), 1)

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> _TensorIOMode:
        return _TensorIOMode.INPUT if name in self.inputs else _TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> str:
        return self.facts["dtypes"].get(name, self.graph_dtype(name))

    def graph_dtype(self, name: str) -> str:
        return _DTYPES[(self.inputs | self.outputs)[name].type]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(n if isinstance(n, int) else -1 for n in (self.inputs | self.outputs)[name].shape)

    def is_shape_inference_io(self, name: str) -> bool:
        return name in self.facts["shape_inputs"]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        low, high = self.facts["profiles"][profile][name]
        return [tuple(low), tuple(low), tuple(high)]

    def create_execution_context(self, how: Any) -> FakeContext | None:
        if "context" in self.api.broken:
            self.api.fail("Error Code 2: OutOfMemory (Requested size was 7 bytes.)")
            return None
        assert (how is _Strategy.USER_MANAGED) != self.api.rtx, "TensorRT takes a strategy, TensorRT-RTX its config"
        context = FakeContext(self, None if how is _Strategy.USER_MANAGED else how.cache)
        self.api.contexts.append(SimpleNamespace(shapes=context.shapes))  # without a reference that keeps it alive
        return context

    def create_runtime_config(self) -> SimpleNamespace:
        assert self.api.rtx
        cache = SimpleNamespace(data=b"")
        cache.serialize = lambda: cache.data
        cache.deserialize = lambda data: setattr(cache, "data", data)
        config = SimpleNamespace(cuda_graph_strategy=_Graphs.DISABLED, cache=None, allocation=None)
        config.create_runtime_cache = lambda: cache
        config.set_runtime_cache = lambda given: setattr(config, "cache", given)
        config.get_runtime_cache = lambda: config.cache
        config.set_execution_context_allocation_strategy = lambda given: setattr(config, "allocation", given)
        self.api.configs.append(config)
        return config


def _destroy_context(device: FakeCuda, owner: object) -> None:
    """It frees its memory at once; that must not be in use, and the thread must not capture."""
    if not device.is_held() or device.is_capturing or device.is_busy(owner):
        device.broken.append("a context is destroyed while its work may go on, or in a capture")


class FakeContext:
    def __init__(self, engine: FakeEngine, kernels: SimpleNamespace | None) -> None:
        self._engine = engine
        self._kernels = kernels
        self._device = device = engine._device
        self._inside = np.empty(0)  # as in cuda.core: see `Handle`
        self._owner = object()
        weakref.finalize(self._inside, _destroy_context, device, self._owner).atexit = False
        self._profile = 0
        self._addresses: dict[str, int] = {}
        self._working: tuple[int, int] = (0, 0)
        self._has_run = False
        self.shapes: dict[str, tuple[int, ...]] = {}

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        assert stream == self._device.stream
        self._profile = profile
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self._engine.facts["profiles"]:
            low, high = self._engine.facts["profiles"][self._profile][name]
            if not all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True)):
                return False
        self.shapes[name] = shape
        return True

    def infer_shapes(self) -> list[str]:
        engine = self._engine
        if missing := [name for name in engine.inputs if name not in self.shapes]:
            return missing
        zeros = {name: np.zeros(self.shapes[name], engine.graph_dtype(name)) for name in engine.inputs}
        try:
            outputs = engine.session.run(list(engine.outputs), zeros)
        except Exception as error:
            raise RuntimeError("infer_shapes failed") from error
        self.shapes |= {name: array.shape for name, array in zip(engine.outputs, outputs, strict=True)}
        return []

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1,) if name in self._engine.facts["unsettled"] else self.shapes[name]

    def update_device_memory_size_for_shapes(self) -> int:
        assert self.shapes.keys() >= self._engine.inputs.keys()
        return self._engine.working_bytes(self.shapes)

    def set_device_memory(self, address: int, nbytes: int) -> None:
        self._working = address, nbytes

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        if "address" in self._engine.api.broken:
            self._engine.api.fail("Error Code 3: API Usage Error (address is not aligned)")
            return False
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == self._device.stream
        assert self._addresses.keys() == self._engine.inputs.keys() | self._engine.outputs.keys()
        assert self._working[1] >= self._engine.working_bytes(self.shapes)
        broken = self._engine.api.broken
        capturing = self._device.is_capturing
        if "execute" in broken or (capturing and ("capture" in broken or not self._has_run)):
            self._engine.api.fail("IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (cudaError 700)")
            return False
        self._device.queue(self._work(dict(self._addresses), dict(self.shapes), self._working), "execute_async_v3")
        if self._kernels is not None and not self._has_run:
            name = f"+{[shape for _, shape in sorted(self.shapes.items())]}".encode()
            self._kernels.data += name if name not in self._kernels.data else b""
        self._has_run = True
        return True

    def _work(
        self, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]], working: tuple[int, int]
    ) -> Callable[[], None]:
        """What the GPU does when it reaches this work; addresses and shapes are those of the call."""
        engine, device = self._engine, self._device

        def at(name: str) -> np.ndarray:
            dtype = np.dtype(engine.get_tensor_dtype(name))
            nbytes = int(np.prod(shapes[name])) * dtype.itemsize
            device.check(addresses[name], nbytes)
            held: Any = (ctypes.c_uint8 * nbytes).from_address(addresses[name])
            return np.frombuffer(held, dtype).reshape(shapes[name])

        def work() -> None:
            device.check(*working)
            ctypes.memset(working[0], _GARBAGE, working[1])
            given = {name: at(name).astype(engine.graph_dtype(name)) for name in engine.inputs}
            for name, array in zip(engine.outputs, engine.session.run(list(engine.outputs), given), strict=True):
                wrong = array if engine.facts["gain"] == 1 else array * np.asarray(engine.facts["gain"], array.dtype)
                np.copyto(at(name), wrong, casting="same_kind")

        named: Any = work
        named.owner = self._owner
        return work
