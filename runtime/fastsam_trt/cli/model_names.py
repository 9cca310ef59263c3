"""Lay out the names of published models for `--help`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable


def by_family(models: Iterable[tuple[str, str]]) -> str:
    """A line per family, wrapped.

    Args:
        models: Family and name of each model.
    """
    families: dict[str, list[str]] = {}
    for family, name in models:
        families.setdefault(family, []).append(name)
    width = max(map(len, families))
    lines = [
        textwrap.fill(
            ", ".join(names), 110, initial_indent=f"  {family:{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for family, names in families.items()
    ]
    return "\n".join(["models by family:", *lines])
