"""Many threads share a pipeline, a segmenter and a CLIP model, and get the same results as a single thread."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine.errors import NotPicklableError
from fastsam_trt import Pipeline
from fastsam_trt.clip.model import Clip
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.errors import ClipNotFoundError, OptionError, PromptError
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.prompts import prompt_set
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segmenter import Segmenter
from support.colour_models import CELL_PX, scene

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5))
COLOURS = ("red", "green", "blue")
THREADS = 8


def at_once(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """Run `work` on several threads that start together; return their results, or raise the first error."""
    begin = threading.Barrier(threads)

    def run(index: int) -> object:
        begin.wait()
        return work(index)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def comparable(result: Result) -> tuple[bytes, ...]:
    """Everything in a result, as comparable bytes."""
    masks = b"".join(crop.pixels.tobytes() for crop in result.mask_crops())
    parts = (result.boxes, result.scores, result.class_ids, result.prompt_ids, result.similarities)
    return (*(part.tobytes() for part in parts), masks, repr(result.prompts).encode())


def cells(result: Result) -> set[tuple[int, int]]:
    middles = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2 / CELL_PX - 0.5
    return {(round(float(y)), round(float(x))) for x, y in middles}


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Make threads switch five hundred times as often as usual, so that rare interleavings occur."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def different() -> list[np.ndarray]:
    """A frame per thread, half of them of another size."""
    return [draw_scene(seed, 240, 320 if seed % 2 else 256).frame for seed in range(THREADS)]


def test_every_thread_gets_the_result_of_its_own_frame(backend: str, different: list[np.ndarray]) -> None:
    pipe = Pipeline("demo-seg", backend=backend)
    expected = [comparable(pipe(frame)) for frame in different]
    wrong = at_once(lambda i: sum(comparable(pipe(different[i])) != expected[i] for _ in range(8)))
    assert wrong == [0] * THREADS


def test_prompts_of_a_call_apply_to_that_call_only(backend: str) -> None:
    pipe = Pipeline("things", clip="clip-colours", backend=backend, prompts=["blue"])
    frame = scene(*SHAPES)
    wanted = {"red": {(1, 1), (5, 5)}, "green": {(1, 5)}, "blue": {(5, 1)}}

    def ask(index: int) -> int:
        wrong = 0
        for turn in range(12):
            colour = COLOURS[(index + turn) % 3]
            result = pipe(frame, prompts=[colour])
            wrong += cells(result) != wanted[colour] or result.prompts != (colour,)
        return wrong

    assert at_once(ask) == [0] * THREADS
    assert pipe.prompts == ("blue",)
    assert cells(pipe(frame)) == wanted["blue"]


def test_options_of_a_call_do_not_change_the_pipeline() -> None:
    pipe = Pipeline("colours", clip="clip-colours", prompts=["red"], conf=0.5, max_selected=5)
    frame = scene(*SHAPES)
    assert cells(pipe(frame, prompts=[])) == {(1, 1), (1, 5), (5, 1), (5, 5)}
    assert cells(pipe(frame, prompts="green")) == {(1, 5)}
    assert cells(pipe(frame, prompts=["a green thing"])) == {(1, 5)}  # by CLIP
    assert cells(pipe(frame, prompts=[], excluded=["red"])) == {(1, 5), (5, 1)}
    assert cells(pipe(frame, prompts=[], boxes=[[150, 20, 210, 80]])) == {(1, 5)}
    assert cells(pipe(frame, prompts=[], points=[[48, 176]])) == {(5, 1)}
    assert cells(pipe(frame, prompts=[], points=[[48, 176]], point_labels=[0])) == {(1, 1), (1, 5), (5, 5)}
    assert len(pipe(frame, max_selected=1)) == len(pipe(frame, max_selected=np.int64(1))) == 1
    assert len(pipe(frame, prompts=[], max_segments=3).segments) == 3
    assert len(pipe(frame, conf=1.0)) == 0
    assert cells(pipe(frame, prompts=[], classes=["blue"])) == {(5, 1)}
    assert cells(pipe(frame, prompts=["red"], selector="clip", threshold=0.0)) == {(1, 1), (1, 5), (5, 1), (5, 5)}
    assert cells(pipe(frame)) == {(1, 1), (5, 5)}
    assert (pipe.prompts, pipe.excluded, len(pipe.boxes), len(pipe.points)) == (("red",), (), 0, 0)
    assert pipe.segmenter.thresholds.conf == 0.5


def test_a_call_uses_the_pipeline_s_options_where_it_has_none() -> None:
    pipe = Pipeline("colours", prompts=["red"], excluded=["blue"])
    frame = scene(*SHAPES)
    assert cells(pipe(frame, prompts=[])) == {(1, 1), (1, 5), (5, 5)}  # blue stays excluded
    with pytest.raises(PromptError, match="either as a prompt or as an exclusion"):
        pipe(frame, prompts=["blue"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prompts": [" "]}, PromptError),
        ({"prompts": [3]}, PromptError),
        ({"boxes": [[1, 2, 3]]}, PromptError),
        ({"points": [[999, 0]]}, PromptError),
        ({"point_labels": [1]}, PromptError),
        ({"conf": 2.0}, OptionError),
        ({"conf": "0.5"}, OptionError),
        ({"iou": "much"}, OptionError),
        ({"max_segments": 1.5}, OptionError),
        ({"max_selected": 2.0}, OptionError),
        ({"threshold": "0.5"}, OptionError),
        ({"max_selected": 0}, OptionError),
        ({"max_segments": 0}, OptionError),
        ({"classes": ["violin"]}, OptionError),
        ({"threshold": -1.0}, OptionError),
        ({"selector": "guess"}, OptionError),
        ({"prompts": ["red"], "classes": ["blue"]}, PromptError),
        ({"prompts": ["violin"], "selector": "labels"}, PromptError),
        ({"prompts": ["violin"]}, ClipNotFoundError),
    ],
)
def test_options_of_a_call_are_checked_and_change_nothing(options: dict[str, object], error: type[Exception]) -> None:
    pipe = Pipeline("colours")
    with pytest.raises(error):
        pipe(scene(*SHAPES), **options)
    assert len(pipe(scene(*SHAPES))) == 4


def test_a_call_is_refused_before_the_network_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline("colours")
    monkeypatch.setattr(Segmenter, "segment", lambda *_: pytest.fail("the network ran"))
    with pytest.raises(ClipNotFoundError, match="needs CLIP"):
        pipe(scene(*SHAPES), prompts=["violin"])


def test_many_threads_may_set_prompts_while_others_call() -> None:
    pipe = Pipeline("colours")
    frame = scene(*SHAPES)
    wanted = {
        ("red",): {(1, 1), (5, 5)},
        ("green",): {(1, 5)},
        ("blue",): {(5, 1)},
        (): {(1, 1), (1, 5), (5, 1), (5, 5)},
    }

    def work(index: int) -> int:
        wrong = 0
        for turn in range(20):
            if index % 2:
                pipe.prompts = [COLOURS[(index + turn) % 3]]
            else:
                result = pipe(frame)
                wrong += cells(result) != wanted[result.prompts]
        return wrong

    assert at_once(work) == [0] * THREADS


def test_no_change_of_prompts_is_lost() -> None:
    pipe = Pipeline("colours")

    def change(index: int) -> None:
        for _ in range(50):
            if index % 2:
                pipe.prompts = ["red"]
            else:
                pipe.boxes = [[0, 0, 64, 64]]

    at_once(change, 4)
    assert (pipe.prompts, len(pipe.boxes)) == (("red",), 1)


def test_points_and_their_labels_are_set_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline("colours", points=[[1, 1], [2, 2]])
    others: list[threading.Thread] = []
    real = prompt_set.check_point_labels

    def meanwhile(labels: object, count: int) -> np.ndarray:
        if not others:
            others.append(threading.Thread(target=setattr, args=(pipe, "points", [[8, 8], [9, 9]])))
            others[0].start()
            others[0].join(0.2)  # it waits for its turn
        return real(labels, count)

    monkeypatch.setattr(prompt_set, "check_point_labels", meanwhile)
    pipe.point_labels = [1, 0]
    others[0].join(10)
    assert (pipe.points.tolist(), pipe.point_labels.tolist()) == ([[8, 8], [9, 9]], [1, 0])


def test_one_clip_serves_pipelines_in_many_threads(backend: str) -> None:
    clip = Clip("clip-colours", backend=backend)
    pipes = [Pipeline("things", clip=clip, prompts=[COLOURS[i % 3]], backend=backend) for i in range(4)]
    frames = [scene(*SHAPES), scene(*SHAPES[::-1], ("green", 3, 3))] * 2
    expected = [comparable(pipe(frame)) for pipe, frame in zip(pipes, frames, strict=True)]
    vectors = clip.embed_boxes(frames[0], pipes[0](frames[0]).segments.boxes)

    def work(index: int) -> int:
        wrong = 0
        for _ in range(20):
            result = pipes[index](frames[index])
            wrong += comparable(result) != expected[index]
            wrong += not np.array_equal(clip.embed_boxes(frames[0], pipes[0](frames[0]).segments.boxes), vectors)
        return wrong

    assert at_once(work, 4) == [0] * 4


def test_ranking_beside_a_tracked_stream_changes_nothing() -> None:
    def frames() -> Iterator[np.ndarray]:
        for turn in range(40):
            yield scene(*SHAPES[: 2 + turn % 3])

    def run(*, ranked: bool) -> list[tuple[bytes, ...]]:
        pipe = Pipeline("things", clip="clip-colours", prompts=["red", "green"], track=True)
        results, ranks, over = [], [], threading.Event()
        latest: list[Result] = []

        def rank() -> None:
            while not over.is_set():
                if latest:
                    ranks.append(pipe.rank(latest[-1]))

        beside = threading.Thread(target=rank)
        beside.start() if ranked else None
        try:
            for frame in frames():
                result = pipe(frame)
                results.append((*comparable(result), result.track_ids.tobytes()))
                latest.append(result)
        finally:
            over.set()
            beside.join() if ranked else None
        assert bool(ranks) is ranked
        assert all(np.isfinite(ranking.similarities).all() for ranking in ranks)
        return results

    assert run(ranked=True) == run(ranked=False)


def test_a_result_of_another_stream_is_ranked_for_itself() -> None:
    """Track ids mean nothing in another stream, whose embeddings belong to other objects."""
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    other = Pipeline("things", clip="clip-colours", track=True, prompts=["red"])
    pipe(scene(("green", 1, 1), ("blue", 5, 5)))
    theirs = other(scene(("red", 1, 1), ("red", 5, 5)))
    ranking = pipe.rank(theirs)
    assert ranking.similarities.min() > 0.5
    pipe.track = True  # resets the tracks: results from before the reset are ranked correctly, too
    assert pipe.rank(theirs).similarities.min() > 0.5


def test_streams_of_one_pipeline_have_tracks_of_their_own(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    near = [scene(("red", 1, 1)) for _ in range(12)]
    far = [scene(("red", 5, 5), ("red", 1, 5)) for _ in range(12)]
    videos = [write_video(tmp_path / "near.avi", near), write_video(tmp_path / "far.avi", far)]
    pipe = Pipeline("colours", prompts=["red"])
    alone = [[result.track_ids.tolist() for result in pipe.stream(video)] for video in videos]
    assert alone == [[[0]] * 12, [[0, 1]] * 12]
    streams = [pipe.stream(video) for video in videos]
    together: list[list[list[int]]] = [[], []]
    for _ in range(12):
        for found, stream in zip(together, streams, strict=True):
            found.append(next(stream).track_ids.tolist())
            pipe(scene(("red", 3, 3)))  # a call between the streams' frames belongs to neither
    assert together == alone
    assert not pipe.track


def test_prompts_that_are_set_apply_to_running_streams(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    video = write_video(tmp_path / "video.avi", [scene(*SHAPES) for _ in range(30)])
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    seen = []
    for result in pipe.stream(video, track=True):
        seen.append((result.prompts, len(result)))
        if len(seen) == 5:
            pipe.prompts = ["green"]
    assert seen[0] == (("red",), 2)
    assert seen[-1] == (("green",), 1)


def test_a_prompt_is_computed_once_however_many_threads_ask(tmp_path: Path) -> None:
    clip = Clip("clip-colours", cache=tmp_path)
    vectors = at_once(lambda _: clip.text.embed(["a red thing"], ["{}"]))
    assert clip.text.tower_runs == 1
    assert all(np.array_equal(each, vectors[0]) for each in vectors)


def test_clip_is_opened_once_however_many_threads_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = Clip.__init__

    def slow(self: Clip, *args: object, **options: object) -> None:
        opened.append(1)
        time.sleep(0.05)
        real(self, *args, **options)

    monkeypatch.setattr(Clip, "__init__", slow)
    pipe = Pipeline("things", clip="clip-colours")
    results = at_once(lambda i: len(pipe(scene(*SHAPES), prompts=[COLOURS[i % 3]])))
    assert results == [(2, 1, 1)[i % 3] for i in range(THREADS)]
    assert len(opened) == 1


def test_a_known_prompt_does_not_wait_for_one_that_is_computed(
    slow_prompts: tuple[threading.Event, threading.Event],
) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    computing, go_on = slow_prompts
    setter = threading.Thread(target=lambda: setattr(pipe, "prompts", ["a green thing"]))
    setter.start()
    assert computing.wait(10)
    try:
        assert len(pipe(scene(*SHAPES))) == 2
        assert len(pipe(scene(*SHAPES), prompts=["red"])) == 2
        assert pipe.prompts == ("red",)
    finally:
        go_on.set()
        setter.join()
    assert len(pipe(scene(*SHAPES))) == 1


def test_an_upload_holds_the_current_content_of_an_array() -> None:
    """A camera loop may write every frame into the same array."""
    uploads, session = FrameUploads(), Segmenter("colours").session
    buffer = np.zeros((8, 8, 3), np.uint8)
    first = uploads.register(buffer)
    held = uploads.upload(session, first)
    assert uploads.upload(session, first) is held
    second = uploads.register(buffer)
    assert uploads.upload(session, second) is not held
    # nothing identifies the content of an array that was not registered
    assert uploads.upload(session, buffer) is not uploads.upload(session, buffer)


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
def test_pickling_open_models_fails_with_a_hint(act: Callable[[object], object]) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    for each in (pipe, pipe.segmenter, pipe.clip, pipe.segmenter.session):
        with pytest.raises(NotPicklableError, match=f"open {type(each).__name__}; open one in each process"):
            act(each)


def test_a_result_can_be_pickled() -> None:
    result = Pipeline("colours", prompts=["red"])(scene(*SHAPES))
    again = pickle.loads(pickle.dumps(result))
    assert comparable(again) == comparable(result)
    assert again.labels == result.labels
    masks = at_once(lambda _: again.masks())
    assert all(np.array_equal(each, masks[0]) for each in masks)
