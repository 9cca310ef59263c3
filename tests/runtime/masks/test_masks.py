"""Masks: decoding inside boxes compared with whole frames, and COCO RLE compared with pycocotools."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_engine.spec.yolo_seg import letterbox_input
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.masks.prototype import PrototypeMasks
from fastsam_trt.results import rle

INPUT = letterbox_input(640, 640, size_multiple=32, batch=(1, None))


def _made(letterbox: Letterbox, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shape = (8, letterbox.input_h // 4, letterbox.input_w // 4)
    prototypes = np.stack([cv2.GaussianBlur(each, (0, 0), 3) * 20 for each in generator.normal(size=shape)])
    height, width = letterbox.frame_h, letterbox.frame_w
    corners = generator.uniform(0, [width, height], (n, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    boxes[0] = [0, 0, width, height]
    return prototypes.astype(np.float32), generator.normal(size=(n, 8)).astype(np.float32), boxes.astype(np.float32)


def _plain(
    prototypes: np.ndarray, coefficients: np.ndarray, boxes: np.ndarray, placed: Letterbox
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of every pixel of the frame: refined, padding cut off, resized; cropped to the box, and whole."""
    logits = np.tensordot(coefficients.astype(np.float64), prototypes.astype(np.float64), 1)
    edges = placed.top, placed.top + placed.content_h, placed.left, placed.left + placed.content_w
    factor = next(each for each in (1, 2, 4) if not any(edge * each % 4 for edge in edges))
    top, bottom, left, right = (edge * factor // 4 for edge in edges)
    finer = [cv2.resize(each, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR) for each in logits]
    size = placed.frame_w, placed.frame_h
    whole = np.stack([cv2.resize(each[top:bottom, left:right], size, interpolation=cv2.INTER_LINEAR) for each in finer])
    columns, rows = np.arange(placed.frame_w), np.arange(placed.frame_h)
    inside = (columns >= boxes[:, :1]) & (columns < boxes[:, 2:3])
    down = (rows >= boxes[:, 1:2]) & (rows < boxes[:, 3:4])
    return np.where(inside[:, None, :] & down[:, :, None], whole, -1.0), whole


@pytest.mark.parametrize("size", [(270, 480), (480, 360), (97, 640), (700, 900), (33, 17)])
def test_decoding_in_boxes_equals_decoding_whole_frames(size: tuple[int, int]) -> None:
    placed = fit(*size, INPUT)
    prototypes, coefficients, boxes = _made(placed, 9, seed=size[0])
    masks = PrototypeMasks(prototypes, coefficients, boxes, MapToFrame(placed, *prototypes.shape[1:]))
    chosen = [8, 0, 3, 3, 5]
    found = paste(masks.decode(chosen), *size)
    logits, whole = _plain(prototypes, coefficients, boxes, placed)
    clear = np.abs(whole[chosen]) > 1e-4 * np.abs(whole).max()  # near zero, single precision may go either way
    np.testing.assert_array_equal(found[clear], (logits[chosen] > 0)[clear])
    assert clear.mean() > 0.99


@pytest.mark.parametrize("size", [(270, 480), (480, 360), (700, 900)])
def test_coarse_masks_are_the_decoded_ones_at_low_resolution(size: tuple[int, int]) -> None:
    placed = fit(*size, INPUT)
    prototypes, coefficients, boxes = _made(placed, 9, seed=size[0])
    masks = PrototypeMasks(prototypes, coefficients, boxes, MapToFrame(placed, *prototypes.shape[1:]))
    whole = paste(masks.decode(range(9)), *size)
    window = np.array([20, 30, 220, 230], np.float64)
    for index in range(9):
        found = masks.coarse(index, window, 200)  # one sample per pixel, to compare them one by one
        assert found.shape == (200, 200)
        assert (found == whole[index, 30:230, 20:220]).mean() > 0.99
        half = masks.coarse(index, window, 50)
        assert (half == whole[index, 32:230:4, 22:220:4]).mean() > 0.9


@pytest.mark.parametrize("size", [(480, 640), (1080, 810)])
def test_memory_order_of_prototypes_does_not_matter(size: tuple[int, int]) -> None:
    placed = fit(*size, INPUT)
    prototypes, coefficients, boxes = _made(placed, 9, seed=3)
    resize = MapToFrame(placed, *prototypes.shape[1:])
    channels_last = np.ascontiguousarray(prototypes.transpose(1, 2, 0)).transpose(2, 0, 1)
    expected, found = (PrototypeMasks(each, coefficients, boxes, resize) for each in (prototypes, channels_last))
    assert not channels_last.flags.c_contiguous
    for one, other in zip(expected.decode(range(9)), found.decode(range(9)), strict=True):
        assert one.pixels.any()
        np.testing.assert_array_equal(one.pixels, other.pixels)
    window = boxes[0].astype(np.float64)
    np.testing.assert_array_equal(expected.coarse(0, window, 32), found.coarse(0, window, 32))


def test_boxes_without_pixels_give_empty_masks() -> None:
    placed = fit(100, 100, INPUT)
    prototypes, coefficients, boxes = _made(placed, 3, seed=1)
    boxes[1] = [10.2, 10.2, 10.8, 50]
    boxes[2] = [100, 100, 100, 100]
    masks = PrototypeMasks(prototypes, coefficients, boxes, MapToFrame(placed, *prototypes.shape[1:]))
    assert not paste(masks.decode([1, 2]), 100, 100).any()
    assert [rle.encode(crop, 100, 100)["counts"] for crop in masks.decode([1, 2])] == [_coco_empty()] * 2


def _coco_empty() -> str:
    return coco.encode(np.zeros((100, 100), np.uint8, order="F"))["counts"].decode()


def test_rle_equals_pycocotools() -> None:
    generator = np.random.default_rng(0)
    for trial in range(300):
        height, width = generator.integers(1, 60, 2).tolist()
        top, left = generator.integers(0, height), generator.integers(0, width)
        crop_h, crop_w = generator.integers(0, height - top + 1), generator.integers(0, width - left + 1)
        pixels = generator.random((crop_h, crop_w)) < generator.choice([0.02, 0.5, 0.98, 1.0])
        if trial % 3 == 0:
            top = left = 0
            pixels = generator.random((height, width)) < generator.choice([0.1, 0.9, 1.0])
        crop = MaskCrop(int(left), int(top), pixels)
        encoded = rle.encode(crop, height, width)
        whole = paste([crop], height, width)[0]
        expected = coco.encode(np.asfortranarray(whole.astype(np.uint8)))
        assert encoded == {"size": expected["size"], "counts": expected["counts"].decode()}
        np.testing.assert_array_equal(coco.decode(encoded), whole)


def test_rle_of_large_masks() -> None:
    yy, xx = np.mgrid[:1080, :1920]
    disc = (yy - 500) ** 2 + (xx - 900) ** 2 < 400**2
    encoded = rle.encode(MaskCrop(500, 100, disc[100:901, 500:1301]), 1080, 1920)
    assert encoded["counts"] == coco.encode(np.asfortranarray(disc.astype(np.uint8)))["counts"].decode()


def test_paste_puts_crops_at_their_position() -> None:
    crop = MaskCrop(3, 2, np.ones((2, 4), np.bool_))
    found = paste([crop], 6, 9)
    assert found.shape == (1, 6, 9)
    assert found.sum() == 8
    assert found[0, 2:4, 3:7].all()
    assert paste([], 6, 9).shape == (0, 6, 9)
