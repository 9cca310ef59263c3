"""Lay out tables for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

_GAP = "  "
_NARROWEST = 20  # columns for the last cell


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Lay out rows under a header as text, with columns padded to their widest cell.

    Args:
        header: Names of the columns.
        rows: A cell per column.
        width: Columns of the terminal; the last cell is wrapped at spaces to fit them. A word that is longer stays
            whole, so that it can be copied. None: nothing is wrapped.
    """
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    if width is not None:
        before = sum(max(len(row[i]) for row in cells) + len(_GAP) for i in range(len(header) - 1))
        cells = [line for row in cells for line in _wrapped(row, max(width - before, _NARROWEST))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], _GAP.join("-" * width for width in widths), *lines[1:]])


def _wrapped(row: list[str], width: int) -> Iterator[list[str]]:
    """A row as several, whose last cells are at most as wide."""
    *others, last = row
    first, *more = textwrap.wrap(last, width, break_long_words=False, break_on_hyphens=False) or [""]
    yield [*others, first]
    yield from ([*("" for _ in others), line] for line in more)
