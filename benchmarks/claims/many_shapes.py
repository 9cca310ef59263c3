"""Measure what images of many shapes cost: compiling for each shape, and padding to a few common shapes.

    python benchmarks/claims/many_shapes.py --model yolov8n-seg

First, the padding that sets of rectangles add to photos of usual shapes, without running a model. Then ten images, from
1:1 to 16:9 and wider, in a separate process for each of these ways:
- in turn, with the smallest rectangle for each, as for frames of one size;
- in turn, with a common rectangle, as `Pipeline` and image sources choose it;
- the widest image alone, ten times;
- each image twice, where only the second run counts, so that the shape changes as rarely as possible.
The time of a turn is the median of its images. By the areas of their inputs, the ten should take 1.29 times as long as
the widest one, and 1.41 times with the smallest rectangles.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, get_args

from claims.common import harness, rectangle_sets
from claims.common.child_process import Child

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt import Pipeline
from fastsam_trt.frames.image import read_image
from fastsam_trt.frames.rectangles import Rectangle, common

_BOUND, _KEPT_SHAPES = 1.3, 12
_SIDE_PX, _STRIDE_PX = 640, 32
_PHOTOS = {"1:1": 1.0, "5:4": 1.25, "4:3": 4 / 3, "7:5": 1.4, "3:2": 1.5, "16:10": 1.6, "16:9": 16 / 9}
_SCREENS = {"2:1": 2.0, "19.5:9": 19.5 / 9, "21:9": 21 / 9}
_LONGEST = 2.4  # long side to short, of random shapes
_DRAWN = 1000

Order = Literal["in turn", "the widest alone", "each twice"]
"""The images of a turn: all ten, the last one ten times, or each one twice, where the second counts."""


def main() -> int:
    """Show the padding of every set, then time ten shapes on every backend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n-seg", help="name, folder or file (%(default)s)")
    parser.add_argument("--image", type=Path, default=harness.SHARED / "images" / "bus.jpg", help="photo to resize")
    parser.add_argument("--backend", default="openvino,onnxruntime", metavar="LIST", help="(%(default)s)")
    harness.add_options(parser, rounds=8, warmup=1)
    args = parser.parse_args()
    backends = args.backend.split(",")
    harness.require(*backends, files=(args.image,))
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    rows = harness.show_rows(f"pixels of the input, percent more than the smallest rectangle, {_SIDE_PX} px",
                             [_padding(name) for name in rectangle_sets.SETS])  # fmt: skip
    checks = [harness.Check("possible shapes", len(common((_SIDE_PX, _SIDE_PX), _STRIDE_PX)), "<=",
                              _KEPT_SHAPES)]  # fmt: skip
    for backend in backends:
        more_rows, more_checks = _timed(args, backend)
        rows += more_rows
        checks += more_checks
    return harness.finish(args, facts, rows, checks)


def _padding(name: str) -> dict[str, Any]:
    """The padding that a set adds to usual shapes, and to random ones, uniform in the logarithm of their ratio."""
    drawn = np.exp(np.random.default_rng(0).uniform(-1, 1, _DRAWN) * np.log(_LONGEST))
    usual = {shape: _more(name, [ratio, 1 / ratio]) for shape, ratio in {**_PHOTOS, **_SCREENS}.items()}
    compiled = len({(width, height) for width, height in rectangle_sets.shapes(name)})
    return {
        "set": name + (" (chosen)" if name == rectangle_sets.chosen() else ""),
        "shapes": compiled,
        **{shape: round(percent) for shape, percent in usual.items()},
        "photos, mean": round(float(np.mean([usual[shape] for shape in _PHOTOS])), 1),
        "drawn, mean": round(_more(name, drawn.tolist()), 1),
    }


def _more(name: str, ratios: Sequence[float]) -> float:
    """Percent of pixels that a set adds to images of some ratios, width to height, in total."""
    frames = [(round(1000 / ratio**0.5), round(1000 * ratio**0.5)) for ratio in ratios]
    spent, least = (sum(rectangle_sets.area(each, frame, _SIDE_PX, _STRIDE_PX) for frame in frames)
                    for each in (name, rectangle_sets.SMALLEST))  # fmt: skip
    return (spent / least - 1) * 100


def _timed(args: argparse.Namespace, backend: str) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """Time the ways of using a backend in turn."""
    ways: list[tuple[Rectangle, Order]] = [("smallest", "in turn"), *(("common", order) for order in get_args(Order))]
    with ExitStack() as stack:
        sides = {
            ", ".join(each): stack.enter_context(Child(make_side, args.model, backend, *each, args.image))
            for each in ways
        }
        first = {name: side.ask() for name, side in sides.items()}
        times = harness.measure([harness.Side(name, side.ask) for name, side in sides.items()], args.rounds,
                                args.warmup)  # fmt: skip
    names = list(sides)
    rows = harness.show_times(f"{backend}: an image of a turn", times, names[:1] + names[2:])
    rows += harness.show_rows(f"{backend}: the first turn, and what is compiled where a backend compiles", [
        {"side": name, "shapes": shapes, "first turn ms": round(first_ms)} for name, (first_ms, shapes) in first.items()
    ])  # fmt: skip
    checks = [
        harness.Check(f"{backend}: ten shapes in turn / {name.removeprefix('common, ')}",
                       harness.ratio(times, names[1], name).median, "<=", _BOUND)
        for name in names[2:]
    ]  # fmt: skip
    return rows, checks


def _images(photo: Path) -> list[NDArray[np.uint8]]:
    """A photo at ten shapes, 640 px wide, from 640 px high in steps of 32 px."""
    image = read_image(photo)
    return [np.asarray(cv2.resize(image, (640, height)), np.uint8) for height in range(640, 640 - 32 * 10, -32)]


def make_side(model: str, backend: str, rectangle: Rectangle, order: Order, photo: Path) -> Callable[[object], Any]:
    """One way of using a backend. Its first call returns the ms of a turn and the number of shapes; later ones ms."""
    pipeline = Pipeline(model, backend=backend)
    images = _images(photo)
    session = pipeline.segmenter.session
    shapes = set[tuple[int, ...]]()

    def turn() -> list[float]:
        shown = {"in turn": images, "the widest alone": images[-1:] * len(images),
                 "each twice": [each for each in images for _ in range(2)]}[order]  # fmt: skip
        spent = [harness.wall_clock(lambda image=image: pipeline(image, rectangle=rectangle))()
                 for image in shown]  # fmt: skip
        return spent[1::2] if order == "each twice" else spent

    def answer(_: object) -> Any:
        if shapes:
            return float(np.median(turn()))
        stop = session.observe(lambda run: shapes.update(run.shapes.values()))
        start = time.perf_counter()
        turn()
        first_ms = (time.perf_counter() - start) * 1e3
        stop()
        return first_ms, len(shapes)

    return answer


if __name__ == "__main__":
    harness.entry(main)
