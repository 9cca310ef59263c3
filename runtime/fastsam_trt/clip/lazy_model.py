"""LazyClip: a CLIP model that is opened by the first prompt that needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastsam_engine.errors import ClosedError
from fastsam_trt.clip.model import Clip


class LazyClip:
    """A CLIP model that is opened once. Thread-safe.

    Attributes:
        opened: The model; None before it is opened.
    """

    def __init__(self, shared: Clip | None, open_clip: Callable[[str], Clip]) -> None:
        """Create a holder; nothing is opened yet.

        Args:
            shared: An open model, which `close` does not close; None: open one when it is needed.
            open_clip: Opens the model; takes the prompt that needs it, for error messages.
        """
        self.opened = shared
        self._owned = shared is None
        self._open_clip = open_clip
        self._opening = threading.Lock()
        self._closed = False

    def get(self, prompt: str) -> Clip:
        """Return the model, and open it first if needed.

        Args:
            prompt: The prompt that needs it, for error messages.

        Raises:
            FastsamError: It can't be opened, or `close` was called.
        """
        if self.opened is None:
            with self._opening:
                if self.opened is None:
                    opened = self._open_clip(prompt)
                    self.opened = opened
                    if self._closed:
                        opened.close()
        if self._closed:
            raise ClosedError("the pipeline")
        return self.opened

    def close(self) -> None:
        """Close the model if it was opened here. A thread that is still opening it closes it afterwards."""
        self._closed = True
        if self._owned and self.opened is not None:
            self.opened.close()
