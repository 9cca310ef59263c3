"""One side of a comparison: a pipeline in a process of its own, which may be that of an older version.

It imports nothing of the benchmarks, so that `side_process` can put another source tree first on the import path.
Requests and replies are JSON objects, one per line, over stdin and stdout; a reply is `{"error": "..."}` if it failed:

    {"do": "open", "model": ..., "options": {...}}      open a pipeline: its backend, precision and package folder
    {"do": "show", "image": ...}                        set the frame
    {"do": "case", "call": {...}, "chosen": k or null}  set the options of calls, and call once: the segments
    {"do": "time"}                                      call once: `ms`
    {"do": "memory", "images": [...], "frames": n}      call for n frames: resident memory, kB, from time to time

A call ends with masks on whole frames: of all selected segments, or of `chosen` of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastsam_trt
from fastsam_trt import Pipeline
from fastsam_trt.frames.image import read_image
from fastsam_trt.masks.mask_source import paste

_SAMPLES = 100


class Worker:
    """Answers requests; the methods are named as these."""

    _pipeline: Pipeline
    _frame: NDArray[np.uint8]

    def __init__(self) -> None:
        self._call: Mapping[str, Any] = {}
        self._chosen: int | None = None

    def open(self, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Open the pipeline."""
        self._pipeline = Pipeline(model, **options)
        session = self._pipeline.segmenter.session
        return {
            "backend": session.backend,
            "precision": session.precision,
            "class_names": list(self._pipeline.segmenter.class_names),
            "package": str(Path(fastsam_trt.__file__).parent),
        }

    def show(self, image: str) -> dict[str, Any]:
        """Read the frame."""
        self._frame = read_image(Path(image))
        return {}

    def case(self, call: Mapping[str, Any], chosen: int | None) -> dict[str, Any]:
        """Set the case, and call once."""
        self._call, self._chosen = call, chosen
        result = self._pipeline(self._frame, rectangle="smallest", **call)
        self._decode(result)
        return {"segments": len(result), "classes": result.class_ids.tolist(), "boxes": result.boxes.tolist()}

    def time(self) -> dict[str, Any]:
        """Time a call."""
        start = time.perf_counter()
        self._decode(self._pipeline(self._frame, rectangle="smallest", **self._call))
        return {"ms": (time.perf_counter() - start) * 1e3}

    def memory(self, images: list[str], frames: int) -> dict[str, Any]:
        """Call for frames in turn; nothing is kept between them."""
        read = [read_image(Path(image)) for image in images]
        samples = []
        for number in range(frames):
            self._pipeline(read[number % len(read)]).masks()
            if (number + 1) % max(frames // _SAMPLES, 1) == 0:
                samples.append(_status_kb("VmRSS"))
        return {"resident_kb": samples, "peak_kb": _status_kb("VmHWM")}

    def _decode(self, result: Any) -> None:
        if self._chosen is None:
            result.masks()
            return
        if not self._chosen:
            return
        count = len(result.segments)
        indices = np.linspace(0, count - 1, min(self._chosen, count)).round().astype(np.intp)
        paste(result.segments.masks.decode(indices), *self._frame.shape[:2])


def _status_kb(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def main() -> None:
    """Answer until the input ends. Output of libraries goes to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - every error is reported to the other side
            lines = [each for each in str(error).splitlines() if each.strip()]
            reply = {"error": f"{type(error).__name__}: {lines[0] if lines else 'no message'}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
