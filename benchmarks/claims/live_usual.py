"""A video with a text prompt: ours against the usual way, on the same exported models.

The usual way takes one frame after the other: it segments, decodes every mask at full size, embeds every segment's crop
and encodes the texts of the question, and selects by them. It asks what ours asks: the prompt and the negatives, each
in all templates. A leaner way encodes the prompt alone, as FastSAM's does, and always takes the nearest segment: it
can't say that a thing is absent. Ours runs as `fastsam-trt run` does. All write one JSON line a frame. CLIP's weights
do not matter here, only its size.
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
_USUAL, _LEAN, _OURS = "usual way, the same question", "leaner way, prompt alone", "ours"


def main() -> int:
    """Time both in turn, after their masks were compared."""
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
        usual = _Usual(args.model, args.clip, args.prompt, args.video, Path(folder) / "usual.jsonl")
        same = usual.mask_agreement()
        sides = [
            harness.Side(_OURS, harness.wall_clock(ours.run)),
            harness.Side(_LEAN, harness.wall_clock(lambda: usual.run(lean=True))),
            harness.Side(_USUAL, harness.wall_clock(usual.run)),
        ]
        times = harness.measure(sides, args.rounds, args.warmup, lead_in=False)
    rows = harness.show_times(f"{args.video.name}, {usual.frames} frames, ms a run", times, [_OURS])
    rows += harness.show_rows(
        "the work",
        [
            {"side": _OURS, "segments": ours.segments, "crops embedded": ours.embedded, "texts a frame": 0},
            {"side": _LEAN, "segments": usual.segments, "crops embedded": usual.segments, "texts a frame": 1},
            {
                "side": _USUAL,
                "segments": usual.segments,
                "crops embedded": usual.segments,
                "texts a frame": usual.texts,
            },
        ],
    )
    fps = [{"side": name, "FPS": usual.frames * 1e3 / float(np.median(spent))} for name, spent in times.items()]
    rows += harness.show_rows("frames a second, medians", fps)
    figures = [
        harness.Figure("smallest mask IoU of the two ways, all segments of 10 frames", same, ">=", _SAME_IOU),
        harness.Figure(f"FPS, ours / {_USUAL}", harness.ratio(times, _USUAL, _OURS).median, ">=", _FASTER),
    ]
    return harness.finish(args, facts, rows, figures)


class _Ours:
    """The pipeline as the command runs it."""

    def __init__(self, model: str, clip: str, prompt: str, video: Path, out: Path) -> None:
        self._pipeline = Pipeline(model, clip=clip, prompts=[prompt], selector="clip")
        self._video, self._out = video, out
        self.segments = self.embedded = 0

    def run(self) -> None:
        """The whole video."""
        self.segments = self.embedded = 0
        self._pipeline.track = True
        with (
            open_source(self._video) as source,
            JsonLinesSink(self._out) as sink,
            Flow(source, self._pipeline) as flow,
        ):
            for frame, result in flow:
                sink.write(frame, result)
                self.segments += len(result.segments)
                self.embedded += result.embedded


class _Usual:
    """Everything for every frame, one after the other."""

    def __init__(self, model: str, clip: str, prompt: str, video: Path, out: Path) -> None:
        self._segmenter = Segmenter(model)
        self._clip = Clip(clip)
        self._encode = TextTower(clip)
        self._texts = [each.replace("{}", text) for text in (prompt, *DEFAULT_NEGATIVES) for each in DEFAULT_TEMPLATES]
        self._video, self._out = video, out
        self.frames = self.segments = 0

    @property
    def texts(self) -> int:
        """How many texts the whole question is."""
        return len(self._texts)

    def run(self, *, lean: bool = False) -> None:
        """The whole video; lean: the prompt alone is encoded, and the nearest segment taken."""
        self.frames = self.segments = 0
        capture = cv2.VideoCapture(str(self._video))
        with self._out.open("w", encoding="utf-8") as file:
            while True:
                good, frame = capture.read()
                if not good:
                    break
                line = self._frame(np.asarray(frame, np.uint8), lean=lean)
                file.write(json.dumps({"frame": self.frames, **line}) + "\n")
                self.frames += 1
        capture.release()

    def _frame(self, frame: NDArray[np.uint8], *, lean: bool) -> dict[str, Any]:
        segments = self._segmenter(frame)
        masks = full_masks(segments, *frame.shape[:2])
        self.segments += len(segments)
        encoded = self._encode(self._texts[: 1 if lean else None])
        if not len(segments):
            return {"segments": []}
        crops = self._clip.embed_boxes(frame, segments.boxes)
        if lean:
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
        """Smallest IoU of a mask at full size and ours, over the segments of ten frames; both ways find the same."""
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
                if union > 64:  # on a handful of pixels one flip is a tenth
                    worst = min(worst, float((mask & ours).sum() / union))
        return worst


if __name__ == "__main__":
    harness.entry(main)
