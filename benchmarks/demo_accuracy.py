"""Accuracy of the demo model on drawn scenes: fp32 and the fastest precision, against the bounds it is held to."""

from __future__ import annotations

import argparse

import harness
from fastsam_trt import Pipeline
from fastsam_trt.demo.embedded import SEGMENTER
from fastsam_trt.demo.evaluation import BOUNDS, SEGMENT_FIGURES, measure

_ENGINES = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "auto"))


def main() -> int:
    """Measure segments, and selections where a CLIP is named, on scenes that training never drew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=200, help="how many scenes are drawn")
    parser.add_argument("--segmenter", default=SEGMENTER, help="name, folder or file")
    parser.add_argument(
        "--clip", metavar="C", help="name or folder of a CLIP trained on the scenes: measure prompts too"
    )
    harness.add_options(parser)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    names = tuple(BOUNDS) if args.clip else SEGMENT_FIGURES
    columns: dict[str, dict[str, float]] = {}
    for backend, precision in _ENGINES:
        pipeline = Pipeline(args.segmenter, clip=args.clip, selector="clip", backend=backend, precision=precision)
        session = pipeline.segmenter.session
        measured = measure(pipeline, args.scenes, prompts=args.clip is not None)
        columns[f"{session.backend} {session.precision}"] = measured.figures()
    rows = harness.show_rows(
        f"{args.scenes} unseen scenes",
        [{"figure": name, **{engine: figures[name] for engine, figures in columns.items()}} for name in names],
    )
    held = [
        harness.Figure(f"{engine}: {name}", figures[name], ">=", BOUNDS[name])
        for engine, figures in columns.items()
        for name in names
    ]
    return harness.finish(args, facts, rows, held)


if __name__ == "__main__":
    harness.entry(main)
