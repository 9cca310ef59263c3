"""DemoVideo: a synthetic video of coloured shapes that move and occlude each other, drawn as it is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastsam_trt.demo.scenes import Look, Scene, compose, draw_background, draw_look, draw_tint, paint
from fastsam_trt.demo.shapes import COLOURS, SHAPES, Item
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source

_SEED = 7
_NOISES = 8


class DemoVideo(Source):
    """640 x 360 px, 30 frames per second, ten seconds by default; the same frames every time."""

    kind = "video"

    def __init__(self, frames: int = 300, *, items: int = 10, seed: int = _SEED, vid_stride: int = 1) -> None:
        """Choose shapes and paths.

        Args:
            frames: Length of the video.
            items: Number of shapes; the first is a red circle.
            seed: Seed of shapes and paths.
            vid_stride: Yield every n-th frame.
        """
        self._length = frames
        self._stride = vid_stride
        self.frames = -(-frames // vid_stride)
        self.fps = 30.0 / vid_stride
        self._height, self._width = 360, 640
        generator = np.random.default_rng(seed)
        self._background = draw_background(generator, self._height, self._width)
        look = draw_look(generator, self._height, self._width)
        self._looks = [
            Look(look.light, np.roll(look.noise, tuple(generator.integers(0, 300, 2).tolist()), axis=(0, 1)), 0.6)
            for _ in range(_NOISES)
        ]
        pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES if (colour, shape) != ("red", "circle")]
        order = generator.permutation(len(pairs))[: items - 1]
        names = [("red", "circle"), *(pairs[i] for i in order)]
        self._items = [
            Item(
                colour,
                shape,
                x=float(generator.uniform(0, 1)),
                y=float(generator.uniform(0.15, 0.85)),
                radius_px=float(generator.uniform(24, 52)),
                angle=float(generator.uniform(0, 2 * np.pi)),
                tint=draw_tint(generator),
            )
            for colour, shape in names
        ]
        self._speeds = generator.uniform(0.06, 0.2, items) * generator.choice([-1, 1], items)  # crossings per second
        self._swings = generator.uniform([0.03, 0.1, 0], [0.16, 0.35, 2 * np.pi], (items, 3))  # height, Hz, phase
        self._turns = generator.uniform(-1.2, 1.2, items)  # radians per second

    def scene(self, index: int) -> Scene:
        """The scene of a frame, with its ground truth."""
        return compose(self._background, self._items_at(index), self._looks[index % _NOISES])

    def _items_at(self, index: int) -> list[Item]:
        seconds = index / 30.0
        moved = []
        for item, speed, (swing, hertz, phase), turn in zip(
            self._items, self._speeds, self._swings, self._turns, strict=True
        ):
            margin = item.radius_px + 30  # out of sight for a while before it comes back on the other side
            along = (item.x + speed * seconds) % 1 * (self._width + 2 * margin) - margin
            down = (item.y + swing * np.sin(2 * np.pi * hertz * seconds + phase)) * self._height
            angle = item.angle + turn * seconds
            moved.append(
                Item(item.colour, item.shape, float(along), float(down), item.radius_px, float(angle), item.tint)
            )
        return moved

    def __iter__(self) -> Iterator[Frame]:
        for index in range(0, self._length, self._stride):
            if self._stopped:
                return
            image = paint(self._background, self._items_at(index), self._looks[index % _NOISES])
            yield Frame(image, index, "demo", timestamp_s=index / 30.0, media_s=index / 30.0)
