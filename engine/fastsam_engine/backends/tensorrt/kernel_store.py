"""Store the kernels that TensorRT-RTX compiles at run time, for later processes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastsam_engine.backends.tensorrt.loaded_plan import LoadedPlan

_logger = logging.getLogger(__name__)

_RUNS = 50  # of a new shape, after which TensorRT-RTX has compiled its kernels in the background


class KernelStore:
    """Stores a plan's kernels when there are more than before.

    TensorRT-RTX compiles kernels when a context is made and better ones during its first runs. So the kernels are
    checked some runs after a new shape and at the end, not in every run.
    """

    def __init__(self, plan: LoadedPlan, stored: int, store: Callable[[bytes], None]) -> None:
        """Prepare.

        Args:
            plan: The plan.
            stored: Size of the kernels that are already stored, bytes.
            store: Stores them; what it raises is logged.
        """
        self._plan = plan
        self._stored = stored
        self._store = store
        self._runs_left = 0
        self._is_new = False

    def ran(self, *, is_new: bool) -> None:
        """Count a run; `is_new`: the first one of its shape."""
        if is_new:
            self._runs_left, self._is_new = _RUNS, True
        elif self._runs_left:
            self._runs_left -= 1
            if not self._runs_left:
                self.store()

    def store(self) -> None:
        """Store the kernels if new shapes have added some. Never raises."""
        if not self._is_new:
            return
        self._is_new = self._runs_left > 0
        try:
            kernels = self._plan.kernels()
            if len(kernels) > self._stored:
                self._store(kernels)
                self._stored = len(kernels)
        except Exception as error:  # noqa: BLE001 - next time they are compiled again
            _logger.info("the kernels that were compiled can't be stored: %s", error)
