"""The command in a process of its own, and what it writes while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STUCK = """
import pathlib, time
def after(owner, name, calls, marker):
    real, count = getattr(owner, name), []
    def stuck(*args, **given):
        count.append(1)
        if len(count) > calls:
            pathlib.Path(marker).touch()
            time.sleep(10_000)
        return real(*args, **given)
    setattr(owner, name, stuck)
"""
"""`after` replaces a function, which after some calls sleeps for longer than any test."""

DEADLOCK = """
import ctypes, pathlib
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
def forever(marker):  # in a library call, which no signal interrupts
    pathlib.Path(marker).touch()
    libc.pthread_mutex_lock(mutex), libc.pthread_mutex_lock(mutex)
"""


def start(code: str, *arguments: object, **given: Any) -> subprocess.Popen[str]:
    """Start the command after some lines of Python."""
    source = f"{code}\nfrom fastsam_trt.cli.main import entry; entry()"
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **given)


def wait_for(path: Path, size: int = 0) -> None:
    """Wait until a file is there, and as large."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.02)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]
