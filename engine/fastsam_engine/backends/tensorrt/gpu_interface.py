"""Define the operations on a GPU that running a plan needs. `CudaDevice` implements them; tests use a double."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from fastsam_engine.device_array import Array


class GpuMemory(Protocol):
    """Memory on a GPU, freed when nothing refers to it, after all work queued before; see `GpuInterface.free`."""

    @property
    def address(self) -> int:
        """Its first address, aligned to at least 256 bytes."""

    @property
    def nbytes(self) -> int:
        """Its size, as requested."""

    def copy_in(self, source: Array) -> None:
        """Queue a copy from the host, of a contiguous array of the same size.

        Args:
            source: Must neither change nor be freed before the copy is done.
        """

    def copy_out(self, to: Array) -> None:
        """Queue a copy to the host, into a contiguous array of the same size; finished after `synchronise`."""

    def copy_from(self, address: int) -> None:
        """Queue a copy of the same size from another address on the GPU."""


class PinnedMemory(Protocol):
    """Page-locked host memory for asynchronous copies, freed when nothing refers to it, after these copies."""

    @property
    def array(self) -> Array:
        """The memory as (nbytes,) uint8; the array does not keep it alive."""


class CapturedWork(Protocol):
    """A CUDA graph: recorded work that one call queues."""

    def launch(self) -> None:
        """Queue it."""


class GpuInterface(Protocol):
    """A GPU with one stream, not the default one, which all sessions on it share.

    Queued work runs in order, so one session's output can be another's input without waiting. All methods except
    `free`, also those of memory and captured work, must be called within `using`. References to memory and captured
    work may be dropped anywhere.
    """

    @property
    def name(self) -> str:
        """Such as `cuda:0`."""

    @property
    def memory(self) -> str:
        """Name of its memory: the GPU and the stream, since another stream would have to wait for this one."""

    @property
    def stream(self) -> int:
        """Handle of the stream, a `cudaStream_t`."""

    def using(self) -> AbstractContextManager[None]:
        """Make this GPU the calling thread's current one, and lock the stream, since a capture takes in everything.

        It can be entered again inside. Afterwards the thread's previous GPU is current again.
        """

    def free(self, free: Callable[[], object]) -> None:
        """Free something that queued work may still use, or that must not be freed during a capture.

        It may be called on any thread, also by garbage collection; it neither waits nor raises.

        Args:
            free: Called once: now or, if the stream is in use, after that. References that it holds are dropped then.
        """

    def allocate(self, nbytes: int) -> GpuMemory:
        """Allocate memory on the GPU.

        Raises:
            GpuError: There is too little.
        """

    def allocate_pinned(self, nbytes: int) -> PinnedMemory:
        """Allocate pinned host memory.

        Raises:
            GpuError: There is too little.
        """

    def synchronise(self) -> None:
        """Wait until all queued work is done.

        Raises:
            GpuError: Some of it failed.
        """

    def capture(self, work: Callable[[], None]) -> CapturedWork:
        """Record the work that a function queues, without running it.

        Raises:
            GpuError: It can't be recorded; the stream is unchanged.
        """
