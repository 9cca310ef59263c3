"""Compare the speed of prototype masks at 1080 x 1920: ours, inside boxes, and ultralytics', on whole frames."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Any

from claims.common import harness

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.yolo_seg import letterbox_input
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.masks.prototype import PrototypeMasks

_FRAME_H, _FRAME_W = 1080, 1920
_PROTOTYPES, _STRIDE_PX = 32, 4  # as in YOLOv8-seg; the stride is in px of the network's input
_COUNTS = (20, 100)
_MIN_PX = 64  # one flipped pixel of ten would be a tenth of the IoU; such small masks are not compared
_SPEED_BOUND, _IOU_BOUND = 120, 0.95
_OURS, _DENSE = "ours, in boxes", "ours, on whole frames"
_NATIVE, _LETTERBOXED = "process_mask_native", "process_mask, network's size"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Drawn outputs of a network for one frame.

    Attributes:
        prototypes: (c, ph, pw) float32.
        coefficients: (n, c) float32.
        boxes: (n, 4) float32 xyxy, px of the frame.
        letterbox: Where the frame lies in the network's input.
    """

    prototypes: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    boxes: NDArray[np.float32]
    letterbox: Letterbox


def main() -> int:
    """Time both ways with 20 and with 100 masks, and compare the masks."""
    parser = argparse.ArgumentParser(description=__doc__)
    harness.add_options(parser, rounds=15, warmup=2)
    args = parser.parse_args()
    harness.require("torch", "ultralytics")
    facts = harness.machine(("fastsam-trt", "ultralytics", "torch", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for count in _COUNTS:
        scene = _scene(count)
        sides, masks = _sides(scene)
        overlaps = _mask_iou(*masks)
        times = harness.measure(sides, args.rounds, args.warmup)
        rows += harness.show_times(f"{count} masks", times, [_OURS, _NATIVE])
        checks += [
            harness.Check(f"{count} masks: mean IoU to {_NATIVE}", float(overlaps.mean()), ">=", _IOU_BOUND),
            harness.Check(f"{count} masks: smallest IoU to {_NATIVE}", float(overlaps.min()), ">=", _IOU_BOUND),
        ]
        print(f"IoU of the {len(overlaps)} masks of {_MIN_PX} px or more")
        if count == max(_COUNTS):
            speed = harness.ratio(times, _NATIVE, _OURS).median
            checks.append(harness.Check(f"{count} masks: {_NATIVE} / {_OURS}", speed, ">=", _SPEED_BOUND))
    return harness.finish(args, facts, rows, checks)


def _scene(count: int) -> Scene:
    """Smooth random prototypes, random coefficients, and boxes of 20 to 400 px inside the frame, by a fixed seed."""
    letterbox = fit(_FRAME_H, _FRAME_W, letterbox_input(640, 640, size_multiple=32, batch=(1, None)))
    generator = np.random.default_rng(0)
    size = (letterbox.input_w // _STRIDE_PX, letterbox.input_h // _STRIDE_PX)
    coarse = generator.normal(size=(_PROTOTYPES, 12, 20)).astype(np.float32)
    prototypes = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC) for plane in coarse])
    sides = generator.uniform(20, 400, (count, 2))
    corners = generator.uniform(0, 1, (count, 2)) * (np.array([_FRAME_W, _FRAME_H]) - sides)
    return Scene(
        prototypes,
        generator.normal(size=(count, _PROTOTYPES)).astype(np.float32),
        np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        letterbox,
    )


def _sides(scene: Scene) -> tuple[list[harness.Side], tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The ways to decode a scene, and its masks (n, H, W) by our code and by `process_mask_native`."""
    import torch
    from ultralytics.utils import ops

    torch.set_num_threads(os.cpu_count() or 1)  # importing ultralytics sets it to one
    letterbox = scene.letterbox
    everything = range(len(scene.boxes))
    # Set up once per source, as in the pipeline.
    resize = MapToFrame(letterbox, scene.prototypes.shape[1], scene.prototypes.shape[2])
    prototypes, coefficients, boxes = map(torch.from_numpy, (scene.prototypes, scene.coefficients, scene.boxes))
    offset = torch.tensor([letterbox.left, letterbox.top] * 2)
    letterboxed = boxes * torch.tensor([letterbox.gain_x, letterbox.gain_y] * 2) + offset
    frame, network = (_FRAME_H, _FRAME_W), (letterbox.input_h, letterbox.input_w)

    def crops() -> Any:
        return PrototypeMasks(scene.prototypes, scene.coefficients, scene.boxes, resize).decode(everything)

    def dense() -> NDArray[np.bool_]:
        return paste(crops(), *frame)

    def native() -> Any:
        return ops.process_mask_native(prototypes, coefficients, boxes, frame)

    def small() -> Any:
        return ops.process_mask(prototypes, coefficients, letterboxed, network, upsample=True)

    ways = {_OURS: crops, _DENSE: dense, _NATIVE: native, _LETTERBOXED: small}
    sides = [harness.Side(name, harness.wall_clock(call)) for name, call in ways.items()]
    return sides, (dense(), native().numpy().astype(np.bool_))


def _mask_iou(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU of each mask in two (n, H, W), for masks of `_MIN_PX` or more: (k,)."""
    kept = theirs.sum(axis=(1, 2)) >= _MIN_PX
    both = np.logical_and(ours[kept], theirs[kept]).sum(axis=(1, 2))
    return np.asarray(both / np.logical_or(ours[kept], theirs[kept]).sum(axis=(1, 2)), np.float64)


if __name__ == "__main__":
    harness.entry(main)
