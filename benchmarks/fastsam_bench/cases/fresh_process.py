"""Run a measurement in a fresh process, with request and answer in JSON. See `scenarios.fresh_process_work`."""

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


def run_child(what: str, request: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a measurement in a new process of this Python interpreter.

    Args:
        what: `memory` or `cold`.
        request: The request, as JSON.
        environment: Environment variables to add or change.

    Returns:
        The answer, and `started_s`: the start of the process, on the clock of `time.time`.

    Raises:
        ChildFailedError: The process failed.
    """
    started_s = time.time()
    command = [sys.executable, "-m", _MODULE, what, request]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        raise ChildFailedError(what, done.stderr.strip().rsplit("\n", 1)[-1] or f"exit code {done.returncode}")
    return {**json.loads(done.stdout.rsplit("\n", 2)[-2]), "started_s": started_s}
