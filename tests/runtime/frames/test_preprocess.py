"""Preprocessing: the geometry of the letterbox, and the fast path compared with a plain one."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from fastsam_engine.spec.yolo_seg import letterbox_input
from fastsam_trt.frames.letterbox import fit
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.frames.rectangles import RECTANGLES, Rectangle

RECTANGLE = letterbox_input(640, 640, size_multiple=32, batch=(1, None))
SQUARE = letterbox_input(640, 640, size_multiple=None, batch=(1, 1))


@pytest.mark.parametrize(
    ("frame", "input_size", "content", "padding"),
    [
        ((1080, 1920), (384, 640), (360, 640), (12, 0)),
        ((1080, 810), (640, 480), (640, 480), (0, 0)),
        ((640, 640), (640, 640), (640, 640), (0, 0)),
        ((1, 1), (640, 640), (640, 640), (0, 0)),
        ((1, 5000), (32, 640), (1, 640), (15, 0)),
        ((5000, 1), (640, 32), (640, 1), (0, 15)),
        ((333, 500), (448, 640), (426, 640), (11, 0)),
    ],
)
def test_the_smallest_rectangle(frame: tuple, input_size: tuple, content: tuple, padding: tuple) -> None:
    placed = fit(*frame, RECTANGLE)
    assert (placed.input_h, placed.input_w) == input_size
    assert (placed.content_h, placed.content_w) == content
    assert (placed.top, placed.left) == padding


def test_a_fixed_input_is_padded() -> None:
    placed = fit(1080, 1920, SQUARE)
    assert (placed.input_h, placed.input_w, placed.top, placed.left) == (640, 640, 140, 0)


def test_boxes_are_mapped_back_to_the_frame() -> None:
    placed = fit(1080, 1920, RECTANGLE)
    frame_boxes = np.array([[0, 0, 1920, 1080], [100, 50, 300, 400]], np.float32)
    inside = frame_boxes / 3 + np.array([0, 12, 0, 12], np.float32)
    np.testing.assert_allclose(placed.boxes_to_frame(inside), frame_boxes, atol=1e-3)
    beyond = np.array([[-50, -50, 2000, 2000]], np.float32)
    np.testing.assert_array_equal(placed.boxes_to_frame(beyond), [[0, 0, 1920, 1080]])


def _plain(frame: np.ndarray, image: object, rectangle: Rectangle = "smallest") -> np.ndarray:
    """The same steps, with a new array for each."""
    placed = fit(*frame.shape[:2], image, rectangle=rectangle)
    small = cv2.resize(frame, (placed.content_w, placed.content_h), interpolation=cv2.INTER_LINEAR)
    padded = np.full((placed.input_h, placed.input_w, 3), image.pad_value, np.uint8)
    padded[placed.top : placed.top + placed.content_h, placed.left : placed.left + placed.content_w] = small
    colours = padded[..., ::-1] if image.colour == "RGB" else padded
    values = (colours.astype(np.float64) * image.scale - image.mean) / image.std
    return values.transpose(2, 0, 1)[None].astype(image.dtype)


@pytest.mark.parametrize("rectangle", RECTANGLES)
@pytest.mark.parametrize(
    "image",
    [
        RECTANGLE,
        SQUARE,
        dataclasses.replace(RECTANGLE, colour="BGR"),
        dataclasses.replace(RECTANGLE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        dataclasses.replace(RECTANGLE, dtype="float16"),
    ],
)
def test_the_fast_path_equals_the_plain_one(image: object, rectangle: Rectangle) -> None:
    preprocess = FramePreprocessor(image)
    generator = np.random.default_rng(0)
    for size in ((480, 640), (270, 480), (480, 640), (1, 1), (900, 37), (640, 640)):
        frame = generator.integers(0, 256, (*size, 3), np.uint8)
        found, placed = preprocess.prepare(frame, rectangle)
        expected = _plain(frame, image, rectangle)
        assert found.dtype == image.dtype
        assert placed == fit(*size, image, rectangle=rectangle)
        tolerance = 2e-3 if image.dtype == "float16" else 1e-5
        np.testing.assert_allclose(found.astype(np.float64), expected, atol=tolerance)


def test_the_buffer_is_reused_and_its_padding_stays() -> None:
    preprocess = FramePreprocessor(RECTANGLE)
    frames = np.random.default_rng(1).integers(0, 256, (3, 360, 640, 3), np.uint8)
    first = preprocess.prepare(frames[0])[0]
    for frame in frames[1:]:
        found = preprocess.prepare(frame)[0]
        assert found is first
        np.testing.assert_allclose(found, _plain(frame, RECTANGLE), atol=1e-6)


def test_another_size_can_be_requested() -> None:
    found, placed = FramePreprocessor(RECTANGLE, (320, 320)).prepare(np.zeros((1080, 1920, 3), np.uint8))
    assert found.shape == (1, 3, 192, 320)
    assert placed.gain_x == pytest.approx(320 / 1920)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (90, 61), (96, 128)])
def test_a_stretched_frame_equals_pillows(size: tuple[int, int], interpolation: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    spec = dataclasses.replace(
        letterbox_input(96, 128, size_multiple=None, batch=(1, None)),
        resize="stretch", antialias=True, interpolation=interpolation,
    )  # fmt: skip
    noise = np.random.default_rng(0).integers(0, 256, (size[0] // 9 + 1, size[1] // 9 + 1, 3), np.uint8)
    frame = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_NEAREST)
    found, placed = FramePreprocessor(spec).prepare(frame)
    kernel = image.Resampling.BILINEAR if interpolation == "bilinear" else image.Resampling.BICUBIC
    expected = np.asarray(image.fromarray(frame).resize((128, 96), kernel))[..., ::-1].transpose(2, 0, 1)
    levels = np.abs(found[0] * 255 - expected)
    assert levels.max() < 1.01
    assert levels.mean() < 0.02
    assert (placed.gain_y, placed.gain_x) == pytest.approx((96 / size[0], 128 / size[1]))
    np.testing.assert_allclose(
        placed.boxes_to_frame(np.array([[0, 0, 128, 96]], np.float32)), [[0, 0, size[1], size[0]]], atol=1e-3
    )
