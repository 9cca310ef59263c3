"""Masks at the edges of the frame, next to the padding of the model's input."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine.session import Session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_engine.spec.yolo_seg import letterbox_input
from fastsam_trt.frames import helper_inputs
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.masks.argmax import ArgmaxMasks, leading_planes
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import bounds, paste
from fastsam_trt.masks.prototype import PrototypeMasks
from fastsam_trt.results import rle
from fastsam_trt.results.polygons import polygons
from fastsam_trt.segmentation.families import Thresholds
from fastsam_trt.segmentation.families.segformer import SegformerDecoder
from fastsam_trt.segmentation.panoptic_merge import Queries, merge

INPUTS = {
    "square": letterbox_input(640, 640, size_multiple=None, batch=(1, 1)),
    "rectangular": letterbox_input(384, 640, size_multiple=None, batch=(1, 1)),
    "smallest": letterbox_input(640, 640, size_multiple=32, batch=(1, None)),
}
SIZES = [(1080, 1920), (1080, 810), (480, 640), (427, 640), (300, 451), (612, 612), (33, 640), (640, 7), (3, 5), (1, 1)]
ODD = Letterbox(frame_h=90, frame_w=70, input_h=64, input_w=96, content_h=45, content_w=35, top=9, left=30)


def _cells(placed: Letterbox, stride: int = 4) -> tuple[int, int]:
    return placed.input_h // stride, placed.input_w // stride


def _inside(placed: Letterbox) -> np.ndarray:
    """The cells that the content covers, and their neighbours."""
    inside = np.zeros(_cells(placed), np.bool_)
    rows = slice(max(placed.top // 4 - 1, 0), -(-(placed.top + placed.content_h) // 4) + 1)
    inside[rows, max(placed.left // 4 - 1, 0) : -(-(placed.left + placed.content_w) // 4) + 1] = True
    return inside


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("size", SIZES)
def test_a_mask_reaches_every_edge_for_any_padding(kind: str, size: tuple[int, int]) -> None:
    placed = fit(*size, INPUTS[kind])
    rows, columns = MapToFrame(placed, *_cells(placed)).content
    prototypes = np.full((1, *_cells(placed)), -1, np.float32)
    prototypes[0, rows, columns] = 1
    boxes = np.array([[0, 0, size[1], size[0]]], np.float32)
    masks = PrototypeMasks(prototypes, np.ones((1, 1), np.float32), boxes, MapToFrame(placed, *_cells(placed)))
    assert paste(masks.decode([0]), *size).all()
    assert masks.coarse(0, boxes[0].astype(np.float64), 32).all()
    x0, y0 = size[1] * 0.9, size[0] * 0.9
    assert masks.coarse(0, np.array([x0, y0, size[1], size[0]]), 16).all()


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("size", SIZES)
def test_cells_of_padding_do_not_affect_a_mask(kind: str, size: tuple[int, int]) -> None:
    placed = fit(*size, INPUTS[kind])
    generator = np.random.default_rng(size[0])
    prototypes = generator.normal(size=(8, *_cells(placed))).astype(np.float32)
    coefficients = generator.normal(size=(3, 8)).astype(np.float32)
    boxes = np.tile(np.array([0, 0, size[1], size[0]], np.float32), (3, 1))
    resize = MapToFrame(placed, *_cells(placed))
    other = np.where(_inside(placed), prototypes, np.float32(-1e6))
    a, b = (PrototypeMasks(each, coefficients, boxes, resize) for each in (prototypes, other))
    np.testing.assert_array_equal(paste(a.decode(range(3)), *size), paste(b.decode(range(3)), *size))
    window = boxes[0].astype(np.float64)
    assert all((a.coarse(i, window, 24) == b.coarse(i, window, 24)).all() for i in range(3))


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("size", SIZES)
def test_edges_equal_those_of_ultralytics_retina_masks(export_extra: None, kind: str, size: tuple[int, int]) -> None:
    import torch
    from ultralytics.utils import ops

    if "scale_factor" not in inspect.getsource(ops.process_mask_native):
        pytest.skip("this ultralytics cuts padding off by whole cells")
    placed = fit(*size, INPUTS[kind])
    height, width = size
    generator = np.random.default_rng(width)
    coarse = torch.from_numpy(generator.normal(size=(1, 16, 7, 9)).astype(np.float32))
    prototypes = torch.nn.functional.interpolate(coarse, size=_cells(placed), mode="bicubic")[0]
    coefficients = torch.from_numpy(generator.normal(size=(6, 16)).astype(np.float32))
    boxes = torch.tensor([[0.0, 0, width, height]]).repeat(6, 1)
    boxes[5] *= 0.7
    theirs = ops.process_mask_native(prototypes, coefficients, boxes, size).numpy().astype(bool)
    resize = MapToFrame(placed, *_cells(placed))
    masks = PrototypeMasks(prototypes.numpy(), coefficients.numpy(), boxes.numpy(), resize)
    ours = paste(masks.decode(range(6)), *size)
    assert theirs.any()
    for edge in (np.s_[:, :8], np.s_[:, -8:], np.s_[:, :, :8], np.s_[:, :, -8:]):
        for axis in (1, 2):
            counts = ours[edge].sum(axis=axis).astype(int) - theirs[edge].sum(axis=axis)
            assert np.abs(counts).max() <= 1


@pytest.mark.parametrize("placed", [ODD, fit(300, 451, INPUTS["square"]), fit(1080, 1920, INPUTS["rectangular"])])
def test_the_device_reads_the_same_cells(placed: Letterbox) -> None:
    cells = _cells(placed)
    plain = MapToFrame(placed, *cells)
    values = np.random.default_rng(0).normal(size=cells[0]).astype(np.float32)
    plane = np.repeat(values[None, :, None], cells[1], axis=2)
    rows, columns = plain.reach(0, 0, placed.frame_w, placed.frame_h)
    expected = plain.window(plane[:, rows, columns], 0, 0, placed.frame_w, placed.frame_h)[:, 0, 0]
    coordinates = helper_inputs.prototype_coordinates(placed, *cells)
    fine = np.interp(coordinates["row_cells"], np.arange(cells[0]), values)
    np.testing.assert_allclose(np.interp(coordinates["rows"], np.arange(len(fine)), fine), expected, atol=1e-4)
    earlier = helper_inputs.prototype_coordinates(placed, *cells, fine=False)
    assert sorted(earlier) == ["column_numbers", "columns", "row_numbers", "rows"]
    assert earlier["rows"].min() >= coordinates["row_cells"][0]
    assert earlier["rows"].max() <= coordinates["row_cells"][-1]
    middle = (np.arange(placed.frame_h) + 0.5) * placed.gain_y / 4 + placed.top / 4 - 0.5
    clear = (middle > coordinates["row_cells"][0]) & (middle < coordinates["row_cells"][-1])
    np.testing.assert_allclose(earlier["rows"][clear], middle[clear], atol=1e-3)


def _padded_planes(placed: Letterbox) -> tuple[np.ndarray, MapToFrame]:
    """Plane 0 leads the left half of the content, plane 1 the right half, and plane 2 the padding, by far."""
    resize = MapToFrame(placed, *_cells(placed))
    planes = np.zeros((3, *_cells(placed)), np.float32)
    planes[2] = 50
    rows, columns = resize.content
    planes[2, rows, columns] = -50
    middle = (columns.start + columns.stop) // 2
    planes[0, :, :middle], planes[1, :, middle:] = 3, 3
    return planes, resize


@pytest.mark.parametrize("size", [(96, 128), (128, 64), (90, 70)])
def test_planes_that_lead_only_in_the_padding_get_no_pixel(size: tuple[int, int]) -> None:
    placed = fit(*size, letterbox_input(128, 128, size_multiple=None, batch=(1, 1)))
    planes, resize = _padded_planes(placed)
    leaders = leading_planes(planes, resize.content)
    assert set(np.unique(leaders)) <= {-1, 0, 1}
    cells = np.array([bounds(leaders == owner) for owner in (0, 1)])
    masks = ArgmaxMasks(planes, leaders, np.arange(2), cells, resize)
    assert paste(masks.decode([0, 1]), *size).sum(axis=0).all()
    probabilities = 1 / (1 + np.exp(-planes))
    queries = Queries(np.arange(3), np.full(3, 0.9, np.float32), np.arange(3, dtype=np.int32))
    merged = merge(probabilities, queries, resize, None)
    assert sorted(merged.class_ids.tolist()) == [0, 1]
    assert paste(merged.masks.decode([0, 1]), *size).sum(axis=0).all()


class _Opened(Session):
    """A session with a spec and nothing else."""

    def _run(self, inputs: object) -> dict[str, np.ndarray]:
        raise NotImplementedError


@pytest.mark.parametrize("components", [False, True])
def test_a_class_only_in_the_padding_is_no_segment(tmp_path: Path, components: bool) -> None:
    image: ImageInput = letterbox_input(128, 128, size_multiple=None, batch=(1, 1))
    spec = ModelSpec(
        "m", "segformer", "segment", image, (Output("logits", "class-logits", "N 3 h w"),), ("a", "b", "c")
    )
    decoder = SegformerDecoder(_Opened(tmp_path, spec, "none", "cpu", "fp32"), pytest.fail)
    placed = fit(96, 128, image)
    planes, _ = _padded_planes(placed)
    thresholds = Thresholds(0.5, 1.0, 10, components=components)
    segments = decoder.decode({"logits": planes[None]}, placed, thresholds)
    assert sorted(segments.class_ids.tolist()) == [0, 1]
    assert paste(segments.masks.decode([0, 1]), 96, 128).sum(axis=0).all()


def test_boxes_crops_polygons_and_rle_keep_the_last_column_and_row() -> None:
    placed = fit(427, 640, INPUTS["square"])
    raw = np.array([[-20.0, placed.top - 9, 700, placed.top + 500]], np.float32)
    boxes = placed.boxes_to_frame(raw)
    assert boxes.tolist() == [[0, 0, 640, 427]]
    resize = MapToFrame(placed, *_cells(placed))
    masks = PrototypeMasks(np.ones((1, *_cells(placed)), np.float32), np.ones((1, 1), np.float32), boxes, resize)
    (crop,) = masks.decode([0])
    assert crop.pixels.shape == (427, 640)
    assert crop.holds(639, 426)
    assert crop.holds(0, 0)
    assert not crop.holds(640, 426)
    assert not crop.holds(639, 427)
    assert rle.run_lengths(crop, 427, 640).tolist() == [0, 427 * 640]
    (outline,) = polygons([crop])[0]
    assert outline.min(axis=0).tolist() == [-0.5, -0.5]  # edges of pixels
    assert outline.max(axis=0).tolist() == [639.5, 426.5]
    almost = PrototypeMasks(
        np.ones((1, *_cells(placed)), np.float32), np.ones((1, 1), np.float32),
        np.array([[600, 400, 639.2, 426.4]], np.float32), resize,
    )  # fmt: skip
    assert almost.decode([0])[0].holds(639, 426)
