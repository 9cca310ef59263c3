"""Compare DETR, Mask2Former and SegFormer of true size with transformers in PyTorch, and DETR with a single graph.

Weights are random: the cost is true, the results mean nothing. The time of every side is from a frame to its masks at
the size of the frame. DETR keeps ten queries on every side.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import multiprocessing
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from claims.common import harness

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_trt.frames.letterbox import fit
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.segmentation import panoptic_merge
from fastsam_trt.segmentation.segmenter import Segmenter

_KEPT = 10
_OURS = (("openvino", "auto"), ("openvino", "fp32"), ("onnxruntime", "fp32"))


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A model: its name, its input size, and the required speed-up by precision."""

    name: str
    size: tuple[int, int]
    bounds: dict[str, float]
    make: Callable[[Path], None]


def _detr(folder: Path) -> None:
    import transformers

    backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    config = transformers.DetrConfig(use_timm_backbone=False, backbone_config=backbone, num_labels=250)
    model = transformers.DetrForSegmentation(config)
    model.detr.model.query_position_embeddings.weight.data *= 10
    model.detr.class_labels_classifier.weight.data *= 30
    model.save_pretrained(folder)
    transformers.DetrImageProcessor().save_pretrained(folder)


def _mask2former(folder: Path) -> None:
    import transformers

    backbone = transformers.SwinConfig(out_features=["stage1", "stage2", "stage3", "stage4"])  # the defaults are tiny
    config = transformers.Mask2FormerConfig(backbone_config=backbone, num_labels=133)
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    model.class_predictor.weight.data *= 30
    model.save_pretrained(folder)
    transformers.Mask2FormerImageProcessor(size={"height": 384, "width": 384}).save_pretrained(folder)


def _segformer(folder: Path) -> None:
    import transformers

    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=19))  # b0
    model.decode_head.classifier.weight.data *= 20
    model.save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 512, "width": 1024}).save_pretrained(folder)


CASES = {
    case.name: case
    for case in (
        Case("detr", (480, 640), {"auto": 8.0}, _detr),
        Case("mask2former", (384, 384), {"auto": 2.5, "fp32": 1.2}, _mask2former),
        Case("segformer", (512, 1024), {"auto": 2.5, "fp32": 1.2}, _segformer),
    )
}


def main() -> int:
    """Export, then time the sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(CASES), action="append", help="leave the others out")
    harness.add_options(parser, rounds=7, warmup=2)
    args = parser.parse_args()
    harness.require("torch", "transformers", "onnx", "onnxruntime", "openvino")
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "torch", "transformers", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only or CASES:
            made, held = _case(CASES[name], Path(folder), args.rounds, args.warmup)
            rows += made
            checks += held
    return harness.finish(args, facts, rows, checks)


def _case(case: Case, folder: Path, rounds: int, warmup: int) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    import torch

    from fastsam_export import export_model

    torch.manual_seed(0)
    weights, out = folder / f"{case.name}-weights", folder / case.name
    case.make(weights)
    export_model(case.name, weights=weights, imgsz=case.size, out=out)
    gc.collect()
    frame = _frame()
    conf = _conf(find_graph(out), frame) if case.name == "detr" else None
    torch_side = "transformers PyTorch"
    calls = {torch_side: _reference(case, weights, frame, conf)}
    for backend, precision in _OURS:
        calls[f"ours {backend} {precision}"] = _ours(out, frame, backend, precision, conf)
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    if case.name == "detr":
        whole = _one_graph(weights, out, folder / "one.onnx", case.size)
        calls["one ONNX graph, openvino auto"] = _whole(whole, frame)
    sides = [harness.Side(name, harness.wall_clock(call)) for name, call in calls.items()]
    times = harness.measure(sides, rounds, warmup, lead_in=False)
    rows += harness.show_times(f"{case.name} {case.size[0]} x {case.size[1]}", times, [torch_side])
    for precision, bound in case.bounds.items():
        speed_up = 1 / harness.ratio(times, f"ours openvino {precision}", torch_side).median
        name = f"{case.name}, transformers PyTorch / ours, OpenVINO {precision}"
        checks.append(harness.Check(name, speed_up, ">=", bound))
    if case.name == "detr":
        speed_up = 1 / harness.ratio(times, "ours openvino auto", "one ONNX graph, openvino auto").median
        checks.append(harness.Check("detr, one graph / ours, OpenVINO auto", speed_up, ">=", 3))
        calls.clear()
        gc.collect()
        peaks = {"ours": _peak_mb(_run_ours, out), "one graph": _peak_mb(_run_whole, whole)}
        rows += harness.show_rows("detr, peak memory over the libraries', MB", [peaks])
        share = peaks["ours"] / peaks["one graph"]
        checks.append(harness.Check("detr, peak memory ours / one graph", share, "<=", 1 / 3))
    return rows, checks


def _frame() -> NDArray[np.uint8]:
    """A drawn frame of 480 x 640, BGR."""
    from fastsam_export.parity import synthetic_pictures

    return synthetic_pictures(1, 480, 640)[0]


def _conf(graph: Path, frame: NDArray[np.uint8]) -> float:
    """The threshold that keeps ten queries of a frame."""
    session = open_session(graph, "onnxruntime")
    array, _ = FramePreprocessor(session.spec.input).prepare(frame)  # type: ignore[arg-type]
    logits = session.run({session.spec.input_names[0]: array})["class_logits"][0]
    scores = np.sort(panoptic_merge.choose_queries(logits, 0.0, len(logits)).scores)[::-1]
    if len(scores) <= _KEPT:
        raise harness.BenchmarkError(f"expected more than {_KEPT} queries with an object, found {len(scores)}")
    return float((scores[_KEPT - 1] + scores[_KEPT]) / 2)


def _reference(case: Case, weights: Path, frame: NDArray[np.uint8], conf: float | None) -> Callable[[], object]:
    """Transformers: processor, model, post-processing."""
    import torch
    import transformers

    kind = {
        "detr": (transformers.DetrForSegmentation, transformers.DetrImageProcessor),
        "mask2former": (transformers.Mask2FormerForUniversalSegmentation, transformers.Mask2FormerImageProcessor),
        "segformer": (transformers.SegformerForSemanticSegmentation, transformers.SegformerImageProcessor),
    }[case.name]
    model, processor = kind[0].from_pretrained(weights).eval(), kind[1].from_pretrained(weights)
    size = {"height": case.size[0], "width": case.size[1]}
    height, width = frame.shape[:2]

    def call() -> object:
        rgb = np.ascontiguousarray(frame[..., ::-1])
        pixels = processor(images=rgb, size=size, return_tensors="pt", input_data_format="channels_last")
        with torch.inference_mode():
            answer = model(pixel_values=pixels["pixel_values"])
            if case.name == "segformer":
                return processor.post_process_semantic_segmentation(answer, target_sizes=[(height, width)])
            return processor.post_process_panoptic_segmentation(
                answer, threshold=0.5 if conf is None else conf, target_sizes=[(height, width)]
            )

    return call


def _ours(
    model: Path, frame: NDArray[np.uint8], backend: str, precision: str, conf: float | None
) -> Callable[[], object]:
    # The ten surest, since other precisions would move a few across the threshold.
    chosen = {} if conf is None else {"conf": 0.0, "max_segments": _KEPT}
    segmenter = Segmenter(model, backend=backend, precision=precision, **chosen)

    def call() -> object:
        segments = segmenter(frame)
        return segments.masks.decode(range(len(segments)))

    return call


def _one_graph(weights: Path, ours: Path, path: Path, size: tuple[int, int]) -> Path:
    """The whole model as one graph, mask head on all queries, with a spec beside ours."""
    import torch
    import transformers

    from fastsam_engine.spec.model_spec import Output
    from fastsam_export.frameworks import transformers_models
    from fastsam_export.onnx_file import write_spec

    class Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = transformers.DetrForSegmentation.from_pretrained(weights).eval()

        def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self.model(pixel_values)
            return found.logits, found.pred_masks

    outputs = ("class_logits", "mask_logits")
    transformers_models.trace(Whole(), (torch.zeros(1, 3, *size),), path, ["pixel_values"], outputs, {})
    spec = read_spec(find_graph(ours))
    meanings = ("query-class-logits", "1 Q C"), ("query-mask-logits", "1 Q H W")
    described = tuple(Output(name, *meaning) for name, meaning in zip(outputs, meanings, strict=True))
    write_spec(path, dataclasses.replace(spec, outputs=described, parity=None))
    return path


def _whole(path: Path, frame: NDArray[np.uint8]) -> Callable[[], object]:
    """One graph, then the same merging as ours."""
    session = open_session(path, "openvino", frames=True)
    image: Any = session.spec.input
    preprocess = FramePreprocessor(image)

    def call() -> object:
        array, letterbox = preprocess.prepare(frame)
        outputs = session.run({image.name: array})
        found = panoptic_merge.choose_queries(outputs["class_logits"][0], 0.0, _KEPT)
        logits = outputs["mask_logits"][0][found.indices]
        resize = MapToFrame(letterbox, *logits.shape[1:])
        segments = panoptic_merge.merge(panoptic_merge.sigmoid(logits), found, resize, None)
        return segments.masks.decode(range(len(segments)))

    return call


def _run_ours(path: Path) -> None:
    _ours(path, _frame(), "openvino", "auto", 0.0)()


def _run_whole(path: Path) -> None:
    _whole(path, _frame())()


def _peak_mb(run: Callable[[Path], None], path: Path) -> float:
    """Peak memory of a fresh process that opens a model and segments one frame, over what it held before."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_grown_mb, run, path).result()


def _grown_mb(run: Callable[[Path], None], path: Path) -> float:
    import openvino

    openvino.Core()
    fit(1, 1, read_spec(find_graph(path)).input)  # type: ignore[arg-type]
    before = _status_kb("VmRSS")
    run(path)
    return (_status_kb("VmHWM") - before) / 1024  # not ru_maxrss, which a process inherits from its parent


def _status_kb(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise harness.BenchmarkError(f"expected {name} in /proc/self/status, found none; memory is measured on Linux")
    return int(found[1])


if __name__ == "__main__":
    harness.entry(main)
