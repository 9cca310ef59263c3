"""Measure the accuracy of the demo models on drawn scenes, in fp32 and in the fastest precision.

With `--int8-from` (the weights of the segmenter), its int8 export too, calibrated on other scenes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from claims.common import harness

# isort: split
import cv2

from fastsam_bench.scenarios.demo_accuracy import BOUNDS, measure
from fastsam_engine import find_graph, read_spec
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import CLIP, SEGMENTER, locate
from fastsam_trt.demo import draw_scene

_ENGINES = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "auto"))
_INT8_ENGINES = (("openvino", "auto"), ("onnxruntime", "auto"))
_CALIBRATION_SEED = 7_700_000  # neither training nor the measurement uses seeds near it


def main() -> int:
    """Measure the bundled models on scenes that training did not use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=200, help="number of scenes (%(default)s)")
    parser.add_argument("--segmenter", default=SEGMENTER, help="name, folder or file")
    parser.add_argument("--clip", default=CLIP, help="name or folder")
    parser.add_argument("--crop", default="box", help="what CLIP sees of a segment: box or masked")
    parser.add_argument(
        "--items", type=int, nargs=2, default=(3, 9), metavar="N", help="fewest and most items per scene"
    )
    parser.add_argument(
        "--int8-from", type=Path, metavar="WEIGHTS", help="checkpoint of the segmenter, to measure int8 too"
    )
    parser.add_argument("--calibration-scenes", type=int, default=48, help="calibration scenes for int8 (%(default)s)")
    harness.add_options(parser)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        engines = [(args.segmenter, *each) for each in _ENGINES]
        if args.int8_from is not None:
            harness.require("onnx", files=(args.int8_from,))
            made = _int8(args, Path(folder))
            engines += [(made, *each) for each in _INT8_ENGINES]
        for segmenter, backend, precision in engines:
            pipeline = Pipeline(
                segmenter, clip=args.clip, selector="clip", backend=backend, precision=precision, crop=args.crop
            )
            session = pipeline.segmenter.session
            columns[f"{session.backend} {session.precision}"] = measure(
                pipeline, args.scenes, items=tuple(args.items)
            ).metrics()
    rows = harness.show_rows(
        f"{args.scenes} unseen scenes of {args.items[0]} to {args.items[1]} items, crop {args.crop}",
        [{"metric": name, **{engine: metrics[name] for engine, metrics in columns.items()}} for name in BOUNDS],
    )
    checks = [
        harness.Check(f"{engine}: {name}", metrics[name], ">=", bound)
        for engine, metrics in columns.items()
        for name, bound in BOUNDS.items()
    ]
    return harness.finish(args, facts, rows, checks)


def _int8(args: argparse.Namespace, folder: Path) -> Path:
    """Export the segmenter in int8: its folder."""
    from fastsam_export import export_model

    spec = read_spec(find_graph(locate(args.segmenter)))
    if not isinstance(spec.input, ImageInput):
        raise harness.BenchmarkError(f"expected a segmenter, found {args.segmenter}, which takes no pictures")
    scenes = folder / "scenes"
    scenes.mkdir()
    for index in range(args.calibration_scenes):
        frame = draw_scene(_CALIBRATION_SEED + index, items=tuple(args.items)).frame
        cv2.imwrite(str(scenes / f"{index:04}.png"), frame)
    export_model(
        "segmenter",
        weights=args.int8_from,
        imgsz=(spec.input.height, spec.input.width),
        precision="int8",
        calibration=scenes,
        defaults=spec.defaults,
        out=folder / "int8",
    )
    return folder / "int8"


if __name__ == "__main__":
    harness.entry(main)
