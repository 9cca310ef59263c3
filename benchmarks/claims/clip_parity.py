"""CLIP in its real size: crops, tokens and embeddings compared with transformers, and runs of the text tower.

The weights are random and seeded unless a folder with weights is given. Parity and costs are real, similarities are
not.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from claims.common import harness, text_runs

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.errors import ModelNotFoundError
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_trt import Pipeline
from fastsam_trt.clip.crops import clip_batch, square_windows
from fastsam_trt.clip.model import Clip
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.frames.image import read_image

_COSINE_BOUND = 0.9999
_BACKENDS = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("auto", "auto"))
_BATCH = 16
_TEXTS = (
    "a photo of a cat",
    "A Photo OF a CAT.",
    "  two   blanks\tand\na line ",
    "don't stop: it's 50% off (today) & more!",
    "naïve café, Straße, Ångström",
    "日本語の猫、東京",
    "красный автобус",
    "قطة حمراء",
    "cafe\u0301 \u212b \ufb01ne",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea ok",
    "<|startoftext|> a <|endoftext|> b",
    "x" * 300,
    "word " * 200,
    "",
    " ",
)
_TOKEN_LENGTH = 77

Frames = dict[str, NDArray[np.uint8]]
Windows = dict[str, NDArray[np.intp]]


def main() -> int:
    """Compare crops, embeddings and tokens, and count runs of the text tower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=harness.SHARED / "images", help="folder of photos")
    parser.add_argument("--model", default="yolov8n-seg", help="segmenter whose boxes are embedded")
    parser.add_argument(
        "--folder", type=Path, default=harness.SHARED / "models" / "clip-vit-base-patch32",
        help="transformers' folder: configuration, preprocessor, tokenizer",
    )  # fmt: skip
    parser.add_argument("--exported", type=Path, metavar="FOLDER", help="an exported model, instead of exporting one")
    parser.add_argument("--seeded", type=Path, metavar="FOLDER", help="folder with the weights of --exported")
    harness.add_options(parser)
    args = parser.parse_args()
    if (args.exported is None) != (args.seeded is None):
        parser.error("--exported and --seeded go together")
    given = [path for path in (args.exported, args.seeded) if path is not None]
    harness.require("torch", "transformers", "onnx", files=(args.images, args.folder, *given))
    from transformers.utils import logging

    logging.disable_progress_bar()
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "transformers", "torch", "tokenizers", "numpy"))
    frames = _frames(args.images)
    windows = {name: _fixed_windows(*frame.shape[:2]) for name, frame in frames.items()}
    segmenter = _segmenter(args.model)
    if segmenter is None:
        print(f"skipped boxes of {args.model} and runs of the text tower in a pipeline: there is no such model")
    else:
        windows = _with_boxes(segmenter, frames, windows)
    with tempfile.TemporaryDirectory() as temporary:
        seeded, exported = (args.seeded, args.exported) if given else _build(args.folder, Path(temporary))
        rows, checks = _embeddings(exported, seeded, frames, windows)
        more_rows, more_checks = _tokens(exported, seeded, Path(temporary))
        rows, checks = rows + more_rows, checks + more_checks
        if segmenter is not None:
            more_rows, more_checks = text_runs.compare(segmenter, exported, list(frames.values())[:2], Path(temporary))
            rows, checks = rows + more_rows, checks + more_checks
    return harness.finish(args, facts, rows, checks)


def _frames(folder: Path) -> Frames:
    """Read the photos, and add one of four times the area, whose crops are shrunk most."""
    frames = {path.name: read_image(path) for path in sorted(folder.glob("*.jpg"))}
    if not frames:
        raise harness.BenchmarkError(f"expected photos (*.jpg) in {folder}, found none")
    frames["tiled"] = np.ascontiguousarray(np.tile(next(reversed(frames.values())), (2, 2, 1)))
    return frames


def _fixed_windows(height: int, width: int) -> NDArray[np.intp]:
    """Make windows of many shapes: (n, 4) xyxy, whole px, inside a frame of some size."""
    side = min(height, width)
    shapes = (
        (height, width), (height, width // 8), (height // 8, width), (side, side), (side // 2, side // 2),
        (side // 3, side // 5), (224, 224), (225, 223), (100, 31), (16, 16), (3, 5), (2, 1), (1, 1),
    )  # fmt: skip
    generator = np.random.default_rng(0)
    rows = []
    for wanted_h, wanted_w in shapes:
        h, w = max(min(wanted_h, height), 1), max(min(wanted_w, width), 1)
        top, left = int(generator.integers(height - h + 1)), int(generator.integers(width - w + 1))
        rows.append((left, top, left + w, top + h))
    return np.array(rows, np.intp)


def _segmenter(model: str) -> Path | None:
    """Find the graph of the segmenter; None: there is none."""
    try:
        return find_graph(model)
    except ModelNotFoundError:
        return None


def _with_boxes(segmenter: Path, frames: Frames, windows: Windows) -> Windows:
    """Add the windows that a pipeline would embed: squares around the segments."""
    pipeline = Pipeline(segmenter)
    found = {name: square_windows(pipeline(frame).boxes, *frame.shape[:2]) for name, frame in frames.items()}
    return {name: np.concatenate([each, found[name]]) for name, each in windows.items()}


def _build(folder: Path, temporary: Path) -> tuple[Path, Path]:
    """Create CLIP with seeded random weights, and export it; return both folders."""
    import torch
    import transformers

    from fastsam_export import export_model

    seeded, exported = temporary / "seeded", temporary / "clip"
    torch.manual_seed(0)
    transformers.CLIPModel(transformers.CLIPConfig.from_pretrained(folder)).save_pretrained(seeded)
    for path in folder.iterdir():
        if path.is_file() and not (seeded / path.name).exists():
            shutil.copy(path, seeded)
    export_model("clip", weights=seeded, out=exported)
    return seeded, exported


def _embeddings(
    exported: Path, seeded: Path, frames: Frames, windows: Windows
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """Compare embeddings of windows on each backend with transformers' image processor and model."""
    image = read_spec(find_graph(exported, "image")).input
    if not isinstance(image, ImageInput):
        raise harness.BenchmarkError(f"expected CLIP in {exported}, found a model without an image input")
    pixels, expected = _reference_embeddings(seeded, frames, windows)
    ours = np.concatenate([clip_batch(frames[name], each, image) for name, each in windows.items()])
    levels = np.abs(ours - pixels) * np.array(image.std, np.float32)[:, None, None] / np.float32(image.scale)
    others = (expected @ expected.T)[~np.eye(len(expected), dtype=np.bool_)]
    rows = [
        {"what": "crops", "count": len(expected), "worst": float(levels.max()), "mean": float(levels.mean()),
         "unit": "difference in grey levels of 255"},
        {"what": "transformers, different crops", "count": len(others), "worst": float(others.min()),
         "mean": float(others.mean()), "unit": "cosine"},
    ]  # fmt: skip
    checks = []
    for backend, precision in _BACKENDS:
        clip = Clip(exported, backend=backend, precision=precision, cache=exported)
        found = np.concatenate([clip.embed_windows(frames[name], each) for name, each in windows.items()])
        cosines = _cosines(found, expected)
        side = f"{backend} {precision}"
        if backend == "auto":
            chosen = open_session(find_graph(exported, "image"))
            side = f"auto: {chosen.backend} {chosen.precision}"
        rows.append(
            {"what": f"embeddings, {side}", "count": len(cosines), "worst": float(cosines.min()),
             "mean": float(cosines.mean()), "unit": "cosine"}
        )  # fmt: skip
        if precision == "fp32":
            figure = f"embeddings, {side}: smallest cosine to transformers"
            checks.append(harness.Check(figure, float(cosines.min()), ">=", _COSINE_BOUND))
    return harness.show_rows("crops and embeddings compared with transformers", rows), checks


def _reference_embeddings(
    seeded: Path, frames: Frames, windows: Windows
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Compute transformers' inputs (n, 3, h, w) and embeddings (n, d) of length one for the windows."""
    import torch
    import transformers

    processor = transformers.CLIPImageProcessor.from_pretrained(seeded)
    model = transformers.CLIPModel.from_pretrained(seeded).float().eval()
    pixels, embeddings = [], []
    for name, each in windows.items():
        rgb = np.ascontiguousarray(frames[name][..., ::-1])
        for start in range(0, len(each), _BATCH):
            crops = [rgb[y0:y1, x0:x1] for x0, y0, x1, y1 in each[start : start + _BATCH].tolist()]
            inputs = processor(images=crops, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                embeddings.append(model.get_image_features(pixel_values=inputs).pooler_output.numpy())
            pixels.append(inputs.numpy())
    stacked = np.concatenate(embeddings).astype(np.float64)
    return np.concatenate(pixels), stacked / np.linalg.norm(stacked, axis=1, keepdims=True)


def _cosines(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the cosine of two (n, d) arrays row by row: (n,)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.asarray((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)))


def _tokens(exported: Path, seeded: Path, temporary: Path) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """Compare tokens and text embeddings with transformers."""
    import torch
    import transformers

    graph = find_graph(exported, "text")
    tokens = read_spec(graph).input
    if not isinstance(tokens, TokenInput):
        raise harness.BenchmarkError(f"expected CLIP in {exported}, found a text tower without a token input")
    ours = TextTokenizer(graph.with_name("tokenizer.json"), tokens).tokenize(_TEXTS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(seeded)
    options = {"padding": "max_length", "truncation": True, "max_length": _TOKEN_LENGTH, "return_tensors": "pt"}
    expected = tokenizer(list(_TEXTS), **options)
    same = [bool(np.array_equal(a, b)) for a, b in zip(ours, expected["input_ids"].numpy(), strict=True)]
    model = transformers.CLIPModel.from_pretrained(seeded).float().eval()
    with torch.inference_mode():
        features = model.get_text_features(**expected).pooler_output.numpy()
    clip = Clip(exported, backend="onnxruntime", precision="fp32", cache=temporary / "texts")
    cosines = _cosines(clip.text.embed(_TEXTS, ("{}",)), features)
    rows = [
        {"text": repr(text[:30]), "same tokens": each, "cosine of embeddings": float(cosine)}
        for text, each, cosine in zip(_TEXTS, same, cosines, strict=True)
    ]
    checks = [
        harness.Check("texts with the same tokens as transformers'", sum(same), "==", len(_TEXTS)),
        harness.Check("texts: smallest cosine to transformers", float(cosines.min()), ">=", _COSINE_BOUND),
    ]
    return harness.show_rows("texts compared with transformers, onnxruntime fp32", rows), checks


if __name__ == "__main__":
    harness.entry(main)
