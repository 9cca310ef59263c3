"""Measure `import fastsam_trt` in a fresh process, and check that it loads no heavy libraries."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from claims.common import harness

_STATEMENTS = ("import fastsam_trt", "from fastsam_trt import Pipeline")
_BOUND_MS = 300
_HEAVY = ("torch", "transformers", "ultralytics", "cv2", "onnxruntime", "openvino")
_ALLOWED = {_STATEMENTS[1]: ("cv2",)}  # the pipeline reads pictures; its backend is loaded with the first model
_PROGRAM = """
import sys, time
start = time.perf_counter()
{statement}
spent_ms = (time.perf_counter() - start) * 1e3
import json
print(json.dumps([spent_ms, [name for name in {heavy!r} if name in sys.modules]]))
"""


def main() -> int:
    """Time each statement, and check what it loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    harness.add_options(parser, rounds=15, warmup=2)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "numpy", "opencv-python", *_HEAVY[:3], *_HEAVY[4:]))
    sides = [harness.Side(each, lambda each=each: _fresh(each)[0]) for each in _STATEMENTS]  # type: ignore[misc]
    times = harness.measure(sides, args.rounds, args.warmup, lead_in=False)
    rows = harness.show_times("in fresh processes", times, [_STATEMENTS[0]])
    checks = []
    for statement in _STATEMENTS:
        median_ms = harness.Spread.of(times[statement]).median
        loaded = [name for name in _fresh(statement)[1] if name not in _ALLOWED.get(statement, ())]
        print(f"{statement}: heavy libraries loaded: {', '.join(loaded) or 'none'}")
        checks += [
            harness.Check(f"{statement}: ms", median_ms, "<=", _BOUND_MS),
            harness.Check(f"{statement}: heavy libraries loaded", len(loaded), "==", 0),
        ]
    return harness.finish(args, facts, rows, checks)


def _fresh(statement: str) -> tuple[float, list[str]]:
    """Run an import in a new process; returns its time, ms, and the heavy libraries that it loaded."""
    program = _PROGRAM.format(statement=statement, heavy=_HEAVY)
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    if done.returncode:
        raise harness.BenchmarkError(f"{statement}: {done.stderr.strip().splitlines()[-1]}")
    spent_ms, loaded = json.loads(done.stdout)
    return spent_ms, loaded


if __name__ == "__main__":
    harness.entry(main)
