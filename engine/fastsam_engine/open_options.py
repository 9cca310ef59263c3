"""OpenOptions: how a session is to run, beside backend, device and precision."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastsam_engine.cpu_count import CpuCount


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What a caller of `open_session` allows or asks for; a backend that can't do it says so, or has no use for it.

    Attributes:
        frames: Pictures may be taken as cameras give them, see `open_session`.
        cpu_fallback: Operators that the device has no kernel for may run on the processor, with a copy each way.
        cuda_graph: Record the GPU's work for an input shape that comes again, and replay it.
        threads: How many threads compute one run on the processor; within what `CpuCount` allows.
        spin: Threads may keep their CPU busy for a while after a run, waiting for the next.
    """

    frames: bool = False
    cpu_fallback: bool = False
    cuda_graph: bool = False
    threads: int = field(default_factory=lambda: CpuCount.of_process().default_threads)
    spin: bool = False
