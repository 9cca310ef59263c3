"""Run one graph that was opened on one backend."""

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
    """What a caller of `open_session` allows or requests. A backend refuses or ignores what it can't do.

    Attributes:
        frames: The session may take images as cameras deliver them; see `open_session`.
        cpu_fallback: Operators without a kernel on the device may run on the CPU, with a copy each way.
        cuda_graph: Record the GPU's work for an input shape that repeats, and replay it.
        threads: Number of threads for one run on the CPU, within what `CpuCount` allows.
        spin: Threads may keep their CPUs busy for a while after a run, waiting for the next one.
    """

    frames: bool = False
    cpu_fallback: bool = False
    cuda_graph: bool = False
    threads: int = field(default_factory=lambda: CpuCount.of_process().default_threads)
    spin: bool = False


class Session(Closable, ABC):
    """A graph that is ready to run until it is closed.

    Any thread may call any method at any time. If `parallel` is true, runs of several threads execute concurrently;
    otherwise they wait for each other. `close` waits for runs in progress. Arrays that were returned stay valid after
    it; arrays that were kept on the device do not. In a fork of the process every call raises `ForkedError`.

    Attributes:
        parallel: Whether runs of several threads execute concurrently.
        path: The file it was opened from.
        spec: The file's spec; its `input` describes what `run` takes.
        backend: Name of the backend that runs it.
        device: Device that it runs on, such as `cpu`.
        precision: Precision that it computes in.
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
            inputs: Input name to array, with the dtypes and shapes of the spec.

        Returns:
            Output name to array. No later run overwrites them.

        Raises:
            InputMismatchError: A name, dtype or shape does not fit.
            ComputeError: The backend failed, for example because memory ran out.
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
        """Name of the memory where `run_kept` keeps arrays. Sessions of the same memory share them without a copy."""
        return "host"

    @property
    def prefers_few_shapes(self) -> bool:
        """Whether every new input shape costs time and memory, as a CUDA graph does; callers then use few shapes."""
        return False

    def upload(self, array: Array) -> DeviceArray:
        """Copy an array to the session's memory.

        Args:
            array: On the CPU it may be used without a copy, so it must not change while it is in use.

        Raises:
            ClosedError: The session was closed.
        """
        with self._under_way.one():
            return self._upload(array)

    def run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        """Run the graph once, and keep some outputs on the device.

        Args:
            inputs: As for `run`; arrays that are already in this session's `memory` are not copied.
            keep: Names of the outputs to keep on the device.

        Returns:
            The other outputs, and the kept ones, by name. Kept outputs are valid until the next run on any thread,
            or without limit if the session is `parallel`.

        Raises:
            InputMismatchError: A name, dtype, shape or memory does not fit.
            ComputeError: As for `run`.
            ClosedError: The session was closed.
        """
        start_s = time.perf_counter()
        with self._under_way.one():
            check_inputs(self.spec, inputs)
            for name, array in inputs.items():
                if isinstance(array, DeviceArray) and array.memory != self.memory:
                    raise InputMismatchError(name, f"an array in {self.memory}", f"one in {array.memory}")
            if unknown := set(keep) - {output.name for output in self.spec.outputs}:
                raise InputMismatchError(min(unknown), "the name of an output", "none of that name")
            self._prepare(inputs)
            with self._turn:
                outputs = self._run_kept(inputs, keep)
        self._observers.notify(inputs, start_s)
        return outputs

    def _upload(self, array: Array) -> DeviceArray:
        """Copy an array to the session's memory; this default is for the host."""
        return HostArray(array)

    def _prepare(self, inputs: Mapping[str, Array | DeviceArray]) -> None:
        """Prepare for these inputs' shapes without holding up runs of other shapes."""

    @abstractmethod
    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run on inputs that fit the spec; called by one thread at a time unless `parallel`."""

    def _run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        """Run on inputs that fit the spec and the memory; this default is for the host."""
        given = {name: each.to_host() if isinstance(each, DeviceArray) else each for name, each in inputs.items()}
        outputs = self._run(given)
        kept = {name: HostArray(outputs.pop(name)) for name in keep}
        return outputs, dict(kept)


@contextmanager
def compute_errors(device: str, what: str, which: int = 0) -> Iterator[None]:
    """Turn any exception of a library into a `ComputeError`.

    Args:
        device: The device that computes.
        what: What is being done, such as `running yolov8n-seg`.
        which: Which line of the library's message is meaningful, see `one_line`.

    Raises:
        ComputeError: The library raised an exception.
    """
    try:
        yield
    except FastsamError:
        raise
    except Exception as error:  # the libraries' exceptions have no common base but Exception
        fix = "use a smaller batch or --imgsz if memory ran out, or another --backend"
        raise ComputeError(device, what, one_line(error, which), fix) from error
