"""Compare adopted models of true size with transformers in PyTorch, in fp32, fp16 and dynamic int8, on both backends.

The models have the sizes and files of those on public hubs, with random, seeded weights: parity is real, results mean
nothing. DETR runs at 480 x 640 instead of 800 x 1066, SegFormer b5 at 512 x 512 instead of 1024 x 1024.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from claims.common import harness, seeded_hubs

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import open_session, read_spec
from fastsam_engine.spec.model_input import TokenInput
from fastsam_trt import Pipeline
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.frames.image import read_image

_PRECISIONS: tuple[Literal["fp32", "fp16", "int8"], ...] = ("fp32", "fp16", "int8")
_BACKENDS = ("onnxruntime", "openvino")
_COSINE = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.98}
_AGREEMENT = {"fp32": 0.9999, "fp16": 0.99, "int8": 0.9}  # of classes, per query or pixel, and of mask pixels
_IOU = 0.98  # of segments in fp32
_KEPT = 10  # queries of DETR
_LEAST_AREA = 0.005  # of a class's segment in the picture
_CAT = Path(__file__).resolve().parents[2] / "docs" / "images" / "chelsea.png"
_TEXTS = ("a photo of a cat", "the red bus that stands left of two people", "", "word " * 100)

Row = dict[str, Any]


def main() -> int:
    """Make each model, adopt it in every precision, and compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(seeded_hubs.HUBS), action="append", help="leave the others out")
    harness.add_options(parser)
    args = parser.parse_args()
    clip = harness.SHARED / "models" / "clip-vit-base-patch32"
    harness.require("torch", "transformers", "onnx", "onnxruntime", "openvino", files=[clip])
    facts = harness.machine(("fastsam-trt", "onnx", "onnxruntime", "openvino", "torch", "transformers", "numpy"))
    rows: list[Row] = []
    for name in args.only or seeded_hubs.HUBS:
        with tempfile.TemporaryDirectory() as folder:
            rows += _compare(name, Path(folder))
        gc.collect()
    lines = harness.show_rows("adopted models and transformers, the same seeded weights", rows)
    return harness.finish(args, facts, lines, list(_checks(rows)))


def _compare(name: str, folder: Path) -> Iterator[Row]:
    from fastsam_export.adopt.adopted_from import AdoptedFrom
    from fastsam_export.adopt.adopter import adopt

    hub = seeded_hubs.HUBS[name]
    checkpoint, files = hub.make(folder)
    reference = _REFERENCES[hub.kind](checkpoint)
    gc.collect()
    for precision in _PRECISIONS:
        out = folder / precision
        start = time.process_time()
        source = AdoptedFrom(hub.repository, "", "onnx/model.onnx", f"https://huggingface.co/{hub.repository}")
        made = adopt(files, name=name, out=out, precision=precision, source=source)
        seconds = time.process_time() - start
        megabytes = sum(each.path.stat().st_size for each in made) / 1e6
        for backend in _BACKENDS:
            metrics = _MEASURES[hub.kind](out, name, backend, precision, reference)
            row = {"model": name, "precision": precision, "backend": backend, **metrics}
            yield {**row, "MB": round(megabytes), "adopted in CPU s": round(seconds, 1)}
            gc.collect()


def _compute(precision: str) -> str:
    return "auto" if precision == "int8" else "fp32"


def _photo() -> NDArray[np.uint8]:
    """The cat of the pages, 300 x 451, BGR."""
    return np.asarray(read_image(_CAT))


def _towers_reference(checkpoint: Path) -> dict[str, Any]:
    import torch
    import transformers

    model: Any = transformers.AutoModel.from_pretrained(checkpoint).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoint)
    photo = _photo()
    crops = [np.ascontiguousarray(photo[y : y + 200, x : x + 200, ::-1]) for y in (0, 100) for x in (0, 120, 251)]
    pixels = processor(images=crops, return_tensors="np", input_data_format="channels_last")["pixel_values"]
    text = model.config.text_config
    tokens = TokenInput("input_ids", text.max_position_embeddings, text.pad_token_id)
    ids = TextTokenizer(checkpoint / "tokenizer.json", tokens).tokenize([each.lower() for each in _TEXTS])
    with torch.inference_mode():
        answer = model(pixel_values=torch.from_numpy(pixels), input_ids=torch.from_numpy(ids))
        scale = float(model.logit_scale.exp())
    embeddings = {"image": answer.image_embeds.numpy(), "text": answer.text_embeds.numpy()}
    return {"inputs": {"image": pixels, "text": ids}, "embeddings": embeddings, "scale": scale}


def _measure_towers(out: Path, name: str, backend: str, precision: str, reference: dict[str, Any]) -> Row:
    from fastsam_export.parity import min_cosine

    row: Row = {}
    for part in ("image", "text"):
        graph = out / f"{name}.{part}.onnx"
        with open_session(graph, backend, "cpu", _compute(precision)) as session:
            found = session.run({session.spec.input_names[0]: reference["inputs"][part]})[f"{part}_embeds"]
        row[f"{part} cosine"] = min_cosine(reference["embeddings"][part], found)
    scale = read_spec(out / f"{name}.image.onnx").defaults["logit_scale"]
    return {**row, "agreement": "", "segments": "", "IoU": "", "scale": scale / reference["scale"]}


def _segment_reference(checkpoint: Path, kind: str) -> dict[str, Any]:
    import torch
    import transformers

    classes = {"panoptic": "DetrForSegmentation", "semantic": "SegformerForSemanticSegmentation"}
    model: Any = getattr(transformers, classes[kind]).from_pretrained(checkpoint).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoint)
    frame = _photo()
    rgb = np.ascontiguousarray(frame[..., ::-1])
    pixels = processor(images=rgb, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    with torch.inference_mode():
        answer = model(pixel_values=pixels)
    found: dict[str, Any] = {"frame": frame, "pixels": pixels.numpy(), "logits": answer.logits.numpy()}
    size = frame.shape[:2]
    if kind == "semantic":
        whole = processor.post_process_semantic_segmentation(answer, target_sizes=[size])[0].numpy()
        masks = {class_id: whole == class_id for class_id in np.unique(whole).tolist()}
        found["segments"] = [(i, mask) for i, mask in masks.items() if mask.mean() >= _LEAST_AREA]
        return {**found, "conf": None}
    scores = np.sort(answer.logits.softmax(-1)[0, :, :-1].max(-1).values.numpy())[::-1]
    conf = float((scores[_KEPT - 1] + scores[_KEPT]) / 2)
    merged = processor.post_process_panoptic_segmentation(answer, threshold=conf, target_sizes=[size])[0]
    ids = merged["segmentation"].numpy()
    found["segments"] = [(each["label_id"], ids == each["id"]) for each in merged["segments_info"]]
    return {**found, "conf": conf, "masks": answer.pred_masks.numpy()}


def _measure_segments(out: Path, name: str, backend: str, precision: str, reference: dict[str, Any]) -> Row:
    graph = out / f"{name}.onnx"
    with open_session(graph, backend, "cpu", _compute(precision)) as session:
        outputs = session.run({"pixel_values": reference["pixels"]})
    axis = 1 if reference["conf"] is None else 2
    agreement = float((outputs["logits"].argmax(axis=axis) == reference["logits"].argmax(axis=axis)).mean())
    if reference["conf"] is not None:
        same = (outputs["pred_masks"] > 0) == (reference["masks"] > 0)
        agreement = min(agreement, float(same.mean()))
    pipeline = Pipeline(out, backend=backend, precision=_compute(precision), conf=reference["conf"])
    result = pipeline(reference["frame"])
    masks, ious = result.masks(), []
    for class_id, wanted in reference["segments"]:
        overlaps = [
            float((mask & wanted).sum() / (mask | wanted).sum())
            for mask, label in zip(masks, result.class_ids.tolist(), strict=True)
            if label == class_id
        ]
        ious.append(max(overlaps, default=0.0))
    found: Row = {"agreement": agreement, "segments": len(ious), "IoU": min(ious), "scale": ""}
    return {"image cosine": "", "text cosine": "", **found}


_REFERENCES: dict[str, Any] = {
    "towers": _towers_reference,
    "panoptic": lambda checkpoint: _segment_reference(checkpoint, "panoptic"),
    "semantic": lambda checkpoint: _segment_reference(checkpoint, "semantic"),
}
_MEASURES = {"towers": _measure_towers, "panoptic": _measure_segments, "semantic": _measure_segments}


def _checks(rows: list[Row]) -> Iterator[harness.Check]:
    for row in rows:
        where = f"{row['model']} {row['precision']} on {row['backend']}"
        for part in ("image cosine", "text cosine"):
            if row[part] != "":
                yield harness.Check(f"{where}, {part}", row[part], ">=", _COSINE[row["precision"]])
        if row["agreement"] != "":
            yield harness.Check(f"{where}, agreement", row["agreement"], ">=", _AGREEMENT[row["precision"]])
            if row["precision"] == "fp32":
                yield harness.Check(f"{where}, IoU of the worst segment", row["IoU"], ">=", _IOU)
        if row["scale"] != "":
            yield harness.Check(f"{where}, logit scale", abs(row["scale"] - 1), "<=", 0.01)


if __name__ == "__main__":
    harness.entry(main)
