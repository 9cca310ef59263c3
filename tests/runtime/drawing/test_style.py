"""Styles: sizes that scale with the frame, and wrong values refused."""

from __future__ import annotations

from typing import Any

import pytest

from fastsam_trt.drawing.style import DrawStyle, elements
from fastsam_trt.errors import OptionError


def test_sizes_scale_with_the_frame_down_to_what_is_legible() -> None:
    style = DrawStyle(line_width=4, text_size=30)
    assert [(style.line_px(*size), style.text_px(*size)) for size in ((1080, 1920), (2160, 3840), (540, 960))] == [
        (4, 30), (8, 60), (2, 15),
    ]  # fmt: skip
    assert (style.line_px(10, 20), style.text_px(10, 20)) == (2, 15)
    assert (style.line_px(1920, 1080), style.text_px(1920, 1080)) == (4, 30)
    assert DrawStyle(line_width=0).line_px(4000, 4000) == 0


def test_elements_come_as_a_text_or_a_list_in_any_order() -> None:
    assert elements("labels, masks") == elements(["masks", "labels"]) == ("masks", "labels")
    assert elements("scores,scores") == ("scores",)
    assert DrawStyle(draw=["boxes"]).draw == ("boxes",)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", ["", "mask", "masks,,labels", "masks labels", [], ["masks", 3], "MASKS"])
def test_unknown_elements_are_refused(names: Any) -> None:
    with pytest.raises(OptionError, match="draw: expected some of masks, boxes, labels, scores"):
        elements(names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour_by", "colour"),
        ("colour_by", None),
        ("opacity", -0.1),
        ("opacity", 1.1),
        ("opacity", float("nan")),
        ("opacity", "0.5"),
        ("opacity", True),
        ("line_width", -1),
        ("line_width", float("inf")),
        ("text_size", 0),
        ("text_size", 1e9),
        ("text_size", None),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{name}: expected"):
        DrawStyle(**{name: value})


def test_by_default_there_is_everything_except_boxes() -> None:
    assert [element for element in ("masks", "boxes", "labels", "scores") if DrawStyle().shows(element)] == [
        "masks", "labels", "scores",
    ]  # fmt: skip
    assert not DrawStyle(draw=("masks",)).shows("labels")
