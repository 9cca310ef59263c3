"""Charts with two axes: lines through points, and single points under ceilings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from fastsam_bench.report.svg.axes import Scale
from fastsam_bench.report.svg.elements import dot, drawing, line, text

_TOP_PX, _HEIGHT_PX, _BOTTOM_PX = 28, 300, 40
_LEFT, _RIGHT = 0.12, 0.95  # edges of the plot, fractions of the width
_NARROW_PX = 350  # width of a phone, at which labels must not overlap
_NAME_PX = 11
_PLACES = ((9, 4, "start"), (-9, 4, "end"), (0, -9, "middle"), (0, 18, "middle"), (9, -9, "start"), (9, 18, "start"),
           (-9, -9, "end"), (-9, 18, "end"), (20, 4, "start"), (-20, 4, "end"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """A line through points in the order of x; the legend names it."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A single point with a label beside it; `tip` is shown under the pointer."""

    name: str
    x: float
    y: float
    colour: str
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Roof:
    """The ceilings of a roofline: y is the smaller of `flat` and `slope` times x; the legend names it."""

    flat: float
    slope: float
    colour: str
    dashed: bool = False


def plot(
    name: str,
    title: str,
    description: str,
    axes: tuple[tuple[str, Scale], tuple[str, Scale]],
    series: Sequence[Series] = (),
    points: Sequence[Point] = (),
    roofs: Sequence[Roof] = (),
) -> str:
    """Draw series, points and roofs.

    Args:
        name: Unique name on the page.
        title, description: Texts for screen readers.
        axes: Names and scales of x and y.
        series, points, roofs: What to draw; values beyond the scales are clipped.
    """
    (x_name, x_scale), (y_name, y_scale) = axes

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + (_RIGHT - _LEFT) * x_scale.position(x), _TOP_PX + _HEIGHT_PX * (1 - y_scale.position(y))

    parts = [_frame(x_scale, y_scale), text(0, 12, y_name, "axis")]
    parts.append(text(_RIGHT, _TOP_PX + _HEIGHT_PX + 36, x_name, "axis", "end"))
    for roof in roofs:
        bend = min(max(roof.flat / roof.slope, x_scale.low), x_scale.high)
        left, middle = at(x_scale.low, roof.slope * x_scale.low), at(bend, min(roof.flat, roof.slope * bend))
        right = at(x_scale.high, min(roof.flat, roof.slope * x_scale.high))
        kind = f"series c-{roof.colour}" + (" dashed" if roof.dashed else "")
        parts += [line(*a, *b, kind) for a, b in ((left, middle), (middle, right))]
    for each in series:
        places = [at(x, y) for x, y in sorted(each.points)]
        kind = f"series c-{each.colour}" + (" dashed" if each.dashed else "")
        parts += [line(*a, *b, kind) for a, b in pairwise(places)]
        parts += [dot(*place, 3.5, f"dot c-{each.colour}", f"{each.name}: {x:g}, {y:.4g}")
                  for place, (x, y) in zip(places, sorted(each.points), strict=True)]  # fmt: skip
    places = [at(point.x, point.y) for point in points]
    parts += [dot(*place, 5, f"dot c-{p.colour}", p.tip) for place, p in zip(places, points, strict=True)]
    parts += [text(x, y, p.name, "number", anchor, dx)
              for p, (x, y, anchor, dx) in zip(points, _beside(places), strict=True)]  # fmt: skip
    return drawing(name, title, description, _TOP_PX + _HEIGHT_PX + _BOTTOM_PX, "".join(parts))


def _frame(x_scale: Scale, y_scale: Scale) -> str:
    parts = []
    bottom = _TOP_PX + _HEIGHT_PX
    for at, name in x_scale.ticks:
        x = _LEFT + (_RIGHT - _LEFT) * x_scale.position(at)
        parts += [line(x, _TOP_PX, x, bottom, "grid"), text(x, bottom + 16, name, "tick", "middle")]
    for at, name in y_scale.ticks:
        y = _TOP_PX + _HEIGHT_PX * (1 - y_scale.position(at))
        parts += [line(_LEFT, y, _RIGHT, y, "grid"), text(_LEFT - 0.012, y + 4, name, "tick", "end")]
    return "".join(parts)


def _beside(places: Sequence[tuple[float, float]]) -> list[tuple[float, float, str, int]]:
    """A position for the label of each point, free of other points and labels if possible."""
    taken = [(x * _NARROW_PX, y) for x, y in places]
    found = []
    for x, y in places:
        centres = [(x * _NARROW_PX + 1.3 * dx, y + dy - 4) for dx, dy, _ in _PLACES]
        free = [i for i, centre in enumerate(centres) if not any(map(partial(_near, centre), taken))]
        chosen = free[0] if free else 0
        dx, dy, anchor = _PLACES[chosen]
        taken.append(centres[chosen])
        found.append((x, y + dy, anchor, dx))
    return found


def _near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] - other[0]) < _NAME_PX and abs(one[1] - other[1]) < _NAME_PX
