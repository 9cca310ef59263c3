"""Device: what running a plan needs of a GPU. `CudaDevice` is the real one; tests put a double in its place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from fastsam_engine.device_array import Array


class DeviceMemory(Protocol):
    """Memory on a GPU, given back when nothing holds it, after all work that was queued before; see `Device.free`."""

    @property
    def address(self) -> int:
        """Where it begins, aligned to 256 bytes at least."""

    @property
    def nbytes(self) -> int:
        """Its size, as it was asked for."""

    def copy_in(self, source: Array) -> None:
        """Queue a copy from the host, of a contiguous array of the same size.

        Args:
            source: Must neither change nor go before the copy is done.
        """

    def copy_out(self, to: Array) -> None:
        """Queue a copy to the host, into a contiguous array of the same size; it is there after `synchronise`."""

    def copy_from(self, address: int) -> None:
        """Queue a copy from elsewhere on the GPU, of the same size."""


class PinnedMemory(Protocol):
    """Host memory that the GPU copies to and from by itself, given back when nothing holds it, after such copies."""

    @property
    def array(self) -> Array:
        """The memory, (nbytes,) uint8; it does not hold it."""


class CapturedWork(Protocol):
    """Work that was recorded once and is queued again in one call: a CUDA graph."""

    def launch(self) -> None:
        """Queue it."""


class Device(Protocol):
    """A GPU with one queue of work (a stream of its own, not the default one), which its sessions share.

    What is queued runs in order, so that one session's output can be another's input without waiting. Everything but
    the attributes and `free`, of memory and captures too, is to be called within `using`. Memory and captures may be
    dropped anywhere.
    """

    @property
    def name(self) -> str:
        """Such as `cuda:0`."""

    @property
    def place(self) -> str:
        """Where its arrays lie: the GPU and the queue, since work of another queue would have to wait for this one."""

    @property
    def stream(self) -> int:
        """Handle of the queue, a `cudaStream_t`."""

    def using(self) -> AbstractContextManager[None]:
        """Make this GPU the calling thread's, and keep other threads off its queue: captures take in all that comes.

        It may be entered again within. What was the thread's GPU before is so again afterwards.
        """

    def free(self, free: Callable[[], object]) -> None:
        """Take over what frees something that work of the queue may still use, or that is not to be freed in a capture.

        From any thread, within garbage collection too; it neither waits nor raises.

        Args:
            free: Called once: now, or where the queue is in use when that is over. What it holds goes then.
        """

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Take memory on the GPU.

        Raises:
            GpuError: There is too little.
        """

    def allocate_pinned(self, nbytes: int) -> PinnedMemory:
        """Take pinned host memory.

        Raises:
            GpuError: There is too little.
        """

    def synchronise(self) -> None:
        """Wait until all queued work is done.

        Raises:
            GpuError: Some of it failed.
        """

    def capture(self, work: Callable[[], None]) -> CapturedWork:
        """Record the work that a function queues, without doing it.

        Raises:
            GpuError: It can't be recorded; the queue is as it was before.
        """
