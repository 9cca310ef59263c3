"""Checks of the files that a subcommand is to write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def check_apart(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuse outputs that would overwrite a source or one another.

    Raises:
        OutputError: A path is that of a source, or was given twice.
    """
    from fastsam_engine.errors import OutputError

    read = {source.expanduser().resolve() for source in sources}
    taken: set[Path] = set()
    for path in outputs:
        place = path.resolve()
        if path.exists() and place in read:
            raise OutputError(path, "expected another file than the source")
        if place in taken:
            raise OutputError(path, "expected a file of its own for each output, found it twice")
        taken.add(place)
