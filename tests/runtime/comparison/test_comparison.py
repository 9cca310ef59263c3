"""Test the rankings and selections of comparisons, and what their sheets and pages show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_trt import Pipeline
from fastsam_trt.clip.model import Clip
from fastsam_trt.comparison import Comparison, compare, draw_sheet, installed_segmenters, make_page
from fastsam_trt.comparison.outcome import STAGES
from fastsam_trt.comparison.panels import heat, panel_size, panels
from fastsam_trt.comparison.sheet import CAPTION_PX, GAP_PX, HEADING_PX, MARGIN_PX, NOTE_PX, TITLE_PX
from fastsam_trt.errors import ComparedModelError, OptionError, PromptError
from fastsam_trt.prompts.text_options import DEFAULT_NEGATIVES, DEFAULT_TEMPLATES
from fastsam_trt.reports.machine import this_machine
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.selectors import match_scores
from fastsam_trt.sources.demo_video import DemoVideo
from support.colour_models import scene
from support.html_page import ParsedPage

SHAPES = (("red", 1, 1), ("green", 5, 5), ("blue", 1, 5))
TEXTS = ("a red shape", "a blue shape")


@pytest.fixture
def compared() -> Comparison:
    return compare(scene(*SHAPES), ["colours", "things"], TEXTS, clip="clip-colours", repeat=2)


def test_selections_match_those_of_a_pipeline(compared: Comparison) -> None:
    assert compared.clip == "clip-colours"
    for outcome, name in zip(compared.models, ("colours", "things"), strict=True):
        expected = Pipeline(name, clip="clip-colours", prompts=TEXTS)(scene(*SHAPES))
        assert outcome.name == name
        assert outcome.family == "yolo-seg"
        np.testing.assert_array_equal(outcome.result.selection.indices, expected.selection.indices)
        np.testing.assert_array_equal(outcome.result.prompt_ids, expected.prompt_ids)
        np.testing.assert_array_equal(outcome.result.masks(), expected.masks())
        assert len(outcome.result) == 2
        assert len(outcome.result.segments) == 3
        assert set(outcome.times_ms) == set(STAGES)
        assert all(times.shape == (2,) for times in outcome.times_ms.values())
        assert all((times > 0).all() for times in outcome.times_ms.values())
        parts = sum(outcome.times_ms[stage] for stage in STAGES[:-1])
        np.testing.assert_allclose(outcome.times_ms["total"], parts)


@pytest.mark.parametrize("segmenter", ["things", "demo-seg"])
def test_a_ranking_is_sorted_match_scores(segmenter: str) -> None:
    frame, clip_name, texts = scene(*SHAPES), "clip-colours", TEXTS
    if segmenter == "demo-seg":
        frame, clip_name, texts = DemoVideo().scene(0).frame, "demo-clip", ("red circle", "triangle")
    pipe = Pipeline(segmenter, clip=clip_name, prompts=texts)
    result = pipe(frame)
    ranking = pipe.rank(result)
    clip = Clip(clip_name)
    features = clip.text.embed([*texts, *DEFAULT_NEGATIVES], DEFAULT_TEMPLATES)
    embeddings = clip.embed_boxes(frame, result.segments.boxes)
    scores = match_scores(
        embeddings, features[: len(texts)], features[len(texts) :], clip.logit_scale, clip.decision_cosine
    )
    assert sorted(ranking.indices.tolist()) == list(range(len(result.segments)))
    assert (np.diff(ranking.similarities) <= 0).all()
    np.testing.assert_allclose(ranking.similarities, scores.max(axis=1)[ranking.indices], atol=1e-6)
    np.testing.assert_array_equal(ranking.prompt_ids, scores.argmax(axis=1)[ranking.indices])
    above = ranking.indices[ranking.similarities >= 0.5]
    np.testing.assert_array_equal(np.sort(above), result.selection.indices)
    assert 0 < len(above) < len(result.segments)


def test_labels_rank_by_score_before_clip() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("colours", clip="clip-colours", prompts=["green", "a red shape"])
    result = pipe(frame)
    ranking = pipe.rank(result)
    colours = [result.class_names[i] for i in result.segments.class_ids[ranking.indices]]
    assert colours == ["green", "red", "blue"]
    assert ranking.prompt_ids.tolist()[:2] == [0, 1]
    assert np.isnan(ranking.similarities).tolist() == [True, False, False]
    outcome = compare(frame, ["colours"], ["green", "a red shape"], clip="clip-colours", repeat=1).models[0]
    assert (outcome.by_label, outcome.by_clip) == (("green",), ("a red shape",))
    first = next(outcome.ranked())
    assert (first.label, first.similarity, first.selected) == ("green", None, True)
    assert first.caption == f"green {first.score:.2f}"


def test_labels_alone_rank_their_class_only_without_clip() -> None:
    compared = compare(scene(*SHAPES, ("green", 5, 1)), ["colours"], ["green"], repeat=1)
    (outcome,) = compared.models
    assert compared.clip is None
    assert outcome.best_similarity is None
    assert [segment.label for segment in outcome.ranked()] == ["green", "green"]
    scores = [segment.score for segment in outcome.ranked()]
    assert scores == sorted(scores, reverse=True)


def test_ranking_needs_a_text_prompt() -> None:
    pipe = Pipeline("things")
    with pytest.raises(PromptError, match="expected a text prompt"):
        pipe.rank(pipe(scene()))


def test_one_clip_is_opened_and_texts_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Clip] = []
    plain = Clip.__init__

    def counted(self: Clip, *arguments: Any, **options: Any) -> None:
        opened.append(self)
        plain(self, *arguments, **options)

    monkeypatch.setattr(Clip, "__init__", counted)
    compare(scene(*SHAPES), ["colours", "things", "things"], TEXTS, clip="clip-colours", repeat=1)
    assert len(opened) == 1
    assert opened[0].text.tower_runs == 1


def test_an_open_clip_is_shared() -> None:
    clip = Clip("clip-colours")
    pipe = Pipeline("things", clip=clip, prompts=["a red shape"])
    assert pipe.clip is clip
    assert len(pipe(scene(*SHAPES))) == 1


def test_the_sheet_has_a_row_of_three_panels_per_model(compared: Comparison) -> None:
    sheet = draw_sheet(compared)
    side = 800
    assert panel_size(256, 256) == (side, side)
    row = HEADING_PX + CAPTION_PX + side + NOTE_PX + MARGIN_PX
    assert sheet.shape == (TITLE_PX + 2 * row, 2 * MARGIN_PX + 3 * side + 2 * GAP_PX, 3)
    for i, outcome in enumerate(compared.models):
        top = TITLE_PX + i * row + HEADING_PX + CAPTION_PX
        for j, panel in enumerate(panels(outcome, 5)):
            left = MARGIN_PX + j * (side + GAP_PX)
            np.testing.assert_array_equal(sheet[top : top + side, left : left + side], panel.image)


def test_panels_colour_all_then_similarity_then_the_selection(compared: Comparison) -> None:
    everything, ranking, selected = panels(compared.models[1], 0)
    scale = 800 / 256
    frame = cv2.resize(scene(*SHAPES), (800, 800), interpolation=cv2.INTER_CUBIC)
    green, red = (np.s_[int((y * 32 + 4) * scale), int((x * 32 + 4) * scale)] for y, x in ((5, 5), (1, 1)))
    assert (everything.image[green] != frame[green]).any()
    assert (everything.image[red] != frame[red]).any()
    assert (selected.image[green] == frame[green]).all()
    assert (selected.image[red] != frame[red]).any()
    best, worst = np.array(heat(1.0), int), np.array(heat(0.0), int)
    for place, near, far in ((red, best, worst), (green, worst, best)):
        shown = ranking.image[place].astype(int)
        assert np.abs(shown - near).sum() < np.abs(shown - far).sum()


def test_the_best_segments_are_numbered(compared: Comparison) -> None:
    plain, numbered = (panels(compared.models[1], top)[1] for top in (0, 2))
    changed = (plain.image != numbered.image).any(axis=2)
    count, *_ = cv2.connectedComponents(changed.astype(np.uint8))
    assert count - 1 == 2
    assert plain.notes == ()
    assert [note[:4] for note in numbered.notes] == ["1 a ", "2 a "]


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (60, 90)])
def test_frames_of_any_size_make_sheets_and_pages(size: tuple[int, int]) -> None:
    frame = np.full((*size, 3), (0, 0, 255), np.uint8)
    compared = compare(frame, ["things"], ["red " * 30, "naïve 東京"], clip="clip-colours", repeat=1)
    sheet = draw_sheet(compared)
    assert sheet.dtype == np.uint8
    height, width = panel_size(*size)
    assert sheet.shape[0] >= height
    assert max(height, width) <= 800
    assert "東京" in make_page(compared, "x.png", this_machine([]))


def test_the_page_is_complete_self_contained_and_escaped() -> None:
    evil = '<script>alert("1")</script>'
    compared = compare(scene(*SHAPES), ["colours", "things"], [evil, "red"], clip="clip-colours", repeat=1)
    html = make_page(compared, '<img src=x onerror="y">.png', this_machine(["numpy"]))
    page = ParsedPage(html, void=frozenset({"meta", "img", "br"}))
    names = [tag for tag, _ in page.tags]
    assert "script" not in names
    assert "link" not in names
    assert evil in "".join(page.texts)
    assert '<img src=x onerror="y">.png' in "".join(page.texts)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 2 * 3 + 2 * 3  # the panels, and the crops of three ranked segments per model
    for attributes in images:
        assert str(attributes["src"]).startswith("data:image/jpeg;base64,")
        assert attributes["alt"]
    without_data = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", html)
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=\"[^\"]", without_data)
    assert "numpy" in "".join(page.texts)
    assert names.count("figure") == 6
    assert names.count("table") == 3


def test_installed_models_are_the_default_or_else_demo_seg(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert installed_segmenters() == ["colours", "things"]
    broken = home / "models" / "things" / "things.onnx"
    broken.write_bytes(b"no model")
    assert installed_segmenters() == ["colours"]
    assert "things.onnx" in caplog.text
    monkeypatch.setenv("FASTSAM_TRT_HOME", str(home / "none"))
    assert installed_segmenters() == ["demo-seg"]


def test_invalid_requests_are_refused() -> None:
    frame = scene(*SHAPES)
    with pytest.raises(PromptError, match="at least one prompt"):
        compare(frame, ["colours"], [])
    with pytest.raises(OptionError, match="at least one segmenter"):
        compare(frame, [], ["red"])
    with pytest.raises(OptionError, match="repeat"):
        compare(frame, ["colours"], ["red"], repeat=0)
    with pytest.raises(OptionError, match=r"^threshold"):
        compare(frame, ["colours"], ["red"], threshold=2)
    with pytest.raises(ComparedModelError, match=r"model 'things': selector labels: expected.*found 'red'") as failed:
        compare(frame, ["colours", "things"], ["red"], selector="labels")
    assert failed.value.exit_code == 2


def test_a_model_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Segmenter.segment

    def failing(self: Segmenter, frame: np.ndarray, *options: Any) -> Any:
        spec: ModelSpec = self.session.spec
        if spec.name == "things":
            raise RuntimeError("out of\nmemory")
        return plain(self, frame, *options)

    monkeypatch.setattr(Segmenter, "segment", failing)
    with pytest.raises(ComparedModelError, match=r"^model 'things': RuntimeError: out of$") as failed:
        compare(scene(*SHAPES), ["colours", "things"], TEXTS, clip="clip-colours")
    assert failed.value.exit_code == 1
