"""Crops: windows around boxes, and resizing that equals CLIP's own image processor."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from fastsam_engine.spec.model_input import Interpolation
from fastsam_trt.clip.crops import (
    centre_square,
    clip_batch,
    resize_shortest_edge,
    resized,
    seen_part,
    square_windows,
)
from fastsam_trt.frames.axis_resize import antialiased, bilinear
from fastsam_trt.frames.map_axis import MapAxis
from support.colour_models import clip_specs
from support.typed import image_input

IMAGE = image_input(clip_specs()[0])


def _photo(height: int, width: int, seed: int = 0, detail: int = 9) -> np.ndarray:
    """A picture with noise and with edges `detail` px apart: (H, W, 3) uint8."""
    generator = np.random.default_rng(seed)
    photo = generator.integers(0, 256, (max(height // detail, 1), max(width // detail, 1), 3), np.uint8)
    photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_NEAREST).reshape(height, width, 3)
    return (photo.astype(int) + generator.integers(-9, 9, photo.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ((224, 224), 224),
        ((100, 100), 224),
        ((500, 400), 224),
        ((300, 900), 224),
        ((1200, 1300), 224),
        ((37, 12), 32),
        ((1, 1), 32),
        ((1, 70), 32),
    ],
)
def test_resizing_equals_pillow(size: tuple[int, int], side: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    photo = _photo(*size)
    height, width = size
    longer = int(side * max(size) / min(size))
    target = (longer, side) if width >= height else (side, longer)  # Pillow's (width, height)
    resized = np.asarray(image.fromarray(photo).resize(target, image.Resampling.BICUBIC))
    top, left = (resized.shape[0] - side) // 2, (resized.shape[1] - side) // 2
    expected = resized[top : top + side, left : left + side].transpose(2, 0, 1)
    difference = np.abs(resize_shortest_edge(photo, side) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.02


@pytest.mark.parametrize("size", [(224, 224), (50, 300), (700, 20), (1, 1)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_stretching_equals_pillow(size: tuple[int, int], interpolation: Interpolation) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    photo = _photo(*size)
    taken = dataclasses.replace(IMAGE, resize="stretch", interpolation=interpolation, height=48, width=48)
    kernel = image.Resampling[interpolation.upper()]
    expected = np.asarray(image.fromarray(photo).resize((48, 48), kernel)).transpose(2, 0, 1)
    difference = np.abs(resized(photo, taken) - expected)
    assert difference.max() <= (1 if max(size) <= 6 * 48 else 40)  # very long sides are averaged first
    assert difference.mean() < (0.02 if max(size) <= 6 * 48 else 4)


def test_a_stretched_window_is_seen_whole() -> None:
    window = np.array([10, 20, 110, 60])
    assert seen_part(window, dataclasses.replace(IMAGE, resize="stretch")).tolist() == [10, 20, 110, 60]
    assert seen_part(window, IMAGE).tolist() == [40, 20, 80, 60]


def test_averaging_very_large_crops_changes_little() -> None:
    photo = cv2.GaussianBlur(_photo(1800, 2000, detail=60), (0, 0), 4).astype(np.uint8)
    found = resize_shortest_edge(photo, 224)
    plain = _dense(photo, 224)
    assert np.abs(found - plain).mean() < 0.5
    assert np.abs(found - plain).max() < 6


def _dense(photo: np.ndarray, side: int) -> np.ndarray:
    """Resize by whole matrices in double precision, without averaging first and without bands."""

    def matrix(length: int, resized: int) -> np.ndarray:
        scale = length / resized
        first = (resized - side) // 2
        centres = (np.arange(first, first + side) + 0.5) * scale
        x = np.abs((np.arange(length)[None] + 0.5 - centres[:, None]) / max(scale, 1))
        kernel = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))
        return kernel / kernel.sum(axis=1, keepdims=True)

    height, width = photo.shape[:2]
    rows, columns = (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
    down, across = matrix(height, rows), matrix(width, columns)
    narrow = np.einsum("ow,hwc->hoc", across, photo.astype(np.float64), optimize=True).round().clip(0, 255)
    return np.einsum("oh,hwc->cow", down, narrow, optimize=True).round().clip(0, 255)


@pytest.mark.parametrize("size", [(50, 60), (333, 150), (64, 64)])
def test_bands_equal_whole_matrices(size: tuple[int, int]) -> None:
    photo = _photo(*size)
    assert np.abs(resize_shortest_edge(photo, 48) - _dense(photo, 48)).max() <= 1


def test_pixels_outside_the_mask_get_the_mean_colour() -> None:
    frame = _photo(200, 300)
    windows = np.array([[0, 0, 150, 100], [20, 30, 120, 130]], np.intp)
    mask = np.zeros((IMAGE.height, IMAGE.width), np.bool_)
    mask[5:20, 3:9] = True
    plain = clip_batch(frame, windows, IMAGE)
    masked = clip_batch(frame, windows, IMAGE, [mask, ~mask])
    for crop, whole, seen in zip(masked, plain, (mask, ~mask), strict=True):
        np.testing.assert_array_equal(crop[:, seen], whole[:, seen])
        assert not crop[:, ~seen].any()  # normalised, the mean is zero
    np.testing.assert_array_equal(centre_square(windows[0]), [25, 0, 125, 100])


def test_any_part_of_an_axis_can_be_resized_alone() -> None:
    rows = np.random.default_rng(0).normal(size=(90, 700)).astype(np.float32)
    frame = MapAxis(500, 90, start=0.25, stop=89.5, factor=4)
    for resize, out in ((bilinear(frame), 500), (antialiased("bicubic", 90, 40, 3, 30), 30)):
        whole = resize.apply(rows, 0, out)
        for start, stop in ((0, 1), (5, 23), (out - 7, out)):
            low, high = resize.reach(start, stop)
            part = resize.apply(rows[low:high], start, stop, origin=low)
            np.testing.assert_allclose(part, whole[start:stop], atol=1e-5)


def test_windows_are_squares_inside_the_frame() -> None:
    boxes = np.array(
        [[10, 10, 30, 50], [0, 0, 200, 20], [190, 90, 200, 100], [50, 50, 50, 50], [0, 0, 200, 100]], np.float32
    )
    windows = square_windows(boxes, 100, 200)
    assert windows[0].tolist() == [0, 10, 40, 50]
    assert windows[1].tolist() == [0, 0, 200, 100]  # wider than the frame is high, so cut off
    assert windows[2].tolist() == [190, 90, 200, 100]
    assert ((windows[:, 2:] - windows[:, :2]) >= 1).all()
    assert (windows >= 0).all()
    assert (windows[:, 2:] <= [200, 100]).all()
    assert square_windows(np.empty((0, 4), np.float32), 100, 200).shape == (0, 4)


def test_random_windows_stay_inside_the_frame() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        height, width = generator.integers(1, 200, 2).tolist()
        corners = np.sort(generator.uniform(0, [width, height], (20, 2, 2)), axis=1)
        windows = square_windows(corners.reshape(20, 4).astype(np.float32), height, width)
        assert (windows[:, :2] >= 0).all()
        assert (windows[:, 2:] <= [width, height]).all()
        assert (windows[:, 2:] > windows[:, :2]).all()


def test_a_batch_is_normalised_and_in_the_models_colour_order() -> None:
    frame = np.empty((40, 40, 3), np.uint8)
    frame[:] = (255, 128, 0)  # blue, green, red
    batch = clip_batch(frame, np.array([[0, 0, 40, 40], [5, 5, 9, 9]]), IMAGE)
    assert batch.shape == (2, 3, 32, 32)
    np.testing.assert_allclose(batch[:, 0], -1, atol=1e-6)  # red first
    np.testing.assert_allclose(batch[:, 2], 1, atol=1e-6)
    swapped = clip_batch(frame, np.array([[0, 0, 40, 40]]), dataclasses.replace(IMAGE, colour="BGR"))
    np.testing.assert_allclose(swapped[0, ::-1], batch[0])
