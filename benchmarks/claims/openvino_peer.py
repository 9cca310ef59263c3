"""Compare our whole call with ultralytics on its own OpenVINO export, its fastest on a processor: a process per side.

The export takes inputs of any size, so both sides use the smallest rectangle. Ultralytics finds everything, with masks
of the network's size or of the frame's; ours have the frame's. The bounds are for our call with the prompt.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from claims.common import harness, reference
from claims.common.photos import save_frame
from claims.common.side_process import SideProcess
from fastsam_trt.frames.image import read_image

_IMGSZ_PX = 640
_PROMPTED, _EVERYTHING = "ours, prompt", "ours, everything"
_SMALL, _FULL = "ultralytics, small masks", "ultralytics, masks on frames"
_SIZES = {"480 x 640": (480, 640), "1080 x 1920": (1080, 1920)}
_BOUNDS = {"480 x 640": {_SMALL: 0.53}, "1080 x 1920": {_SMALL: 0.62, _FULL: 0.18}}


def main() -> int:
    """Time all sides on frames of each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=harness.SHARED / "images" / "bus.jpg", help="photo to tile")
    parser.add_argument("--prompt", default="bus", help="class in it (%(default)s)")
    parser.add_argument("--weights", type=Path, default=reference.WEIGHTS, help="ultralytics' checkpoint")
    parser.add_argument("--model", default="yolov8n-seg", help="our export of it: name, folder or file")
    parser.add_argument("--path", type=Path, metavar="FOLDER", help="source tree or packages of our side")
    harness.add_options(parser, rounds=40, warmup=5)
    args = parser.parse_args()
    harness.require("torch", "ultralytics", "openvino", files=(args.image, args.weights))
    reference.check_same_weights(args.model, args.weights)
    facts = harness.machine(("fastsam-trt", "openvino", "ultralytics", "torch", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        export = _export(args.weights, Path(folder))
        options = {"imgsz": _IMGSZ_PX, "selector": "labels"}
        calls = {_PROMPTED: {"prompts": [args.prompt]}, _EVERYTHING: {}}
        ours = {name: stack.enter_context(SideProcess(args.model, options, args.path)) for name in calls}
        peers = {
            _SMALL: stack.enter_context(reference.Peer(export, _IMGSZ_PX)),
            _FULL: stack.enter_context(reference.Peer(export, _IMGSZ_PX, frame_masks=True)),
        }
        opened = ours[_PROMPTED].opened
        print(f"ours: {opened['backend']} {opened['precision']}, {opened['package']}")
        for title, size in _SIZES.items():
            image = save_frame(Path(folder), title, args.image, *size)
            for name, side in ours.items():
                side.show(image)
                print(f"{title}, {name}: {side.case(calls[name])['segments']} segments")
            for peer in peers.values():
                peer.show(read_image(image))
            sides = [harness.Side(name, side.time_ms) for name, side in ours.items()]
            sides += [harness.Side(name, peer.time_ms) for name, peer in peers.items()]
            times = harness.measure(sides, args.rounds, args.warmup)
            rows += harness.show_times(f"whole call, {title}", times, list(peers))
            checks += [
                harness.Check(
                    f"{title}: {_PROMPTED} / {name}", harness.ratio(times, _PROMPTED, name).median, "<=", bound
                )
                for name, bound in _BOUNDS[title].items()
            ]
    return harness.finish(args, facts, rows, checks)


def _export(weights: Path, folder: Path) -> Path:
    """Ultralytics' export, made in a process of its own."""
    copy = Path(shutil.copy(weights, folder))  # ultralytics writes beside the weights
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        return apart.submit(reference.export_openvino, copy).result()


if __name__ == "__main__":
    harness.entry(main)
