"""Accuracy of the demo models on drawn scenes: fp32 and the fastest precision, against the bounds they are held to."""

from __future__ import annotations

import argparse

import harness
from fastsam_trt import Pipeline
from fastsam_trt.demo.embedded import CLIP, SEGMENTER
from fastsam_trt.demo.evaluation import BOUNDS, measure

_ENGINES = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "auto"))


def main() -> int:
    """Measure the packaged models on scenes that training never drew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=200, help="how many scenes are drawn")
    parser.add_argument("--segmenter", default=SEGMENTER, help="name, folder or file")
    parser.add_argument("--clip", default=CLIP, help="name or folder")
    parser.add_argument("--crop", default="box", help="what CLIP sees of a segment: box or masked")
    parser.add_argument("--items", type=int, nargs=2, default=(3, 9), metavar="N", help="fewest and most a scene")
    harness.add_options(parser)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    columns: dict[str, dict[str, float]] = {}
    for backend, precision in _ENGINES:
        pipeline = Pipeline(
            args.segmenter, clip=args.clip, selector="clip", backend=backend, precision=precision, crop=args.crop
        )
        session = pipeline.segmenter.session
        columns[f"{session.backend} {session.precision}"] = measure(
            pipeline, args.scenes, items=tuple(args.items)
        ).figures()
    rows = harness.show_rows(
        f"{args.scenes} unseen scenes of {args.items[0]} to {args.items[1]} items, crop {args.crop}",
        [{"figure": name, **{engine: figures[name] for engine, figures in columns.items()}} for name in BOUNDS],
    )
    held = [
        harness.Figure(f"{engine}: {name}", figures[name], ">=", bound)
        for engine, figures in columns.items()
        for name, bound in BOUNDS.items()
    ]
    return harness.finish(args, facts, rows, held)


if __name__ == "__main__":
    harness.entry(main)
