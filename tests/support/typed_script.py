"""A user's script that uses all of the Python API: mypy checks each type that it claims, and a test runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastsam_trt import FastsamError, Pipeline, Result, Segment, open_source
from fastsam_trt.errors import ImageFormatError, NotOneImageError, ReleasedError, SegmentIndexError
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.coco import CocoRecord
from fastsam_trt.results.record import ResultRecord
from fastsam_trt.results.rle import Rle
from fastsam_trt.results.summary import SegmentSummary
from fastsam_trt.segmentation.segments import SegmentedFrame
from fastsam_trt.selectors import Ranking


class Tensor:
    """What a library of tensors offers."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self._array = array

    def __dlpack__(self, *, stream: int | None = None, **options: Any) -> object:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def call(pipe: Pipeline, photo: Path) -> Result:
    """Every kind of image, alone and in lists."""
    image = Image.open(photo)
    rgb = np.asarray(image.convert("RGB"))
    assert_type(pipe(photo), Result)
    assert_type(pipe(str(photo)), Result)
    assert_type(pipe(image), Result)
    assert_type(pipe(rgb, colours="rgb"), Result)
    assert_type(pipe(rgb.astype(np.float64) / 255, colours="rgb"), Result)
    assert_type(pipe(Tensor(rgb)), Result)
    assert_type(pipe([photo, photo]), list[Result])
    assert_type(pipe((rgb, rgb), colours="rgb"), list[Result])
    assert_type(pipe([str(photo), image, rgb, Tensor(rgb)]), list[Result])
    assert_type(pipe.process(photo, prompts=["red"], conf=0.4, classes=["red", 1], max_selected=2), Result)
    assert_type(pipe.process([photo], boxes=[[0, 0, 64, 64]], rectangle="smallest"), list[Result])
    segmented = pipe.segment(photo, captured_s=1.0, media_s=0.0)
    assert_type(segmented, SegmentedFrame)
    assert_type(pipe.select(segmented), Result)
    return pipe(photo)


def read(result: Result, folder: Path) -> Segment:
    """Arrays, indices, segments, conversions and pictures."""
    assert_type(result.boxes, NDArray[np.float32])
    assert_type(result.scores, NDArray[np.float32])
    assert_type(result.class_ids, NDArray[np.int32])
    assert_type(result.labels, list[str | None])
    assert_type(result.masks(), NDArray[np.bool_])
    assert_type(result.mask_crops(), list[MaskCrop])
    assert_type(result.cutouts(), list[NDArray[np.uint8]])
    assert_type(result.rle(), list[Rle])
    assert_type(result.size, tuple[int, int])
    assert_type(result.frame, NDArray[np.uint8])

    assert_type(result[0], Segment)
    assert_type(result[np.argmax(result.scores)], Segment)
    assert_type(result[:1], Result)
    assert_type(result[result.scores > 0.5], Result)
    assert_type(result[np.argsort(result.scores)], Result)
    assert_type(result[[label == "red" for label in result.labels]], Result)
    assert_type(result[[0, -1]], Result)
    assert_type(iter(result), Iterator[Segment])
    assert_type(list(result), list[Segment])
    assert_type(len(result), int)

    assert_type(result.to_dict(), ResultRecord)
    assert_type(result.to_dict(masks=False)["segments"][0]["label"], str | None)
    assert_type(result.to_coco(image_id=7, file_name="photo.jpg"), list[CocoRecord])
    assert_type(result.to_yolo(confidence=True), str)
    assert_type(result.summary(normalize=True, decimals=3), list[SegmentSummary])
    assert_type(result.summary()[0]["class"], int)
    assert_type(result.plot(draw="masks", opacity=0.3), NDArray[np.uint8])
    assert_type(result.save(folder / "out.png", line_width=2), Path)
    result.release()
    assert_type(result.released, bool)
    return result[0]


def read_segment(segment: Segment) -> None:
    """Every field."""
    assert_type(segment.index, int)
    assert_type(segment.box, NDArray[np.float32])
    assert_type(segment.score, float)
    assert_type(segment.class_id, int)
    assert_type(segment.label, str | None)
    assert_type(segment.prompt, str | None)
    assert_type(segment.display_name, str | None)
    assert_type(segment.similarity, float | None)
    assert_type(segment.track_id, int | None)
    assert_type(segment.mask, NDArray[np.bool_])
    assert_type(segment.mask_crop, MaskCrop)
    assert_type(segment.rle, Rle)
    assert_type(segment.polygons(1.0, holes=False), list[NDArray[np.float32]])
    try:
        assert_type(segment.cutout, NDArray[np.uint8])
    except ReleasedError as error:
        assert_type(str(error), str)


def stream(pipe: Pipeline, video: Path) -> None:
    """Prompts, warm-up, sources and closing."""
    assert_type(pipe.prompts, tuple[str, ...])
    pipe.prompts = ["red"]
    pipe.boxes = [[0, 0, 64, 64]]
    assert_type(pipe.boxes, NDArray[np.float64])
    pipe.boxes = None
    pipe.set_points([[10, 10]], [1])
    pipe.points = None
    pipe.warmup((256, 256), (128, 256, 3))
    assert_type(pipe.rank(pipe(video.with_name("photo.png"))), Ranking)
    for result in pipe.stream(video):
        assert_type(result, Result)
    with open_source(video) as source:
        for frame in source:
            assert_type(frame.image, NDArray[np.uint8])
    assert_type(repr(pipe), str)
    assert_type(pipe.closed, bool)


def main(model: str, photo: Path, video: Path) -> str:
    """Use all of it; what the last error says."""
    with Pipeline(model, prompts=["red", "green"]) as pipe:
        read_segment(read(call(pipe, photo), photo.parent))
        stream(pipe, video)
        try:
            pipe(video)
        except (NotOneImageError, ImageFormatError, SegmentIndexError) as error:
            assert_type(isinstance(error, FastsamError), bool)
            return str(error)
    return ""
