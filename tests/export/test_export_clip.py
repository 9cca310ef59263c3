"""Export of CLIP: a small seeded model, compared with transformers end to end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_engine import find_graph, read_spec
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_trt.cli.main import main
from fastsam_trt.clip.model import Clip
from fastsam_trt.clip.tokenizer import TextTokenizer
from support import small_towers
from support.typed import token_input

pytestmark = pytest.mark.usefixtures("export_extra")

TEXTS = [
    "a photo of a cat",
    "",
    " ",
    "word " * 200,
    "naïve café — 東京, Ελλάδα, עברית",
    "\U0001f600\U0001f468‍\U0001f469‍\U0001f467 and \U0001f1e9\U0001f1ea",
    "UPPER lower 12345 !?;:'s don't",
    "tab\tnew\nline  spaces",
    "<|endoftext|> inside",
    "x" * 500,
]


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory, export_extra: None) -> Path:
    """A seeded CLIP of two small layers a tower, in transformers' own form."""
    folder = tmp_path_factory.mktemp("small-clip")
    small_towers.save_clip(folder)
    return folder


@pytest.fixture(scope="session")
def exported(small_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fastsam_export import export_model

    out = tmp_path_factory.mktemp("exported") / "small-clip"
    files = export_model("small-clip", weights=small_clip, out=out)
    assert sorted(each.path.name for each in files) == sorted(each.name for each in out.iterdir())
    return out


def test_the_files_explain_themselves(exported: Path) -> None:
    assert sorted(each.name for each in exported.iterdir()) == [
        "small-clip.crops.onnx",
        "small-clip.image.onnx",
        "small-clip.text.onnx",
        "tokenizer.json",
    ]
    image, text = (read_spec(find_graph(exported, part)) for part in ("image", "text"))
    assert isinstance(image.input, ImageInput)
    assert isinstance(text.input, TokenInput)
    assert (image.input.height, image.input.resize, image.input.interpolation) == (64, "shortest-edge", "bicubic")
    assert (text.input.length, image.task, text.task) == (24, "embed-image", "embed-text")
    for spec in (image, text):
        assert spec.parity is not None
        assert spec.parity.worst["min_cosine"] > 0.9999
        assert spec.defaults["logit_scale"] == pytest.approx(np.exp(2.6592), rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_crops_embed_as_in_transformers(exported: Path, small_clip: Path, backend: str, precision: str) -> None:
    import torch
    import transformers

    model = transformers.CLIPModel.from_pretrained(small_clip).eval()
    processor = transformers.CLIPImageProcessor.from_pretrained(small_clip)
    frame = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 2).astype(
        np.uint8
    )
    windows = np.array(
        [[0, 0, 400, 300], [10, 20, 74, 84], [5, 5, 30, 200], [100, 100, 390, 140], [7, 7, 19, 23], [0, 0, 300, 300]]
    )
    crops = [frame[y0:y1, x0:x1, ::-1].copy() for x0, y0, x1, y1 in windows]
    pixels = processor(images=crops, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    with torch.inference_mode():
        expected = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = Clip(exported, backend=backend, precision=precision).embed_windows(frame, windows)
    assert (found * expected).sum(axis=1).min() >= (
        0.9999 if precision == "fp32" or backend == "onnxruntime" else 0.999
    )


def test_tokens_are_those_of_transformers(exported: Path, small_clip: Path) -> None:
    import transformers

    _same_tokens(transformers.AutoTokenizer.from_pretrained(small_clip), exported, 24)


def _same_tokens(reference: Any, folder: Path, length: int) -> None:
    spec = read_spec(find_graph(folder, "text"))
    tokenizer = TextTokenizer(folder / "tokenizer.json", token_input(spec))
    expected = reference(TEXTS, padding="max_length", truncation=True, max_length=length, return_tensors="np")[
        "input_ids"
    ]
    np.testing.assert_array_equal(tokenizer.tokenize(TEXTS), expected)


def test_tokens_of_the_real_tokenizer(shared: Path, exported: Path, tmp_path: Path) -> None:
    import dataclasses

    import transformers

    folder = shared / "models" / "clip-vit-base-patch32"
    reference = transformers.CLIPTokenizer.from_pretrained(folder)
    spec = read_spec(find_graph(exported, "text"))
    tokens = dataclasses.replace(token_input(spec), length=77, pad_id=reference.pad_token_id)
    reference.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    expected = reference(TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="np")["input_ids"]
    np.testing.assert_array_equal(TextTokenizer(tmp_path / "tokenizer.json", tokens).tokenize(TEXTS), expected)
    found = TextTokenizer(folder / "tokenizer.json", tokens).tokenize(["a photo of a cat"])
    assert found[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 49407]


def test_text_features_are_those_of_transformers(exported: Path, small_clip: Path) -> None:
    import torch
    import transformers

    model = transformers.CLIPModel.from_pretrained(small_clip).eval()
    reference = transformers.AutoTokenizer.from_pretrained(small_clip)
    ids = reference(TEXTS, padding="max_length", truncation=True, max_length=24, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = model.text_projection(model.text_model(input_ids=ids).pooler_output).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = Clip(exported).text.embed(TEXTS, ("{}",))
    assert (found * expected).sum(axis=1).min() > 0.9999


def test_a_clip_with_another_processor_is_refused(
    small_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(small_clip, folder)
    config = folder / "preprocessor_config.json"
    config.write_text(config.read_text().replace('"resample": 3', '"resample": 2'))
    assert '"resample": 2' in config.read_text()
    assert main(["export", "odd", "--weights", str(folder)]) == 1
    assert "expected bicubic resampling" in capsys.readouterr().err
    (folder / "model.safetensors").unlink()
    assert main(["export", "odd", "--weights", str(folder)]) == 2
    assert "transformers can't load CLIP from there" in capsys.readouterr().err
    assert main(["export", "small", "--weights", str(small_clip), "--imgsz", "64"]) == 1
    assert "imgsz: expected none" in capsys.readouterr().err
