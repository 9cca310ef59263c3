"""Load a plan on a GPU: its tensors, supported shapes, and contexts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsam_engine.backends.tensorrt.api import create_runtime
from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.error_log import ErrorLog, error_log
from fastsam_engine.backends.tensorrt.gpu_interface import GpuInterface, GpuMemory
from fastsam_engine.errors import GpuError, InputMismatchError, ModelFileError
from fastsam_engine.graph.onnx_graph import Axes

if TYPE_CHECKING:
    import tensorrt as trt

_logger = logging.getLogger(__name__)

Shape = tuple[int, ...]
_BUILD_AGAIN = "build it again on this machine with: fastsam-trt build MODEL"
_DIAGNOSES = {
    "VERSION_MISMATCH": "it was built by another version of TensorRT-RTX",
    "UNSUPPORTED_CC": "it was not built for this GPU's compute capability",
    "OLD_CUDA_DRIVER": "the GPU's driver is too old for it",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old for it",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little free memory for it",
    "MALFORMED_ENGINE": "it is no plan of TensorRT-RTX, or is cut short",
    "CUDA_ERROR": "the GPU's driver or the CUDA runtime does not work",
}


class PlanContext:
    """A context of a plan. It is destroyed while the device is idle, since that frees its memory at once.

    Attributes:
        context: TensorRT's context. Keep no other reference to it, so that it is destroyed with this object.
        scratch: Its working memory.
    """

    def __init__(self, device: GpuInterface, context: Any) -> None:
        self.context = context
        self.scratch: GpuMemory | None = None
        self._device = device

    def __del__(self) -> None:
        held, self.context = [self.context], None
        self._device.free(held.clear)


class LoadedPlan:
    """A deserialised plan.

    Attributes:
        inputs, outputs: Tensor name to dtype.
        axes: Tensor name to its axes; an empty string for a free axis.
        captures: Whether its contexts make CUDA graphs themselves. TensorRT-RTX's do, once the kernels for a shape are
            compiled, which is not visible from outside.
        compiles: Whether its contexts compile kernels for new shapes, as TensorRT-RTX's do.
        errors: Log of TensorRT's messages about failed calls on the plan or its contexts.
    """

    def __init__(
        self,
        path: Path,
        api: TensorRtApi,
        plan: bytes,
        device: GpuInterface,
        *,
        cuda_graphs: bool,
        kernels: bytes = b"",
        host_code: bool = False,
    ) -> None:
        """Deserialise a plan.

        Args:
            path: The file it came from, for messages.
            api: TensorRT or TensorRT-RTX.
            plan: The plan.
            device: The GPU to run it on.
            cuda_graphs: Whether its contexts may make CUDA graphs.
            kernels: What `kernels` returned in an earlier process; TensorRT-RTX only.
            host_code: Whether code in the plan may run in this process, which plans for later versions require.

        Raises:
            ModelFileError: The plan does not fit this GPU or version, or has unsupported tensors.
            BackendFailedError: TensorRT can't use the GPU.
        """
        self._path = path
        self._device = device
        self._scratch: GpuMemory | None = None
        self.errors = error_log(api)
        self._runtime = create_runtime(api)
        if host_code:
            self._runtime.engine_host_code_allowed = True
        _check_validity(path, api, self._runtime, plan, self.errors)
        extras: Any = api  # for names that only one of the two modules has, or that are not declared above
        with self.errors.listening() as errors:
            self._engine: trt.ICudaEngine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise ModelFileError(
                path,
                f"{extras.__name__} {api.__version__} can't load this plan: expected one built by this version, "
                f"for the GPU {device.name} and this operating system ({errors})",
                _BUILD_AGAIN,
            )
        self.inputs: dict[str, np.dtype[Any]] = {}
        self.outputs: dict[str, np.dtype[Any]] = {}
        self.axes: dict[str, Axes] = {}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            if self._engine.is_shape_inference_io(name):
                raise ModelFileError(path, f"expected no tensor that determines shapes, found {name!r}")
            kind = self.inputs if self._engine.get_tensor_mode(name) == api.TensorIOMode.INPUT else self.outputs
            kind[name] = _dtype(path, api, name, self._engine.get_tensor_dtype(name))
            self.axes[name] = tuple("" if n < 0 else n for n in _tuple(self._engine.get_tensor_shape(name)))
        self._user_managed = extras.ExecutionContextAllocationStrategy.USER_MANAGED
        self._config: Any = None
        self.captures = False
        self.compiles = hasattr(api, "CudaGraphStrategy")
        if self.compiles:
            self._config = _runtime_config(extras, self._engine, self._user_managed, kernels, cuda_graphs=cuda_graphs)
            self.captures = cuda_graphs

    def __del__(self) -> None:
        held = [self.__dict__.pop(name, None) for name in ("_runtime", "_engine", "_config")]  # cleared from the end
        self._device.free(held.clear)

    def create_context(self, shapes: Mapping[str, Shape]) -> PlanContext:
        """Make a context for inputs of certain shapes, without tensor addresses.

        Contexts share their working memory, since they run one after the other on the device's stream. It is as large
        as the shapes so far needed: a plan's largest shapes may need gigabytes that no caller uses.

        Raises:
            InputMismatchError: The plan does not support these shapes.
            GpuError: There is too little memory.
        """
        profile = self._profile(shapes)
        how = self._user_managed if self._config is None else self._config
        with self.errors.listening() as errors:
            plan_context = PlanContext(self._device, self._engine.create_execution_context(how))
            if plan_context.context is None:
                raise GpuError(self._device.name, f"making a context for {self._path.name}", str(errors))
            if profile and not plan_context.context.set_optimization_profile_async(profile, self._device.stream):
                raise GpuError(self._device.name, f"choosing profile {profile} of {self._path.name}", str(errors))
            for name, shape in shapes.items():
                if not plan_context.context.set_input_shape(name, shape):
                    raise self._refusal(name, shape)
            self._infer_shapes(plan_context, shapes)
        most = self._engine.device_memory_size_v2
        if most:
            needed = plan_context.context.update_device_memory_size_for_shapes() or most  # 0 for an error
            plan_context.scratch = scratch = self._scratch_of(needed, most)
            plan_context.context.set_device_memory(scratch.address, scratch.nbytes)
        return plan_context

    def output_shape(self, plan_context: PlanContext, name: str) -> Shape:
        """Shape of an output, as a context's input shapes determine it.

        Raises:
            ModelFileError: It also depends on the inputs' values.
        """
        shape = _tuple(plan_context.context.get_tensor_shape(name))
        if any(length < 0 for length in shape):
            raise ModelFileError(
                self._path,
                f"expected output shapes that depend on the input shapes only, found {shape} for {name!r}, "
                "which depends on input values (a NonZero or NonMaxSuppression in the graph)",
            )
        return shape

    def kernels(self) -> bytes:
        """The kernels that TensorRT-RTX has compiled for this GPU so far, for later processes; otherwise empty."""
        if self._config is None:
            return b""
        return bytes(memoryview(self._config.get_runtime_cache().serialize()))

    def _scratch_of(self, needed: int, most: int) -> GpuMemory:
        """Working memory of `needed` bytes or more. Earlier contexts keep theirs, so its size at least doubles."""
        if self._scratch is None or self._scratch.nbytes < needed:
            before = 0 if self._scratch is None else self._scratch.nbytes
            self._scratch = self._device.allocate(min(max(needed, 2 * before), most))
        return self._scratch

    def _infer_shapes(self, plan_context: PlanContext, shapes: Mapping[str, Shape]) -> None:
        try:
            unknown = plan_context.context.infer_shapes()
        except RuntimeError as error:
            raise InputMismatchError(next(iter(shapes)), "shapes that fit each other", str(dict(shapes))) from error
        if unknown:
            raise ModelFileError(
                self._path, f"the shapes of {', '.join(unknown)} do not depend on the input shapes only"
            )

    def _profile(self, shapes: Mapping[str, Shape]) -> int:
        """The first profile that supports these shapes."""
        profiles = range(self._engine.num_optimization_profiles)
        for profile in profiles:
            if all(_within(shape, *self._bounds(name, profile)) for name, shape in shapes.items()):
                return profile
        for name, shape in shapes.items():
            if not any(_within(shape, *self._bounds(name, profile)) for profile in profiles):
                raise self._refusal(name, shape)
        raise InputMismatchError(next(iter(shapes)), "shapes that one profile of the plan supports", str(dict(shapes)))

    def _bounds(self, name: str, profile: int) -> tuple[Shape, Shape]:
        """Smallest and largest shape of an input in a profile."""
        declared = _tuple(self._engine.get_tensor_shape(name))
        if all(length >= 0 for length in declared):
            return declared, declared
        smallest, _, largest = self._engine.get_tensor_profile_shape(name, profile)
        return _tuple(smallest), _tuple(largest)

    def _refusal(self, name: str, shape: Shape) -> InputMismatchError:
        bounds = (self._bounds(name, profile) for profile in range(self._engine.num_optimization_profiles))
        ranges = " or ".join(f"{low} to {high}" if low != high else f"{low}" for low, high in bounds)
        return InputMismatchError(name, f"shape {ranges}, as the plan was built for", str(shape))


def _check_validity(path: Path, api: TensorRtApi, runtime: Any, plan: bytes, log: ErrorLog) -> None:
    """Raise TensorRT-RTX's reason for refusing a plan."""
    if not hasattr(runtime, "get_engine_validity"):
        return
    names: Any = api
    with log.listening() as errors:
        validity, diagnostics = runtime.get_engine_validity(plan)
    if validity == names.EngineValidity.INVALID:
        flags = names.EngineInvalidityDiagnostics
        reasons = [why for name, why in _DIAGNOSES.items() if int(diagnostics) & int(getattr(flags, name))]
        why = ", and ".join(reasons) or str(errors)
        raise ModelFileError(path, f"TensorRT-RTX {api.__version__} can't run this plan: {why}", _BUILD_AGAIN)
    if validity == names.EngineValidity.SUBOPTIMAL:
        _logger.info("%s: this plan runs here, though slower than one built on this machine would", path)


def _runtime_config(api: Any, engine: Any, allocation: Any, kernels: bytes, *, cuda_graphs: bool) -> Any:
    """The configuration of TensorRT-RTX's contexts, which share the kernels that they compile."""
    config = engine.create_runtime_config()
    config.set_execution_context_allocation_strategy(allocation)
    cache = config.create_runtime_cache()
    if kernels:
        cache.deserialize(kernels)  # returns False for kernels of another driver or GPU, which are then compiled again
    config.set_runtime_cache(cache)
    if cuda_graphs:
        config.cuda_graph_strategy = api.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    return config


def _dtype(path: Path, api: TensorRtApi, name: str, found: trt.DataType) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(api.nptype(found))
    except TypeError as error:
        raise ModelFileError(path, f"its tensor {name!r} is {found}, which numpy does not have") from error
    return dtype


def _tuple(dims: Any) -> Shape:
    return tuple(int(dims[i]) for i in range(len(dims)))


def _within(shape: Shape, low: Shape, high: Shape) -> bool:
    return len(shape) == len(low) and all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))
