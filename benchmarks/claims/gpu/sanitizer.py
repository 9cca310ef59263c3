"""compute-sanitizer, NVIDIA's tool that watches what kernels read and write: how it is called, and what it counted."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SUMMARY = re.compile(r"(?:ERROR SUMMARY|RACECHECK SUMMARY): (\d+)")


def command(tool: str, path: str, run: Sequence[str]) -> list[str]:
    """The command that watches a run.

    Args:
        tool: `memcheck` or `racecheck`.
        path: Of compute-sanitizer.
        run: Command of the run.
    """
    return [path, "--tool", tool, "--target-processes", "all", "--print-limit", "20", *run]


def errors_found(output: str) -> int | None:
    """How many errors it counted, over all processes; None where it did not come to a summary."""
    found = _SUMMARY.findall(output)
    return sum(map(int, found)) if found else None
