"""Exports of SegFormer, Mask2Former and DETR: small seeded models, compared with transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.spec.model_input import FeatureInput
from fastsam_engine.spec.spec_document import parse_spec
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.frames.letterbox import fit
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.segmentation.families import Thresholds
from fastsam_trt.segmentation.segmenter import Segmenter
from support import small_transformers

pytestmark = pytest.mark.usefixtures("export_extra")

FAMILIES = small_transformers.FAMILIES
HEIGHT, WIDTH = small_transformers.SIZE


@pytest.fixture(scope="session")
def reference(small_checkpoints: dict[str, Path]) -> Callable[[str], tuple[Any, Any]]:
    """Model and processor of a family, as transformers loads them."""
    import transformers

    classes = {
        "segformer": (transformers.SegformerForSemanticSegmentation, transformers.SegformerImageProcessor),
        "mask2former": (transformers.Mask2FormerForUniversalSegmentation, transformers.Mask2FormerImageProcessor),
        "detr": (transformers.DetrForSegmentation, transformers.DetrImageProcessor),
    }

    def load(family: str) -> tuple[Any, Any]:
        model, processor = classes[family]
        return model.from_pretrained(small_checkpoints[family]).eval(), processor.from_pretrained(
            small_checkpoints[family]
        )

    return load


def _answer(model: Any, processor: Any, frame: np.ndarray) -> Any:
    import torch

    pixels = processor(
        images=np.ascontiguousarray(frame[..., ::-1]), size={"height": HEIGHT, "width": WIDTH}, return_tensors="pt",
        input_data_format="channels_last",
    )["pixel_values"]  # fmt: skip
    with torch.inference_mode():
        return model(pixel_values=pixels)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_files_explain_themselves(small_exports: dict[str, Path], family: str) -> None:
    graphs = sorted(each.name for each in small_exports[family].iterdir())
    parts = (".masks", "", ".preprocess") if family == "detr" else ("", ".preprocess")
    assert graphs == [f"{family}{part}.onnx" for part in parts]
    for graph in small_exports[family].iterdir():
        spec = read_spec(graph)
        assert spec.family == family
        assert spec.parity is not None
        assert set(spec.parity.worst) == set(spec.parity.tolerance)
        assert any("onnxruntime" in inputs and "openvino" in inputs for inputs in spec.parity.inputs)
        assert parse_spec(spec.to_json()) == spec
    image = read_spec(find_graph(small_exports[family])).input
    assert (image.height, image.width, image.resize, image.interpolation) == (HEIGHT, WIDTH, "stretch", "bilinear")
    assert image.mean == pytest.approx((0.485, 0.456, 0.406))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(240, 320), (HEIGHT, WIDTH), (50, 70), (700, 333)])
def test_preprocessing_is_the_processors(
    small_exports: dict[str, Path], reference: Callable[[str], tuple[Any, Any]], family: str, size: tuple[int, int]
) -> None:
    frame = small_transformers.tiles(*size, seed=3)
    _, processor = reference(family)
    expected = processor(
        images=np.ascontiguousarray(frame[..., ::-1]), size={"height": HEIGHT, "width": WIDTH}, return_tensors="np",
        input_data_format="channels_last",
    )["pixel_values"]  # fmt: skip
    found, _ = FramePreprocessor(read_spec(find_graph(small_exports[family])).input).prepare(frame)
    levels = np.abs(found - np.asarray(expected)) * 0.225 * 255
    assert levels.max() < 1.05  # torchvision and Pillow themselves round apart by one level
    assert levels.mean() < 0.02


def test_semantic_maps_are_those_of_transformers(
    small_exports: dict[str, Path], reference: Callable[[str], tuple[Any, Any]], backend: str
) -> None:
    frame = small_transformers.tiles(300, 400, seed=5)
    model, processor = reference("segformer")
    answer = _answer(model, processor, frame)
    expected = processor.post_process_semantic_segmentation(answer, target_sizes=[frame.shape[:2]])[0].numpy()
    result = Pipeline(small_exports["segformer"], backend=backend, precision="fp32")(frame)
    assert len(set(result.class_ids.tolist())) == len(result) >= 4
    for class_id, mask in zip(result.class_ids.tolist(), result.masks(), strict=True):
        same = expected == class_id
        assert (same & mask).sum() / (same | mask).sum() >= 0.98
    assert result.masks().any(axis=0).mean() > 0.999
    probability = answer.logits.softmax(dim=1)[0].numpy()
    for class_id, score in zip(result.class_ids.tolist(), result.scores.tolist(), strict=True):
        assert score == pytest.approx(probability[class_id][probability.argmax(axis=0) == class_id].mean(), abs=1e-3)


def test_components_part_a_class_without_overlap(small_exports: dict[str, Path]) -> None:
    frame = small_transformers.tiles(300, 400, seed=5)
    whole, parts = (Segmenter(small_exports["segformer"], components=each, precision="fp32")(frame) for each in (0, 1))
    assert len(parts) > len(whole)
    masks = paste(parts.masks.decode(range(len(parts))), 300, 400)
    assert (masks.sum(axis=0) <= 1).all()
    for class_id, mask in zip(whole.class_ids, paste(whole.masks.decode(range(len(whole))), 300, 400), strict=True):
        together = masks[parts.class_ids == class_id].any(axis=0)
        assert (together != mask).mean() < 0.002
    for (x0, y0, x1, y1), mask in zip(parts.boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        assert x0 <= columns.min() < columns.max() + 1 <= x1
        assert y0 <= rows.min() < rows.max() + 1 <= y1


@pytest.mark.parametrize("family", ["mask2former", "detr"])
def test_panoptic_segments_are_those_of_transformers(
    small_exports: dict[str, Path], reference: Callable[[str], tuple[Any, Any]], family: str, backend: str
) -> None:
    frame = small_transformers.tiles(300, 400, seed=5)
    model, processor = reference(family)
    answer = _answer(model, processor, frame)
    expected = processor.post_process_panoptic_segmentation(answer, threshold=0.3, target_sizes=[frame.shape[:2]])[0]
    result = Pipeline(small_exports[family], conf=0.3, backend=backend, precision="fp32")(frame)
    assert len(result) == len(expected["segments_info"]) >= (12 if family == "mask2former" else 1)
    masks, taken = result.masks(), set()
    for segment in expected["segments_info"]:
        wanted = expected["segmentation"].numpy() == segment["id"]
        overlap = (masks & wanted).sum(axis=(1, 2)) / (masks | wanted).sum(axis=(1, 2))
        best = int(overlap.argmax())
        assert overlap[best] >= 0.98
        assert result.class_ids[best] == segment["label_id"]
        assert result.scores[best] == pytest.approx(segment["score"], abs=1e-3)
        taken.add(best)
    assert len(taken) == len(result)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", ["mask2former", "detr"])
def test_many_overlapping_queries_are_merged_as_in_transformers(
    small_exports: dict[str, Path],
    reference: Callable[[str], tuple[Any, Any]],
    family: str,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The decoders on synthetic outputs with many smooth, overlapping masks, which small networks do not produce."""
    import types

    import torch

    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 6, (1, 20, 7)).astype(np.float32)
    y, x = np.mgrid[:120, :160].astype(np.float32)
    down, across, size = generator.uniform([5, 5, 9], [115, 155, 30], (20, 3)).T[..., None, None]
    masks = (5 - 5 * (((y - down) / size) ** 2 + ((x - across) / size) ** 2)).clip(-12).astype(np.float32)[None]
    segmenter = Segmenter(small_exports[family], conf=0.4)
    decoder: Any = segmenter._decoder
    outputs = {"class_logits": logits}
    if family == "mask2former":
        outputs["mask_logits"] = masks
        answer = types.SimpleNamespace(
            class_queries_logits=torch.from_numpy(logits), masks_queries_logits=torch.from_numpy(masks)
        )
    else:
        outputs |= {name: np.zeros((1, 20, 1), np.float32) for name in (decoder._queries, *decoder._features)}
        outputs[decoder._queries][0, :, 0] = np.arange(20)  # so that the head's stand-in knows whom it is asked for
        monkeypatch.setattr(
            decoder._head,
            "run",
            lambda given: {"mask_logits": masks[:, given[decoder._queries][0, :, 0].astype(int)].copy()},
        )
        answer = types.SimpleNamespace(logits=torch.from_numpy(logits), pred_masks=torch.from_numpy(masks))
    _, processor = reference(family)
    frame = (270, 330)
    expected = processor.post_process_panoptic_segmentation(answer, threshold=0.4, target_sizes=[frame])[0]
    found = decoder.decode(outputs, fit(*frame, segmenter._input), segmenter.thresholds)
    assert len(found) == len(expected["segments_info"]) >= 5
    crops = paste(found.masks.decode(range(len(found))), *frame)
    for segment in expected["segments_info"]:
        (match,) = np.flatnonzero(np.isclose(found.scores, segment["score"], atol=1e-5))
        wanted = expected["segmentation"].numpy() == segment["id"]
        assert found.class_ids[match] == segment["label_id"]
        assert (crops[match] & wanted).sum() / (crops[match] | wanted).sum() >= 0.98


@pytest.mark.parametrize("family", FAMILIES)
def test_the_command_answers_prompts_by_label(
    small_exports: dict[str, Path], family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), small_transformers.tiles(300, 400, seed=5))
    everything = tmp_path / "all.jsonl"
    assert (
        main(["run", "--source", str(picture), "--model", str(small_exports[family]), "--json", str(everything)]) == 0
    )
    segments = json.loads(everything.read_text())["segments"]
    label = segments[0]["label"]
    some = tmp_path / "some.jsonl"
    request = ["run", "--source", str(picture), "--model", str(small_exports[family]), "--json", str(some)]
    assert main([*request, "--prompt", label]) == 0
    chosen = json.loads(some.read_text())["segments"]
    assert [each["mask"] for each in chosen] == [each["mask"] for each in segments if each["label"] == label]
    assert main(["info", str(small_exports[family])]) == 0
    assert f"{family}.onnx" in capsys.readouterr().out


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_are_answered_one_by_one(small_exports: dict[str, Path], family: str, backend: str) -> None:
    session = open_session(find_graph(small_exports[family]), backend, precision="fp32")
    name = session.spec.input_names[0]
    batch = np.random.default_rng(0).normal(size=(3, 3, HEIGHT, WIDTH)).astype(np.float32)
    together = session.run({name: batch})
    for index in range(3):
        alone = session.run({name: batch[index : index + 1]})
        for output in alone:
            np.testing.assert_allclose(together[output][index], alone[output][0], atol=2e-4)


def test_the_mask_head_takes_any_number_of_queries(small_exports: dict[str, Path], backend: str) -> None:
    detection = open_session(find_graph(small_exports["detr"]), backend, precision="fp32")
    head = open_session(find_graph(small_exports["detr"], "masks"), backend, precision="fp32")
    assert isinstance(head.spec.input, FeatureInput)
    found = detection.run({"pixel_values": np.random.default_rng(0).normal(size=(1, 3, HEIGHT, WIDTH)).astype("f4")})
    features = {name: found[name] for name in head.spec.input_names}
    every = head.run(features)["mask_logits"]
    assert every.shape == (1, small_transformers.QUERIES, HEIGHT // 4, WIDTH // 4)
    for chosen in ([3], [0, 11], [7, 2, 5, 9, 1]):
        some = head.run({**features, "queries": features["queries"][:, chosen]})["mask_logits"]
        np.testing.assert_allclose(some, every[:, chosen], atol=1e-4)


def test_a_backbone_of_timm_is_exported_too(tmp_path: Path) -> None:
    small_transformers.save_detr(tmp_path / "weights", timm=True)
    request = ["export", "mine", "--weights", str(tmp_path / "weights"), "--out", str(tmp_path / "out")]
    assert main([*request, "--imgsz", str(HEIGHT), str(WIDTH)]) == 0
    for part in ("", "masks"):
        parity = read_spec(find_graph(tmp_path / "out", part)).parity
        assert parity is not None
        assert parity.worst["min_mask_agreement"] > 0.999


def test_nothing_sure_enough_is_an_empty_result_and_runs_no_mask_head(small_exports: dict[str, Path]) -> None:
    segmenter = Segmenter(small_exports["detr"], conf=1.0)
    segmenter._decoder._head.run = None  # type: ignore[attr-defined,assignment]  # it must not be called
    assert len(segmenter(small_transformers.tiles(300, 400, seed=5))) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_thresholds_count(small_exports: dict[str, Path], family: str) -> None:
    frame = small_transformers.tiles(300, 400, seed=5)
    segmenter = Segmenter(small_exports[family])
    every = segmenter(frame)
    class_id = int(every.class_ids[0])
    segmenter.thresholds = Thresholds(conf=0.0, iou=1.0, max_segments=100, classes=(class_id,))
    assert set(segmenter(frame).class_ids.tolist()) == {class_id}
    segmenter.thresholds = Thresholds(conf=0.0, iou=1.0, max_segments=1)
    assert len(segmenter(frame)) <= 1


@pytest.mark.parametrize(
    ("family", "other"),
    [
        ("segformer", "SegformerForImageClassification"),
        ("mask2former", "Mask2FormerModel"),
        ("detr", "DetrForObjectDetection"),
    ],
)
def test_a_checkpoint_of_another_task_is_refused(
    small_checkpoints: dict[str, Path], family: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    folder = tmp_path / "other"
    shutil.copytree(small_checkpoints[family], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [other]}))
    assert main(["export", "mine", "--weights", str(folder), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert f"found {other}" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("family", "size"), [("segformer", (96, 100)), ("mask2former", (90, 128)), ("detr", (32, 32)), ("detr", (96, 20))]
)
def test_a_size_that_the_architecture_cannot_take(
    small_checkpoints: dict[str, Path],
    family: str,
    size: tuple[int, int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = ["export", "mine", "--weights", str(small_checkpoints[family]), "--out", str(tmp_path / "out"), "--imgsz"]
    assert main([*request, *map(str, size)]) == 1
    assert f"found {size[0]} x {size[1]}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["detr-resnet-50-panoptic", "mask2former-swin-tiny", "segformer-b0"])
@pytest.mark.usefixtures("no_hub")
def test_no_network_names_the_local_folder_way(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", name, "--out", str(tmp_path / "out")]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fastsam-trt: error")]
    assert len(error) == 1
    assert "give a file or folder with --weights" in error[0]
