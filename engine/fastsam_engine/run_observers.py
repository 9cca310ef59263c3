"""Report a session's runs to functions that observe them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastsam_engine.device_array import Array, DeviceArray


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """One finished run of a session.

    Attributes:
        model: Name of the model, as in its spec.
        inputs: The inputs it was called with, by name; they may change once the observer has returned.
        start_s: When the call began, on the clock of `time.perf_counter`; waiting for other runs is included.
        end_s: When it ended, on the same clock.
    """

    model: str
    inputs: Mapping[str, Array | DeviceArray]
    start_s: float
    end_s: float

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Input name to shape."""
        return {name: tuple(array.shape) for name, array in self.inputs.items()}

    @property
    def duration_ms(self) -> float:
        """How long the call took, ms."""
        return (self.end_s - self.start_s) * 1e3


RunObserver = Callable[[ObservedRun], object]


class RunObservers:
    """The observers of one session. Any thread may add, remove and notify at any time."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._observers: tuple[RunObserver, ...] = ()  # replaced as a whole: `notify` reads it without the lock

    def add(self, observer: RunObserver) -> Callable[[], None]:
        """Add an observer.

        Returns:
            A function that removes it again; calling that twice does no harm.
        """
        entry: RunObserver = lambda run: observer(run)  # noqa: E731, PLW0108 - equal to nothing else, so removed alone
        with self._lock:
            self._observers = (*self._observers, entry)

        def remove() -> None:
            with self._lock:
                self._observers = tuple(each for each in self._observers if each is not entry)

        return remove

    def notify(self, inputs: Mapping[str, Array | DeviceArray], start_s: float) -> None:
        """Report a run that ends now."""
        if not self._observers:
            return
        run = ObservedRun(self._model, inputs, start_s, time.perf_counter())
        for observer in self._observers:
            observer(run)
