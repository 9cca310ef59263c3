"""LazyClip: a CLIP model that is opened when the first prompt needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastsam_engine.errors import ClosedError
from fastsam_trt.clip.model import Clip


class LazyClip:
    """A CLIP model, opened once; any thread may ask for it.

    Attributes:
        opened: The model; None where none has been opened yet.
    """

    def __init__(self, given: Clip | None, open_clip: Callable[[str], Clip]) -> None:
        """Prepare.

        Args:
            given: A model that is open, and stays so; None: it is opened here.
            open_clip: Opens the model for a prompt.
        """
        self.opened = given
        self._owned = given is None
        self._open_clip = open_clip
        self._opening = threading.Lock()
        self._closed = False

    def get(self, prompt: str) -> Clip:
        """The model, opened now if it has to be.

        Args:
            prompt: That needs it, for messages.

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
        """Close the model if it was opened here. A thread that is opening it is not waited for, and closes it."""
        self._closed = True
        if self._owned and self.opened is not None:
            self.opened.close()
