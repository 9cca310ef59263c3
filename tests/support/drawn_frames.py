"""Drawn frames of coloured objects, changes of light, and a CLIP whose embedding is the mean colour."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from fastsam_trt.clip.embedder import Embeddings, LatencyBudget
from fastsam_trt.clip.track_embedder import TrackEmbedder
from support.made_tracks import CountingClip, embed, segments_of
from support.typed import present

HEIGHT, WIDTH = 240, 320

BOXES = np.array([[20, 30, 80, 90], [120, 40, 200, 140], [220, 120, 300, 220]], np.float32)

COLOURS = (40, 40, 200), (60, 160, 60), (150, 150, 150)  # BGR


class MeanColourClip(CountingClip):
    """A CLIP that counts its crops; a vector is the mean colour of its box."""

    def _vectors(self, frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        means = [frame[int(y0) : int(y1), int(x0) : int(x1)].mean(axis=(0, 1)) for x0, y0, x1, y1 in boxes]
        vectors = np.array(means, np.float32).reshape(len(boxes), 3) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def background(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A grey background with structure: (H, W, 3) uint8."""
    coarse = np.random.default_rng(seed).normal(110, 30, (height // 20, width // 20, 1))
    return np.repeat(cv2.resize(coarse, (width, height))[..., None].clip(0, 255), 3, axis=2).astype(np.uint8)


def drawn(*colours: tuple[int, int, int], boxes: np.ndarray = BOXES, behind: np.ndarray | None = None) -> np.ndarray:
    """Draw ellipses that fill boxes over a background: (H, W, 3) uint8 BGR."""
    frame = background() if behind is None else behind.copy()
    for (x0, y0, x1, y1), colour in zip(boxes.round().astype(int).tolist(), colours, strict=True):
        centre, half = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
        cv2.ellipse(frame, centre, half, 0, 0, 360, colour, -1)
    return frame


def noisy(frame: np.ndarray, seed: int, deviation: float = 6.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, frame.shape)
    return (frame + noise).clip(0, 255).astype(np.uint8)


def hue_turned(frame: np.ndarray, by: int = 100) -> np.ndarray:
    hsv = cv2.cvtColor(frame, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + by) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def embed_frame(
    embedder: TrackEmbedder, frame: np.ndarray, boxes: np.ndarray = BOXES, budget: LatencyBudget | None = None
) -> Embeddings:
    """Embed tracks at boxes of a frame."""
    return embed(embedder, segments_of(*boxes, ids=range(len(boxes))), budget, frame=frame)


def tracked_for_a_while(clip: MeanColourClip, frame: np.ndarray, frames: int = 60, **options: Any) -> TrackEmbedder:
    """Return an embedder whose objects have been visible for some frames."""
    embedder = TrackEmbedder(clip, **options)
    for i in range(frames):
        embed_frame(embedder, noisy(frame, i % 7))
    clip.seen.clear()
    return embedder


def _light(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame * (1 - 0.5 * i / 60)).astype(np.uint8)


def _flicker(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame.astype(np.float32) * (1 + 0.12 * (-1) ** i)).clip(0, 255).astype(np.uint8)


def _exposed(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame * (0.45 if i >= 10 else 1)).astype(np.uint8)


def _tinted(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame * [1 - 0.12 * i / 60, 1, 1 + 0.1 * i / 60]).clip(0, 255).astype(np.uint8)


def _compressed(frame: np.ndarray, i: int) -> np.ndarray:
    return present(cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 20 + 10 * (i % 3)])[1], 1))


def _blurred(frame: np.ndarray, i: int) -> np.ndarray:
    return cv2.blur(frame, (1 + 2 * (i % 5), 1))


CHANGES_OF_LIGHT = {
    "noise": lambda frame, i: noisy(frame, i, 14),
    "fading light": _light,
    "flickering light": _flicker,
    "a jump of the exposure": _exposed,
    "white balance": _tinted,
    "compression": _compressed,
    "motion blur": _blurred,
}
