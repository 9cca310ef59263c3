"""The reference for every side of `main.py`: our fp32 graphs in ONNX Runtime on the CPU. It is stored in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from claims.common import harness
from claims.common.seeded_models import CLIP, Models
from claims.gpu.sides import no_part

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.clip.crops import square_windows
from fastsam_trt.clip.model import Clip
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.frames.image import read_image
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.segmentation.families import Thresholds, decoder_for

FRAME = (1080, 1920)
WINDOWS = 10  # number of windows whose embeddings are compared
_MOST = 200
_CANDIDATES = 500  # anchors above the threshold, so many that more than 100 segments remain after NMS


@dataclass(frozen=True, slots=True)
class Reference:
    """The segments of the frame with the highest scores.

    Attributes:
        frame: (H, W, 3) uint8 BGR.
        conf, iou: Thresholds of the segments.
        boxes: (n, 4) float32, xyxy, px of the frame, best first.
        class_ids: (n,) int32.
        embeddings: (10, d) float32, CLIP embeddings of the square windows of the first boxes; None without CLIP.
    """

    frame: NDArray[np.uint8]
    conf: float
    iou: float
    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    embeddings: NDArray[np.float32] | None

    def windows(self) -> NDArray[np.intp]:
        """The crops whose embeddings are compared: (n, 4), xyxy, whole px of the frame."""
        return square_windows(self.boxes[:WINDOWS], *self.frame.shape[:2])


def load_reference(models: Models, name: str, imgsz: int, *, clip: bool) -> Reference:
    """The reference of a segmenter, from its file, or computed and stored there.

    Args:
        models: The folder of models and of the file.
        name: Name of the segmenter.
        imgsz: Longest side of its input, px.
        clip: Whether embeddings are needed. Those of a CLIP model with other weights are computed again.
    """
    path = models.folder / f"reference-{name}-{imgsz}.npz"
    frame = frame_of(models.folder)
    kept: Mapping[str, Any] = {}
    if path.is_file():
        with np.load(path) as found:
            kept = dict(found)
    whose = _weights_of_clip(models) if clip else ""
    if not kept:
        kept = _segments(models, name, frame, imgsz)
        np.savez(path, **kept)
    if clip and str(kept.get("clip", "")) != whose:
        model = Clip(models.export(CLIP, "fp32"), backend="onnxruntime", device="cpu", precision="fp32")
        windows = square_windows(kept["boxes"][:WINDOWS], *frame.shape[:2])
        kept = {**kept, "clip": np.array(whose), "embeddings": model.embed_windows(frame, windows)}
        np.savez(path, **kept)
    embeddings = kept.get("embeddings") if clip else None
    return Reference(frame, float(kept["conf"]), float(kept["iou"]), kept["boxes"], kept["class_ids"], embeddings)


def frame_of(folder: Path) -> NDArray[np.uint8]:
    """The frame in a folder; if it is missing, it is made from a repeated photo, or from a drawn scene."""
    import cv2

    kept = folder / "frame.png"
    if kept.is_file():
        return read_image(kept)
    photo = harness.SHARED / "images" / "bus.jpg"
    if photo.is_file():
        picture = read_image(photo)
        times = [-(-whole // part) for whole, part in zip(FRAME, picture.shape[:2], strict=True)]
        frame = np.ascontiguousarray(np.tile(picture, (*times, 1))[: FRAME[0], : FRAME[1]])
    else:
        frame = draw_scene(0, *FRAME).frame
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(kept), frame)
    return frame


def placed(models: Models, name: str, imgsz: int) -> Letterbox:
    """The letterbox of the frame in a segmenter's input."""
    image = cast("ImageInput", read_spec(find_graph(models.export(name, "fp32"))).input)
    return fit(*FRAME, image, (imgsz, imgsz))


def operations(models: Models, name: str, imgsz: int, crops: int) -> float:
    """Operations of the networks for one frame; those of a segmenter are proportional to the area of its input."""
    image = cast("ImageInput", read_spec(find_graph(models.export(name, "fp32"))).input)
    where = fit(*FRAME, image, (imgsz, imgsz))
    area = where.input_h * where.input_w / (image.height * image.width)
    return models.operations(name) * area + (crops * models.operations(CLIP) if crops else 0)


def _segments(models: Models, name: str, frame: NDArray[np.uint8], imgsz: int) -> dict[str, Any]:
    """Thresholds that keep enough segments, and the segments."""
    session = open_session(find_graph(models.export(name, "fp32")), "onnxruntime", "cpu", "fp32")
    image: Any = session.spec.input
    array, letterbox = FramePreprocessor(image, (imgsz, imgsz)).prepare(frame)
    outputs = session.run({image.name: array})
    classes, detections = len(session.spec.class_names), session.spec.outputs[0].name
    scores = np.sort(outputs[detections][0, 4 : 4 + classes].max(axis=0))[::-1]
    last = min(_CANDIDATES, len(scores) // 2)
    conf, iou = float(scores[last - 1] + scores[last]) / 2, session.spec.defaults["iou"]
    found = decoder_for(session, no_part).decode(outputs, letterbox, Thresholds(conf, iou, _MOST))
    return {"conf": conf, "iou": iou, "boxes": found.boxes, "class_ids": found.class_ids}


def _weights_of_clip(models: Models) -> str:
    """Hash of CLIP's weights, from an export in any precision."""
    for precision in ("fp16", "fp32"):
        if any(models.export_folder(CLIP, precision).glob("*.onnx")):
            source = read_spec(find_graph(models.export_folder(CLIP, precision), "image")).source
            return "" if source is None else source.weights_sha256
    models.export(CLIP, "fp32")
    return _weights_of_clip(models)
