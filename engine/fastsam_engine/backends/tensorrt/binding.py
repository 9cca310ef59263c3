"""Bind a plan's context to memory for inputs of certain shapes.

Its addresses never change, so its work can be captured once and launched many times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastsam_engine.backends.tensorrt.gpu_interface import CapturedWork, GpuInterface, PinnedMemory
from fastsam_engine.backends.tensorrt.loaded_plan import LoadedPlan, Shape
from fastsam_engine.device_array import Array
from fastsam_engine.errors import GpuError


class BoundTensor:
    """One tensor of a binding: memory on the GPU, and pinned host memory once it was copied.

    Attributes:
        shape, dtype: As for a numpy array.
        memory: On the GPU.
    """

    def __init__(self, device: GpuInterface, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.memory = device.allocate(math.prod(shape) * dtype.itemsize)
        self._device = device
        self._pinned: PinnedMemory | None = None

    def host(self) -> Array:
        """Its pinned host memory, as an array."""
        if self._pinned is None:
            self._pinned = self._device.allocate_pinned(self.memory.nbytes)
        return self._pinned.array.view(self.dtype).reshape(self.shape)

    def upload(self, array: Array) -> None:
        """Queue the upload of an array of this shape and of a dtype that can be cast to this one."""
        host = self.host()
        np.copyto(host, array)
        self.memory.copy_in(host)

    def download(self) -> Array:
        """Queue a download. Returns the pinned memory that it writes to."""
        host = self.host()
        self.memory.copy_out(host)
        return host


class Binding:
    """A context and its tensors.

    Attributes:
        inputs, outputs: Name to tensor.
        has_run: Whether it has run. A capture requires that, since the first run may allocate.
    """

    def __init__(self, plan: LoadedPlan, device: GpuInterface, shapes: Mapping[str, Shape]) -> None:
        """Bind memory for inputs of certain shapes.

        Raises:
            InputMismatchError: The plan does not serve these shapes.
            ModelFileError: They do not determine the outputs' shapes.
            GpuError: There is too little memory.
        """
        self._device = device
        self._errors = plan.errors
        self._captured: CapturedWork | None = None
        self.has_run = False
        self._plan_context = plan.create_context(shapes)
        self.inputs = {name: BoundTensor(device, shape, plan.inputs[name]) for name, shape in shapes.items()}
        self.outputs = {
            name: BoundTensor(device, plan.output_shape(self._plan_context, name), dtype)
            for name, dtype in plan.outputs.items()
        }
        for name, tensor in (self.inputs | self.outputs).items():
            with self._errors.listening() as errors:
                if not self._plan_context.context.set_tensor_address(name, tensor.memory.address):
                    raise GpuError(device.name, f"binding {name!r} at {tensor.memory.address:#x}", str(errors))

    @property
    def is_captured(self) -> bool:
        """Whether its work is captured."""
        return self._captured is not None

    def capture(self) -> None:
        """Capture its work as a CUDA graph, which later runs launch. It must have run, and the run must be finished.

        Raises:
            GpuError: It can't be captured.
        """
        self._captured = self._device.capture(self._enqueue)

    def run(self) -> None:
        """Queue its work.

        Raises:
            GpuError: It can't be queued.
        """
        if self._captured is None:
            self._enqueue()
        else:
            self._captured.launch()
        self.has_run = True

    def _enqueue(self) -> None:
        with self._errors.listening() as errors:
            if not self._plan_context.context.execute_async_v3(self._device.stream):
                raise GpuError(
                    self._device.name, "queueing a plan's work", str(errors),
                    "build the plan again with: fastsam-trt build MODEL, or use --backend onnxruntime",
                )  # fmt: skip
