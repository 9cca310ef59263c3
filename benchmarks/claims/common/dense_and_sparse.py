"""The dense and the sparse side of a model: options that choose them, their processes, and the ratio of their times."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.seeded_models import Models
from claims.common.side_process import SideProcess


@dataclass(frozen=True, slots=True)
class Sides:
    """The dense and the sparse side of a model."""

    dense: SideProcess
    sparse: SideProcess

    def compare(self, call: Mapping[str, Any], args: argparse.Namespace, chosen: int | None = None) -> dict[str, float]:
        """Time a case on the frame that was shown: segments of both sides, ms, the ratio and its range."""
        counts = [side.case(call, chosen)["segments"] for side in (self.dense, self.sparse)]
        sides = [harness.Side("dense", self.dense.time_ms), harness.Side("sparse", self.sparse.time_ms)]
        times = harness.measure(sides, args.rounds, args.warmup)
        found = harness.ratio(times, "sparse", "dense")
        ms = {f"{name} ms": harness.Spread.of(times[name]).median for name in ("dense", "sparse")}
        return {"dense segments": counts[0], "sparse segments": counts[1], **ms, "ratio": found.median,
                "IQR": found.iqr}  # fmt: skip

    def show(self, image: Path) -> None:
        """Set the frame."""
        self.dense.show(image)
        self.sparse.show(image)


def add_side_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `chosen_pair` and `open_sides`."""
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="FOLDER",
                        help="folder of models; missing ones are made there (%(default)s)")  # fmt: skip
    parser.add_argument("--segmenter", default="yolov8n-seg", metavar="NAME",
                        help="model in --models; '' for none (%(default)s)")  # fmt: skip
    parser.add_argument("--dense", type=Path, help="its dense graph: folder or file, instead of that in --models")
    parser.add_argument("--sparse", type=Path, help="the same model, cut into parts: folder or file")
    parser.add_argument("--dense-path", type=Path, metavar="FOLDER",
                        help="source tree or packages of the dense side (default: the sparse side's)")  # fmt: skip
    parser.add_argument("--compute", default="auto", help="of the sparse side (%(default)s)")
    parser.add_argument("--backend", default="auto", help="of both sides (%(default)s)")
    parser.add_argument("--precision", default="auto", help="of both sides (%(default)s)")


def chosen_pair(args: argparse.Namespace) -> tuple[Path, Path]:
    """The dense and the cut model; missing ones are made.

    Raises:
        BenchmarkError: Only one of them is given.
    """
    if args.dense is None and args.sparse is None:
        return Models(args.models).pair(args.segmenter)
    if args.dense is None or args.sparse is None:
        raise harness.BenchmarkError("expected --dense and --sparse together, found one of them")
    return args.dense, args.sparse


@contextmanager
def open_sides(dense: Path, sparse: Path, args: argparse.Namespace, **options: Any) -> Iterator[Sides]:
    """Open both sides, each in a process of its own, and print what runs them."""
    options |= {"backend": args.backend, "precision": args.precision}
    with (
        SideProcess(dense, options, args.dense_path) as first,
        SideProcess(sparse, {**options, "compute": args.compute}) as second,
    ):
        for name, side in (("dense", first), ("sparse", second)):
            opened = side.opened
            print(f"{name}: {opened['backend']} {opened['precision']}, {opened['package']}")
        yield Sides(first, second)
