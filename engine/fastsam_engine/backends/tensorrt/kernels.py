"""Kernels: what TensorRT-RTX compiled for a GPU as shapes came, stored for the processes that come later."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastsam_engine.backends.tensorrt.loaded_plan import LoadedPlan

_logger = logging.getLogger(__name__)

_RUNS = 50  # of a new shape, by when the kernels that TensorRT-RTX compiles meanwhile are there


class Kernels:
    """Stores a plan's kernels where there are more than were stored before.

    TensorRT-RTX compiles kernels when a context is made and, better ones, beside its first runs. So they are looked at
    some runs after a shape came, not in each, and in the end.
    """

    def __init__(self, plan: LoadedPlan, stored: int, store: Callable[[bytes], None]) -> None:
        """Begin.

        Args:
            plan: Whose kernels they are.
            stored: Bytes that are stored already.
            store: Stores them; what it raises is logged.
        """
        self._plan = plan
        self._stored = stored
        self._store = store
        self._runs_left = 0
        self._is_new = False

    def ran(self, *, is_new: bool) -> None:
        """Take notice of a run, the first of its shape or a later one."""
        if is_new:
            self._runs_left, self._is_new = _RUNS, True
        elif self._runs_left:
            self._runs_left -= 1
            if not self._runs_left:
                self.store()

    def store(self) -> None:
        """Store the kernels if there are more of them since a shape came. Never raises."""
        if not self._is_new:
            return
        self._is_new = self._runs_left > 0
        try:
            kernels = self._plan.kernels()
            if len(kernels) > self._stored:
                self._store(kernels)
                self._stored = len(kernels)
        except Exception as error:  # noqa: BLE001 - whatever it is, they are compiled again
            _logger.info("the kernels that were compiled can't be stored: %s", error)
