"""Session: one graph, opened on one backend, run on named arrays."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.concurrency.closable import Closable
from fastsam_engine.device_array import Array, DeviceArray, HostArray
from fastsam_engine.errors import ComputeError, FastsamError, InputMismatchError, one_line
from fastsam_engine.run_observers import RunObserver, RunObservers
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Precision

__all__ = ["Array", "Computed", "Session", "computing", "picture_size"]

Computed = Precision | Literal["tf32"]  # fp32, but for the factors of products, which keep 10 bits of their fractions


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

    def __init__(self, path: Path, spec: ModelSpec, backend: str, device: str, precision: Computed) -> None:
        self.path = path
        self.spec = spec
        self.backend = backend
        self.device = device
        self.precision: Computed = precision
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
            self._check(inputs)
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
    def place(self) -> str:
        """Where the arrays lie that `run_kept` leaves and takes: sessions of one place hand them on without a copy."""
        return "host"

    @property
    def keeps_shapes(self) -> bool:
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
            inputs: As for `run`; those that lie at this session's `place` are not copied.
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
            self._check(inputs)
            for name, array in inputs.items():
                if isinstance(array, DeviceArray) and array.place != self.place:
                    raise InputMismatchError(name, f"an array at {self.place}", f"one at {array.place}")
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

    def _check(self, inputs: Mapping[str, Array | DeviceArray]) -> None:
        expected, names = self.spec.input, self.spec.input_names
        if inputs.keys() != set(names):
            wanted = "this one input" if len(names) == 1 else f"the inputs {', '.join(names)}"
            raise InputMismatchError(names[0], wanted, ", ".join(inputs) or "none")
        if isinstance(expected, FeatureInput | ArraysInput):
            lengths: dict[str, int] = {}
            for name, layout, dtype in zip(names, expected.layouts, self.spec.input_dtypes, strict=True):
                _check_axes(name, layout, dtype, inputs[name], lengths)
            return
        array = inputs[expected.name]
        if array.dtype != np.dtype(expected.dtype):
            raise InputMismatchError(expected.name, expected.dtype, str(array.dtype))
        if isinstance(expected, ImageInput):
            shape, fits = _image_shape(expected), _fits_image(expected, array.shape)
        else:
            shape, fits = f"(n, {expected.length})", len(array.shape) == 2 and array.shape[1] == expected.length
        low, high = expected.batch
        if not fits or array.shape[0] < low or (high is not None and array.shape[0] > high):
            raise InputMismatchError(
                expected.name, f"shape {shape} with {low} <= n <= {high or 'any'}", str(array.shape)
            )


@contextmanager
def computing(device: str, what: str, which: int = 0) -> Iterator[None]:
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
        mend = "use a smaller batch or --imgsz if memory ran out, or another --backend"
        raise ComputeError(device, what, one_line(error, which), mend) from error


def picture_size(image: ImageInput, shape: tuple[int, ...]) -> str:
    """Pictures of some shape in words, such as `384 x 640` or `384 x 640 in batches`; of the batch, -1 is any."""
    count, *axes = shape
    height, width = axes[1:] if image.layout == "NCHW" else axes[:2]
    batches = {1: "", -1: " in batches"}.get(count, f" in batches of {count}")
    return f"{height} x {width}{batches}"


def _check_axes(name: str, layout: str, dtype: str, array: Array | DeviceArray, lengths: dict[str, int]) -> None:
    """Hold an array against its layout; `lengths` gathers what the letters stand for, which must agree."""
    axes = layout.split()
    if array.dtype != np.dtype(dtype):
        raise InputMismatchError(name, dtype, str(array.dtype))
    fits = len(axes) == len(array.shape) and all(
        length == (int(axis) if axis.isdigit() else lengths.setdefault(axis, length))
        for axis, length in zip(axes, array.shape, strict=True)
    )
    if not fits:
        known = ", ".join(f"{lengths[axis]} ({axis})" if axis in lengths else axis for axis in axes)
        raise InputMismatchError(name, f"shape ({known})", str(array.shape))


def _image_shape(image: ImageInput) -> str:
    fixed = image.size_multiple is None
    height, width = (str(image.height), str(image.width)) if fixed else ("h", "w")
    axes = f"3, {height}, {width}" if image.layout == "NCHW" else f"{height}, {width}, 3"
    return f"(n, {axes})" + ("" if fixed else f" with h and w multiples of {image.size_multiple}")


def _fits_image(image: ImageInput, shape: tuple[int, ...]) -> bool:
    if len(shape) != 4:
        return False
    channels, height, width = shape[1:] if image.layout == "NCHW" else (shape[3], *shape[1:3])
    if image.size_multiple is None:
        return (channels, height, width) == (3, image.height, image.width)
    multiples = height % image.size_multiple == 0 and width % image.size_multiple == 0
    return channels == 3 and min(height, width) > 0 and multiples
