"""Check that recordings last as long as their sources, for files and streams that do not keep the rate of their header.

Each case runs the command `run --save` in a process, and then ffprobe on the recording.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from claims.common import harness
from claims.common.synthetic_streams import PacedServer, encode, moving_pictures, multipart, transport_stream

LARGE = (1920, 1080)


@dataclass(frozen=True, slots=True)
class Case:
    """A run whose recording should last `filmed_s()`, which is known after the run, to one frame."""

    name: str
    source: str
    filmed_s: Callable[[], float]
    frame_s: float
    options: tuple[str, ...] = ()
    drops: bool = False
    suffix: str = ".mp4"


def main() -> int:
    """Record each case and compare durations."""
    parser = argparse.ArgumentParser(description=__doc__)
    harness.add_options(parser)
    args = parser.parse_args()
    if shutil.which("ffprobe") is None:
        raise harness.BenchmarkError("expected ffprobe, found none; install FFmpeg")
    facts = harness.machine(("fastsam-trt", "av", "openvino", "onnxruntime", "numpy"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [_record(case, folder) for case in _files(folder)]
        rows += [record(folder) for record in (_http, _tcp, _lost)]
    printed = harness.show_rows("recordings", rows)
    checks = [harness.Check(f"{row['case']}: frames off", row["off_frames"], "<=", 1) for row in rows]
    checks += [harness.Check(f"{row['case']}: frames dropped", row["dropped"], ">=", 1) for row in rows if row["drops"]]
    return harness.finish(args, facts, printed, checks)


def _files(folder: Path) -> list[Case]:
    generator = np.random.default_rng(1)
    uneven = np.cumsum(generator.choice([1 / 60, 1 / 30, 1 / 10, 1 / 2], 90, p=[0.4, 0.4, 0.15, 0.05]))
    cases = []
    for suffix in (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts"):
        path = folder / f"uneven{suffix}.mkv"
        encode(path, (uneven - uneven[0]).tolist())
        cases.append(Case(f"uneven rate to {suffix}", str(path), lambda p=path: probe_s(p), 1 / 10, suffix=suffix))
    fast = folder / "fast.mp4"
    encode(fast, (np.arange(240) / 119.883).tolist())
    cases.append(Case("119.883 frames per second", str(fast), lambda: probe_s(fast), 1 / 119.883))
    slow = folder / "slow.mp4"
    encode(slow, (np.arange(12) * 2.0).tolist())
    cases.append(Case("0.5 frames per second", str(slow), lambda: probe_s(slow), 2.0))
    large = folder / "large.mp4"
    encode(large, (np.arange(480) / 60).tolist(), size=LARGE)
    latest = ("--policy", "latest")
    cases.append(Case("a file under --policy latest", str(large), lambda: probe_s(large), 1 / 60, latest, drops=True))
    cases.append(Case("every third frame", str(fast), lambda: probe_s(fast), 3 / 119.883, ("--vid-stride", "3")))
    return cases


def _http(folder: Path) -> dict[str, Any]:
    head, parts = multipart(list(moving_pictures(40, 640, 360)))
    with PacedServer([parts], 5, head=head) as server:
        address = f"http://127.0.0.1:{server.port}/"
        case = Case(
            "MJPEG over HTTP, 5 pictures per second", address, lambda: server.filmed_s, 1 / 5, ("--reconnect", "0")
        )
        return _record(case, folder)


def _tcp(folder: Path) -> dict[str, Any]:
    with PacedServer([transport_stream(60, 8, LARGE)], 60) as server:
        options = ("--reconnect", "0", "--policy", "latest")
        case = Case(
            "TCP, a slow run, frames dropped", f"tcp://127.0.0.1:{server.port}", lambda: server.filmed_s, 1 / 60,
            options, drops=True,
        )  # fmt: skip
        return _record(case, folder)


def _lost(folder: Path) -> dict[str, Any]:
    part = transport_stream(30, 4, (640, 360))
    with PacedServer([part, part], 30, away_s=2) as server:
        case = Case(
            "TCP, lost for two seconds, then sent again", f"tcp://127.0.0.1:{server.port}", lambda: server.filmed_s,
            1 / 30, ("--reconnect", "5"),
        )  # fmt: skip
        return _record(case, folder)


def _record(case: Case, folder: Path) -> dict[str, Any]:
    out, stats = folder / f"out{case.suffix}", folder / "stats.json"
    models = ("--model", "demo-seg", "--clip", "demo-clip", "--prompt", "red circle")
    outputs = ("--save", str(out), "--stats", str(stats))
    command = [sys.executable, "-m", "fastsam_trt", "run", "--video", case.source]
    done = subprocess.run([*command, *models, *outputs, *case.options], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{case.name}: {done.stderr.strip()}", file=sys.stderr)
    found = json.loads(stats.read_text()) if stats.exists() else {"frames": 0, "dropped": 0}
    filmed_s, recorded_s = case.filmed_s(), probe_s(out)
    return {
        "case": case.name,
        "filmed_s": round(filmed_s, 3),
        "recorded_s": round(recorded_s, 3),
        "off_frames": round(abs(recorded_s - filmed_s) / case.frame_s, 2),
        "written": found["frames"],
        "dropped": found["dropped"],
        "drops": case.drops,
        "exit": done.returncode,
    }


def probe_s(path: Path) -> float:
    """Duration of a file by ffprobe, seconds; NaN if the file can't be read."""
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else math.nan


if __name__ == "__main__":
    harness.entry(main)
