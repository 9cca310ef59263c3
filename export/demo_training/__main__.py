"""Train the demo models again: `python export/demo_training --out DIR [--install]`.

Both models are trained from nothing on scenes that are drawn, on a processor, and leave through the project's own
export, parity included. Then their accuracy is measured on scenes that training never drew, and held against the
figures of the models that come with the package: a figure that differs by more than 0.02 is named, and the exit code
is 1.
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

from fastsam_export import export_model
from fastsam_trt import Pipeline
from fastsam_trt.demo import embedded
from fastsam_trt.demo.evaluation import BOUNDS, measure

PACKAGED = Path(embedded.__file__).parent / "models"
FIGURES = Path(__file__).parent / "figures.json"
AGREEMENT = 0.02
EVALUATION_SCENES = 200


def main() -> int:
    """Train, export, measure, compare; install if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and exported files")
    parser.add_argument("--seed", type=int, default=0, help="of scenes, weights and order")
    parser.add_argument("--scenes", type=int, default=4000, help="drawn for the segmenter")
    parser.add_argument("--epochs", type=int, default=5, help="of the segmenter")
    parser.add_argument("--clip-scenes", type=int, default=4500, help="drawn for CLIP's crops")
    parser.add_argument("--clip-steps", type=int, default=2200, help="of CLIP")
    parser.add_argument("--only", choices=["segmenter", "clip", "export"], help="one part; `export` trains nothing")
    parser.add_argument("--install", action="store_true", help="replace the package's models and figures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    if args.only in (None, "segmenter"):
        segmenter.train(args.out, scenes=args.scenes, epochs=args.epochs, seed=args.seed)
    if args.only in (None, "clip"):
        clip.train(args.out, scenes=args.clip_scenes, steps=args.clip_steps, seed=args.seed)
    if args.only in ("segmenter", "clip"):
        return 0
    trained_s = time.perf_counter() - start
    exported = args.out / "models"
    weights = args.out / "segmenter" / "weights" / "last.pt"
    export_model(
        embedded.SEGMENTER,
        weights=weights,
        imgsz=(640, 640),
        out=exported / embedded.SEGMENTER,
        defaults=segmenter.THRESHOLDS,
    )
    export_model(embedded.CLIP, weights=args.out / "clip", out=exported / embedded.CLIP)
    pipeline = Pipeline(exported / embedded.SEGMENTER, clip=exported / embedded.CLIP, selector="clip", precision="fp32")
    figures = measure(pipeline, EVALUATION_SCENES).figures()
    stated = json.loads(FIGURES.read_text())["figures"] if FIGURES.exists() else {}
    return _report(args, exported, figures, stated, trained_s)


def _report(
    args: argparse.Namespace, exported: Path, figures: dict[str, float], stated: dict[str, float], trained_s: float
) -> int:
    apart = [name for name, value in figures.items() if abs(value - stated.get(name, value)) > AGREEMENT]
    for name, value in figures.items():
        print(f"{name}: {value:.4f} (bound {BOUNDS[name]}, stated {stated.get(name, float('nan')):.4f})")
    print(f"trained in {trained_s:.0f} s, seed {args.seed}")
    if args.install:
        shutil.rmtree(PACKAGED, ignore_errors=True)
        shutil.copytree(exported, PACKAGED)
        embedded.write_checksums(PACKAGED)
        settings = {name: getattr(args, name) for name in ("seed", "scenes", "epochs", "clip_scenes", "clip_steps")}
        FIGURES.write_text(
            json.dumps({"figures": figures, "settings": settings, "trained_s": trained_s}, indent=1) + "\n"
        )
        print(f"installed into {PACKAGED}")
        return 0
    if apart:
        print(f"these differ from the stated figures by more than {AGREEMENT}: {', '.join(apart)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
