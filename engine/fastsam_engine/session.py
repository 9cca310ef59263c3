"""Session: one graph, opened on one backend, run on named arrays."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.concurrency.closable import Closable
from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.device_array import Array, DeviceArray, HostArray
from fastsam_engine.errors import ComputeError, FastsamError, InputMismatchError, one_line
from fastsam_engine.input_check import check_inputs
from fastsam_engine.run_observers import RunObserver, RunObservers
from fastsam_engine.spec.model_spec import ModelSpec, Precision

__all__ = ["Array", "ComputePrecision", "OpenOptions", "Session", "compute_errors"]

ComputePrecision = Precision | Literal["tf32"]  # TF32: fp32 whose products round their factors to 10 bits


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


class Session(Closable, ABC):
    """A graph that is ready to run, until it is closed.

    Any thread may call any method at any time. Whether runs go side by side is the backend's: those of a session whose
    `parallel` is true do, others wait for each other. `close` waits for the runs under way: outputs that were returned
    stay valid, those that were kept do not. A fork of the process may
    not use it, since threads do not come along: its calls raise `ForkedError`.

    Attributes:
        parallel: Whether runs of several threads go side by side.
        path: The file it was opened from.
        spec: What the file says of itself; its input is what `run` takes.
        backend: Name of the backend that really runs it.
        device: Device that it really runs on, such as `cpu`.
        precision: Precision that it really computes in.
    """

    parallel: ClassVar[bool] = False

    def __init__(self, path: Path, spec: ModelSpec, backend: str, device: str, precision: ComputePrecision) -> None:
        self.path = path
        self.spec = spec
        self.backend = backend
        self.device = device
        self.precision: ComputePrecision = precision
        self._under_way = CallsUnderWay(f"the session of {spec.name}", "open the model again with open_session")
        self._observers = RunObservers(spec.name)
        self._turn: AbstractContextManager[object] = nullcontext() if self.parallel else threading.Lock()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once.

        Args:
            inputs: Input name to array, as the spec says.

        Returns:
            Output name to array; the arrays are the caller's to keep.

        Raises:
            InputMismatchError: A name, dtype or shape does not fit.
            ComputeError: The backend can't compute it, as where memory runs out.
            ClosedError: The session was closed.
        """
        start_s = time.perf_counter()
        with self._under_way.one():
            check_inputs(self.spec, inputs)
            self._prepare(inputs)
            with self._turn:
                outputs = self._run(inputs)
        self._observers.notify(inputs, start_s)
        return outputs

    def observe(self, observer: RunObserver) -> Callable[[], None]:
        """Report every run from now on, of `run` and of `run_kept`, to a function.

        Args:
            observer: Called after each run that succeeded, on the thread that ran it, with what ran and when it began
                and ended; what it raises reaches the caller of the run. It must be quick.

        Returns:
            A function that stops it.
        """
        return self._observers.add(observer)

    @property
    def memory(self) -> str:
        """Where the arrays lie that `run_kept` leaves and takes: sessions of one place hand them on without a copy."""
        return "host"

    @property
    def prefers_few_shapes(self) -> bool:
        """Whether each shape that comes takes time and memory of its own, as a recording does: few should come then."""
        return False

    def upload(self, array: Array) -> DeviceArray:
        """Put an array where the session computes.

        Args:
            array: May be kept without a copy; it must not change while it is used.

        Raises:
            ClosedError: The session was closed.
        """
        with self._under_way.one():
            return self._upload(array)

    def run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        """Run the graph once, and leave some outputs where they were computed.

        Args:
            inputs: As for `run`; those that lie at this session's `memory` are not copied.
            keep: Names of the outputs to leave.

        Returns:
            The other outputs, and those that were left, by name. What was left is valid until the next run, of any
            thread, unless the session is `parallel`: then it is the caller's.

        Raises:
            InputMismatchError: A name, dtype, shape or place does not fit.
            ComputeError: As for `run`.
            ClosedError: The session was closed.
        """
        start_s = time.perf_counter()
        with self._under_way.one():
            check_inputs(self.spec, inputs)
            for name, array in inputs.items():
                if isinstance(array, DeviceArray) and array.memory != self.memory:
                    raise InputMismatchError(name, f"an array at {self.memory}", f"one at {array.memory}")
            if unknown := set(keep) - {output.name for output in self.spec.outputs}:
                raise InputMismatchError(min(unknown), "the name of an output", "none of that name")
            self._prepare(inputs)
            with self._turn:
                outputs = self._run_kept(inputs, keep)
        self._observers.notify(inputs, start_s)
        return outputs

    def _upload(self, array: Array) -> DeviceArray:
        """Put an array where the session computes; here, where that is the host."""
        return HostArray(array)

    def _prepare(self, inputs: Mapping[str, Array | DeviceArray]) -> None:
        """Make, before the turn, what runs of these inputs' shapes need; runs of shapes that are ready go on."""

    @abstractmethod
    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run on inputs that fit the spec."""

    def _run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        """Run on inputs that fit the spec and the place; here, where the place is the host."""
        given = {name: each.to_host() if isinstance(each, DeviceArray) else each for name, each in inputs.items()}
        outputs = self._run(given)
        kept = {name: HostArray(outputs.pop(name)) for name in keep}
        return outputs, dict(kept)


@contextmanager
def compute_errors(device: str, what: str, which: int = 0) -> Iterator[None]:
    """Say of what a library raises within that computing failed.

    Args:
        device: Where.
        what: Such as `running yolov8n-seg`.
        which: The line of the library's message that tells, see `one_line`.

    Raises:
        ComputeError: It raised something.
    """
    try:
        yield
    except FastsamError:
        raise
    except Exception as error:  # the libraries' own exceptions share no base but Exception
        fix = "use a smaller batch or --imgsz if memory ran out, or another --backend"
        raise ComputeError(device, what, one_line(error, which), fix) from error
