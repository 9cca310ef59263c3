"""JSON lines: one valid line a frame, the selected segments only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fastsam_engine.atomic_files import check_writable
from fastsam_engine.errors import OutputError
from fastsam_trt.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame


class JsonLinesSink(Sink):
    """Writes each line whole and flushes it, so that a stop leaves every line valid."""

    def __init__(self, path: Path) -> None:
        """Prepare; the file is made, or cut to nothing, with the first line.

        Raises:
            OutputError: It can't be written.
        """
        check_writable(path)
        self._path = path
        self._file: TextIO | None = None

    def write(self, frame: Frame, result: Result) -> None:
        """Write the line of a frame."""
        line = json.dumps(as_record(frame, result), ensure_ascii=False, separators=(",", ":"))
        try:
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8")
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(self._path, f"it can't be written ({error.strerror})") from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def as_record(frame: Frame, result: Result) -> dict[str, Any]:
    """The result of a frame as JSON's types: `size` is [H, W], boxes are xyxy px, masks COCO RLE."""
    rles = result.rle()  # before `speed`, which tells what decoding took
    return {
        "frame": frame.index,
        "source": frame.source,
        "size": list(result.frame.shape[:2]),
        "ms": {stage: round(ms, 3) for stage, ms in result.speed.items()},
        "segments": [
            {
                "box": [round(float(edge), 2) for edge in box],
                "score": round(float(score), 4),
                "label": label,
                "prompt": result.prompts[prompt_id] if prompt_id >= 0 else None,
                "similarity": None if np.isnan(similarity) else round(float(similarity), 4),
                "track": track_id if track_id >= 0 else None,
                "mask": mask,
            }
            for box, score, label, prompt_id, similarity, track_id, mask in zip(
                result.boxes,
                result.scores,
                result.labels,
                result.prompt_ids.tolist(),
                result.similarities,
                result.track_ids.tolist(),
                rles,
                strict=True,
            )
        ],
    }
