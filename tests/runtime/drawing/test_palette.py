"""Colours: stable by key, distinguishable by every reader, with legible text on all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastsam_trt.drawing.palette import BLACK, COLOURS, WHITE, contrast, ink_on, palette

# Linear RGB as people with a colour vision deficiency see it: Machado, Oliveira and Fernandes 2009, severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def _lab(vision: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of the palette as seen with a vision."""
    rgb = np.array(COLOURS)[:, ::-1] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(vision).T, 0, 1) @ XYZ.T / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _ciede2000(one: np.ndarray, other: np.ndarray) -> float:
    """Sharma, Wu and Dalal 2005."""
    chroma = (np.hypot(*one[1:]) + np.hypot(*other[1:])) / 2
    grey = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    c, h = np.zeros(2), np.zeros(2)
    for i, (_, a, b) in enumerate((one, other)):
        c[i], h[i] = np.hypot(a * grey, b), np.degrees(np.arctan2(b, a * grey)) % 360
    light, chroma = (one[0] + other[0]) / 2, c.mean()
    hue = h.mean() if abs(h[0] - h[1]) <= 180 else (h.sum() + 360) / 2
    turn = (h[1] - h[0] + 180) % 360 - 180
    dh = 2 * np.sqrt(c[0] * c[1]) * np.sin(np.radians(turn / 2))
    t = 1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
    t += 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    dl = (other[0] - one[0]) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc, dh = (c[1] - c[0]) / (1 + 0.045 * chroma), dh / (1 + 0.015 * chroma * t)
    rotation = (
        -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    )
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def test_the_difference_is_that_of_the_published_pairs() -> None:
    pairs = [  # of Sharma, Wu and Dalal's table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (56, -27, -3), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ]
    for one, other, expected in pairs:
        assert _ciede2000(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("vision", VISION)
def test_any_two_colours_differ_for_every_reader(vision: str) -> None:
    lab = _lab(np.array(VISION[vision]))
    assert min(_ciede2000(one, other) for one, other in itertools.combinations(lab, 2)) >= 10.8


def test_equal_keys_have_equal_colours_and_neighbours_different_ones() -> None:
    keys = list(range(-3, 40))
    assert palette(keys) == [palette([key])[0] for key in keys]
    assert all(one != other for one, other in itertools.pairwise(palette(keys)))


def test_text_is_legible_on_every_ground() -> None:
    steps = range(0, 256, 15)
    grounds = [*COLOURS, *((blue, green, red) for blue in steps for green in steps for red in steps)]
    assert min(contrast(ink_on(ground), ground) for ground in grounds) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast((0x77, 0x77, 0x77), WHITE) == pytest.approx(4.48, abs=0.01)  # the known example just below 4.5
    assert contrast((255, 0, 0), WHITE) == contrast(WHITE, (255, 0, 0)) == pytest.approx(8.59, abs=0.01)  # BGR: blue
