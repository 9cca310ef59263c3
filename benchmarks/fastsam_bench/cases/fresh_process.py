"""Children: work that needs a fresh process, asked for and answered in JSON; `child_work` is what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from fastsam_bench.errors import ChildFailedError

_MODULE = "fastsam_bench.scenarios.fresh_process_work"


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
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        raise ChildFailedError(what, done.stderr.strip().rsplit("\n", 1)[-1] or f"exit code {done.returncode}")
    return {**json.loads(done.stdout.rsplit("\n", 2)[-2]), "started_s": started_s}
