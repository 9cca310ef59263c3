"""Count the frames that are read from damaged videos, compared with those that ffprobe decodes.

2 percent of the bytes of a file, all within 6 percent of its length, are overwritten by noise.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from claims.common import harness
from claims.common.synthetic_streams import encode

SUFFIXES = (".mp4", ".mkv", ".avi", ".ts")
FRAMES, RATE = 600, 25
STRETCH, SHARE = 0.06, 0.02
STARTS = (0.15, 0.3, 0.6, 0.85)

_COUNT = """
import sys
from fastsam_trt.sources import open_source
with open_source(sys.argv[1]) as source:
    times = [frame.timestamp_s for frame in source]
assert times == sorted(times), times
print(len(times), times[-1], source.health)
"""


def main() -> int:
    """Damage a file of each container in several places and count frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    harness.add_options(parser)
    args = parser.parse_args()
    if shutil.which("ffprobe") is None:
        raise harness.BenchmarkError("expected ffprobe, found none; install FFmpeg")
    facts = harness.machine(("fastsam-trt", "av", "numpy"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES:
            whole = Path(folder) / f"whole{suffix}"
            encode(whole, (np.arange(FRAMES) / RATE).tolist())
            rows += [_row(whole, 0), *(_row(_damage(whole, start), start) for start in STARTS)]
    printed = harness.show_rows(f"{FRAMES} frames of H.264, 24 s", rows)
    compared = [row for row in rows if row["ffprobe"]]  # some versions of ffprobe crash on damaged files
    worst = {
        suffix: min(row["read"] / row["ffprobe"] for row in compared if row["file"] == suffix) for suffix in SUFFIXES
    }
    checks = [
        harness.Check(f"{suffix}: frames read / frames that ffprobe decodes", each, ">=", 0.97)
        for suffix, each in worst.items()
    ]
    return harness.finish(args, facts, printed, checks)


def _damage(whole: Path, start: float) -> Path:
    data = np.fromfile(whole, np.uint8)
    generator = np.random.default_rng(round(1000 * start))
    stretch = round(STRETCH * len(data))
    hit = round(start * len(data)) + generator.choice(stretch, round(SHARE * len(data)), replace=False)
    data[hit] = generator.integers(0, 256, len(hit), np.uint8)
    path = whole.with_stem("damaged")
    data.tofile(path)
    return path


def _row(path: Path, start: float) -> dict[str, Any]:
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v", "-count_frames", "-show_entries",
               "stream=nb_read_frames", "-of", "csv=p=0", str(path)]  # fmt: skip
    counted = subprocess.run(command, capture_output=True, text=True, check=False).stdout.replace(",", " ").split()
    done = subprocess.run([sys.executable, "-c", _COUNT, str(path)], capture_output=True, text=True, check=False)
    read, last_s, *health = done.stdout.split(maxsplit=2) or ("0", "nan", done.stderr.strip().splitlines()[-1])
    return {
        "file": path.suffix,
        "damaged at": start,
        "ffprobe": max((int(each) for each in counted if each.isdecimal()), default=0),  # damage may add streams
        "read": int(read),
        "last frame s": float(last_s),
        "health": " ".join(health).strip(),
    }


if __name__ == "__main__":
    harness.entry(main)
