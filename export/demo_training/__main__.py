"""Train the demo models: `python export/demo_training --out DIR [--install]`.

Both models are trained from scratch on drawn scenes, on the CPU, and exported with a proof of parity. Then their
accuracy is measured on other scenes, and compared with the recorded metrics of the models in the package. Metrics that
differ by more than 0.02 are named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import clip
import segmenter

from fastsam_bench.scenarios.demo_accuracy import BOUNDS, measure
from fastsam_engine.rounding import round_with_bound
from fastsam_export import export_model
from fastsam_trt import Pipeline, bundled_models

PACKAGED = bundled_models.FOLDER
METRICS = Path(__file__).parent / "metrics.json"
AGREEMENT = 0.02
EVALUATION_SCENES = 200
_SETTINGS = ("seed", "scenes", "epochs", "clip_scenes", "clip_steps")


def main() -> int:
    """Train, export, measure and compare; install if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and exported files")
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes, weights and order (%(default)s)")
    parser.add_argument("--scenes", type=int, default=4000, help="scenes for the segmenter (%(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the segmenter (%(default)s)")
    parser.add_argument("--clip-scenes", type=int, default=7000, help="scenes for CLIP's crops (%(default)s)")
    parser.add_argument("--clip-steps", type=int, default=10000, help="training steps of CLIP (%(default)s)")
    parser.add_argument("--trained", type=Path, metavar="PT", help="measure this segmenter instead of training one")
    parser.add_argument("--trained-clip", type=Path, metavar="DIR", help="measure this CLIP instead of training one")
    parser.add_argument("--install", action="store_true", help="replace the package's models and recorded metrics")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    # CLIP first: ultralytics changes the number of threads of the whole process.
    towers = args.trained_clip or clip.train(args.out, scenes=args.clip_scenes, steps=args.clip_steps, seed=args.seed)
    weights = args.trained or segmenter.train(args.out, scenes=args.scenes, epochs=args.epochs, seed=args.seed)
    models = args.out / "models"
    export_model(
        bundled_models.SEGMENTER,
        weights=weights,
        imgsz=(640, 640),
        out=models / bundled_models.SEGMENTER,
        defaults=segmenter.THRESHOLDS,
        class_agnostic=True,
    )
    export_model(bundled_models.CLIP, weights=towers, out=models / bundled_models.CLIP)
    named, clip_named = models / bundled_models.SEGMENTER, models / bundled_models.CLIP
    pipeline = Pipeline(named, clip=clip_named, selector="clip", precision="fp32")
    metrics = measure(pipeline, EVALUATION_SCENES).metrics()
    print(f"trained, exported and measured in {time.perf_counter() - start:.0f} s, seed {args.seed}")
    code = _compare(metrics)
    if args.install:
        _install(models, metrics, {name: getattr(args, name) for name in _SETTINGS})
    return code


def _compare(metrics: dict[str, float]) -> int:
    """Print the metrics beside the recorded ones; 1 if one differs by more than the tolerance."""
    recorded = json.loads(METRICS.read_text())["metrics"] if METRICS.exists() else {}
    for name, value in metrics.items():
        found, bound = round_with_bound(value, BOUNDS[name], 4)
        print(f"{name}: {found} (bound {bound}, recorded {recorded.get(name, float('nan')):.4f})")
    different = [name for name, value in metrics.items() if abs(value - recorded.get(name, value)) > AGREEMENT]
    if different:
        print(
            f"these differ from the recorded metrics by more than {AGREEMENT}: {', '.join(different)}",
            file=sys.stderr,
        )
    return 1 if different else 0


def _install(models: Path, metrics: dict[str, float], settings: dict[str, int]) -> None:
    """Replace the models of the package, their checksums and recorded metrics."""
    shutil.rmtree(PACKAGED, ignore_errors=True)
    for name in (bundled_models.SEGMENTER, bundled_models.CLIP):
        shutil.copytree(models / name, PACKAGED / name)
    bundled_models.write_checksums(PACKAGED)
    METRICS.write_text(json.dumps({"metrics": metrics, "settings": settings}, indent=1) + "\n")
    print(f"installed into {PACKAGED}")


if __name__ == "__main__":
    sys.exit(main())
