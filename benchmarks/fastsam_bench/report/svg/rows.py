"""Charts with rows: a label above each row, and bars, points or intervals along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastsam_bench.report.svg.axes import Scale
from fastsam_bench.report.svg.elements import dot, drawing, line, rect, text

_HEAD_PX, _ROW_PX, _BAR_PX, _AXIS_PX = 24, 38, 13, 22
_LABEL_PX = 14  # from the top of a row to the baseline of its label
_LONGEST, _LONGEST_HEAD = 44, 46  # characters that fit the width of a phone
_MANY = 8  # number of rows from which the axis is also labelled at the top


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from one value to another; `strength` is its opacity."""

    start: float
    end: float
    colour: str
    tip: str = ""
    strength: int = 100


@dataclass(frozen=True, slots=True)
class Span:
    """A thin interval over a bar."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A stroke across a bar."""

    at: float


@dataclass(frozen=True, slots=True)
class Dot:
    """A point on the axis."""

    at: float
    colour: str
    tip: str = ""


Sign = Bar | Dot | Span | Mark


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its label, its value as text, its marks, and whether the value is doubtful."""

    label: str
    value: str
    marks: Sequence[Sign]
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a heading."""

    heading: str
    rows: Sequence[Row]


def rows_chart(
    name: str, title: str, description: str, groups: Sequence[Group], scale: Scale, reference: float | None = None
) -> str:
    """Draw groups of rows, one drawing each, so that a printed page may end between them.

    Args:
        name: Unique on the page; begins the names of the drawings.
        title, description: What they show, in words.
        groups: Their headings are left out where there is one without.
        scale: Of all rows.
        reference: A value that is marked through all rows.
    """
    return "".join(
        _group(
            f"{name}-{i}", f"{title}: {group.heading}" if group.heading else title, description, group, scale, reference
        )
        for i, group in enumerate(groups)
    )


def _group(name: str, title: str, description: str, group: Group, scale: Scale, reference: float | None) -> str:
    crowded = len(group.rows) >= _MANY
    parts, y = list[str](), 4.0
    if group.heading:
        parts.append(text(0, y + 16, _short(group.heading, _LONGEST_HEAD), "head"))
        y += _HEAD_PX
    if crowded:
        parts.append(_axis(scale, y + 9))
        y += _AXIS_PX - 4
    top = y
    for row in group.rows:
        parts.append(_row(row, y, scale))
        y += _ROW_PX
    grid = [line(scale.position(at), top, scale.position(at), y, "grid") for at, _ in scale.ticks]
    if reference is not None:
        grid.append(line(scale.position(reference), top, scale.position(reference), y, "reference"))
    body = "".join(grid) + "".join(parts) + _axis(scale, y + 15)
    return drawing(name, title, description, y + _AXIS_PX, body)


def _row(row: Row, y: float, scale: Scale) -> str:
    value = f"{row.value} ?" if row.doubtful else row.value
    room = _LONGEST + 8 - len(value)
    parts = [text(0, y + _LABEL_PX, _short(row.label, room), "label"),
             text(1, y + _LABEL_PX, value, "value doubtful" if row.doubtful else "value", "end")]  # fmt: skip
    top = y + _LABEL_PX + 5
    for mark in row.marks:
        if isinstance(mark, Bar):
            start, end = scale.position(mark.start), scale.position(mark.end)
            kind = f"bar c-{mark.colour}" + (f" o-{mark.strength}" if mark.strength < 100 else "")
            parts.append(rect(start, top, end - start, _BAR_PX, kind, mark.tip))
        elif isinstance(mark, Span):
            low, high, middle = scale.position(mark.low), scale.position(mark.high), top + _BAR_PX / 2
            parts += [line(low, middle, high, middle, "span"),
                      *(line(x, middle - 4, x, middle + 4, "span") for x in (low, high))]  # fmt: skip
        elif isinstance(mark, Dot):
            parts.append(dot(scale.position(mark.at), top + _BAR_PX / 2, 5, f"dot c-{mark.colour}", mark.tip))
        else:
            at = scale.position(mark.at)
            parts.append(line(at, top - 2, at, top + _BAR_PX + 2, "mark"))
    return "".join(parts)


def _axis(scale: Scale, y: float) -> str:
    parts = []
    for at, name in scale.ticks:
        x = scale.position(at)
        anchor = "start" if x < 0.02 else "end" if x > 0.98 else "middle"
        parts.append(text(x, y, name, "tick", anchor))
    return "".join(parts)


def _short(label: str, most: int) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
