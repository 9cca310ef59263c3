"""Train the demo's models again: `python export/demo_training --out DIR [--install]`.

Both are trained from nothing on scenes that are drawn, on a processor, and leave through the project's own export,
parity included. Then their accuracy is measured on scenes that training never drew, and held against the figures of the
models that come with the package: a figure that differs by more than 0.02 is named, and the exit code is 1.
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
from fastsam_export import export_model
from fastsam_trt import Pipeline, bundled_models

PACKAGED = bundled_models.FOLDER
FIGURES = Path(__file__).parent / "figures.json"
AGREEMENT = 0.02
EVALUATION_SCENES = 200
_SETTINGS = ("seed", "scenes", "epochs", "clip_scenes", "clip_steps")


def main() -> int:
    """Train, export, measure, compare; install if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and exported files")
    parser.add_argument("--seed", type=int, default=0, help="of scenes, weights and order")
    parser.add_argument("--scenes", type=int, default=4000, help="drawn for the segmenter")
    parser.add_argument("--epochs", type=int, default=4, help="of the segmenter")
    parser.add_argument("--clip-scenes", type=int, default=7000, help="drawn for CLIP's crops")
    parser.add_argument("--clip-steps", type=int, default=10000, help="of CLIP")
    parser.add_argument("--trained", type=Path, metavar="PT", help="measure this segmenter instead of training one")
    parser.add_argument("--trained-clip", type=Path, metavar="DIR", help="measure this CLIP instead of training one")
    parser.add_argument("--install", action="store_true", help="replace the package's models and their stated figures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    # CLIP first: ultralytics takes the threads of the whole process for itself.
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
    figures = measure(pipeline, EVALUATION_SCENES).figures()
    print(f"trained, exported and measured in {time.perf_counter() - start:.0f} s, seed {args.seed}")
    code = _compare(figures)
    if args.install:
        _install(models, figures, {name: getattr(args, name) for name in _SETTINGS})
    return code


def _compare(figures: dict[str, float]) -> int:
    """Print the figures beside the stated ones; 1 if one differs by more than it may."""
    stated = json.loads(FIGURES.read_text())["figures"] if FIGURES.exists() else {}
    for name, value in figures.items():
        print(f"{name}: {value:.4f} (bound {BOUNDS[name]}, stated {stated.get(name, float('nan')):.4f})")
    apart = [name for name, value in figures.items() if abs(value - stated.get(name, value)) > AGREEMENT]
    if apart:
        print(f"these differ from the stated figures by more than {AGREEMENT}: {', '.join(apart)}", file=sys.stderr)
    return 1 if apart else 0


def _install(models: Path, figures: dict[str, float], settings: dict[str, int]) -> None:
    """Make the models the package's, with their checksums and stated figures."""
    shutil.rmtree(PACKAGED, ignore_errors=True)
    for name in (bundled_models.SEGMENTER, bundled_models.CLIP):
        shutil.copytree(models / name, PACKAGED / name)
    bundled_models.write_checksums(PACKAGED)
    FIGURES.write_text(json.dumps({"figures": figures, "settings": settings}, indent=1) + "\n")
    print(f"installed into {PACKAGED}")


if __name__ == "__main__":
    sys.exit(main())
