"""Places of labels: on what is visible of a mask, else beside it; inside the frame; never over another label."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.drawing.placement import Place, Placement, Spot
from fastsam_trt.drawing.visible_masks import VisibleMasks
from support.made_results import cut, hard_masks

HEIGHT, WIDTH = 300, 400


def _mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def _visible(*masks: np.ndarray) -> VisibleMasks:
    """Masks from back to front."""
    height, width = masks[0].shape
    return VisibleMasks(height, width, [cut(mask) for mask in masks], range(len(masks)))


def _placement(*masks: np.ndarray, has_masks: bool = True) -> Placement:
    crops = [cut(mask) for mask in masks]
    boxes = [(c.left, c.top, c.left + c.pixels.shape[1], c.top + c.pixels.shape[0]) for c in crops]
    height, width = masks[0].shape
    return Placement(height, width, np.array(boxes, np.float32), _visible(*masks) if has_masks else None)


def _rect(place: Place | None, width: int, height: int) -> tuple[int, int, int, int]:
    assert place is not None
    return place.left, place.top, place.left + width, place.top + height


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def test_a_label_is_in_the_middle_of_its_mask() -> None:
    x0, y0, x1, y1 = _rect(_placement(_mask((100, 50, 300, 250))).on_mask(0, 60, 20), 60, 20)
    assert abs((x0 + x1) / 2 - 200) < 12
    assert abs((y0 + y1) / 2 - 150) < 12


def test_a_label_is_well_inside_a_mask_whose_centre_is_not() -> None:
    horseshoe = _mask((50, 20, 350, 280)) & ~_mask((110, 20, 290, 190))
    x0, y0, x1, y1 = _rect(_placement(horseshoe).on_mask(0, 70, 20), 70, 20)
    assert horseshoe[y0:y1, x0:x1].all()


def test_a_wide_label_prefers_a_wide_part() -> None:
    tall_and_wide = _mask((20, 20, 80, 280), (80, 180, 380, 230))
    x0, y0, x1, y1 = _rect(_placement(tall_and_wide).on_mask(0, 120, 20), 120, 20)
    assert tall_and_wide[y0:y1, x0:x1].all()


def test_a_label_is_on_what_the_masks_in_front_leave() -> None:
    behind, front = _mask((0, 0, 400, 300)), _mask((100, 60, 400, 300))
    x0, y0, x1, y1 = _rect(_placement(behind, front).on_mask(0, 60, 20), 60, 20)
    assert not front[y0:y1, x0:x1].any()


def test_a_label_moves_on_its_mask_away_from_another() -> None:
    placement = _placement(_mask((20, 20, 380, 280)))
    places = [_rect(placement.on_mask(0, 80, 30), 80, 30) for _ in range(4)]
    assert not any(_overlap(places[i], places[j]) for i in range(4) for j in range(i))
    assert all(x0 >= 20 and y0 >= 20 and x1 <= 380 and y1 <= 280 for x0, y0, x1, y1 in places)


def test_a_label_that_would_hide_its_mask_goes_beside_it() -> None:
    placement = _placement(_mask((180, 140, 220, 160)))
    assert placement.on_mask(0, 60, 20) is None
    place = placement.beside(0, 60, 20)
    assert place is not None
    assert (place.left, place.top) == (170, 118)  # above, two px away, in the middle
    assert place.target is None


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((180, 0, 220, 10), (170, 12)),  # below, since there is no room above
        ((0, 140, 10, 160), (0, 118)),  # above, slid into the frame
        ((390, 140, 400, 160), (340, 118)),
        ((0, 0, 400, 300), None),  # there is no room around
    ],
)
def test_labels_beside_a_mask_stay_in_the_frame(
    box: tuple[int, int, int, int], expected: tuple[int, int] | None
) -> None:
    place = _placement(_mask(box)).beside(0, 60, 20)
    assert (place and (place.left, place.top)) == expected


def test_labels_around_one_point_do_not_overlap_and_far_ones_have_a_line() -> None:
    placement = _placement(_mask((195, 145, 205, 155)))
    places = list[Place]()
    while (place := placement.beside(0, 60, 20)) is not None:
        places.append(place)
    rects = [_rect(place, 60, 20) for place in places]
    assert len(rects) > 12
    assert not any(_overlap(rects[i], rects[j]) for i in range(len(rects)) for j in range(i))
    assert [place.target is None for place in places[:2]] == [True] * 2  # above and below
    far = [place for place in places if place.target is not None]
    assert far
    for place in far:
        assert place.target is not None
        assert 195 <= place.target[0] < 205
        assert 145 <= place.target[1] < 155


def test_a_label_beside_covers_other_segments_last() -> None:
    small, above = _mask((190, 140, 210, 160)), _mask((185, 115, 215, 137))
    place = _placement(small, above).beside(0, 60, 20)
    assert place is not None
    assert place.top >= 160


def test_without_masks_labels_are_at_corners_of_boxes() -> None:
    placement = _placement(_mask((100, 100, 300, 200)), _mask((0, 0, 100, 50)), has_masks=False)
    assert placement.on_mask(0, 60, 20) is None
    assert _rect(placement.beside(0, 60, 20), 60, 20) == (100, 80, 160, 100)  # above the left top corner
    assert _rect(placement.beside(0, 60, 20), 60, 20) == (100, 100, 160, 120)  # below it, inside
    assert _rect(placement.beside(1, 60, 20), 60, 20) == (0, 0, 60, 20)


def test_a_label_stays_where_it_was_while_that_is_about_as_good() -> None:
    """The same mask, moved, with a changed edge: the label moves with the object."""
    first = _placement(_mask((50, 50, 250, 250))).on_mask(0, 60, 20, Spot(0.6, 0.45, on_mask=True))
    assert first is not None
    second = _placement(_mask((80, 40, 280, 240), (80, 240, 180, 260))).on_mask(0, 60, 20, first.spot)
    assert second is not None
    assert abs(second.left - first.left - 30) < 12
    assert abs(second.top - first.top + 10) < 12
    assert abs(first.left + 30 - (50 + 0.6 * 200)) < 12


def test_a_label_does_not_jump_at_the_limit_of_what_it_may_cover() -> None:
    """A mask that is just large enough, or just too small, keeps its label where it was."""
    mask = _mask((180, 130, 220, 190))  # 2400 px
    on, beside = Spot(0.5, 0.5, on_mask=True), Spot(0.5, -0.2, on_mask=False)
    limits = ((16, (True, True, True)), (22, (True, True, False)), (30, (True, False, False)), (40, (False,) * 3))
    for width, expected in limits:
        found = tuple(_placement(mask).on_mask(0, width, 20, before) is not None for before in (on, None, beside))
        assert found == expected, width


def test_a_label_beside_stays_on_its_side() -> None:
    mask = _mask((190, 140, 210, 160))
    below = _placement(mask).beside(0, 60, 20, Spot(0.5, 1.6, on_mask=False))
    assert below is not None
    assert below.top == 162


@pytest.mark.parametrize("name", hard_masks())
def test_the_middle_of_a_mask_is_in_it(name: str) -> None:
    mask = hard_masks()[name]
    middle = _visible(mask).middle(0)
    assert (middle is not None) == mask.any()
    if middle is not None:
        assert mask[int(middle[1]), int(middle[0])]


@pytest.mark.parametrize("size", [(60, 80), (1080, 1920), (4000, 3000)])
def test_the_grid_is_at_the_right_place(size: tuple[int, int]) -> None:
    height, width = size
    mask = np.zeros(size, bool)
    mask[height // 4 : height // 2, width // 3 : width // 2] = True
    visible = _visible(mask)
    assert visible.area_px(0) == pytest.approx(mask.sum(), rel=0.06)
    centroid = visible.centroid(0)
    assert centroid is not None
    assert centroid == pytest.approx((width * 5 / 12, height * 3 / 8), rel=0.02)
    depth = visible.depth(0, 3.0)
    deepest = np.unravel_index(depth.values.argmax(), depth.values.shape)
    assert mask[int(depth.y[deepest[0]]), int(depth.x[deepest[1]])]


def test_masks_between_the_lines_of_the_grid() -> None:
    mask = np.zeros((4000, 4000), bool)
    mask[1001:1003, 2001:2004] = True
    visible = _visible(mask)
    assert visible.area_px(0) == 0
    assert visible.centroid(0) is None
    middle = visible.middle(0)
    assert middle is not None
    assert mask[int(middle[1]), int(middle[0])]
