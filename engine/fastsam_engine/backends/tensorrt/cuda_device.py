"""Use a GPU through cuda.core."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsam_engine.backends.tensorrt.stream_lock import StreamLock
from fastsam_engine.device_array import Array
from fastsam_engine.errors import GpuError, one_line

if TYPE_CHECKING:
    from cuda.core import Buffer, Stream
    from cuda.core.graph import Graph

_SMALLER = "free GPU memory, or use a smaller model, batch or --imgsz"


class CudaMemory:
    """Memory on a GPU, from the driver's pool; freed in stream order."""

    def __init__(self, device: CudaDevice, buffer: Buffer, nbytes: int) -> None:
        self.address = int(buffer.handle)
        self.nbytes = nbytes
        self._buffer = buffer
        self._device = device

    def copy_in(self, source: Array) -> None:
        self._device.copy(self._buffer, self._device.host(source), self.nbytes)

    def copy_out(self, to: Array) -> None:
        self._device.copy(self._device.host(to), self._buffer, self.nbytes)

    def copy_from(self, address: int) -> None:
        self._device.copy(self._buffer, self._device.view(address, self.nbytes), self.nbytes)

    def __del__(self) -> None:
        self._device.free(partial(self._buffer.close, self._device.queue))


class CudaPinnedMemory:
    """Page-locked host memory; freed once the stream has finished with it."""

    def __init__(self, device: CudaDevice, buffer: Buffer, nbytes: int) -> None:
        self._buffer = buffer
        self._device = device
        self.array: Array = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(int(buffer.handle)))

    def __del__(self) -> None:
        # By default the buffer would wait for the default stream, which is not the one that copies.
        self._device.free(partial(self._buffer.close, self._device.queue))


class CudaGraph:
    """A CUDA graph, ready to launch."""

    def __init__(self, device: CudaDevice, graph: Graph) -> None:
        self._graph = graph
        self._device = device

    def launch(self) -> None:
        try:
            self._graph.launch(self._device.queue)
        except Exception as error:
            raise GpuError(self._device.name, "launching a CUDA graph", one_line(error)) from error

    def __del__(self) -> None:
        self._device.free(self._graph.close)


class CudaDevice:
    """A GPU, as `GpuInterface` describes it.

    cuda.core's own errors, which share no public base, become `GpuError`.

    Attributes:
        queue: Its stream, as an object of cuda.core.
    """

    def __init__(self, index: int = 0, cuda: Any = None) -> None:
        """Set up a GPU.

        Args:
            index: Its number among the GPUs that CUDA_VISIBLE_DEVICES allows.
            cuda: The package `cuda` with `core` and `bindings.driver` loaded; None: the installed one.

        Raises:
            GpuError: There is no such GPU, or no driver.
        """
        self._cuda = _package() if cuda is None else cuda
        self.name = f"cuda:{index}"
        self._index = index
        self._lock = StreamLock(self._current)
        try:
            with self._current():
                gpu = self._cuda.core.Device(index)
                self.queue: Stream = gpu.create_stream()
                self._pool = gpu.memory_resource
                self._pinned = self._cuda.core.LegacyPinnedMemoryResource()
        except Exception as error:
            raise GpuError(self.name, "setting the GPU up", one_line(error)) from error
        self.stream = int(self.queue.handle)
        self.memory = f"{self.name} stream {self.stream:#x}"

    def using(self) -> AbstractContextManager[None]:
        return self._lock.holding()

    def free(self, free: Callable[[], object]) -> None:
        self._lock.free(free)

    def allocate(self, nbytes: int) -> CudaMemory:
        try:
            buffer = self._pool.allocate(max(nbytes, 1), stream=self.queue)
        except Exception as error:
            raise GpuError(self.name, f"allocating {_mib(nbytes)} on the GPU", one_line(error), _SMALLER) from error
        return CudaMemory(self, buffer, nbytes)

    def allocate_pinned(self, nbytes: int) -> CudaPinnedMemory:
        try:
            buffer = self._pinned.allocate(max(nbytes, 1))
        except Exception as error:
            raise GpuError(
                self.name, f"allocating {_mib(nbytes)} of pinned host memory", one_line(error), "free host memory"
            ) from error
        return CudaPinnedMemory(self, buffer, nbytes)

    def synchronise(self) -> None:
        try:
            self.queue.sync()
        except Exception as error:
            raise GpuError(self.name, "what was queued", one_line(error)) from error

    def capture(self, work: Callable[[], None]) -> CudaGraph:
        builder = self.queue.create_graph_builder()
        try:
            builder.begin_building("thread_local")  # other threads' work on other streams goes on meanwhile
            work()
            graph = builder.end_building().complete()
        except GpuError:
            raise
        except Exception as error:
            raise GpuError(self.name, "capturing a CUDA graph", one_line(error)) from error
        finally:
            with contextlib.suppress(Exception):  # ends an aborted capture, for which it also raises
                builder.close()
        return CudaGraph(self, graph)

    def view(self, address: int, nbytes: int) -> Buffer:
        """Memory owned by another object, on the GPU or the host, pinned or not; the driver knows from the address."""
        return self._cuda.core.Buffer.from_handle(address, nbytes)

    def host(self, array: Array) -> Buffer:
        """A contiguous host array as a buffer of cuda.core; it keeps no reference to the array."""
        return self.view(array.ctypes.data, array.nbytes)

    def copy(self, to: Buffer, source: Buffer, nbytes: int) -> None:
        """Queue a copy.

        Raises:
            GpuError: It can't be queued.
        """
        if not nbytes:
            return
        try:
            source.copy_to(to, stream=self.queue)
        except Exception as error:
            raise GpuError(self.name, f"copying {_mib(nbytes)}", one_line(error)) from error

    @contextlib.contextmanager
    def _current(self) -> Iterator[None]:
        """Make the GPU the thread's current one; afterwards restore the one that another library has set, or none."""
        core, driver = self._cuda.core, self._cuda.bindings.driver
        core.Device(self._index)  # initialises the driver, so it must come first
        failed, before = driver.cuCtxGetCurrent()
        core.Device(self._index).set_current()  # cuda.core has one device object per thread
        try:
            yield
        finally:
            if not failed:
                driver.cuCtxSetCurrent(before)


def _package() -> Any:
    """The package `cuda`, with only the needed modules loaded."""
    for name in ("cuda.core", "cuda.bindings.driver"):
        importlib.import_module(name)
    return importlib.import_module("cuda")


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MiB"
