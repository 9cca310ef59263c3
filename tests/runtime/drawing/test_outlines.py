"""Outlines: along the edges of masks and holes, smooth, antialiased, and not along the frame's edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fastsam_trt.drawing.outlines import draw_outline
from support.made_results import cut, hard_masks

WHITE = (255, 255, 255)


def _drawn(mask: np.ndarray, width_px: float = 3) -> np.ndarray:
    """Brightness of the outline of a mask on black."""
    image = np.zeros((*mask.shape, 3), np.uint8)
    draw_outline(image, cut(mask), WHITE, width_px)
    return image[..., 0]


def _disc(radius: float, size: int = 200) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size]
    return np.hypot(yy - size / 2, xx - size / 2) < radius


@pytest.mark.parametrize("width_px", [1, 1.5, 2.5, 3, 4, 5, 6, 7, 9.4])
def test_the_line_of_a_disc_is_a_circle_of_its_width(width_px: float) -> None:
    found = np.argwhere(_drawn(_disc(60), width_px) > 127)
    away = np.hypot(*(found - 100).T)
    assert abs(np.median(away) - 59.5) < 1
    assert len(found) / (2 * np.pi * 59.5) == pytest.approx(width_px, abs=1.1)  # OpenCV's widths are 2 px apart


def test_steps_of_the_pixel_grid_are_smoothed() -> None:
    yy, xx = np.mgrid[:200, :300]
    image = _drawn(yy > 60 + xx // 6).astype(float)  # an edge of steps one pixel high, six wide
    columns = np.arange(30, 270)
    rows = (image[:150] * yy[:150]).sum(axis=0)[columns] / image[:150].sum(axis=0)[columns]
    assert np.abs(rows - (61 + (columns - 2.5) / 6)).max() < 0.5
    assert np.abs(np.diff(rows, 2)).max() < 0.3  # no steps


def test_lines_are_antialiased() -> None:
    shades = np.unique(_drawn(_disc(60.4)))
    assert len(shades) > 20


def test_holes_are_outlined() -> None:
    ring = _disc(70) & ~_disc(30)
    image = _drawn(ring)
    assert image[100, 100 + 70 - 1] > 127
    assert image[100, 100 + 30] > 60
    assert image[100, 100 + 50] == 0


@pytest.mark.parametrize("edge", ["top", "bottom", "left", "right"])
def test_no_line_runs_along_the_edge_of_the_frame(edge: str) -> None:
    mask = np.zeros((200, 200), bool)
    halves = {"top": mask[:100], "bottom": mask[100:], "left": mask[:, :100], "right": mask[:, 100:]}
    halves[edge][:] = True
    image = _drawn(mask, 3)
    assert (image[80:120] if edge in ("top", "bottom") else image[:, 80:120]).max() == 255
    image[95:105] = 0
    image[:, 95:105] = 0
    assert not image.any()


@pytest.mark.parametrize("name", hard_masks())
def test_every_mask_with_pixels_inside_the_frame_leaves_a_mark(name: str) -> None:
    mask = hard_masks()[name]
    inner = np.zeros_like(mask)
    inner[6:-6, 6:-6] = mask[6:-6, 6:-6]
    drawn = _drawn(inner)
    assert drawn.any() == inner.any()
    if inner.any():
        near = cv2.dilate(inner.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
        assert not drawn[~near].any()


def test_specks_beside_a_large_part_have_no_line() -> None:
    mask = _disc(60)
    mask[5:7, 5:7] = True
    assert not _drawn(mask)[:20, :20].any()
    speck = np.zeros_like(mask)
    speck[15:17, 15:17] = True
    assert _drawn(speck)[10:22, 10:22].any()
