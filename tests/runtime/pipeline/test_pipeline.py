"""The pipeline with exact models: it finds every drawn shape, and selects exactly what a prompt names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

import fastsam_trt
from fastsam_engine.errors import ModelFileError, ModelNotFoundError
from fastsam_trt import Pipeline
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import ClipNotFoundError, ImageFormatError, OptionError, PromptError
from fastsam_trt.selectors import match_scores
from support.colour_models import BOX_PX, CELL_PX, scene, shape_mask

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5))


def _centres(result: fastsam_trt.Result) -> set[tuple[int, int]]:
    """(row, column) of the cells at the centres of the selected boxes."""
    middles = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2 / CELL_PX - 0.5
    return {(round(float(y)), round(float(x))) for x, y in middles}


def test_everything_is_found_with_its_exact_mask(backend: str) -> None:
    result = Pipeline("colours", backend=backend)(scene(*SHAPES))
    assert _centres(result) == {(row, column) for _, row, column in SHAPES}
    np.testing.assert_array_equal(result.boxes[:, 2:] - result.boxes[:, :2], BOX_PX)
    assert result.boxes.dtype == np.float32
    assert sorted(map(str, result.labels)) == ["blue", "green", "red", "red"]
    masks = result.masks()
    assert masks.shape == (4, 256, 256)
    assert masks.dtype == np.bool_
    for box, mask in zip(result.boxes, masks, strict=True):
        row, column = int((box[1] + box[3]) / 2 // CELL_PX), int((box[0] + box[2]) / 2 // CELL_PX)
        truth = shape_mask(row, column)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.93  # prototypes are four pixels wide
    assert result.prompt_ids.tolist() == result.track_ids.tolist() == [-1] * 4
    assert np.isnan(result.similarities).all()
    assert set(result.speed) == {"preprocess", "segment", "select", "decode", "total"}
    assert result.speed["total"] == pytest.approx(sum(v for k, v in result.speed.items() if k != "total"))


@pytest.mark.parametrize("prompt", ["red", "RED", "reds", "  red "])
def test_a_class_name_selects_without_clip(prompt: str) -> None:
    result = Pipeline("colours", clip="no-such-clip", prompts=[prompt])(scene(*SHAPES))
    assert _centres(result) == {(1, 1), (5, 5)}
    assert result.labels == ["red", "red"]
    assert len(result.segments) == 4
    assert result.masks().shape == (2, 256, 256)


@pytest.mark.parametrize("model", ["colours", "things"])
def test_clip_selects_every_match_and_nothing_when_absent(model: str, backend: str) -> None:
    pipe = Pipeline(model, clip="clip-colours", selector="clip", backend=backend, prompts=["a red shape"])
    result = pipe(scene(*SHAPES))
    assert _centres(result) == {(1, 1), (5, 5)}
    assert (result.similarities > 0.9).all()
    assert len(pipe(scene(("green", 2, 2), ("blue", 5, 5)))) == 0
    pipe.prompts = ["purple"]
    assert len(pipe(scene(*SHAPES))) == 0


def test_several_prompts_get_their_own_segments() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["the red object", "the blue object", "elephant"])
    result = pipe(scene(*SHAPES))
    found = {(_centres_of(result, i), int(prompt_id)) for i, prompt_id in enumerate(result.prompt_ids)}
    assert found == {((1, 1), 0), ((5, 5), 0), ((5, 1), 1)}
    assert result.labels == [None] * 3  # a single class has no label


def _centres_of(result: fastsam_trt.Result, index: int) -> tuple[int, int]:
    box = result.boxes[index]
    return int((box[1] + box[3]) / 2 // CELL_PX), int((box[0] + box[2]) / 2 // CELL_PX)


def test_a_masked_crop_shows_clip_the_segment_alone() -> None:
    frame = scene(("red", 1, 1))
    frame[60:90, 60:90] = (255, 0, 0)  # blue inside the segment's box and outside its mask
    boxed, masked = (Pipeline("things", clip="clip-colours", prompts=["red"], crop=crop) for crop in ("box", "masked"))
    segments = boxed.segmenter(frame)
    clip = Clip("clip-colours")
    plain = clip.embed_boxes(frame, segments.boxes)
    alone = clip.embed_masked(frame, segments)
    red, blue = clip.text.embed(["red", "blue"], ("{}",))
    of_red = int(np.argmax(plain @ red))
    of_blue = int(np.argmax(plain @ blue))
    assert alone[of_red] @ red > plain[of_red] @ red
    assert alone[of_blue] @ blue > plain[of_blue] @ blue
    assert alone[of_blue] @ red < plain[of_blue] @ red
    assert len(masked(frame)) >= len(boxed(frame)) >= 1
    with pytest.raises(OptionError, match="expected box or masked"):
        Pipeline("things", crop=cast("Any", "round"))


def test_labels_and_clip_work_together_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline("colours", clip="clip-colours", prompts=["green", "the blue one"])
    embedded: list[int] = []
    clip = pipe.clip
    assert clip is not None
    real = clip.embed_boxes
    monkeypatch.setattr(clip, "embed_boxes", lambda frame, boxes, _: embedded.append(len(boxes)) or real(frame, boxes))
    result = pipe(scene(*SHAPES))
    assert {(_centres_of(result, i), int(p)) for i, p in enumerate(result.prompt_ids)} == {((1, 5), 0), ((5, 1), 1)}
    assert embedded == [3]  # the green segment is matched by its label; its crop is never embedded


def test_a_call_has_a_name() -> None:
    pipe, frame = Pipeline("colours", prompts=["red"]), scene(*SHAPES)
    named, called = pipe.process(frame, prompts=["green"]), pipe(frame, prompts=["green"])
    assert _centres(named) == _centres(called) == {(1, 5)}
    assert named.prompts == ("green",)


def test_prompts_change_between_frames() -> None:
    pipe = Pipeline("colours", clip="clip-colours")
    frame = scene(*SHAPES)
    assert len(pipe(frame)) == 4
    pipe.prompts = ["green"]
    assert _centres(pipe(frame)) == {(1, 5)}
    pipe.prompts = ["a blue shape"]
    assert _centres(pipe(frame)) == {(5, 1)}
    with pytest.raises(PromptError):
        pipe.prompts = ["red", " "]
    assert pipe.prompts == ("a blue shape",)  # a refused change changes nothing
    assert _centres(pipe(frame)) == {(5, 1)}
    pipe.prompts = []
    assert len(pipe(frame)) == 4


def test_a_new_prompt_costs_one_run_of_the_text_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    frame = scene(*SHAPES)
    pipe(frame)
    clip = pipe.clip
    assert clip is not None
    runs, opened = clip.text.tower_runs, []
    monkeypatch.setattr("fastsam_trt.segmentation.segmenter.open_session", lambda *args, **_: opened.append(args))
    monkeypatch.setattr("fastsam_trt.clip.model.open_session", lambda *args, **_: opened.append(args))
    pipe.prompts = ["a green shape"]
    pipe(frame)
    assert clip.text.tower_runs == runs + 1
    pipe.prompts = ["red"]
    pipe.prompts = ["a green shape", "red"]
    pipe(frame)
    assert clip.text.tower_runs == runs + 1  # both are cached by now
    assert not opened
    assert pipe.clip is clip


def test_masks_are_decoded_for_the_selected_only(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Pipeline("colours", prompts=["green"])(scene(*SHAPES))
    decoded: list[list[int]] = []
    masks = result.segments.masks
    real = type(masks).decode
    monkeypatch.setattr(
        type(masks), "decode", lambda self, indices: decoded.append(list(indices)) or real(self, indices)
    )
    assert result.speed["decode"] == 0
    result.masks()
    result.masks()
    assert decoded == [result.selection.indices.tolist()]
    assert len(decoded[0]) == 1
    assert result.speed["decode"] > 0


def test_results_outlive_the_next_frame(backend: str) -> None:
    """Masks that are decoded later belong to their own frame."""
    pipe = Pipeline("colours", backend=backend)
    early = pipe(scene(("red", 1, 1)))
    pipe(scene(("blue", 5, 5)))
    truth = shape_mask(1, 1)
    assert (early.masks()[0] & truth).sum() / truth.sum() > 0.93


def test_segments_of_a_frame_of_another_shape_are_in_the_right_position() -> None:
    frame = cv2.resize(scene(*SHAPES), (512, 512), interpolation=cv2.INTER_NEAREST)
    result = Pipeline("colours", prompts=["green"])(frame)
    assert result.masks().shape == (1, 512, 512)
    np.testing.assert_allclose(result.boxes[0], [2 * (5.5 * 32 - 32), 2 * (1.5 * 32 - 32), 416, 160], atol=1)
    wide = scene(("blue", 2, 9), height=160, width=512)
    result = Pipeline("colours", imgsz=512)(wide)
    assert _centres(result) == {(2, 9)}


def test_thresholds_and_classes_are_applied() -> None:
    frame = scene(*SHAPES)
    assert len(Pipeline("colours", max_segments=2)(frame)) == 2
    assert len(Pipeline("colours", conf=1)(frame)) == 0
    assert Pipeline("colours", classes=[2])(frame).labels == ["blue"]
    more = Pipeline("colours", conf=0.2, iou=1)(frame)
    assert len(more) > 4


def test_an_empty_frame_gives_an_empty_result() -> None:
    for prompts in ([], ["red"], ["purple"]):
        result = Pipeline("colours", clip="clip-colours", prompts=prompts)(scene())
        assert len(result) == 0
        assert result.masks().shape == (0, 256, 256)
        assert result.boxes.shape == (0, 4)
        assert result.labels == result.rle() == []


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3)])
def test_tiny_and_thin_frames_work(size: tuple[int, int]) -> None:
    result = Pipeline("colours")(np.zeros((*size, 3), np.uint8))
    assert result.masks().shape[1:] == size
    red = np.zeros((*size, 3), np.uint8)
    red[..., 2] = 255
    found = Pipeline("colours", conf=0)(red)
    assert len(found) > 0
    assert (found.boxes[:, 2:] <= [size[1], size[0]]).all()
    found.masks()


def test_pictures_of_other_kinds_are_converted() -> None:
    pipe = Pipeline("colours", prompts=["red"])
    frame = scene(*SHAPES)
    expected = pipe(frame).boxes
    alpha = np.concatenate([frame, np.zeros((256, 256, 1), np.uint8)], axis=2)
    for other in (alpha, frame.astype(np.uint16) * 257, frame[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(pipe(other).boxes, expected)
    grey = np.full((256, 256), 200, np.uint8)
    assert pipe(grey).frame.shape == (256, 256, 3)
    assert (pipe(grey[..., None]).frame == 200).all()


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        (np.zeros((5, 5, 2), np.uint8), r"shape \(5, 5, 2\)"),
        (np.zeros((1, 5, 5, 3), np.uint8), "shape"),
        (np.zeros((5, 5, 3), np.float32), "dtype float32"),
        (np.zeros((5, 5, 3), np.bool_), "dtype bool"),
        ([[1]], "list"),
        (None, "NoneType"),
    ],
)
def test_an_array_that_is_not_a_picture_is_refused(picture: Any, found: str) -> None:
    with pytest.raises(ImageFormatError, match=found):
        Pipeline("colours")(picture)


@pytest.mark.parametrize("prompts", [[""], ["  "], ["red", "\n"], "", [3], [None]])
def test_blank_prompts_are_refused(prompts: Any) -> None:
    with pytest.raises(PromptError):
        Pipeline("colours", prompts=prompts)


def test_one_string_is_one_prompt() -> None:
    assert Pipeline("colours", prompts="red").prompts == ("red",)


def test_a_prompt_that_needs_clip_names_the_export_command() -> None:
    with pytest.raises(ClipNotFoundError) as caught:
        Pipeline("colours", prompts=["red bus"])
    assert "fastsam-trt export clip-vit-base-patch32" in str(caught.value)
    assert "'red bus' is not a class of colours, so it needs CLIP" in str(caught.value)


def test_options_out_of_range_are_refused() -> None:
    for options, expected in (
        ({"selector": "magic"}, "selector: expected auto, labels or clip"),
        ({"threshold": 2}, "threshold"),
        ({"conf": -0.1}, "conf"),
        ({"iou": 1.1}, "iou"),
        ({"max_segments": 0}, "max_segments"),
        ({"classes": [3]}, "classes: expected ids from 0 to 2"),
        ({"imgsz": 100}, "imgsz: expected multiples of 32"),
        ({"imgsz": 0}, "imgsz"),
        ({"templates": ["no braces"]}, "templates"),
        ({"templates": []}, "templates"),
    ):
        with pytest.raises(OptionError, match=expected):
            Pipeline("colours", **options)
    with pytest.raises(PromptError, match="selector labels: expected the name of a class of the model, found 'rde'"):
        Pipeline("colours", selector="labels", prompts=["rde"])
    with pytest.raises(PromptError, match="expected a negative that is not a prompt too, found none; add a negative"):
        Pipeline("colours", clip="clip-colours", prompts=["purple"], negatives=["Purple"])


def test_models_of_the_wrong_kind_are_refused(home: Path) -> None:
    image = home / "models" / "clip-colours" / "clip-colours.image.onnx"
    with pytest.raises(ModelFileError, match="expected a segmenter, found a model of task 'embed-image'"):
        Pipeline(image)
    with pytest.raises(ModelNotFoundError, match="did you mean colours"):
        Pipeline("colour")


def test_match_scores_are_a_softmax_against_the_negatives_alone() -> None:
    generator = np.random.default_rng(0)
    embeddings, texts, negatives = (generator.normal(size=(n, 6)).astype(np.float32) for n in (5, 3, 2))
    found = match_scores(embeddings, texts, negatives, 10.0)
    for i, embedding in enumerate(embeddings.astype(np.float64)):
        against = np.exp(10 * negatives @ embedding).sum()
        for j, text in enumerate(texts):
            favour = np.exp(10 * text @ embedding)
            assert found[i, j] == pytest.approx(favour / (favour + against), rel=1e-5)
    far = match_scores(embeddings * 100, texts, negatives, 100.0)  # logits in the tens of thousands
    assert np.isfinite(far).all()
    assert ((far >= 0) & (far <= 1)).all()
