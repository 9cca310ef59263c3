"""Draw scenes: coloured shapes over cluttered backgrounds, with the exact mask of every shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.demo.shapes import COLOURS, SHAPES, Item, area, coverage

Pair = tuple[str, str]  # colour and shape
ALL_PAIRS: tuple[Pair, ...] = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
# Each colour and each shape once. The demo's CLIP was trained without these pairs, to measure whether it composes.
HELD_OUT_PAIRS: tuple[Pair, ...] = tuple((colour, SHAPES[(3 * i + 1) % 8]) for i, colour in enumerate(COLOURS))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and its ground truth, for n items from back to front.

    Attributes:
        frame: (H, W, 3) uint8 BGR.
        items: The n items.
        masks: (n, H, W) bool, the visible pixels of each item.
        visible: (n,) float, the visible fraction of each item's area; the area outside the frame counts as hidden.
    """

    frame: NDArray[np.uint8]
    items: tuple[Item, ...]
    masks: NDArray[np.bool_]
    visible: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """Effects of light and camera: `light` (H, W) float32 factors, `noise` (H, W) int16, `blur_px`."""

    light: NDArray[np.float32]
    noise: NDArray[np.int16]
    blur_px: float


def draw_scene(
    seed: int,
    height: int = 360,
    width: int = 640,
    *,
    items: tuple[int, int] = (3, 9),
    radius_px: tuple[float, float] = (12.0, 62.0),
    pairs: Sequence[Pair] = ALL_PAIRS,
) -> Scene:
    """Draw a scene; the same seed gives the same scene.

    Args:
        seed: Any whole number.
        height, width: Size of the frame, px.
        items: Fewest and most items.
        radius_px: Smallest and largest radius of an item.
        pairs: Colours and shapes to choose from.
    """
    generator = np.random.default_rng(seed)
    background = draw_background(generator, height, width)
    chosen = []
    for _ in range(int(generator.integers(items[0], items[1] + 1))):
        colour, shape = pairs[int(generator.integers(len(pairs)))]
        radius = float(np.exp(generator.uniform(*np.log(radius_px))))
        chosen.append(
            Item(
                colour,
                shape,
                x=float(generator.uniform(0.02, 0.98) * width),
                y=float(generator.uniform(0.02, 0.98) * height),
                radius_px=radius,
                angle=float(generator.uniform(0, 2 * np.pi)),
                tint=draw_tint(generator),
            )
        )
    return compose(background, chosen, draw_look(generator, height, width))


def compose(background: NDArray[np.uint8], items: Sequence[Item], look: Look) -> Scene:
    """Paint items over a background, apply the look, and compute the visible pixels of each item.

    Args:
        background: (H, W, 3) uint8 BGR; not modified.
        items: From back to front.
        look: Light, noise and blur.
    """
    height, width = background.shape[:2]
    masks = np.zeros((len(items), height, width), np.bool_)
    for i, item in enumerate(items):
        rows, columns, soft = coverage(item, height, width)
        inside = soft > 0.5
        masks[:i, rows, columns] &= ~inside
        masks[i, rows, columns] = inside
    whole = np.array([area(item.shape) * item.radius_px**2 for item in items])
    shown = np.array([np.count_nonzero(mask) for mask in masks])  # ten times faster than a sum over two axes
    return Scene(paint(background, items, look), tuple(items), masks, np.minimum(shown / whole, 1.0))


def paint(background: NDArray[np.uint8], items: Sequence[Item], look: Look) -> NDArray[np.uint8]:
    """The image of a scene, (H, W, 3) uint8 BGR; see `compose`."""
    frame = background.copy()
    for item in items:
        rows, columns, soft = coverage(item, *background.shape[:2])
        if soft.size:
            region = frame[rows, columns].astype(np.float32)
            frame[rows, columns] = region + (np.array(item.bgr, np.float32) - region) * soft[..., None]
    return apply_look(frame, look)


def apply_look(frame: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    """Apply blur, light and noise, in this order: (H, W, 3) uint8 BGR to the same."""
    if look.blur_px > 0:
        frame = cv2.GaussianBlur(frame, (0, 0), look.blur_px).astype(np.uint8)
    lit = cv2.multiply(frame, cv2.merge([look.light] * 3), dtype=cv2.CV_16S)
    return np.asarray(cv2.add(lit, cv2.merge([look.noise] * 3), dtype=cv2.CV_8U), np.uint8)  # clipped to 0..255


def draw_background(generator: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A muted background with texture and clutter: (H, W, 3) uint8 BGR."""
    base = generator.uniform(50, 200)
    grain = generator.normal(0, 1, (max(height // 24, 2), max(width // 24, 2), 1)) * generator.uniform(5, 28)
    cast = generator.normal(0, 8, 3)
    field = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)[..., None] + base + cast
    image = np.clip(field, 0, 255).astype(np.uint8)
    for _ in range(int(generator.integers(0, 26))):
        grey = generator.uniform(30, 220) + generator.normal(0, 12, 3)
        colour = tuple(float(c) for c in grey.clip(0, 255))
        ends = generator.uniform(0, [width, height], (3, 2)).astype(np.int32)
        kind = generator.integers(3)
        if kind == 0:
            cv2.line(image, ends[0].tolist(), ends[1].tolist(), colour, int(generator.integers(1, 4)), cv2.LINE_AA)
        elif kind == 1:
            size = generator.uniform(4, 50, 2).astype(int).tolist()
            cv2.ellipse(
                image, ends[0].tolist(), size, float(generator.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA
            )
        else:
            cv2.fillConvexPoly(image, (ends[0] + (ends - ends[0]) // 6).reshape(-1, 1, 2), colour, cv2.LINE_AA)
    return image


def draw_tint(generator: np.random.Generator) -> tuple[int, int, int]:
    """A small random change of colour for each BGR channel."""
    blue, green, red = generator.integers(-16, 17, 3).tolist()
    return blue, green, red


def draw_look(generator: np.random.Generator, height: int, width: int) -> Look:
    """Random light that falls off to one side, sensor noise, and a little blur."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    direction = generator.uniform(0, 2 * np.pi)
    slope = generator.uniform(0, 0.35)
    ramp = (np.cos(direction) * (columns / width - 0.5) + np.sin(direction) * (rows / height - 0.5)) * slope
    light = (generator.uniform(0.78, 1.08) + ramp).astype(np.float32)
    noise = generator.normal(0, generator.uniform(0, 8), (height, width)).astype(np.int16)
    return Look(light, noise, float(max(generator.uniform(-0.4, 1.1), 0)))
