"""Run the command on a video and on photos, and check its output files and the objects that it finds."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claims.common import harness

# isort: split
import cv2
import numpy as np

_FRAMES = 250
_CAR_FRAMES = range(100, 181)
_LEAST_CAR_FRAMES = 60
_PHOTOS = (("bus.jpg", "person", 4), ("bus.jpg", "bus", 1), ("cat.jpg", "cat", 1))
_ROUNDED_PX = 0.01  # boxes are written with two decimals


def main() -> int:
    """Run the command, and check its output files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, default=harness.SHARED / "videos" / "bikes.mp4", help="street with cars")
    parser.add_argument("--images", type=Path, default=harness.SHARED / "images", help="folder of bus.jpg and cat.jpg")
    parser.add_argument("--model", default="yolov8n-seg", help="our segmenter: name, folder or file")
    harness.add_options(parser)
    args = parser.parse_args()
    photos = {args.images / name for name, _, _ in _PHOTOS}
    harness.require("pycocotools", files=(args.video, *photos))
    command = shutil.which("fastsam-trt", path=str(Path(sys.executable).parent))
    if command is None:
        raise harness.BenchmarkError(f"expected the command fastsam-trt beside {sys.executable}, found none")
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "opencv-python", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        rows, checks = _video(command, args.video, args.model, Path(folder))
        more_rows, more_checks = _photos(command, args.images, args.model, Path(folder))
    return harness.finish(args, facts, [*rows, *more_rows], [*checks, *more_checks])


def _video(command: str, video: Path, model: str, folder: Path) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """The prompt `car` on the video."""
    saved, written = folder / "cars.mp4", folder / "cars.jsonl"
    summary = _run(command, "--video", video, "--prompt", "car", "--model", model, "--save", saved, "--json", written)
    print(f"\nfastsam-trt run --video {video.name} --prompt car\n{summary}")
    records = _records(written)
    segments = [(record, segment) for record in records for segment in record["segments"]]
    inside = sum(_mask_inside(record, segment) for record, segment in segments)
    cars = sum(
        any(segment["label"] == "car" for segment in record["segments"])
        for record in records
        if record["frame"] in _CAR_FRAMES
    )
    in_order = [record["frame"] for record in records] == list(range(len(records)))
    rows: list[dict[str, Any]] = [
        {"what": "frames of the saved video", "found": _count_frames(saved)},
        {"what": "JSON lines", "found": len(records)},
        {"what": "JSON lines numbered in order", "found": len(records) if in_order else 0},
        {"what": "segments", "found": len(segments)},
        {"what": "segments whose mask is complete and inside its box", "found": inside},
        {"what": f"frames {_CAR_FRAMES.start} to {_CAR_FRAMES.stop - 1} with a car", "found": cars},
    ]
    checks = [harness.Check(f"video: {row['what']}", row["found"], "==", _FRAMES) for row in rows[:3]]
    checks += [
        harness.Check(f"video: {rows[4]['what']}", inside, "==", len(segments)),
        harness.Check(f"video: {rows[5]['what']}", cars, ">=", _LEAST_CAR_FRAMES),
    ]
    return harness.show_rows(f"{video.name}, prompt car", rows), checks


def _photos(command: str, images: Path, model: str, folder: Path) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """The prompts on the photos."""
    rows, checks = [], []
    for name, prompt, expected in _PHOTOS:
        written = folder / f"{prompt}.jsonl"
        _run(command, "--video", images / name, "--prompt", prompt, "--model", model, "--json", written)
        (record,) = _records(written)
        found = len(record["segments"])
        inside = sum(_mask_inside(record, segment) for segment in record["segments"])
        scores = ", ".join(f"{segment['score']:.2f}" for segment in record["segments"])
        rows.append({"photo": name, "prompt": prompt, "segments": found, "masks inside": inside, "scores": scores})
        checks += [
            harness.Check(f"{name}, prompt {prompt}: segments", found, "==", expected),
            harness.Check(f"{name}, prompt {prompt}: masks complete and inside their boxes", inside, "==", found),
        ]
    return harness.show_rows("photos", rows), checks


def _run(command: str, *arguments: object) -> str:
    """Run the command; returns the last line with its rate."""
    done = subprocess.run([command, "run", *map(str, arguments)], check=False, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise harness.BenchmarkError(lines[-1].removeprefix("fastsam-trt: error: "))
    return next((line for line in reversed(done.stdout.splitlines()) if "FPS" in line), "")


def _records(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise harness.BenchmarkError(f"expected JSON lines in {path.name}, found {error}") from None


def _mask_inside(record: Mapping[str, Any], segment: Mapping[str, Any]) -> bool:
    """Whether pycocotools decodes the RLE to a mask of the size of the frame, inside the box of the segment."""
    from pycocotools import mask as coco

    pixels = coco.decode(segment["mask"])
    rows, columns = np.nonzero(pixels)
    if list(pixels.shape) != record["size"] or not rows.size:
        return False
    x0, y0, x1, y1 = segment["box"]
    low, high = -_ROUNDED_PX, _ROUNDED_PX
    return bool(
        columns.min() >= x0 + low and rows.min() >= y0 + low and columns.max() < x1 + high and rows.max() < y1 + high
    )


def _count_frames(path: Path) -> int:
    """Number of frames of a video that can be read; 0 if it can't be opened."""
    capture = cv2.VideoCapture(str(path))
    frames = 0
    while capture.read()[0]:
        frames += 1
    capture.release()
    return frames


if __name__ == "__main__":
    harness.entry(main)
