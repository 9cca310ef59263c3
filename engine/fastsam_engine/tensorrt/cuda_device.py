"""CudaDevice: a GPU by way of cuda.core."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from fastsam_engine.device_array import Array
from fastsam_engine.errors import GpuError, one_line

if TYPE_CHECKING:
    from cuda.core import Buffer, Stream
    from cuda.core.graph import Graph

_SMALLER = "free GPU memory, or use a smaller model, batch or --imgsz"


class CudaMemory:
    """Memory on a GPU, of the driver's pool; given back in the stream's order."""

    def __init__(self, buffer: Buffer, nbytes: int, stream: Stream, device: str) -> None:
        self.address = int(buffer.handle)
        self.nbytes = nbytes
        self._buffer = buffer
        self._stream = stream
        self._device = device

    def copy_in(self, source: Array) -> None:
        self._copy(_view(source.ctypes.data, source.nbytes), self._buffer)

    def copy_out(self, to: Array) -> None:
        self._copy(self._buffer, _view(to.ctypes.data, to.nbytes))

    def copy_from(self, address: int) -> None:
        self._copy(_view(address, self.nbytes), self._buffer)

    def _copy(self, source: Buffer, to: Buffer) -> None:
        if not self.nbytes:
            return
        try:
            source.copy_to(to, stream=self._stream)
        except Exception as error:
            raise GpuError(self._device, f"copying {_mib(self.nbytes)}", one_line(error)) from error


class CudaPinnedMemory:
    """Page-locked host memory; given back once the stream has done with it."""

    def __init__(self, buffer: Buffer, nbytes: int, stream: Stream) -> None:
        self._buffer = buffer
        self._stream = stream
        self.array: Array = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(int(buffer.handle)))

    def __del__(self) -> None:
        # Left to itself the buffer would wait for the default stream, which has no part in its copies.
        with contextlib.suppress(Exception):  # the driver may be gone by then
            self._buffer.close(self._stream)


class CudaGraph:
    """A CUDA graph, ready to launch."""

    def __init__(self, graph: Graph, stream: Stream, device: str) -> None:
        self._graph = graph
        self._stream = stream
        self._device = device

    def launch(self) -> None:
        try:
            self._graph.launch(self._stream)
        except Exception as error:
            raise GpuError(self._device, "launching a CUDA graph", one_line(error)) from error


class CudaDevice:
    """A GPU; see `Device`.

    cuda.core's own errors, which share no public base, become `GpuError`.
    """

    def __init__(self, index: int = 0) -> None:
        """Set a GPU up.

        Args:
            index: Its number among those that CUDA_VISIBLE_DEVICES leaves.

        Raises:
            GpuError: There is no such GPU, or no driver.
        """
        from cuda.core import Device, LegacyPinnedMemoryResource

        self.name = f"cuda:{index}"
        self._index = index
        self._lock = threading.RLock()
        try:
            gpu = Device(index)
            gpu.set_current()
            self._stream: Stream = gpu.create_stream()
            self._pool = gpu.memory_resource
            self._pinned = LegacyPinnedMemoryResource()
        except Exception as error:
            raise GpuError(self.name, "setting the GPU up", one_line(error)) from error
        self.stream = int(self._stream.handle)
        self.place = f"{self.name} stream {self.stream:#x}"

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        from cuda.core import Device

        with self._lock:
            Device(self._index).set_current()  # cuda.core's devices are one a thread
            yield

    def allocate(self, nbytes: int) -> CudaMemory:
        try:
            buffer = self._pool.allocate(max(nbytes, 1), stream=self._stream)
        except Exception as error:
            raise GpuError(self.name, f"allocating {_mib(nbytes)} on the GPU", one_line(error), _SMALLER) from error
        return CudaMemory(buffer, nbytes, self._stream, self.name)

    def allocate_pinned(self, nbytes: int) -> CudaPinnedMemory:
        try:
            buffer = self._pinned.allocate(max(nbytes, 1))
        except Exception as error:
            raise GpuError(
                self.name, f"allocating {_mib(nbytes)} of pinned host memory", one_line(error), "free host memory"
            ) from error
        return CudaPinnedMemory(buffer, nbytes, self._stream)

    def synchronise(self) -> None:
        try:
            self._stream.sync()
        except Exception as error:
            raise GpuError(self.name, "what was queued", one_line(error)) from error

    def capture(self, work: Callable[[], None]) -> CudaGraph:
        builder = self._stream.create_graph_builder()
        try:
            builder.begin_building("thread_local")  # other threads' work on other streams goes on meanwhile
            work()
            graph = builder.end_building().complete()
        except GpuError:
            raise
        except Exception as error:
            raise GpuError(self.name, "capturing a CUDA graph", one_line(error)) from error
        finally:
            with contextlib.suppress(Exception):  # ends a capture that broke off, and then says that it had broken off
                builder.close()
        return CudaGraph(graph, self._stream, self.name)


def _view(address: int, nbytes: int) -> Buffer:
    """Memory that another owns, on the GPU or the host, pinned or not: the driver tells by the address."""
    from cuda.core import Buffer

    return Buffer.from_handle(address, nbytes)


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MiB"
