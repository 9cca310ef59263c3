"""Rectangles of the model's input: few for images of any shape, the smallest for cameras, correct results in all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_engine.spec.yolo_seg import letterbox_input
from fastsam_trt import Pipeline
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import common
from support.colour_models import BOX_PX, CELL_PX, COLOURS, SHAPE_PX

SQUARE = letterbox_input(640, 640, size_multiple=32, batch=(1, None))
SIZES = [(640, 640), (320, 320), (1024, 1024), (1280, 1280), (384, 640), (640, 384), (320, 640), (32, 32), (360, 640)]
KEPT = 11  # a backend keeps at least so many shapes
CAMERAS = [
    (427, 640),
    (2000, 3000),
    (480, 640),
    (768, 1024),
    (1536, 2048),
    (3024, 4032),
    (720, 1280),
    (1080, 1920),
    (2160, 3840),
    (480, 854),
]
PICTURES = [
    (1, 1),
    (1, 5000),
    (5000, 1),
    (3, 7),
    (640, 640),
    (641, 640),
    (480, 641),
    (481, 640),
    (361, 640),
    (385, 640),
]


def _drawn(count: int, seed: int = 0) -> list[tuple[int, int]]:
    """(height, width) of images of many shapes, up to 20:1, and many sizes."""
    generator = np.random.default_rng(seed)
    sides = np.exp(generator.uniform(np.log(16), np.log(6000), count))
    ratios = np.exp(generator.uniform(-3, 3, count))
    sizes = np.maximum(np.round([sides / ratios**0.5, sides * ratios**0.5]), 1).astype(int)
    return [(int(height), int(width)) for height, width in sizes.T]


@pytest.mark.parametrize("size", SIZES)
def test_every_image_fits_into_one_of_a_few_rectangles(size: tuple[int, int]) -> None:
    used = set()
    for picture in PICTURES + _drawn(1000):
        least, placed = fit(*picture, SQUARE, size), fit(*picture, SQUARE, size, "common")
        assert (placed.content_h, placed.content_w) == (least.content_h, least.content_w)
        assert least.input_h <= placed.input_h <= size[0]
        assert least.input_w <= placed.input_w <= size[1]
        assert (size[0] - placed.input_h) % 32 == (size[1] - placed.input_w) % 32 == 0
        for first, content, made in (
            (placed.top, placed.content_h, placed.input_h),
            (placed.left, placed.content_w, placed.input_w),
        ):
            before, after = first, made - first - content
            assert 0 <= before <= after <= before + 1
        used.add((placed.input_h, placed.input_w))
    assert used <= set(common(size, 32))
    assert len(common(size, 32)) <= KEPT


def test_photos_have_nine_rectangles() -> None:
    short = {384, 448, 480, 512, 640}
    assert set(common((640, 640), 32)) == {(640, side) for side in short} | {(side, 640) for side in short}


@pytest.mark.parametrize("imgsz", [320, 640, 1024, 1280])
@pytest.mark.parametrize("picture", CAMERAS)
def test_camera_formats_get_the_smallest_rectangle(picture: tuple[int, int], imgsz: int) -> None:
    for shown in (picture, picture[::-1]):
        assert fit(*shown, SQUARE, (imgsz, imgsz), "common") == fit(*shown, SQUARE, (imgsz, imgsz))


def test_other_shapes_get_the_next_larger_rectangle() -> None:
    def side(height: int) -> int:
        placed = fit(height, 640, SQUARE, rectangle="common")
        assert placed.input_w == 640
        return placed.input_h

    assert [side(height) for height in (513, 512, 481, 480, 449, 448, 427, 385, 384, 320, 1)] == [
        640, 512, 512, 480, 480, 448, 448, 448, 384, 384, 384,
    ]  # fmt: skip


@pytest.mark.parametrize("multiple", [None, 32])
def test_an_unknown_rectangle_is_refused(multiple: int | None) -> None:
    image = letterbox_input(640, 640, size_multiple=multiple, batch=(1, None))
    with pytest.raises(OptionError, match="rectangle: expected smallest or common, found 'exact'"):
        fit(480, 640, image, rectangle="exact")  # type: ignore[arg-type]


def test_a_fixed_input_has_one_size() -> None:
    fixed = letterbox_input(640, 640, size_multiple=None, batch=(1, 1))
    assert fit(1080, 1920, fixed, rectangle="common") == fit(1080, 1920, fixed)


def _watch(pipe: Pipeline) -> list[tuple[int, ...]]:
    """The shapes of the segmenter's inputs from now on."""
    session, shapes = pipe.segmenter.session, list[tuple[int, ...]]()
    ran: Callable[..., Any] = session.run_kept

    def watched(inputs: Mapping[str, Any], *rest: Any) -> Any:
        shapes.extend(array.shape for array in inputs.values())
        return ran(inputs, *rest)

    session.run_kept = watched  # type: ignore[method-assign,assignment]
    return shapes


def _grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def test_images_of_any_shape_give_the_model_few_shapes(backend: str) -> None:
    pipe = Pipeline("colours", backend=backend)
    shapes = _watch(pipe)
    for height, width in _drawn(60, seed=1):
        pipe(_grey(min(height, 400), min(width, 400)))
    assert len(shapes) == 60
    assert 3 < len(set(shapes)) <= KEPT


def test_a_folder_of_images_gives_the_model_few_shapes(tmp_path: Path) -> None:
    for index, height in enumerate(range(24, 264, 16)):
        cv2.imwrite(str(tmp_path / f"{index:02}.png"), _grey(height, 256))
    pipe = Pipeline("colours", backend="onnxruntime")
    shapes = _watch(pipe)
    assert len(list(pipe.stream(tmp_path))) == len(shapes) == 15
    assert len(set(shapes)) == 4


def test_calls_may_request_the_smallest_rectangle_and_tracked_frames_use_it() -> None:
    pipe = Pipeline("colours", backend="onnxruntime")
    shapes = _watch(pipe)
    frame = _grey(100, 256)
    pipe(frame)
    pipe(frame, rectangle="smallest")
    pipe.segment(frame, rectangle="smallest")
    pipe.track = True
    pipe(frame)
    pipe(frame, rectangle="common")
    assert [shape[2] for shape in shapes] == [160, 128, 128, 128, 160]
    with pytest.raises(OptionError, match="rectangle"):
        pipe(frame, rectangle="square")  # type: ignore[call-overload]


def _scene(placed: Letterbox) -> tuple[np.ndarray, dict[str, tuple[float, float]]]:
    """An image with a shape near each end, centred on a cell of the input, and their centres, (x, y) px."""
    gain = placed.frame_h / placed.content_h
    centres = {}
    for colour, cell_y, cell_x in (("red", 0, 0), ("blue", -1, -1)):
        cells = []
        for cell, first, content in ((cell_x, placed.left, placed.content_w), (cell_y, placed.top, placed.content_h)):
            low, high = -(-first // CELL_PX), (first + content) // CELL_PX - 1
            cells.append(((low if cell == 0 else high) + 0.5) * CELL_PX - first)
        centres[colour] = cells[0], cells[1]
    small = _grey(placed.content_h, placed.content_w)
    half = SHAPE_PX // 2
    for colour, (x, y) in centres.items():
        small[max(int(y) - half, 0) : int(y) + half, max(int(x) - half, 0) : int(x) + half] = COLOURS[colour]
    frame = cv2.resize(small, (placed.frame_w, placed.frame_h), interpolation=cv2.INTER_NEAREST)
    return frame, {colour: (x * gain, y * gain) for colour, (x, y) in centres.items()}


@pytest.mark.parametrize("zoom", [1, 3])
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("short", [64, 96, 100, 130, 145, 161, 176, 193, 205, 225, 250, 256])
def test_boxes_masks_and_prompts_are_correct_at_every_ratio(short: int, upright: bool, zoom: int) -> None:
    size = (256 * zoom, short * zoom) if upright else (short * zoom, 256 * zoom)
    pipe = Pipeline("colours", backend="onnxruntime")
    image: Any = pipe.segmenter.session.spec.input
    frame, centres = _scene(fit(*size, image, rectangle="common"))
    result = pipe(frame)
    assert sorted(map(str, result.labels)) == ["blue", "red"]
    half, edge = BOX_PX / 2 * zoom, (size[1], size[0])
    for label, box, mask in zip(result.labels, result.boxes, result.masks(), strict=True):
        x, y = centres[str(label)]
        expected = np.clip([x - half, y - half, x + half, y + half], 0, edge * 2)
        np.testing.assert_allclose(box, expected, atol=0.01 * zoom)
        truth = (frame == COLOURS[str(label)]).all(axis=2)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.88  # a prototype cell is four pixels wide
    pipe.points = [centres["blue"]]
    assert pipe(frame).labels == ["blue"]
    pipe.points, pipe.boxes = (), [[*np.subtract(centres["red"], half).clip(0), *np.add(centres["red"], half)]]
    assert pipe(frame).labels == ["red"]


def test_a_result_does_not_depend_on_earlier_images(backend: str) -> None:
    pipe = Pipeline("colours", backend=backend)
    image: Any = pipe.segmenter.session.spec.input
    frames = [_scene(fit(height, 256, image, rectangle="common"))[0] for height in (100, 256, 130, 193)]
    forward = [pipe(frame) for frame in frames]
    backward = [pipe(frame) for frame in frames[::-1]][::-1]
    alone = [Pipeline("colours", backend=backend)(frame) for frame in frames]
    for one, *others in zip(forward, backward, alone, strict=True):
        assert len(one) == 2
        for other in others:
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.masks(), other.masks())
