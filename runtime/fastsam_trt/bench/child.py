"""Children: work that needs a fresh process, asked for and answered in JSON.

python -m fastsam_trt.bench.child memory '{"scenario": "single", ...}'
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from fastsam_trt.errors import ChildFailedError

_MODULE = "fastsam_trt.bench.child"


def run_child(what: str, asked: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a piece of work in a new process of this Python.

    Args:
        what: `memory` or `cold`.
        asked: The work, as JSON.
        environment: Variables that differ from ours.

    Returns:
        What it found, and `started_s`, when the process was started, on `time.time`'s clock.

    Raises:
        ChildFailedError: It failed.
    """
    started_s = time.time()
    command = [sys.executable, "-m", _MODULE, what, asked]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)  # noqa: S603 - ours
    if done.returncode:
        raise ChildFailedError(what, done.stderr.strip().rsplit("\n", 1)[-1] or f"exit code {done.returncode}")
    return {**json.loads(done.stdout.rsplit("\n", 2)[-2]), "started_s": started_s}


def main() -> None:
    """In the child: do the work and print what was found."""
    what, asked = sys.argv[1:]
    if what == "cold":
        from fastsam_trt.bench.cold_start import first_result

        found: Mapping[str, Any] = first_result(json.loads(asked))
    else:
        from fastsam_trt.bench.case import CellCase
        from fastsam_trt.bench.memory import memory_of

        found = memory_of(CellCase.from_json(asked))
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
