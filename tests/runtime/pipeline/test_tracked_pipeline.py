"""The pipeline on successive frames: segment and select apart, tracks, pending segments, changes of prompts."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.clip.embedder import CropEmbedder, Embeddings, LatencyBudget
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import OptionError, PromptError
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.prompts.text_options import TextOptions
from fastsam_trt.prompts.texts import Routes
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import CombinedSelector, Selection, TextSelector
from fastsam_trt.sinks.json_lines import as_record
from fastsam_trt.sources import Frame
from support.colour_models import CELL_PX, scene
from support.made_results import CropMasks, cut

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5))
FRAME = np.zeros((64, 64, 3), np.uint8)


def _cells(result) -> set[tuple[int, int]]:
    middles = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2 / CELL_PX - 0.5
    return {(round(float(y)), round(float(x))) for x, y in middles}


def _segments(n: int) -> Segments:
    pixels = np.zeros((64, 64), np.bool_)
    pixels[:4, :4] = True
    boxes = np.array([[10.0 * i, 0, 10 * i + 8, 8] for i in range(n)], np.float32).reshape(n, 4)
    masks = CropMasks([cut(pixels)] * n)
    return Segments(
        boxes, np.ones(n, np.float32), np.arange(n, dtype=np.int32) % 3, masks, np.arange(n, dtype=np.int32)
    )


class PartialEmbedder:
    """An embedder that knows only some tracks; the vector of a track is the text embedding of what it shows."""

    def __init__(self, clip: Clip, shown: list[str], known: set[int]) -> None:
        self.known = known
        self.margins: dict[int, float] = {}
        self.requested: list[int] = []
        self._vectors = clip.text.embed(shown, ["{}"])

    def warm(self, frame_shape: tuple[int, ...]) -> None:
        pass

    def begin(self, segments: Segments, budget: LatencyBudget | None = None) -> None:
        pass

    def embed(self, frame: np.ndarray, segments: Segments) -> Embeddings:
        self.requested = segments.track_ids.tolist()
        known = np.isin(segments.track_ids, list(self.known))
        return Embeddings(np.where(known[:, None], self._vectors[segments.track_ids], 0), known)

    def record_margins(self, segments: Segments, margins: np.ndarray) -> None:
        self.margins.update(zip(segments.track_ids.tolist(), margins.tolist(), strict=True))


def _by_text(clip: Clip, text: str, embedder: PartialEmbedder, labels: dict[int, int] | None = None) -> TextSelector:
    return TextSelector(
        Routes(labels or {}, {0: text}), TextOptions(negatives=("something",), templates=("{}",)), clip, embedder
    )


def test_segment_and_select_equal_one_call() -> None:
    pipe = Pipeline("colours", prompts=["red"])
    frame = scene(*SHAPES)
    whole = pipe(frame)
    segmented = pipe.segment(frame, captured_s=12.5)
    assert segmented.captured_s == 12.5
    assert np.shares_memory(segmented.frame, frame)
    assert set(segmented.segments.speed_ms) == {"preprocess", "segment"}
    halves = pipe.select(segmented)
    np.testing.assert_array_equal(halves.boxes, whole.boxes)
    np.testing.assert_array_equal(halves.masks(), whole.masks())
    assert halves.speed.keys() == whole.speed.keys()


def test_an_undecided_segment_is_pending_and_not_selected() -> None:
    clip = Clip("clip-colours")
    partial = PartialEmbedder(clip, ["red", "red", "background", "red"], {0, 2})
    found = _by_text(clip, "red", partial).select(FRAME, _segments(4))
    assert found.indices.tolist() == [0]
    assert found.pending.tolist() == [1, 3]
    assert partial.margins[0] > 0.4
    assert partial.margins[2] > 0.4
    assert np.isnan([partial.margins[1], partial.margins[3]]).all()
    partial.known = {0, 1, 2, 3}
    found = _by_text(clip, "red", partial).select(FRAME, _segments(4))
    assert found.indices.tolist() == [0, 1, 3]
    assert found.pending.tolist() == []


def test_a_segment_selected_by_its_label_is_never_pending() -> None:
    clip = Clip("clip-colours")
    partial = PartialEmbedder(clip, ["red"] * 4, set())
    found = _by_text(clip, "red", partial, {1: 1}).select(FRAME, _segments(4))
    assert found.indices.tolist() == [1]
    assert partial.requested == [0, 2, 3]
    assert found.pending.tolist() == [0, 2, 3]
    labels_only = TextSelector(Routes({1: 0}), TextOptions())
    assert labels_only.select(FRAME, _segments(4)).pending.tolist() == []


def test_a_ranking_leaves_out_pending_segments() -> None:
    clip = Clip("clip-colours")
    partial = PartialEmbedder(clip, ["red", "red", "background"], {0, 2})
    ranking = _by_text(clip, "red", partial).rank(FRAME, _segments(3))
    assert ranking.indices.tolist() == [0, 2]


def test_pending_indices_count_excluded_classes() -> None:
    clip = Clip("clip-colours")
    partial = PartialEmbedder(clip, ["red"] * 6, {0, 5})
    combined = CombinedSelector([_by_text(clip, "red", partial)], excluded_classes=[1])  # segments 1 and 4
    found = combined.select(FRAME, _segments(6))
    assert partial.requested == [0, 2, 3, 5]
    assert found.indices.tolist() == [0, 5]
    assert found.pending.tolist() == [2, 3]


def test_a_segment_that_another_selector_selects_is_not_pending() -> None:
    class Chosen:
        def select(self, frame: np.ndarray, segments: Segments) -> Selection:
            return Selection.without_prompt(np.array([1]))

    clip = Clip("clip-colours")
    found = CombinedSelector([_by_text(clip, "red", PartialEmbedder(clip, ["red"] * 3, {0})), Chosen()]).select(
        FRAME, _segments(3)
    )
    assert found.indices.tolist() == [0, 1]
    assert found.prompt_ids.tolist() == [0, -1]
    assert found.pending.tolist() == [2]


def test_an_undecided_exclusion_makes_a_segment_pending() -> None:
    clip = Clip("clip-colours")
    partial = PartialEmbedder(clip, ["red", "background", "red"], {0, 1})
    found = CombinedSelector(clip_exclusions=_by_text(clip, "red", partial)).select(FRAME, _segments(3))
    assert found.indices.tolist() == [1]
    assert found.pending.tolist() == [2]


def test_the_crop_embedder_embeds_every_segment() -> None:
    clip = Clip("clip-colours")
    plain, frame = CropEmbedder(clip), scene(*SHAPES)
    segments = Pipeline("things")(frame).segments
    plain.begin(segments)
    found = plain.embed(frame, segments)
    assert found.known.all()
    assert found.crops_embedded == len(segments) == 4
    np.testing.assert_array_equal(found.vectors, clip.embed_boxes(frame, segments.boxes))


def test_a_tracked_object_is_embedded_once() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    plain = Pipeline("things", clip="clip-colours", prompts=["red"])
    embedded, ids = [], []
    for _ in range(3):
        result, expected = pipe(scene(*SHAPES)), plain(scene(*SHAPES))
        assert _cells(result) == _cells(expected) == {(1, 1), (5, 5)}
        np.testing.assert_allclose(result.similarities, expected.similarities, atol=1e-6)
        assert expected.crops_embedded == 4
        assert expected.track_ids.tolist() == [-1, -1]
        embedded.append(result.crops_embedded)
        ids.append(sorted(result.track_ids.tolist()))
    assert embedded[0] == 4
    assert embedded[1] < 4
    assert min(ids[0]) >= 0
    assert ids[0] == ids[1] == ids[2]


def test_a_new_prompt_needs_no_new_crops() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    frame = scene(*SHAPES)
    assert _cells(pipe(frame)) == {(1, 1), (5, 5)}
    assert pipe.clip is not None
    runs = []
    whole = pipe.clip.embed_windows
    pipe.clip.embed_windows = lambda *args, **options: runs.append(1) or whole(*args, **options)  # type: ignore[method-assign]
    pipe.prompts = ["green"]
    result = pipe(frame)
    assert _cells(result) == {(1, 5)}
    assert result.prompts == ("green",)
    assert runs == []
    pipe.track = False
    assert _cells(pipe(frame)) == {(1, 5)}
    assert runs == [1]


def test_setting_track_starts_tracking_again() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    frame = scene(*SHAPES)
    assert pipe(frame).crops_embedded == 4
    assert pipe(frame).crops_embedded < 4
    pipe.track = True
    assert pipe.track
    assert pipe(frame).crops_embedded == 4
    pipe.track = False
    assert not pipe.track
    assert pipe(frame).track_ids.tolist() == [-1, -1]


def test_a_late_frame_has_pending_segments_that_later_frames_decide() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True, budget_ms=50)
    frame = scene(*SHAPES)
    long_ago = pipe(frame, captured_s=time.perf_counter() - 60)
    assert len(long_ago.pending) > 0
    assert len(long_ago.pending) + long_ago.crops_embedded == 4
    record = as_record(Frame(frame, 0, "made"), long_ago)
    assert record["pending_tracks"] == record["pending"] == long_ago.pending_tracks.tolist()
    assert len(set(record["pending_tracks"]) - {-1}) == len(long_ago.pending)
    for _ in range(20):
        result = pipe(frame)
        if not len(result.pending):
            break
    assert _cells(result) == {(1, 1), (5, 5)}


def test_the_first_budget_times_every_batch_size_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    assert pipe.clip is not None
    sizes: list[int] = []
    embed_boxes = pipe.clip.embed_boxes

    def counted(frame: np.ndarray, boxes: np.ndarray, *uploads: Any) -> np.ndarray:
        sizes.append(len(boxes))
        return embed_boxes(frame, boxes, *uploads)

    monkeypatch.setattr(pipe.clip, "embed_boxes", counted)
    pipe.budget_ms = 50
    assert sorted(set(sizes)) == sorted(LADDER)
    sizes.clear()
    pipe.budget_ms = 60
    assert sizes == []
    pipe.budget_ms = None
    assert pipe(scene(*SHAPES), captured_s=time.perf_counter() - 60).pending.tolist() == []


def test_without_a_budget_nothing_is_pending() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    result = pipe(scene(*SHAPES), captured_s=time.perf_counter() - 60)
    assert len(result.pending) == 0
    assert result.crops_embedded == 4


@pytest.mark.parametrize("budget", [0, -1, math.nan, math.inf])
def test_an_invalid_budget_is_refused(budget: float) -> None:
    with pytest.raises(OptionError, match="budget_ms: expected a number of ms above 0"):
        Pipeline("colours", budget_ms=budget)
    pipe = Pipeline("colours", budget_ms=10)
    with pytest.raises(OptionError):
        pipe.budget_ms = budget
    assert pipe.budget_ms == 10


def test_prompts_can_change_while_frames_run() -> None:
    pipe = Pipeline("colours", prompts=["red"])
    frame = scene(*SHAPES)
    cells = {("red",): {(1, 1), (5, 5)}, ("green",): {(1, 5)}, ("blue", "green"): {(5, 1), (1, 5)}}
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for prompts in cells:
                pipe.prompts = prompts

    changing = threading.Thread(target=change)
    changing.start()
    try:
        seen = set()
        for _ in range(300):
            result = pipe(frame)
            assert _cells(result) == cells[result.prompts]  # prompts and selectors change together
            seen.add(result.prompts)
    finally:
        stop.set()
        changing.join()
    assert len(seen) > 1


def test_a_refused_prompt_changes_nothing() -> None:
    pipe = Pipeline("colours", prompts=["red"], excluded=["blue"])
    with pytest.raises(PromptError):
        pipe.prompts = ["blue"]
    assert pipe.prompts == ("red",)
    assert _cells(pipe(scene(*SHAPES))) == {(1, 1), (5, 5)}


def test_segmenting_and_selecting_on_two_threads_equals_one_thread() -> None:
    frames = [scene(("red", 1 + i % 5, 1), ("green", 1, 5)) for i in range(40)]
    expected = [_cells(Pipeline("colours", prompts=["red"])(frame)) for frame in frames[:5]]
    pipe = Pipeline("colours", prompts=["red"])
    ready, found = [], []
    more = threading.Semaphore(0)

    def select() -> None:
        for i in range(len(frames)):
            more.acquire()
            result = pipe.select(ready[i])
            result.mask_crops()
            found.append(_cells(result))

    selecting = threading.Thread(target=select)
    selecting.start()
    for frame in frames:
        ready.append(pipe.segment(frame))
        more.release()
    selecting.join()
    assert found == expected * 8
