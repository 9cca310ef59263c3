"""A process of its own for each task of `main.py`, so that none slows, crowds out or ends another.

A worker says its rows on lines that begin with `ROW `; all else that it, or a library in it, says is kept for the case
that it fails. It ends with its parent, whose end it sees by its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from time import monotonic
from typing import Any

from fastsam_engine.packages import library_folders

MARK = "ROW "
_LINES_KEPT = 12


def run_process(command: Sequence[str], limit_s: float, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Run a worker and give its rows as it says them.

    Args:
        command: Program and arguments.
        limit_s: After which it is ended, with all that it started.
        environment: Its environment variables.

    Yields:
        Its rows. One of kind `end` comes last where it did not end by itself, or not well: `note` says how.
    """
    deadline = monotonic() + limit_s
    lines: Queue[str | None] = Queue()
    said: deque[str] = deque(maxlen=_LINES_KEPT)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=dict(environment), start_new_session=True,
    ) as process:  # fmt: skip
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        try:
            while True:
                try:
                    line = lines.get(timeout=max(deadline - monotonic(), 0.0))
                except Empty:
                    _end(process)
                    yield {"kind": "end", "note": f"ended after {limit_s:.0f} s, its limit; {_last(said)}"}
                    return
                if line is None:
                    break
                if line.startswith(MARK) and (row := _row(line)) is not None:
                    yield row
                elif line.strip():
                    said.append(line.strip())
            if code := process.wait():
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                yield {"kind": "end", "note": f"its process ended with {how}; {_last(said)}"}
        finally:
            _end(process)


def worker_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: nothing is fetched, and NVIDIA's libraries are found wherever Python's packages lie.

    ONNX Runtime looks for them beside itself only, and the loader reads `LD_LIBRARY_PATH` once, when a process begins.
    """
    here = Path(__file__).resolve().parent
    wings = [str(here.parents[2] / wing) for wing in ("export", "engine", "runtime", "benchmarks")]
    folders = [str(folder) for folder in library_folders(sys.path)]
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join([*wings, *filter(None, [found.get("PYTHONPATH")])])
    found["LD_LIBRARY_PATH"] = os.pathsep.join([*folders, *filter(None, [found.get("LD_LIBRARY_PATH")])])
    found.update(HF_HUB_OFFLINE="1", YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", PYTHONUNBUFFERED="1")
    return found | dict(extra)


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line)
    lines.put(None)


def _row(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line.removeprefix(MARK))
    except ValueError:  # cut off, or a library spoke in between
        return None
    return found if isinstance(found, dict) else None


def _last(said: deque[str]) -> str:
    return f"it said last: {said[-1][-300:]}" if said else "it said nothing"


def _end(process: subprocess.Popen[str]) -> None:
    """End a worker and what it started: they are one process group."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
