"""TensorRtSession: a plan, run on TensorRT or TensorRT-RTX."""

from __future__ import annotations

import contextlib
import logging
import math
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from fastsam_engine.backends.tensorrt.api import TensorRtApi
from fastsam_engine.backends.tensorrt.bindings import Bindings
from fastsam_engine.backends.tensorrt.bound_context import Binding, BoundTensor
from fastsam_engine.backends.tensorrt.device import Device
from fastsam_engine.backends.tensorrt.gpu_array import TensorRtArray
from fastsam_engine.backends.tensorrt.kernels import Kernels
from fastsam_engine.backends.tensorrt.loaded_plan import LoadedPlan, Shape
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import GpuError, InputMismatchError
from fastsam_engine.graph.onnx_graph import Tensor
from fastsam_engine.plans.plan_file import Flavour
from fastsam_engine.session import Computed, Session
from fastsam_engine.spec.graph_check import check_tensors
from fastsam_engine.spec.model_spec import ModelSpec

_logger = logging.getLogger(__name__)

_SIZES_KEPT = 12  # more than the few rectangles that frames are fitted into
_BATCHES_KEPT = 32  # of each size; a ladder of batches has far fewer
_CAPTURES_TRIED = 3


class TensorRtSession(Session):
    """A plan on a GPU.

    Each set of input shapes gets a context and memory of its own, and the last few are kept: nothing is allocated while
    shapes come back. Uploads, work and downloads are queued together and waited for once. From the second time that a
    shape comes, its work is one CUDA graph; a shape that comes once is not worth the capture. What counts segments or
    pictures should come in few batches (`keeps_shapes`).

    Inputs that lie on the GPU are copied, there, into the session's own memory: that costs microseconds, and keeps the
    addresses that a CUDA graph is bound to.
    """

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        backend: Flavour,
        api: TensorRtApi,
        plan: bytes,
        device: Device,
        precision: Computed,
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
            spec: What the plan takes and gives.
            backend: Which of the two it is.
            api: Its module.
            plan: The serialised plan.
            device: The GPU; sessions that hand arrays on share it.
            precision: What the plan computes in.
            cuda_graphs: Whether to make CUDA graphs of shapes that come back.
            sizes_kept: For how many sizes of inputs to keep contexts, memory and graphs; see `Bindings`.
            batches_kept: For how many batches of each.
            kernels: What `kernels()` gave in an earlier process.
            keep_kernels: Stores it, for later processes: called some runs after new shapes came and in the end, if
                there are more of them than before. What it raises is logged.
            host_code: Whether code in the plan may run in this process, as plans for later versions need it.
            halves: Whether the plan may take another floating-point dtype than its spec says, as another tool's may.

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
            self._kernels = Kernels(self._plan, len(kernels), keep_kernels)
        self._bindings = Bindings(spec, partial(Binding, self._plan, device), sizes_kept, batches_kept)
        # When it is collected, and at the interpreter's exit while the driver is still there, too.
        self._ended = weakref.finalize(self, device.free, partial(_end, self._bindings, self._kernels, device))

    @property
    def place(self) -> str:
        return self._device.place

    @property
    def keeps_shapes(self) -> bool:
        return True

    def _upload(self, array: Array) -> TensorRtArray:
        source = np.ascontiguousarray(array)
        with self._device.using():
            memory = self._device.allocate(source.nbytes)
            memory.copy_in(source)
            self._in_flight = True
            self._settle()  # from now on the caller's array may go
        return TensorRtArray(self._device, memory, array.shape, array.dtype)

    def warm(self, shapes: Iterable[Mapping[str, Shape]]) -> None:
        """Make contexts, memory and CUDA graphs for input shapes that are to come, the largest first.

        Args:
            shapes: Input name to shape, for each set of shapes, such as each size of a ladder of batches; see the
                session's `sizes_kept` and `batches_kept`.

        Raises:
            InputMismatchError: The plan does not serve some of them.
            ClosedError: The session was closed.
        """
        dtypes = dict(zip(self.spec.input_names, self.spec.input_dtypes, strict=True))
        outputs = [output.name for output in self.spec.outputs]
        for each in sorted(shapes, key=lambda each: -sum(math.prod(shape) for shape in each.values())):
            zeros = {name: np.zeros(shape, dtypes.get(name)) for name, shape in each.items()}
            for _ in range(2):  # the second run is captured
                self.run_kept(zeros, outputs)
        with self._under_way.one(), self._device.using():
            self._settle()

    def kernels(self) -> bytes:
        """The kernels that TensorRT-RTX compiled for this GPU, for later processes to start with; else empty.

        Raises:
            ClosedError: The session was closed.
        """
        with self._under_way.one(), self._device.using():
            return self._plan.kernels()

    def _release(self) -> None:
        with self._device.using():
            if (ended := self._ended.detach()) is not None:
                ended[2][0]()
            del ended, self._bindings, self._kernels, self._plan  # here, where the GPU is this thread's

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
            self._settle()
            self._in_flight = True
            for name, array in inputs.items():
                _give(name, binding.inputs[name], array)
            self._start(binding)
            tensors = {output.name: binding.outputs[output.name] for output in self.spec.outputs}
            hosts = {name: tensor.fetch() for name, tensor in tensors.items() if name not in keep}
            if hosts:
                self._settle()
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
            except GpuError as error:  # perhaps by what another library did meanwhile on this thread
                self._failed_captures += 1
                if self._failed_captures >= _CAPTURES_TRIED:
                    self._cuda_graphs = False
                    _logger.info("%s runs without CUDA graphs: %s", self.spec.name, error)
        binding.run()

    def _settle(self) -> None:
        """Wait for a run that left all its outputs on the GPU: until then its pinned memory is being read."""
        if self._in_flight:
            self._device.synchronise()
            self._in_flight = False


def _end(bindings: Bindings, kernels: Kernels | None, device: Device) -> None:
    """End a session: its contexts go once their work is done. Its plan goes with the last that holds it."""
    if kernels is not None:
        kernels.store()
    with contextlib.suppress(GpuError):  # what failed before; the memory goes all the same
        device.synchronise()
    bindings.clear()


def _give(name: str, tensor: BoundTensor, array: Array | DeviceArray) -> None:
    """Queue the copy of an input into a binding's memory."""
    if not isinstance(array, DeviceArray):
        tensor.give(array)
    elif not isinstance(array, TensorRtArray):
        tensor.give(array.to_host())
    elif array.dtype != tensor.dtype:
        raise InputMismatchError(name, f"{tensor.dtype}, as the plan was built for", str(array.dtype))
    else:
        tensor.memory.copy_from(array.address)


def _check_tensors(path: Path, spec: ModelSpec, plan: LoadedPlan, *, halves: bool) -> None:
    """Hold a plan's inputs and outputs against its spec."""
    said = dict(zip(spec.input_names, spec.input_dtypes, strict=True))
    inputs = {}
    for name, found in plan.inputs.items():
        wanted = np.dtype(said.get(name, found))
        fits = halves and wanted.kind == found.kind == "f"
        inputs[name] = Tensor(str(wanted if fits else found), plan.axes[name])
    outputs = {name: Tensor(str(dtype), plan.axes[name]) for name, dtype in plan.outputs.items()}
    check_tensors(path, spec, inputs, outputs, of="plan")
