"""Run each task of `main.py` in its own process, so that tasks do not slow down or end each other.

A worker prints its rows on lines that begin with `ROW `. Its other output is shown if it fails. A worker ends with its
parent, which it notices by the end of its standard input.
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
    """Run a worker, and yield its rows as they come.

    Args:
        command: Program and arguments.
        limit_s: Duration after which the worker and its child processes are ended.
        environment: Environment variables.

    Yields:
        Its rows. If the worker failed or was ended, the last row has the kind `end` and a `note` with the reason.
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
    """The environment variables of a worker: offline, and with the folders of NVIDIA's libraries in Python packages.

    ONNX Runtime looks for these libraries only in its own folder, and `LD_LIBRARY_PATH` is read once, when a process
    starts.
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
    except ValueError:  # incomplete, or mixed with the output of a library
        return None
    return found if isinstance(found, dict) else None


def _last(said: deque[str]) -> str:
    return f"its last output: {said[-1][-300:]}" if said else "it printed nothing"


def _end(process: subprocess.Popen[str]) -> None:
    """End a worker and its child processes, which are in one process group."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
