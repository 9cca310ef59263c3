"""Compare the whole call of a model that computes only what can be selected with its dense graph, case by case.

Both sides run in processes of their own, in turn, and end with masks on whole frames. The dense side may come from
another source tree, such as a release: `--dense-path`. Missing models are made in `--models`. Those of FastSAM have
random weights, and find random boxes: only their times mean something, at a threshold that leaves as many segments as
wanted. Trained weights have more anchors per object, which NMS removes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.dense_and_sparse import Sides, add_side_options, chosen_pair, open_sides
from claims.common.photos import list_photos, save_frame
from claims.common.seeded_models import Models
from claims.common.side_process import SideProcess

# isort: split
import numpy as np

_ABSENT, _ONE_CLASS, _EVERYTHING, _MANY = (
    "prompt absent", "one class, 1 to 5 objects", "everything, 5 to 10 segments", "about 300 segments"
)  # fmt: skip
_BOUNDS = {_ABSENT: 0.68, _ONE_CLASS: 0.78, _EVERYTHING: 0.90, _MANY: 1.03}
_FEW, _SEVERAL, _LEAST_MANY = range(1, 6), range(5, 11), 250
_BOX, _CHOSEN = "one box prompt", "10 chosen of 100"
_FULL_HD = (1080, 1920)
_FASTSAM_SEGMENTS, _FASTSAM_CHOSEN = 100, 10


def main() -> int:
    """Time the cases of YOLO on photos, and those of FastSAM on a frame of 1080 x 1920."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="*", default=[harness.SHARED / "images"], help="photos, or folders")
    parser.add_argument("--fastsam", action="append", type=_with_bound, metavar="NAME=BOUND",
                        help="model of one class in --models, with a bound: fastsam-s=0.75; repeatable")  # fmt: skip
    parser.add_argument("--low-conf", type=float, default=0.0001, help="for about 300 segments (%(default)s)")
    add_side_options(parser)
    harness.add_options(parser, rounds=20, warmup=2)
    args = parser.parse_args()
    photos = list_photos(args.photos)
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    models = Models(args.models)
    if args.segmenter:
        with open_sides(*chosen_pair(args), args, selector="labels") as sides:
            rows, checks = _on_photos(sides, photos, args)
    with tempfile.TemporaryDirectory() as folder:
        frame = save_frame(Path(folder), "full-hd", photos[0], *_FULL_HD)
        for name, bound in args.fastsam or ():
            with open_sides(*models.pair(name), args) as sides:
                more_rows, more_checks = _one_class(name, bound, sides, frame, args)
            rows += more_rows
            checks += more_checks
    return harness.finish(args, facts, rows, checks)


def _with_bound(text: str) -> tuple[str, float]:
    name, _, bound = text.partition("=")
    return name, float(bound)


def _on_photos(
    sides: Sides, photos: list[Path], args: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """The cases of each photo, and the medians of their ratios."""
    ratios: dict[str, list[float]] = {case: [] for case in _BOUNDS}
    rows = []
    for photo in photos:
        sides.show(photo)
        for case, what, call in _cases(sides.dense, args.low_conf):
            compared = sides.compare(call, args)
            ratios[case].append(compared["ratio"])
            rows.append({"photo": photo.name, "case": case, "prompt": what, **compared})
    printed = harness.show_rows(f"sparse / dense, whole call, masks on whole frames, {args.rounds} rounds", rows)
    checks = [
        harness.Check(f"{case}: median of {len(found)}", float(np.median(found)) if found else np.nan, "<=", bound)
        for (case, bound), found in zip(_BOUNDS.items(), ratios.values(), strict=True)
    ]
    return printed, checks


def _cases(side: SideProcess, low_conf: float) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The cases of the photo that was shown: case, prompt and options of the call."""
    names = side.opened["class_names"]
    found = side.case({})
    counts = Counter(names[class_id] for class_id in found["classes"])
    yield _ABSENT, absent_class(names, counts), {"prompts": [absent_class(names, counts)]}
    for name, count in counts.items():
        if count in _FEW:
            yield _ONE_CLASS, name, {"prompts": [name]}
    if found["segments"] in _SEVERAL:
        yield _EVERYTHING, "", {}
    if side.case({"conf": low_conf})["segments"] >= _LEAST_MANY:
        yield _MANY, "", {"conf": low_conf}


def absent_class(names: list[str], counts: Mapping[str, int]) -> str:
    """The last class without an object in the photo."""
    return next(name for name in reversed(names) if name not in counts)


def _one_class(
    name: str, bound: float, sides: Sides, frame: Path, args: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """The cases of a model of one class: a box prompt, and masks of the segments that CLIP chose, without its time."""
    sides.show(frame)
    conf, found = conf_for(sides.dense, _FASTSAM_SEGMENTS)
    boxes = np.array(found["boxes"])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    usual = boxes[np.argsort(areas)[len(areas) // 2]]
    cases: dict[str, tuple[dict[str, Any], int | None]] = {
        _BOX: ({"conf": conf, "boxes": [usual.tolist()]}, None),
        _CHOSEN: ({"conf": conf}, _FASTSAM_CHOSEN),
    }
    rows: list[dict[str, Any]] = [
        {"case": case, **sides.compare(call, args, chosen)} for case, (call, chosen) in cases.items()
    ]
    title = f"{name}, frame of {_FULL_HD[0]} x {_FULL_HD[1]}, {found['segments']} segments at {conf:.4g}"
    checks = [harness.Check(f"{name}: {row['case']}", row["ratio"], "<=", bound) for row in rows]
    return harness.show_rows(f"{title}, {args.rounds} rounds", rows), checks


def conf_for(side: SideProcess, wanted: int) -> tuple[float, dict[str, Any]]:
    """A threshold that leaves about as many segments as wanted in the frame that was shown, and what it leaves.

    Raises:
        BenchmarkError: No threshold does.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        conf = (low + high) / 2
        found = side.case({"conf": conf}, 0)
        if abs(found["segments"] - wanted) <= wanted // 20:
            return conf, found
        low, high = (conf, high) if found["segments"] > wanted else (low, conf)
    raise harness.BenchmarkError(f"expected about {wanted} segments at some threshold, found {found['segments']}")


if __name__ == "__main__":
    harness.entry(main)
