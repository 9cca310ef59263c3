"""The command in a process of its own, and what it writes while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


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
