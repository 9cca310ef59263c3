"""Our runtime on an NVIDIA GPU against PyTorch on the same one: whole calls, bare networks, and the chip's limit.

Once, on a machine with the export extra; then on the machine with the GPU, which needs `onnxruntime-gpu` (or TensorRT)
and, for the other side, transformers and PyTorch, with ultralytics or with the TorchScript that the first command made:

    python benchmarks/gpu.py --export models
    python benchmarks/gpu.py --models models --json results.jsonl

`--only NAME` takes fewer models (FastSAM-x alone is most of a gigabyte), and `--device cpu` rehearses all of it without
a GPU: its figures say nothing. What the folder lacks is made there if it can be; CLIP takes torch, transformers, onnx.

Sides run in turn in one process. One that can't run, or that does not find again what our fp32 graphs find on the
processor, gets a row with the reason. Without crops ten segments are decoded, with crops the one that answers the
prompt: PyTorch decodes all and embeds the text each time, as is usual. Several frames at a time go through one run of
the segmenter, and CLIP takes each frame's crops. In the tables:

    kept            segments of the reference found again at IoU 0.9, of the same class; cosine: the smallest of CLIP's
    / PyTorch       the time over PyTorch's of the same round
    networks ms     what the networks alone take for it, on inputs that lie on the device, ten times in a row
    share           that over the whole call; the aim is 0.9
    limit           operations a second, of the whole call and of the networks, over those of square matrix products

fp32 is whole on all sides but ONNX Runtime's TensorRT provider, which rounds factors to 10 bits (tf32).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import gpu_chip
import harness
from gpu_case import SCRIPT, ULTRALYTICS, Case, Reference, attempt
from gpu_sides import Ours, Side
from gpu_torch import Scripted, Ultralytics
from seeded_models import CLIP, SEGMENTERS, Models

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, read_spec
from fastsam_engine.model_spec import ImageInput
from fastsam_engine.tensorrt.gpus import gpus
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.letterbox import fit
from fastsam_trt.picture import read_picture

_SEGMENTERS = ("yolov8n-seg", "fastsam-s", "fastsam-x")
_FRAME = (1080, 1920)
_SHARE_BOUND = 0.9
_ON_GPU = (("onnxruntime", "cuda", False), ("onnxruntime", "cuda", True), ("onnxruntime", "tensorrt", False),
           ("tensorrt", "cuda", False), ("tensorrt-rtx", "cuda", False))  # fmt: skip
_ON_CPU = (("onnxruntime", "cpu", False),)
_PACKAGES = ("fastsam-trt", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-cu13", "tensorrt-rtx-cu13",
             "torch", "ultralytics", "transformers", "numpy", "nvidia-ml-py")  # fmt: skip
_COLUMNS = ("side", "computes", "kept", "cosine", "p50 ms", "p99 ms", "FPS", "/ PyTorch", "networks ms", "share",
            "limit p50", "limit networks", "note")  # fmt: skip


def main() -> int:
    """Take the options, look at the machine, and go through models, precisions, batches and crops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses (cuda)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models; what it lacks is made there if it can be")
    parser.add_argument("--export", type=Path, metavar="DIR", help="make the models in this folder, and no more")
    parser.add_argument("--only", choices=_SEGMENTERS, action="append", help="leave the other models out")
    parser.add_argument("--precision", choices=("fp16", "fp32"), nargs="+", default=["fp16", "fp32"])
    parser.add_argument("--crops", type=int, nargs="+", metavar="N", help="CLIP crops a frame (0 10 100; cpu: 0 2)")
    parser.add_argument("--batch", type=int, nargs="+", metavar="N", help="frames at a time (1 8; cpu: 1 2)")
    parser.add_argument("--imgsz", type=int, metavar="PX", help="longest side of the input (the model's; cpu: 256)")
    harness.add_options(parser, rounds=50, warmup=5)
    args = parser.parse_args()
    rehearsal = args.device == "cpu"
    args.crops = args.crops or ([0, 2] if rehearsal else [0, 10, 100])
    args.batch = args.batch or ([1, 2] if rehearsal else [1, 8])
    args.imgsz = args.imgsz or (256 if rehearsal else None)
    args.warmup = min(args.warmup, 1) if rehearsal else args.warmup
    args.only = args.only or list(_SEGMENTERS)
    if args.export:
        return _export(args, Models(args.export))
    if not rehearsal and not gpus():
        raise harness.BenchmarkError("expected an NVIDIA GPU with its driver, found none; rehearse with: --device cpu")
    facts = {**harness.machine(_PACKAGES), **_chip(args), "rehearsal": rehearsal}
    if rehearsal:
        print("a rehearsal on the processor: its figures say nothing")
    code = 0
    with _folder(args.models) as folder:
        for name in args.only:
            for precision in args.precision:
                for rows, figures in _model(args, Models(folder), name, precision, facts["limits"]):
                    code = max(code, harness.finish(args, facts, rows, figures))  # at once: what follows may fail
    return code


def _model(
    args: argparse.Namespace, models: Models, name: str, precision: str, limits: dict[str, float]
) -> Iterator[tuple[list[dict[str, Any]], list[harness.Figure]]]:
    """Rows and figures of one model in one precision, case by case."""
    imgsz, frame = args.imgsz or SEGMENTERS[name].imgsz_px, _frame()
    reference, why = attempt(lambda: Reference(models, name, frame, imgsz))
    if reference is None:
        yield _shown(f"{name} {precision}", [{"side": "all", "note": why}]), []
        return
    in_a_row = 1 if args.device == "cpu" else 10
    sides, failed = list[Side](), dict[str, str]()
    for label, make in _makers(args, models, name, precision, imgsz, reference.iou).items():
        side, why = attempt(make)
        if side is None:
            failed[label] = why
        else:
            side.name = label
            sides.append(side)
    for batch in args.batch:
        for crops in args.crops:
            case = Case(
                f"{name} {precision}, {batch} frames, {crops} crops", reference, [frame] * batch, crops, in_a_row
            )
            operations, why = attempt(partial(_operations, models, name, imgsz, crops))
            rows = case.run(sides, args.rounds, args.warmup, failed)
            for row in rows:
                limit = limits.get(str(row.get("computes")))
                for what in ("p50", "networks"):
                    if operations is not None and limit and row.get(f"{what} ms"):
                        row[f"limit {what}"] = operations * batch / (row[f"{what} ms"] / 1e3) / limit
            held = [row for row in rows if "share" in row and row["side"].startswith("ours") and args.device != "cpu"]
            figures = [
                harness.Figure(f"{case.title}: {row['side']}: networks' share", row["share"], ">=", _SHARE_BOUND)
                for row in held
            ]
            yield _shown(case.title, rows), figures


def _makers(
    args: argparse.Namespace, models: Models, name: str, precision: str, imgsz: int, iou: float
) -> dict[str, Callable[[], Side]]:
    """What opens each side, by its name."""
    device, half = args.device, precision == "fp16"
    makers: dict[str, Callable[[], Side]] = {}

    def ours(backend: str, where: str, *, cuda_graph: bool) -> Side:
        # By name fp32 is whole; TensorRT's provider can't promise that, nor a processor fp16.
        asked = "fp32" if precision == "fp32" and where != "tensorrt" else "auto"
        return Ours(models, name, precision, imgsz, (backend, where, asked), cuda_graph=cuda_graph)

    for backend, where, cuda_graph in _ON_CPU if device == "cpu" else _ON_GPU:
        label = f"ours {backend} {where}{' graph' if cuda_graph else ''}"
        makers[label] = partial(ours, backend, where, cuda_graph=cuda_graph)
    makers[ULTRALYTICS] = lambda: Ultralytics(models.weights(name), models.clip_weights, imgsz, device, iou, half=half)
    makers[SCRIPT] = lambda: Scripted(
        models.export(name, "fp32"), _script(models, name, imgsz), models.clip_weights, imgsz, device, half=half
    )
    return makers


def _script(models: Models, name: str, imgsz: int) -> Path:
    """The TorchScript for the frame as it lies in the input."""
    image = cast("ImageInput", read_spec(find_graph(models.export(name, "fp32"))).input)
    placed = fit(*_FRAME, image, (imgsz, imgsz))
    return models.script(name, placed.input_h, placed.input_w)


def _operations(models: Models, name: str, imgsz: int, crops: int) -> float:
    """Operations of the networks for one frame; those of a segmenter grow with the area of its input."""
    image = cast("ImageInput", read_spec(find_graph(models.export(name, "fp32"))).input)
    placed = fit(*_FRAME, image, (imgsz, imgsz))
    area = placed.input_h * placed.input_w / (image.height * image.width)
    return models.operations(name) * area + (crops * models.operations(CLIP) if crops else 0)


def _shown(title: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Print rows as a table, blank where there is no figure; return them for JSON."""
    columns = [each for each in _COLUMNS if any(each in row for row in rows)]
    cells = [[row.get(column, "") for column in columns] for row in rows]
    shown = [[f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row] for row in cells]
    harness.show_rows(title, [dict(zip(columns, row, strict=True)) for row in shown])
    return [{"kind": "row", "title": title, **row} for row in rows]


def _export(args: argparse.Namespace, models: Models) -> int:
    """Make the models: 1 if one can't be made."""
    calls: dict[str, Callable[[], object]] = {}
    for name in args.only:
        imgsz = args.imgsz or SEGMENTERS[name].imgsz_px
        for precision in args.precision:
            calls[f"{name} {precision}"] = partial(models.export, name, precision)
        calls[f"{name} TorchScript"] = partial(_script, models, name, imgsz)
        calls[f"{name} operations"] = partial(models.operations, name)
    if any(args.crops):
        calls |= {f"{CLIP} {precision}": partial(models.export, CLIP, precision) for precision in args.precision}
        calls[f"{CLIP} operations"] = partial(models.operations, CLIP)
    reasons = {what: attempt(call)[1] for what, call in calls.items()}
    harness.show_rows(f"models in {models.folder}", [{"what": what, "missing": why} for what, why in reasons.items()])
    return int(any(reasons.values()))


def _chip(args: argparse.Namespace) -> dict[str, Any]:
    """Print and return what the GPU is, and the operations a second that it reaches, by precision."""
    sizes = (1024,) if args.device == "cpu" else (4096, 8192)
    limits, chip = dict[str, float](), dict[str, Any]()
    for precision in ("fp32",) if args.device == "cpu" else ("fp16", "tf32", "fp32"):
        limit, why = attempt(partial(gpu_chip.ceiling, args.device, precision, sizes))
        if limit is not None:
            limits[precision] = limit
        print(f"limit, {precision}: {f'{limit / 1e12:.4g} TFLOP/s' if limit else why}")
    if args.device != "cpu":
        found, why = attempt(gpu_chip.chip)
        chip = found or {"name": gpus()[0].name, "note": why}
        print(", ".join(f"{what} {value}" for what, value in chip.items()))
    return {"gpu": chip, "limits": limits}


def _frame() -> NDArray[np.uint8]:
    """A frame of full HD: a photo beside and below itself, or where there is none, a drawn scene."""
    photo = harness.SHARED / "images" / "bus.jpg"
    if not photo.is_file():
        return draw_scene(0, *_FRAME).frame
    picture = read_picture(photo)
    times = [-(-whole // part) for whole, part in zip(_FRAME, picture.shape[:2], strict=True)]
    return np.ascontiguousarray(np.tile(picture, (*times, 1))[: _FRAME[0], : _FRAME[1]])


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder that was given, or one that goes again."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


if __name__ == "__main__":
    harness.entry(main)
