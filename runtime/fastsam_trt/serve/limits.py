"""Limits: what one request, and all requests together, may take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from fastsam_trt.errors import OptionError

MAX_MASK_PIXELS = 500_000_000
"""`max_mask_pixels` for the pipeline of a server: half a gigabyte for each worker."""

_BODIES_IN_MEMORY = 8  # of the largest size


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all requests together, may take.

    Attributes:
        body_bytes: Most bytes of a body. All bodies in memory together may have eight times as many.
        pixels: Most pixels of an image, by its header.
        queue: Most requests that wait for a worker.
        timeout_s: From the end of the body to the answer.

    Raises:
        OptionError: A limit is out of range.
    """

    body_bytes: int = 32 << 20
    pixels: int = 50_000_000
    queue: int = 16
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("body_bytes", "pixels", "queue"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < 1:
                raise OptionError(name, "a whole number of 1 or more", value)
        if not isinstance(self.timeout_s, Real) or not 0 < self.timeout_s < math.inf:
            raise OptionError("timeout_s", "seconds, more than 0", self.timeout_s)

    @property
    def all_bodies_bytes(self) -> int:
        """Most bytes of all bodies that are in memory."""
        return _BODIES_IN_MEMORY * self.body_bytes
