"""Run graphs on ONNX Runtime with arrays that stay on the device, by binding inputs and outputs."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.concurrency.lazy_cache import LazyCache
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import GpuError, one_line
from fastsam_engine.input_check import image_size_text
from fastsam_engine.session import ComputePrecision, Session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec

if TYPE_CHECKING:
    import onnxruntime

_logger = logging.getLogger(__name__)

Axes = Mapping[str, tuple[int | str, ...]]
Shapes = tuple[tuple[int, ...], ...]
Open = Callable[[Mapping[str, int]], "onnxruntime.InferenceSession"]
_SIZES_KEPT = 12  # of images, each with all its batches; frames are fitted into fewer rectangles
_PATCHES_KEPT = 64  # sets of shapes of patches, which change from frame to frame among a few numbers per level
_DTYPES = {"float": "float32", "double": "float64"}  # ONNX Runtime's names where they differ from numpy's


class OrtDeviceArray(DeviceArray):
    """An array of ONNX Runtime on a device."""

    def __init__(self, value: onnxruntime.OrtValue, memory: str) -> None:
        self.value = value
        self.memory = memory
        self.shape = tuple(value.shape())
        name = value.data_type().removeprefix("tensor(").removesuffix(")")
        self.dtype = np.dtype(_DTYPES.get(name, name))

    def to_host(self) -> Array:
        return cast("Array", self.value.numpy())

    def copy_owned(self) -> OrtDeviceArray:
        _, memory, index = self.memory.split(":")
        value = _empty(self.shape, self.dtype, memory, int(index))
        value.update_inplace(self.value)
        return OrtDeviceArray(value, self.memory)


class OnnxRuntimeBoundSession(Session):
    """A graph on a device of ONNX Runtime, usually a GPU.

    If the image's size is not fixed, the graph is opened once per input shape, with every axis fixed: this folds the
    arithmetic of shapes, which would run on the CPU, and allows recording runs. The most recent shapes stay open. Other
    graphs are opened once.

    Runs take turns, since kept outputs are bound to the session's buffers. A new shape is opened while other shapes
    run, unless runs are recorded: nothing else on the GPU may disturb a recording.

    With `cuda_graph`, the second run of a shape is recorded and later runs replay it, in separate buffers. Inputs on
    the device are then copied into these, and the next run overwrites kept outputs.
    """

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        device: Device,
        precision: ComputePrecision,
        axes: Axes,
        open_graph: Open,
        *,
        sized: bool,
        cuda_graph: bool = False,
    ) -> None:
        """Open the graph.

        Args:
            path, spec: Of the graph.
            device: To run on.
            precision: What it computes in on that device.
            axes: Of the graph's inputs, as `read_graph` returns them.
            open_graph: Opens the graph with lengths for some of its symbolic axes.
            sized: Whether it is opened once per shape.
            cuda_graph: Whether runs are recorded.
        """
        super().__init__(path, spec, "onnxruntime", str(device), precision)
        self._memory, self._index = device.memory, device.index
        self._axes = axes
        self._open = open_graph
        self._shared = None if sized else open_graph({})
        self._graph_ids = itertools.count(1) if cuda_graph else None
        self._bound = LazyCache(
            self._bind,
            _PATCHES_KEPT if spec.is_part else _SIZES_KEPT,
            group=_without_batch if sized else lambda key: key,
            drop=_BoundShape.release,
        )
        self._reported = set[Shapes]()

    @property
    def memory(self) -> str:
        return f"onnxruntime:{self._memory}:{self._index}"

    @property
    def prefers_few_shapes(self) -> bool:
        return self._graph_ids is not None

    def _upload(self, array: Array) -> DeviceArray:
        with nullcontext() if self._graph_ids is None else self._turn:
            return OrtDeviceArray(_put(array, self._memory, self._index), self.memory)

    def prepare(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Open the graph for input shapes, by name, unless it is open for them."""
        self._bound.get(self._key(shapes))

    def _prepare(self, inputs: Mapping[str, Array | DeviceArray]) -> None:
        if self._graph_ids is None:
            self.prepare({name: array.shape for name, array in inputs.items()})

    def _release(self) -> None:
        self._bound.clear()
        self._shared = None

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._run_kept(inputs, ())[0]

    def _run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        bound = self._bound.get(self._key({name: array.shape for name, array in inputs.items()}))
        try:
            outputs = bound.run(inputs)
            fetched = {name: self._fetched(value) for name, value in outputs.items() if name not in keep}
        except Exception as error:  # the library's own exceptions share no base but Exception
            fix = "use a smaller batch or --imgsz if memory ran out, or --device cpu"
            raise GpuError(self.device, f"running {self.spec.name}", one_line(error), fix) from error
        return fetched, {name: OrtDeviceArray(outputs[name], self.memory) for name in keep}

    def _fetched(self, value: onnxruntime.OrtValue) -> Array:
        array = cast("Array", value.numpy())
        return array.copy() if self._memory == "cpu" else array  # from a GPU it is a copy already

    def _key(self, shapes: Mapping[str, tuple[int, ...]]) -> Shapes:
        return tuple(tuple(shapes[name]) for name in self.spec.input_names)

    def _bind(self, key: Shapes) -> _BoundShape:
        session = self._shared
        if session is None:
            if key not in self._reported:
                self._reported.add(key)
                size = image_size_text(cast("ImageInput", self.spec.input), key[0])
                _logger.info("compiling %s for %s on %s %s, done once", self.spec.name, size, self.backend, self.device)
            session = self._open(_lengths(self._axes, dict(zip(self.spec.input_names, key, strict=True))))
        outputs = [output.name for output in self.spec.outputs]
        graph_id = None if self._graph_ids is None else next(self._graph_ids)
        return _BoundShape(session, outputs, self._memory, self._index, graph_id)


class _BoundShape:
    """A session's buffers for one set of input shapes, and the recording of its run."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        outputs: list[str],
        memory: str,
        index: int,
        graph_id: int | None,
    ) -> None:
        """Prepare; buffers are made when they are needed.

        Args:
            session: To run.
            outputs: Names of the wanted outputs.
            memory, index: The memory for the buffers, in ONNX Runtime's terms.
            graph_id: Unique id of the recording, from 1; None: runs are not recorded.
        """
        self._session = session
        self._binding = session.io_binding()
        self._outputs = outputs
        self._memory, self._index = memory, index
        self._graph_id = graph_id
        self._inputs: dict[str, onnxruntime.OrtValue] = {}
        self._fixed: list[onnxruntime.OrtValue] | None = None
        self._recorded = False

    def run(self, inputs: Mapping[str, Array | DeviceArray]) -> dict[str, onnxruntime.OrtValue]:
        """Run on inputs of this shape. Returns output name to value on the device."""
        for name, array in inputs.items():
            self._binding.bind_ortvalue_input(name, self._input(name, array))
        if self._graph_id is not None and self._fixed is not None:
            self._session.run_with_iobinding(self._binding, self._run_options(self._graph_id))
            self._recorded = True
            return dict(zip(self._outputs, self._fixed, strict=True))
        for name in self._outputs:
            self._binding.bind_output(name, self._memory, self._index)
        self._session.run_with_iobinding(self._binding, None if self._graph_id is None else self._run_options(-1))
        found = self._binding.get_outputs()
        if self._graph_id is not None:
            # The next run of this shape is recorded, which needs fixed addresses.
            self._fixed = [_empty_like(value, self._memory, self._index) for value in found]
            for name, value in zip(self._outputs, self._fixed, strict=True):
                self._binding.bind_ortvalue_output(name, value)
        return dict(zip(self._outputs, found, strict=True))

    def release(self) -> None:
        """Release the recording; the buffers are freed with this object."""
        if self._graph_id is not None and self._recorded:
            self._session.release_captured_graph(self._graph_id)

    def _input(self, name: str, array: Array | DeviceArray) -> onnxruntime.OrtValue:
        given = array.value if isinstance(array, OrtDeviceArray) else array
        if isinstance(array, OrtDeviceArray) and self._graph_id is None:
            return given
        if name not in self._inputs:
            self._inputs[name] = _empty(array.shape, array.dtype, self._memory, self._index)
        self._inputs[name].update_inplace(given)
        return self._inputs[name]

    @staticmethod
    def _run_options(graph_id: int) -> onnxruntime.RunOptions:
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(graph_id))
        return options


def symbols(axes: Axes, names: Collection[str]) -> Iterator[str]:
    """The symbols of all free axes of some inputs; a symbol may be empty."""
    for name in names:
        yield from (axis for axis in axes[name] if isinstance(axis, str))


def _without_batch(key: Shapes) -> Shapes:
    return tuple(shape[1:] for shape in key)


def _lengths(axes: Axes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Symbol of a free axis to its length in some shapes."""
    return {
        axis: length
        for name, shape in shapes.items()
        for axis, length in zip(axes[name], shape, strict=True)
        if isinstance(axis, str)
    }


def _put(array: Array, memory: str, index: int) -> onnxruntime.OrtValue:
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), memory, index)


def _empty(shape: tuple[int, ...], dtype: np.dtype[np.generic], memory: str, index: int) -> onnxruntime.OrtValue:
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype, memory, index)


def _empty_like(value: onnxruntime.OrtValue, memory: str, index: int) -> onnxruntime.OrtValue:
    like = OrtDeviceArray(value, "")
    return _empty(like.shape, like.dtype, memory, index)
