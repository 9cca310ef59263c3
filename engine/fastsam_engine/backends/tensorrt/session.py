"""Run a plan on TensorRT or TensorRT-RTX."""

from __future__ import annotations

import contextlib
import logging
import math
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.binding import Binding, BoundTensor
from fastsam_engine.backends.tensorrt.binding_cache import BindingCache
from fastsam_engine.backends.tensorrt.gpu_interface import GpuInterface
from fastsam_engine.backends.tensorrt.kernel_store import KernelStore
from fastsam_engine.backends.tensorrt.loaded_plan import LoadedPlan, Shape
from fastsam_engine.backends.tensorrt.tensorrt_array import TensorRtArray
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import GpuError, InputMismatchError
from fastsam_engine.graph.onnx_graph import Tensor
from fastsam_engine.plans.plan_file import Flavour
from fastsam_engine.session import ComputePrecision, Session
from fastsam_engine.spec.graph_agreement import check_tensors
from fastsam_engine.spec.model_spec import ModelSpec

_logger = logging.getLogger(__name__)

_SIZES_KEPT = 12  # frames are fitted into fewer rectangles
_BATCHES_KEPT = 32  # per size; callers use far fewer batch sizes
_CAPTURES_TRIED = 3


class TensorRtSession(Session):
    """A plan on a GPU.

    Every set of input shapes gets its own context and memory, and the most recent ones are kept, so repeated shapes
    allocate nothing. Uploads, work and downloads are queued together and waited for once. When a shape comes for the
    second time, its work is captured as one CUDA graph; a single run is not worth the capture. Callers should use few
    batch sizes (`prefers_few_shapes`).

    Inputs on the GPU are copied into the session's memory on the GPU. This takes microseconds and keeps the addresses
    that a CUDA graph is bound to.
    """

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        backend: Flavour,
        api: TensorRtApi,
        plan: bytes,
        device: GpuInterface,
        precision: ComputePrecision,
        *,
        cuda_graphs: bool = True,
        sizes_kept: int = _SIZES_KEPT,
        batches_kept: int = _BATCHES_KEPT,
        kernels: bytes = b"",
        keep_kernels: Callable[[bytes], None] | None = None,
        host_code: bool = False,
        halves: bool = False,
    ) -> None:
        """Load a plan.

        Args:
            path: The file it came from.
            spec: Inputs and outputs of the plan.
            backend: `tensorrt` or `tensorrt-rtx`.
            api: Its module.
            plan: The serialised plan.
            device: The GPU; sessions that pass arrays to each other share it.
            precision: What the plan computes in.
            cuda_graphs: Whether to make CUDA graphs for repeated shapes.
            sizes_kept: For how many sizes of inputs to keep contexts, memory and graphs; see `BindingCache`.
            batches_kept: For how many batches per size.
            kernels: What `kernels()` returned in an earlier process.
            keep_kernels: Stores kernels for later processes. Called some runs after new shapes and at the end, if
                there are more kernels than before. What it raises is logged.
            host_code: Whether code in the plan may run in this process, which plans for later versions require.
            halves: Whether the plan may take another floating-point dtype than its spec states, as other tools' do.

        Raises:
            ModelFileError: The plan does not fit this GPU, this version or the spec.
            GpuError: The GPU can't hold it.
        """
        super().__init__(path, spec, backend, device.name, precision)
        self._device = device
        self._in_flight = False
        with device.using():
            self._plan = LoadedPlan(
                path, api, plan, device, cuda_graphs=cuda_graphs, kernels=kernels, host_code=host_code
            )
            _check_tensors(path, spec, self._plan, halves=halves)
        self._cuda_graphs = cuda_graphs and not self._plan.captures
        self._failed_captures = 0
        self._kernels = None
        if keep_kernels is not None and self._plan.compiles:
            self._kernels = KernelStore(self._plan, len(kernels), keep_kernels)
        self._bindings = BindingCache(spec, partial(Binding, self._plan, device), sizes_kept, batches_kept)
        self._end = partial(_end, self._bindings, self._kernels, device)
        # Runs when the session is collected, and at the interpreter's exit, while the driver is still loaded.
        self._finalizer = weakref.finalize(self, device.free, self._end)

    @property
    def memory(self) -> str:
        return self._device.memory

    @property
    def prefers_few_shapes(self) -> bool:
        return True

    def _upload(self, array: Array) -> TensorRtArray:
        source = np.ascontiguousarray(array)
        with self._device.using():
            memory = self._device.allocate(source.nbytes)
            memory.copy_in(source)
            self._in_flight = True
            self._synchronise()  # now the caller may free the array
        return TensorRtArray(self._device, memory, array.shape, array.dtype)

    def warm(self, shapes: Iterable[Mapping[str, Shape]]) -> None:
        """Make contexts, memory and CUDA graphs for future input shapes, the largest first.

        Args:
            shapes: Sets of shapes, input name to shape, for example one per batch size; no more than the session's
                `sizes_kept` and `batches_kept`.

        Raises:
            InputMismatchError: The plan does not support some of them.
            ClosedError: The session was closed.
        """
        dtypes = dict(zip(self.spec.input_names, self.spec.input_dtypes, strict=True))
        outputs = [output.name for output in self.spec.outputs]
        for each in sorted(shapes, key=lambda each: -sum(math.prod(shape) for shape in each.values())):
            zeros = {name: np.zeros(shape, dtypes.get(name)) for name, shape in each.items()}
            for _ in range(2):  # the second run is captured
                self.run_kept(zeros, outputs)
        with self._under_way.one(), self._device.using():
            self._synchronise()

    def kernels(self) -> bytes:
        """The kernels that TensorRT-RTX has compiled for this GPU, for later processes; otherwise empty.

        Raises:
            ClosedError: The session was closed.
        """
        with self._under_way.one(), self._device.using():
            return self._plan.kernels()

    def _release(self) -> None:
        with self._device.using():
            if self._finalizer.detach() is not None:  # it has not run yet
                self._end()
            # Dropped here, where the GPU is the current one of this thread.
            del self._end, self._finalizer, self._bindings, self._kernels, self._plan

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._execute(inputs, ())[0]

    def _run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        return self._execute(inputs, keep)

    def _execute(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        with self._device.using():
            binding = self._bindings.get({name: tuple(inputs[name].shape) for name in self.spec.input_names})
            had_run = binding.has_run
            self._synchronise()
            self._in_flight = True
            for name, array in inputs.items():
                _copy_in(name, binding.inputs[name], array)
            self._start(binding)
            tensors = {output.name: binding.outputs[output.name] for output in self.spec.outputs}
            hosts = {name: tensor.download() for name, tensor in tensors.items() if name not in keep}
            if hosts:
                self._synchronise()
            self._bindings.trim()
            if self._kernels is not None:
                self._kernels.ran(is_new=not had_run)
            kept: dict[str, DeviceArray] = {
                name: TensorRtArray(self._device, tensors[name].memory, tensors[name].shape, tensors[name].dtype)
                for name in keep
            }
            return {name: host.copy() for name, host in hosts.items()}, kept

    def _start(self, binding: Binding) -> None:
        if self._cuda_graphs and binding.has_run and not binding.is_captured:
            try:
                binding.capture()
            except GpuError as error:  # perhaps caused by another library on this thread
                self._failed_captures += 1
                if self._failed_captures >= _CAPTURES_TRIED:
                    self._cuda_graphs = False
                    _logger.info("%s runs without CUDA graphs: %s", self.spec.name, error)
        binding.run()

    def _synchronise(self) -> None:
        """Wait for a run that kept all outputs on the GPU: until then its pinned memory may still be read."""
        if self._in_flight:
            self._device.synchronise()
            self._in_flight = False


def _end(bindings: BindingCache, kernels: KernelStore | None, device: GpuInterface) -> None:
    """End a session: free its contexts once their work is done. The plan is freed with its last reference."""
    if kernels is not None:
        kernels.store()
    with contextlib.suppress(GpuError):  # of earlier work; the memory is freed anyway
        device.synchronise()
    bindings.clear()


def _copy_in(name: str, tensor: BoundTensor, array: Array | DeviceArray) -> None:
    """Queue the copy of an input to a binding's memory."""
    if not isinstance(array, DeviceArray):
        tensor.upload(array)
    elif not isinstance(array, TensorRtArray):
        tensor.upload(array.to_host())
    elif array.dtype != tensor.dtype:
        raise InputMismatchError(name, f"{tensor.dtype}, as the plan was built for", str(array.dtype))
    else:
        tensor.memory.copy_from(array.address)


def _check_tensors(path: Path, spec: ModelSpec, plan: LoadedPlan, *, halves: bool) -> None:
    """Compare a plan's inputs and outputs with its spec."""
    declared = dict(zip(spec.input_names, spec.input_dtypes, strict=True))
    inputs = {}
    for name, found in plan.inputs.items():
        wanted = np.dtype(declared.get(name, found))
        fits = halves and wanted.kind == found.kind == "f"
        inputs[name] = Tensor(str(wanted if fits else found), plan.axes[name])
    outputs = {name: Tensor(str(dtype), plan.axes[name]) for name, dtype in plan.outputs.items()}
    check_tensors(path, spec, inputs, outputs, of="plan")
