"""A video with a text prompt: the pipeline compared with a plain loop, on the same exported models.

The plain loop takes one frame at a time: it segments, decodes every mask at full size, embeds the crop of every segment
and all texts, and selects by them. Its texts are those of the pipeline: the prompt and the negatives, in all templates.
A shorter loop encodes only the prompt, as FastSAM does, and always takes the nearest segment, so it can't report that
an object is absent. The pipeline runs as in `fastsam-trt run`. All of them write one JSON line per frame. CLIP's
weights do not matter here, only its size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from claims.common import harness

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_bench.scenarios.baseline import TextTower, full_masks
from fastsam_trt import Pipeline, Segmenter, open_source
from fastsam_trt.clip.model import Clip
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.prompts.text_options import DEFAULT_NEGATIVES, DEFAULT_TEMPLATES, DEFAULT_THRESHOLD
from fastsam_trt.results import rle
from fastsam_trt.selectors import match_scores
from fastsam_trt.sinks import JsonLinesSink
from fastsam_trt.streaming import Flow

_FASTER = 8.0
_SAME_IOU = 0.9
_PLAIN, _SHORT, _OURS = "plain loop, the same texts", "plain loop, prompt only", "ours"


def main() -> int:
    """Compare the masks, then time all sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, default=harness.SHARED / "videos" / "bikes.mp4", help="street with cars")
    parser.add_argument("--model", default="yolov8n-seg", help="segmenter: name, folder or file")
    parser.add_argument("--clip", default="clip-vit-base-patch32", help="CLIP: name or folder")
    parser.add_argument("--prompt", default="a car", help="text that goes to CLIP")
    harness.add_options(parser, rounds=3, warmup=1)
    args = parser.parse_args()
    harness.require("openvino", files=(args.video,))
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "opencv-python", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        ours = _Ours(args.model, args.clip, args.prompt, args.video, Path(folder) / "ours.jsonl")
        plain = _PlainLoop(args.model, args.clip, args.prompt, args.video, Path(folder) / "plain.jsonl")
        same = plain.mask_agreement()
        sides = [
            harness.Side(_OURS, harness.wall_clock(ours.run)),
            harness.Side(_SHORT, harness.wall_clock(lambda: plain.run(prompt_only=True))),
            harness.Side(_PLAIN, harness.wall_clock(plain.run)),
        ]
        times = harness.measure(sides, args.rounds, args.warmup, lead_in=False)
    rows = harness.show_times(f"{args.video.name}, {plain.frames} frames, ms per run", times, [_OURS])
    rows += harness.show_rows(
        "the work",
        [
            {"side": _OURS, "segments": ours.segments, "crops embedded": ours.crops_embedded, "texts per frame": 0},
            {"side": _SHORT, "segments": plain.segments, "crops embedded": plain.segments, "texts per frame": 1},
            {
                "side": _PLAIN,
                "segments": plain.segments,
                "crops embedded": plain.segments,
                "texts per frame": plain.texts,
            },
        ],
    )
    fps = [{"side": name, "FPS": plain.frames * 1e3 / float(np.median(spent))} for name, spent in times.items()]
    rows += harness.show_rows("frames per second, medians", fps)
    checks = [
        harness.Check("smallest mask IoU between the two, all segments of 10 frames", same, ">=", _SAME_IOU),
        harness.Check(f"FPS, ours / {_PLAIN}", harness.ratio(times, _PLAIN, _OURS).median, ">=", _FASTER),
    ]
    return harness.finish(args, facts, rows, checks)


class _Ours:
    """The pipeline as `fastsam-trt run` runs it."""

    def __init__(self, model: str, clip: str, prompt: str, video: Path, out: Path) -> None:
        self._pipeline = Pipeline(model, clip=clip, prompts=[prompt], selector="clip")
        self._video, self._out = video, out
        self.segments = self.crops_embedded = 0

    def run(self) -> None:
        """Run the whole video."""
        self.segments = self.crops_embedded = 0
        self._pipeline.track = True
        with (
            open_source(self._video) as source,
            JsonLinesSink(self._out) as sink,
            Flow(source, self._pipeline) as flow,
        ):
            for frame, result in flow:
                sink.write(frame, result)
                self.segments += len(result.segments)
                self.crops_embedded += result.crops_embedded


class _PlainLoop:
    """All steps for every frame, one frame at a time."""

    def __init__(self, model: str, clip: str, prompt: str, video: Path, out: Path) -> None:
        self._segmenter = Segmenter(model)
        self._clip = Clip(clip)
        self._encode = TextTower(clip)
        self._texts = [each.replace("{}", text) for text in (prompt, *DEFAULT_NEGATIVES) for each in DEFAULT_TEMPLATES]
        self._video, self._out = video, out
        self.frames = self.segments = 0

    @property
    def texts(self) -> int:
        """Number of texts: the prompt and the negatives in all templates."""
        return len(self._texts)

    def run(self, *, prompt_only: bool = False) -> None:
        """Run the whole video; `prompt_only`: encode only the prompt, and take the nearest segment."""
        self.frames = self.segments = 0
        capture = cv2.VideoCapture(str(self._video))
        with self._out.open("w", encoding="utf-8") as file:
            while True:
                good, frame = capture.read()
                if not good:
                    break
                line = self._frame(np.asarray(frame, np.uint8), prompt_only=prompt_only)
                file.write(json.dumps({"frame": self.frames, **line}) + "\n")
                self.frames += 1
        capture.release()

    def _frame(self, frame: NDArray[np.uint8], *, prompt_only: bool) -> dict[str, Any]:
        segments = self._segmenter(frame)
        masks = full_masks(segments, *frame.shape[:2])
        self.segments += len(segments)
        encoded = self._encode(self._texts[: 1 if prompt_only else None])
        if not len(segments):
            return {"segments": []}
        crops = self._clip.embed_boxes(frame, segments.boxes)
        if prompt_only:
            kept = [int((crops @ encoded[0]).argmax())]
        else:
            means = encoded.reshape(-1, len(DEFAULT_TEMPLATES), encoded.shape[1]).mean(axis=1)
            features = means / np.linalg.norm(means, axis=1, keepdims=True)
            scores = match_scores(crops, features[:1], features[1:], self._clip.logit_scale)[:, 0]
            kept = np.flatnonzero(scores >= DEFAULT_THRESHOLD).tolist()
        return {
            "segments": [
                {
                    "box": segments.boxes[i].tolist(),
                    "score": float(segments.scores[i]),
                    "mask": rle.encode(MaskCrop(0, 0, masks[i]), *frame.shape[:2]),
                }
                for i in kept
            ]
        }

    def mask_agreement(self) -> float:
        """Return the smallest IoU of a mask at full size and the pipeline's, over the segments of ten frames."""
        capture, frames = cv2.VideoCapture(str(self._video)), []
        while True:
            good, frame = capture.read()
            if not good:
                break
            frames.append(np.asarray(frame, np.uint8))
        capture.release()
        self.frames = len(frames)
        worst = 1.0
        for frame in frames[:: max(len(frames) // 10, 1)]:
            segments = self._segmenter(frame)
            whole = full_masks(segments, *frame.shape[:2])
            for mask, crop in zip(whole, segments.masks.decode(range(len(segments))), strict=True):
                ours = np.zeros_like(mask)
                height, width = crop.pixels.shape
                ours[crop.top : crop.top + height, crop.left : crop.left + width] = crop.pixels
                union = int((mask | ours).sum())
                if union > 64:  # in a smaller mask one pixel changes the IoU too much
                    worst = min(worst, float((mask & ours).sum() / union))
        return worst


if __name__ == "__main__":
    harness.entry(main)
