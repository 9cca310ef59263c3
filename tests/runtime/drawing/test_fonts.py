"""Texts of any script: drawn if a font has their letters, else replaced by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from fastsam_trt import Pipeline
from fastsam_trt.drawing import lettering
from fastsam_trt.drawing.fonts import Fonts
from fastsam_trt.drawing.labels import Label, cut, width_px, write
from fastsam_trt.drawing.lettering import can_draw, drawable
from fastsam_trt.results.captions import captions
from fastsam_trt.results.panels import draw_panels
from support.colour_models import scene


def _save_font(path: Path, characters: str) -> Path:
    """A font whose letters are black squares."""

    def square() -> object:
        pen = TTGlyphPen(None)
        for step, point in enumerate([(100, 0), (100, 700), (900, 700), (900, 0)]):
            (pen.lineTo if step else pen.moveTo)(point)
        pen.closePath()
        return pen.glyph()

    names = [".notdef", *(f"uni{ord(each):04X}" for each in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(each): f"uni{ord(each):04X}" for each in characters})
    builder.setupGlyf(
        {name: TTGlyphPen(None).glyph() if name in (".notdef", "uni0020") else square() for name in names}
    )
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fonts:
    """A machine whose only font has the letters of 東京, digits and the punctuation of captions."""
    _save_font(tmp_path / "squares.ttf", "東京0123456789.# ")
    return _use(Fonts([tmp_path]), monkeypatch)


def _use(fonts: Fonts, monkeypatch: pytest.MonkeyPatch) -> Fonts:
    lettering.draw_letters.cache_clear()
    monkeypatch.setattr("fastsam_trt.drawing.lettering.installed_fonts", lambda: fonts)
    return fonts


@pytest.fixture(autouse=True)
def _no_letters_of_other_fonts() -> Iterator[None]:
    yield
    lettering.draw_letters.cache_clear()


def test_a_font_is_chosen_by_its_characters(tmp_path: Path) -> None:
    _save_font(tmp_path / "a.ttf", "東")
    both = _save_font(tmp_path / "b-bold.ttf", "東京")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    fonts = Fonts([tmp_path, tmp_path / "missing"])
    font = fonts.open("東京", 20)
    assert font is not None
    assert str(font.path) == str(both)
    assert not fonts.can_draw("東京市")


def test_a_text_may_need_several_fonts(tmp_path: Path) -> None:
    _save_font(tmp_path / "a.ttf", "東京 ")
    _save_font(tmp_path / "b.ttf", "дом ")
    fonts = Fonts([tmp_path])
    assert fonts.runs("東京 дом") == ["東京 ", "дом"]
    assert fonts.runs("東京 京") == ["東京 京"]
    assert fonts.runs("red car") == ["red car"]
    assert fonts.can_draw("東京 дом")
    assert not fonts.can_draw("東京 дом!é")


def test_ascii_needs_no_installed_font(tmp_path: Path) -> None:
    font = Fonts([tmp_path / "none"]).open("red car 0.87", 20)
    assert font is not None
    assert font.getname()[0] == "Aileron"


def test_available_letters_are_drawn(squares: Fonts) -> None:
    image = np.full((60, 200, 3), 255, np.uint8)
    write(image, "東京", 10, 40, 30)
    dark: np.ndarray = np.all(image < 100, axis=2)
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    assert 17 <= len(rows) <= 25  # 0.7 of 30 px
    assert rows.max() <= 40
    assert 40 <= columns.max() - columns.min() <= 60
    assert abs(width_px("東京", 30) - 60) <= 4
    assert cut("東京" * 20, 100, 30).endswith("...")


@pytest.mark.parametrize("at", [(-30, 20), (190, 20), (50, 3), (50, 70), (-500, -500)])
def test_letters_are_clipped_at_the_border(squares: Fonts, at: tuple[int, int]) -> None:
    image, larger = np.full((60, 200, 3), 255, np.uint8), np.full((1260, 1400, 3), 255, np.uint8)
    write(image, "東京", *at, 30)
    write(larger, "東京", at[0] + 600, at[1] + 600, 30)
    np.testing.assert_array_equal(image, larger[600:660, 600:800])


def test_a_name_without_a_font_becomes_its_number(squares: Fonts) -> None:
    frame = scene(("red", 1, 1))
    pipe = Pipeline("things", clip="clip-colours", prompts=["дом", "red \U0001f600"], threshold=0.0)
    result = pipe(frame)
    told = captions(result)[0]
    drawn = captions(result, drawn=True)[0]
    assert told.split()[0] in ("дом", "red")
    assert drawn == (told.replace("дом", "prompt 0") if "дом" in told else told)
    assert not can_draw("дом")
    assert can_draw("red \U0001f600")
    assert not can_draw("\U0001f600")
    assert draw_panels(result).ndim == 3
    assert (result.plot() != frame).any()


def test_labels_make_room_for_other_scripts(squares: Fonts) -> None:
    image = np.full((80, 200, 3), 255, np.uint8)
    label = Label(["東京"], 30)
    label.draw(image, 10, 20, (200, 120, 120))
    letters = (image < 60).all(axis=2)
    assert letters.sum() > 500
    rows, columns = np.nonzero(letters)
    assert 10 < columns.min() <= columns.max() < 10 + label.width
    assert 20 < rows.min() <= rows.max() < 20 + label.height


def test_a_machine_without_fonts_drops_accents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(Fonts([tmp_path / "none"]), monkeypatch)
    assert can_draw("naïve café")
    assert not can_draw("東京")
    accents, plain = (np.full((60, 300, 3), 255, np.uint8) for _ in range(2))
    write(accents, "naïve café", 5, 40, 30)
    write(plain, "naive cafe", 5, 40, 30)
    np.testing.assert_array_equal(accents, plain)
    assert (plain < 255).any()


def test_control_characters_are_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(Fonts([tmp_path / "none"]), monkeypatch)
    assert drawable("a\nb\tc\x00d") == "a b c d"
    assert drawable("a\ud800") == "a"
