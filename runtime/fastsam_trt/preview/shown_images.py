"""ShownImages: the images that clients may be showing, so that they can ask for more of them."""

from __future__ import annotations

from collections import deque

from fastsam_trt.preview.jpeg import OverlayImage

MOST_IMAGES = 8  # of all clients; an image holds its masks


class ShownImages:
    """Keeps the last two images of every client: it shows one of these, since it requests the next after showing one.

    Clients that watch at the same speed share images. Beyond the limit, the oldest image is dropped for all clients.
    """

    def __init__(self) -> None:
        self._of: dict[object, deque[OverlayImage]] = {}

    def add(self, client: object, image: OverlayImage) -> None:
        """Note that an image is sent to a client."""
        self._of.setdefault(client, deque(maxlen=2)).append(image)
        kept = sorted({kept.number for images in self._of.values() for kept in images})
        for number in kept[:-MOST_IMAGES]:
            self._drop(number)

    def remove(self, client: object) -> None:
        """Drop the images of a client that has disconnected."""
        self._of.pop(client, None)

    def find(self, number: int) -> OverlayImage | None:
        """Find an image by its number; None: no client shows it, or it was dropped."""
        return next((image for images in self._of.values() for image in images if image.number == number), None)

    def _drop(self, number: int) -> None:
        for client, images in self._of.items():
            self._of[client] = deque((image for image in images if image.number != number), maxlen=2)
