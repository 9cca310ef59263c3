"""Labels: legible, inside their rectangle, and cut to fit."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.drawing.labels import Label, badge, cut, width_px, wrap
from fastsam_trt.drawing.palette import COLOURS, contrast, ink_on

LONG = "a man in a long white coat who walks past the bus"


def _drawn(label: Label, ground: tuple[int, int, int]) -> np.ndarray:
    image = np.full((label.height + 20, label.width + 20, 3), 128, np.uint8)
    label.draw(image, 10, 10, ground)
    return image


@pytest.mark.parametrize("ground", COLOURS)
def test_the_text_has_the_contrast_that_wcag_asks_for(ground: tuple[int, int, int]) -> None:
    image = _drawn(Label(["person", "0.87"], 24), ground)
    shades = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
    assert ground in shades
    assert ink_on(ground) in shades
    assert contrast(ink_on(ground), ground) >= 4.5


def test_nothing_is_drawn_outside_the_label() -> None:
    image = _drawn(Label(["Åg_|", "#12"], 20), (0, 159, 230))
    image[10:-10, 10:-10] = 128
    assert (image == 128).all()


def test_corners_are_round_and_antialiased() -> None:
    image = _drawn(Label(["cup"], 30), (255, 0, 0))
    assert image[10, 10].tolist() == [128, 128, 128]
    assert (image[10, 10 + 12] == (255, 0, 0)).all()
    assert len({tuple(pixel) for pixel in image[10:16, 10:16].reshape(-1, 3).tolist()}) > 3


def test_labels_of_one_size_are_equally_high() -> None:
    assert len({Label([text, "0.50"], 20).height for text in ("cup", "Typing", "aaa", "#1")}) == 1


def test_words_are_drawn_with_spaces_and_blank_ones_not_at_all() -> None:
    widths = [Label(words, 20).width for words in (["red", "car"], ["red"], ["car"])]
    padding = Label([], 20).width
    assert widths[0] > widths[1] + widths[2] - padding
    assert Label(["red", "", " \n"], 20).width == widths[1]


def test_a_long_name_is_cut_and_its_score_kept() -> None:
    whole = Label([LONG, "0.87"], 20)
    fitted = Label.fitted([LONG, "0.87"], 20, 200)
    assert whole.width > 300 > 200 >= fitted.width
    assert Label.fitted([LONG, "0.87"], 20, 1000).width == whole.width
    assert Label.fitted([LONG, "0.87"], 20, 1).width < 120  # a few letters stay


@pytest.mark.parametrize("most_px", [0, 10, 40, 77, 150, 1000])
def test_cut_texts_are_the_longest_that_fit(most_px: int) -> None:
    text = cut(LONG, most_px, 16)
    if text == LONG:
        assert width_px(LONG, 16) <= most_px
        return
    assert text.endswith("...")
    kept = len(text) - 3
    assert kept == 0 or width_px(text, 16) <= most_px
    assert width_px(LONG[: kept + 2].rstrip() + "...", 16) > most_px


def test_lines_are_wrapped() -> None:
    parts = [f"{i} person 0.{i}{i}" for i in range(1, 9)]
    lines = wrap([*parts, LONG], 200, 16)
    assert all(width_px(line, 16) <= 200 for line in lines)
    assert "   ".join(lines[:-1]).split("   ") == parts
    assert lines[-1].endswith("...")


@pytest.mark.parametrize("at", [(50, 50), (0, 0), (99, 99), (-40, 200)])
def test_a_badge_may_leave_the_image(at: tuple[int, int]) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    badge(image, "12", *at, 13)
    assert image.any() == (at != (-40, 200))
