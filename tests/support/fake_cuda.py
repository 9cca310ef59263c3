"""A double of cuda.core and of the driver below it, over host memory.

Its one stream does nothing before it is waited for, which is as late as a real one may be. The rules are those of the
driver and of cuda.core 1.2: what a stream takes in while it is captured, what ends a capture, on which thread a call
needs a context. A call that breaks one fails as there; `broken` tells of it, since from destructors nothing is raised.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

_GARBAGE = 0xA5


class CUDAError(Exception):
    """The error class of cuda.core."""


class FakeCuda:
    """The package `cuda`, with `core` and `bindings.driver`, of one GPU with one stream; also the GPU's context.

    Attributes:
        index, stream: Of the GPU, and the stream's handle.
        live, pinned: Address to size of memory that is not freed, on the GPU and on the host.
        allocations: How often memory was taken, ever.
        captures, launches, graphs: Captures made, their launches, and graphs that are not destroyed.
        free_bytes: How much memory may still be taken; None: any.
        broken: The calls that broke a rule.
        is_held: Whether the calling thread has the stream for itself; what is queued without is a race.
    """

    current = threading.local()
    """`device`: the thread's current context."""

    def __init__(self, stream: int = 5, index: int = 0) -> None:
        self.live: dict[int, int] = {}
        self.pinned: dict[int, int] = {}
        self.allocations = self.captures = self.launches = self.graphs = 0
        self.free_bytes: int | None = None
        self.broken: list[str] = []
        self.is_held: Callable[[], bool] = lambda: True
        self.index, self.stream = index, stream
        self._stream = FakeStream(self, stream)
        self._queue: list[Callable[[], None]] = []
        self._recording: list[Callable[[], None]] | None = None
        self._capturing_thread = 0
        self._running = threading.RLock()
        self.core = SimpleNamespace(
            Device=lambda index: FakeGpu(self, index),
            LegacyPinnedMemoryResource=lambda: SimpleNamespace(allocate=self._allocate_pinned),
            Buffer=SimpleNamespace(from_handle=lambda address, nbytes: FakeBuffer(self, address, nbytes)),
        )
        driver = SimpleNamespace(
            cuCtxGetCurrent=lambda: (0, getattr(self.current, "device", 0)),
            cuCtxSetCurrent=self._set_current,
        )
        self.bindings = SimpleNamespace(driver=driver)

    def _set_current(self, context: FakeCuda | int) -> tuple[int]:
        if context:
            self.current.device = context
        else:
            self.current.__dict__.pop("device", None)
        return (0,)

    def __int__(self) -> int:
        return id(self)

    @property
    def is_capturing(self) -> bool:
        return self._recording is not None

    def is_busy(self, owner: object) -> bool:
        """Whether work of an owner is queued; steps have an attribute `owner`."""
        return any(getattr(step, "owner", None) is owner for step in self._queue)

    def error(self, name: str, what: str) -> CUDAError:
        """A call that the driver refuses, which invalidates a running capture."""
        self.broken.append(f"{what}: {name}")
        if self._recording is not None:
            self._recording = _INVALID
        return CUDAError(f"{name}: {what}")

    def queue(self, step: Callable[[], None], what: str) -> None:
        """Queue work, or add it to the graph that is being captured."""
        if not self.is_held():
            self.broken.append(f"{what}: queued by a thread that does not have the stream")
        if self._recording is not None:
            if self._recording is not _INVALID:
                self._recording.append(step)
            return
        self._queue.append(step)

    def run_queue(self) -> None:
        with self._running:
            while self._queue:
                self._queue.pop(0)()

    def synchronise(self) -> None:
        if self._recording is not None:
            raise self.error("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "cuStreamSynchronize")
        self.run_queue()

    def unsafe(self, what: str) -> None:
        """A call that needs a context and is not allowed during a capture."""
        if self.is_capturing and threading.get_ident() == self._capturing_thread:
            raise self.error("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", what)
        if getattr(self.current, "device", None) is not self:
            raise self.error("CUDA_ERROR_INVALID_CONTEXT", what)

    def allocate(self, nbytes: int, *, stream: FakeStream) -> FakeBuffer:
        assert stream is self._stream
        if self._recording is not None:  # it would become a node of the graph, without memory before a launch
            raise self.error("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "cuMemAllocFromPoolAsync")
        if self.free_bytes is not None and nbytes > self.free_bytes:
            raise CUDAError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
        held = np.full(nbytes, _GARBAGE, np.uint8)
        self.live[held.ctypes.data] = nbytes
        self.allocations += 1

        def free(stream: FakeStream | None) -> None:
            if self._recording is not None:
                raise self.error("CUDA_ERROR_INVALID_VALUE", "cuMemFreeAsync of memory that is not the graph's")

            def release() -> None:
                del self.live[held.ctypes.data]
                held.fill(_GARBAGE)

            self.queue(release, "cuMemFreeAsync")

        return FakeBuffer(self, held.ctypes.data, nbytes, free)

    def _allocate_pinned(self, nbytes: int) -> FakeBuffer:
        self.unsafe("cuMemAllocHost")
        held = np.full(nbytes, _GARBAGE, np.uint8)
        self.pinned[held.ctypes.data] = nbytes
        self.allocations += 1

        def free(stream: FakeStream | None) -> None:
            assert stream is self._stream, "it would wait for the default stream"
            self.synchronise()
            self.unsafe("cuMemFreeHost")
            del self.pinned[held.ctypes.data]
            held.fill(_GARBAGE)

        return FakeBuffer(self, held.ctypes.data, nbytes, free)

    def begin_capture(self) -> None:
        assert self._recording is None
        assert self.is_held()
        self._recording, self._capturing_thread = [], threading.get_ident()

    def end_capture(self) -> list[Callable[[], None]] | None:
        """End a capture; None: it was invalid, or there was none."""
        recorded, self._recording = self._recording, None
        return None if recorded is _INVALID else recorded

    def check(self, address: int, nbytes: int) -> None:
        """Refuse addresses outside live memory."""
        assert any(start <= address and address + nbytes <= start + size for start, size in self.live.items()), (
            f"{nbytes} bytes at {address:#x} are nobody's"
        )

    def is_pinned(self, address: int) -> bool:
        return any(start <= address < start + max(size, 1) for start, size in self.pinned.items())


_INVALID: list[Callable[[], None]] = []  # work of invalidated captures; compared by identity


class Handle:
    """What cuda.core's classes hold, released when their object is deallocated.

    Garbage collection calls the `__del__` of all that it finds, and then leaves alone what one of these has kept. Their
    insides have none, so it leaves them alone too; numpy's arrays are as such insides are.
    """

    def __init__(self, release: Callable[[FakeStream | None], None]) -> None:
        self._release = release
        self._inside = np.empty(0)
        self._dropped = weakref.finalize(self._inside, _leak_errors, release, None)
        self._dropped.atexit = False

    def close(self, stream: FakeStream | None = None) -> None:
        if self._dropped.detach():
            _leak_errors(self._release, stream)


def _leak_errors(release: Callable[[FakeStream | None], None], stream: FakeStream | None) -> None:
    """As in cuda.core, failures are not raised."""
    if not sys.is_finalizing():
        with contextlib.suppress(CUDAError):
            release(stream)


class FakeGpu:
    """cuda.core.Device."""

    def __init__(self, cuda: FakeCuda, index: int) -> None:
        self._cuda, self._index = cuda, index
        self.memory_resource = SimpleNamespace(allocate=cuda.allocate)

    def set_current(self) -> None:
        assert self._index == self._cuda.index
        self._cuda.current.device = self._cuda

    def create_stream(self) -> FakeStream:
        return self._cuda._stream


class FakeStream:
    """cuda.core.Stream."""

    def __init__(self, cuda: FakeCuda, handle: int) -> None:
        self.cuda, self.handle = cuda, handle

    def sync(self) -> None:
        self.cuda.synchronise()

    def create_graph_builder(self) -> FakeGraphBuilder:
        return FakeGraphBuilder(self.cuda)


class FakeGraphBuilder:
    """cuda.core.graph.GraphBuilder."""

    def __init__(self, cuda: FakeCuda) -> None:
        self._cuda = cuda
        self._steps: list[Callable[[], None]] | None = None
        self._building = False

    def begin_building(self, mode: str) -> None:
        assert mode == "thread_local"
        self._cuda.begin_capture()
        self._building = True

    def end_building(self) -> FakeGraphBuilder:
        self._building = False
        self._steps = self._cuda.end_capture()
        if self._steps is None:
            raise RuntimeError("Build process encountered an error and has been invalidated.")
        return self

    def complete(self) -> FakeGraph:
        assert self._steps is not None
        self._cuda.captures += 1
        return FakeGraph(self._cuda, self._steps)

    def close(self) -> None:
        if self._building:
            self._building = False
            if self._cuda.end_capture() is None:
                raise CUDAError("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")


class FakeGraph:
    """cuda.core.graph.Graph."""

    def __init__(self, cuda: FakeCuda, steps: list[Callable[[], None]]) -> None:
        def destroy(stream: FakeStream | None) -> None:
            cuda.graphs -= 1

        self._cuda, self.steps = cuda, steps
        self._handle = Handle(destroy)
        self._closed = False
        cuda.graphs += 1

    def launch(self, stream: FakeStream) -> None:
        assert not self._closed
        self._cuda.launches += 1
        for step in self.steps:
            self._cuda.queue(step, "cuGraphLaunch")

    def close(self) -> None:
        self._closed = True
        self._handle.close()


class FakeBuffer:
    """cuda.core.Buffer: owned memory, or a view of other memory."""

    def __init__(
        self, cuda: FakeCuda, address: int, nbytes: int, free: Callable[[FakeStream | None], None] | None = None
    ) -> None:
        self.handle, self.size = address, nbytes
        self.array: weakref.ref[np.ndarray] | None = None  # on the host, must exist until the copy is done
        self._cuda = cuda
        self._held = None if free is None else Handle(free)

    def close(self, stream: FakeStream | None = None) -> None:
        if self._held is not None:
            self._held.close(stream)

    def copy_to(self, to: FakeBuffer, *, stream: FakeStream) -> None:
        if self.size != to.size:
            raise ValueError(f"buffer sizes mismatch between src and dst (sizes are: src={self.size}, dst={to.size})")
        cuda, nbytes, source, target = self._cuda, self.size, self.handle, to.handle
        sides = [(each.handle, self._side(each.handle), each.array) for each in (self, to)]

        def move() -> None:
            for address, side, array in sides:
                if side == "device":
                    cuda.check(address, nbytes)
                elif side == "pinned":
                    assert cuda.is_pinned(address), "the host's side is gone"
                else:
                    assert array is not None, f"{address:#x} is nobody's"
                    assert array() is not None, "the host's side is gone"
            ctypes.memmove(target, source, nbytes)

        cuda.queue(move, "cuMemcpyAsync")

    def _side(self, address: int) -> str:
        if any(start <= address < start + size for start, size in self._cuda.live.items()):
            return "device"
        return "pinned" if self._cuda.is_pinned(address) else "host"
