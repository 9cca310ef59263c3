"""Read the first argument: a command, or a source, which is short for `run --video SOURCE`."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Collection, Sequence

_SOURCE_MARKS = frozenset("/\\.:*?[")
"""Characters that paths, patterns and addresses have, and no command."""

_PIPE = "-"


def with_command(arguments: Sequence[str], commands: Collection[str]) -> list[str]:
    """Put `run --video` before a source that stands where a command is expected.

    `run SOURCE` is completed in the same way. A command goes before a file of its name, which `./NAME` means.

    Args:
        arguments: The arguments of the program, not empty.
        commands: The names of its commands.

    Returns:
        Arguments that begin with a command, or with an option such as `--help`.

    Raises:
        argparse.ArgumentError: The first argument is neither a command nor a source, or there are several sources.
    """
    first, *others = arguments
    if first == "run" and others and not _is_option(others[0]):
        return _run(others)
    if first in commands or _is_option(first):
        return [first, *others]
    if _is_source(first):
        return _run(arguments)
    near = difflib.get_close_matches(first, commands, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise argparse.ArgumentError(
        None, f"expected a command, or a source such as a file, an address or cam0, found {first!r}{meant}"
    )


def _run(arguments: Sequence[str]) -> list[str]:
    source, *others = arguments
    if others and not _is_option(others[0]):
        raise argparse.ArgumentError(
            None,
            f"expected one source before the options, found {source!r} and then {others[0]!r}; give several files as "
            "their folder or as a pattern in quotes, and texts with --prompt",
        )
    return ["run", f"--video={source}", *others]


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and argument != _PIPE


def _is_source(word: str) -> bool:
    """Whether a word names a source, or could name one that does not exist."""
    from fastsam_trt.errors import AmbiguousSourceError
    from fastsam_trt.sources.names import find_camera, is_demo

    if word == _PIPE or word.isdecimal() or not _SOURCE_MARKS.isdisjoint(word) or os.path.lexists(word):
        return True
    try:
        return is_demo(word) or find_camera(word) is not None
    except AmbiguousSourceError:
        return True
