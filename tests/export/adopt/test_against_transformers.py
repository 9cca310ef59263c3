"""Adopted models compared with transformers on the same seeded weights, in every precision that hubs have.

One test per model: making a model and adopting it takes longer than comparing it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine import open_session, read_spec
from fastsam_export.family import Exported
from fastsam_export.parity import cpu_backends, min_cosine
from fastsam_trt import Pipeline
from fastsam_trt.clip.crops import clip_batch
from fastsam_trt.clip.tokenizer import TextTokenizer
from support import hub_models, small_towers, small_transformers
from support.typed import image_input, token_input

pytestmark = pytest.mark.usefixtures("export_extra")

Adopt = Callable[..., list[Exported]]
SIZE = small_transformers.SIZE
TEXTS = ["a photo of a cat", "The RED bus", "", "two people, left of the car!", "word " * 60, "naïve café"]
PRECISIONS = ("fp32", "fp16", "int8")
COSINE = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.98}
AGREEMENT = {"fp32": 0.999, "fp16": 0.98, "int8": 0.93}  # of classes per pixel or query, and of mask pixels
COMPUTE = {"fp32": "fp32", "fp16": "fp32", "int8": "auto"}


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2"])
def test_towers_embed_as_transformers_does(tmp_path: Path, adopt: Adopt, name: str) -> None:
    import torch
    import transformers

    checkpoint, hub = tmp_path / "checkpoint", tmp_path / "hub"
    if name == "clip":
        small_towers.save_clip(checkpoint)
        hub_models.save_clip(hub, checkpoint)
    else:
        small_towers.save_siglip(checkpoint, second=name == "siglip2")
        hub_models.save_siglip(hub, checkpoint)
    folders = {each: adopt(hub, f"{name}-{each}", precision=each)[0].path.parent for each in PRECISIONS}
    folder = folders["fp32"]
    image, text = (read_spec(folder / f"{name}-fp32.{part}.onnx") for part in ("image", "text"))

    kind = transformers.Siglip2Tokenizer if name == "siglip2" else transformers.PreTrainedTokenizerFast
    reference, tokens = kind.from_pretrained(checkpoint), token_input(text)
    assert tokens.length == (small_towers.CLIP_TOKENS if name == "clip" else small_towers.SIGLIP_TOKENS)
    assert tokens.pad_id == {"siglip": 1, "siglip2": 0}.get(name, reference.pad_token_id)
    ids = TextTokenizer(folder / "tokenizer.json", tokens).tokenize(TEXTS)
    expected = reference(TEXTS, padding="max_length", truncation=True, max_length=tokens.length, return_tensors="np")
    np.testing.assert_array_equal(ids, expected["input_ids"])

    frames = [small_transformers.tiles(64, 64, seed=7), small_transformers.tiles(150, 150, seed=8)[..., ::-1].copy()]
    pixels = transformers.AutoImageProcessor.from_pretrained(checkpoint)(
        images=[np.ascontiguousarray(frame[..., ::-1]) for frame in frames], return_tensors="np",
        input_data_format="channels_last",
    )["pixel_values"]  # fmt: skip
    ours = [clip_batch(frame, np.array([[0, 0, *frame.shape[1::-1]]]), image_input(image)) for frame in frames]
    assert (np.abs(np.concatenate(ours) - pixels) * np.min(image_input(image).std) * 255).max() < 1.05  # grey levels

    model: Any = transformers.AutoModel.from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        answer = model(pixel_values=torch.from_numpy(pixels), input_ids=torch.from_numpy(ids))
    parts = {"image": (pixels, answer.image_embeds.numpy()), "text": (ids, answer.text_embeds.numpy())}
    for precision, each in folders.items():
        for backend in cpu_backends():
            for part, (given, wanted) in parts.items():
                graph = each / f"{name}-{precision}.{part}.onnx"
                with open_session(graph, backend, "cpu", COMPUTE[precision]) as session:
                    found = session.run({session.spec.input_names[0]: given})[f"{part}_embeds"]
                assert min_cosine(found, wanted) >= COSINE[precision], (precision, backend, part)
                np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        defaults = read_spec(each / f"{name}-{precision}.image.onnx").defaults
        assert defaults["logit_scale"] == pytest.approx(float(model.logit_scale.exp()), rel=5e-3)
        if name != "clip":
            bias = -defaults["even_cosine"] * defaults["logit_scale"] - np.log(9)
            assert bias == pytest.approx(float(model.logit_bias), abs=0.1)

    if name == "clip":
        shutil.copytree(hub, tmp_path / "apart", ignore=shutil.ignore_patterns("model.onnx", "model_*.onnx"))
        apart = adopt(tmp_path / "apart", "apart")[0].path
        assert read_spec(apart).defaults["logit_scale"] == 100
        with open_session(apart, "onnxruntime", "cpu") as session:
            assert min_cosine(session.run({"pixel_values": pixels})["image_embeds"], parts["image"][1]) >= 0.9999
    else:  # why the padding must be the model's own: it is seen
        other = np.where(ids[:1] == tokens.pad_id, 1 - tokens.pad_id, ids[:1])
        with open_session(folder / f"{name}-fp32.text.onnx", "onnxruntime", "cpu") as session:
            right, wrong = (session.run({"input_ids": each})["text_embeds"] for each in (ids[:1], other))
        assert min_cosine(right, wrong) < 0.99


def _answer(model: Any, processor: Any, frame: np.ndarray) -> Any:
    import torch

    pixels = processor(
        images=np.ascontiguousarray(frame[..., ::-1]), size={"height": SIZE[0], "width": SIZE[1]}, return_tensors="pt",
        input_data_format="channels_last",
    )["pixel_values"]  # fmt: skip
    with torch.inference_mode():
        return pixels.numpy(), model(pixel_values=pixels)


def _run(graph: Path, backend: str, precision: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    with open_session(graph, backend, "cpu", COMPUTE[precision]) as session:
        return session.run({"pixel_values": pixels})


def test_segformer_segments_as_transformers_does(tmp_path: Path, adopt: Adopt) -> None:
    import transformers

    checkpoint, hub = tmp_path / "checkpoint", tmp_path / "hub"
    small_transformers.save_segformer(checkpoint)
    hub_models.save_segformer(hub, checkpoint)
    frame = small_transformers.tiles(300, 400, seed=5)
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(checkpoint).eval()
    processor = transformers.SegformerImageProcessor.from_pretrained(checkpoint)
    pixels, answer = _answer(model, processor, frame)
    expected = processor.post_process_semantic_segmentation(answer, target_sizes=[frame.shape[:2]])[0].numpy()
    for precision in PRECISIONS:
        graph = adopt(hub, f"segformer-{precision}", precision=precision)[0].path
        for backend in cpu_backends():
            logits = _run(graph, backend, precision, pixels)["logits"]
            assert (logits.argmax(axis=1) == answer.logits.numpy().argmax(axis=1)).mean() >= AGREEMENT[precision]
            if precision != "fp32":
                continue
            result = Pipeline(graph.parent, backend=backend, precision="fp32")(frame)
            assert len(result) >= 4
            for class_id, mask in zip(result.class_ids.tolist(), result.masks(), strict=True):
                same = expected == class_id
                assert (same & mask).sum() / (same | mask).sum() >= 0.98


def test_detr_segments_as_transformers_and_the_cut_export_do(tmp_path: Path, adopt: Adopt) -> None:
    import transformers

    from fastsam_export import export_model

    checkpoint, hub = tmp_path / "checkpoint", tmp_path / "hub"
    small_transformers.save_detr(checkpoint)
    hub_models.save_detr(hub, checkpoint)
    frame = small_transformers.tiles(300, 400, seed=5)
    model = transformers.DetrForSegmentation.from_pretrained(checkpoint).eval()
    processor = transformers.DetrImageProcessor.from_pretrained(checkpoint)
    pixels, answer = _answer(model, processor, frame)
    classes, masks = answer.logits.numpy().argmax(axis=2), answer.pred_masks.numpy() > 0
    expected = processor.post_process_panoptic_segmentation(answer, threshold=0.3, target_sizes=[frame.shape[:2]])[0]
    for precision in PRECISIONS:
        graph = adopt(hub, f"detr-{precision}", precision=precision, imgsz=SIZE)[0].path
        for backend in cpu_backends():
            found = _run(graph, backend, precision, pixels)
            assert (found["logits"].argmax(axis=2) == classes).mean() >= AGREEMENT[precision]
            assert ((found["pred_masks"] > 0) == masks).mean() >= AGREEMENT[precision]
            if precision == "fp32":
                _check_segments(Pipeline(graph.parent, conf=0.3, backend=backend, precision="fp32")(frame), expected)
    export_model("detr", weights=checkpoint, imgsz=SIZE, out=tmp_path / "exported")
    folders = tmp_path / "models" / "detr-fp32", tmp_path / "exported"
    dense, cut = (Pipeline(each, conf=0.3, precision="fp32")(frame) for each in folders)
    np.testing.assert_array_equal(dense.class_ids, cut.class_ids)
    np.testing.assert_allclose(dense.scores, cut.scores, atol=1e-4)
    assert (dense.masks() == cut.masks()).mean() > 0.999


def _check_segments(result: Any, expected: Any) -> None:
    assert len(result) == len(expected["segments_info"]) >= 1
    masks = result.masks()
    for segment in expected["segments_info"]:
        wanted = expected["segmentation"].numpy() == segment["id"]
        overlap = (masks & wanted).sum(axis=(1, 2)) / (masks | wanted).sum(axis=(1, 2))
        best = int(overlap.argmax())
        assert overlap[best] >= 0.98
        assert result.class_ids[best] == segment["label_id"]
        assert result.scores[best] == pytest.approx(segment["score"], abs=1e-3)
