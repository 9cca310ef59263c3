"""Provide sample images with something to detect: photos of a cat, a cup and a person, and drawn shapes.

The photos are in the public domain; see `sample_photos/README.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FOLDER = Path(__file__).with_name("sample_photos")
_PHOTOS = ("astronaut", "coffee", "chelsea")
_SHAPES = 14  # per drawn scene
_NEAREST = 0.35  # the smallest window of a photo that is used, as a part of the photo
_COLOURS = np.array(
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (255, 128, 0), (128, 0, 255),
     (255, 255, 255), (0, 0, 0)],
    np.float32,
)  # fmt: skip


class SampleImages:
    """Any number of different images, the same ones in every process.

    The first shows the photos and a drawn scene side by side. Then these come one by one, then again mirrored or as
    windows of the photos.
    """

    def __init__(self) -> None:
        from PIL import Image

        self._photos = []
        for name in _PHOTOS:
            with Image.open(_FOLDER / f"{name}.jpg") as photo:
                self._photos.append(photo.convert("RGB"))

    def image(self, index: int, height: int, width: int) -> NDArray[np.uint8]:
        """The image of a number: (height, width, 3) uint8 RGB."""
        generator = np.random.default_rng(index)
        kinds = len(self._photos) + 2
        if index % kinds == 0:
            image = self._mosaic(height, width, generator)
        elif index % kinds <= len(self._photos):
            whole = 1.0 if index < kinds else generator.uniform(_NEAREST, 0.9)
            image = self._window(index % kinds - 1, height, width, whole, generator)
        else:
            image = _drawn(height, width, generator)
        return image[:, ::-1] if index // kinds % 2 else image

    def _mosaic(self, height: int, width: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        image = np.empty((height, width, 3), np.uint8)
        y, x = height // 2, width // 2
        tiles = [(slice(a, b), slice(c, d)) for a, b in ((0, y), (y, height)) for c, d in ((0, x), (x, width))]
        for i, tile in enumerate(tiles):
            height, width = image[tile].shape[:2]
            drawn = i == len(self._photos)
            image[tile] = _drawn(height, width, generator) if drawn else self._window(i, height, width, 1.0, generator)
        return image

    def _window(
        self, index: int, height: int, width: int, part: float, generator: np.random.Generator
    ) -> NDArray[np.uint8]:
        """A window of a photo with the image's aspect ratio: the largest one, or a smaller one anywhere."""
        from PIL import Image

        photo: Any = self._photos[index]
        gain = part * min(photo.width / width, photo.height / height)
        across, down = gain * width, gain * height
        left, top = (photo.width - across) * generator.uniform(0.4, 0.6), (photo.height - down) / 2
        if part < 1:
            left, top = generator.uniform(0, photo.width - across), generator.uniform(0, photo.height - down)
        box = (left, top, left + across, top + down)
        return np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _drawn(height: int, width: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Shapes of pure colours on a grey background with a gradient and noise."""
    slope = np.linspace(generator.uniform(-40, 40), generator.uniform(-40, 40), width, dtype=np.float32)
    image = np.empty((height, width, 3), np.float32)
    image[:] = generator.uniform(90, 165) + slope[:, None]
    for kind in range(_SHAPES):
        side = generator.uniform(0.12, 0.4) * min(height, width)
        half = (side * generator.uniform(0.5, 1, 2) / 2).astype(int) + 1
        centre = generator.uniform(0, (height, width)).astype(int)
        (y0, x0), (y1, x1) = np.maximum(centre - half, 0), np.minimum(centre + half, (height, width))
        rows = ((np.arange(y0, y1) - centre[0]) / half[0])[:, None]
        columns = (np.arange(x0, x1) - centre[1]) / half[1]
        inside = (
            np.maximum(abs(rows), abs(columns)) <= 1,  # a rectangle
            rows**2 + columns**2 <= 1,  # an ellipse
            2 * abs(columns) <= 1 + rows,  # a triangle
        )[kind % 3]
        image[y0:y1, x0:x1][inside] = generator.choice(_COLOURS)
    image += generator.normal(0, 4, (height, width, 1)).astype(np.float32)
    return image.clip(0, 255, out=image).astype(np.uint8)
