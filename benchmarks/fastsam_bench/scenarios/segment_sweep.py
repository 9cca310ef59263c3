"""Measure the cost of selecting and decoding against the number of segments, in our way and in the usual way.

The frame is a drawn scene of 1080 x 1920 px. Its segments are those with the highest scores, without a threshold and
without NMS, so that there are enough of them, with real prototypes, coefficients and boxes. A fifth of them is
selected: by class, after every fifth segment got the class of the prompt; or by CLIP, with a threshold that a fifth of
them exceeds. The time of the segmenter is not included, since it is the same in both ways.

Our way selects first, and decodes only the selected masks. The usual way decodes every mask at full size, embeds every
crop, and encodes the prompt and a negative for each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastsam_bench.cases.frames import DrawnFrames
from fastsam_bench.cases.opened_model import PROMPT, OpenedModel
from fastsam_bench.results.records import Interval, Sweep
from fastsam_bench.scenarios.baseline import TextTower, full_masks, has_full_masks
from fastsam_bench.timing.blocks import state
from fastsam_bench.timing.paired import wall_clock
from fastsam_trt.clip.model import Clip
from fastsam_trt.prompts.text_options import TextOptions
from fastsam_trt.prompts.texts import Routes
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import TextSelector, match_scores

COUNTS = (5, 20, 50, 100, 300)
_SIZE = (1080, 1920)
_ONE_IN = 5
_TURN_MS = 300.0
_FEWEST, _LONG_MS = 3, 5_000.0
_NEGATIVE = "something else"
_PROMPTED, _OTHER = 0, 1  # class ids

_Way = tuple[Literal["ours", "usual"], Literal["labels", "clip"], int]


def measure_sweep(
    opened: OpenedModel,
    clip: Clip | None,
    counts: Sequence[int],
    rounds: int,
    show: Callable[[str], None] = lambda _: None,
) -> Iterator[Sweep | str]:
    """Measure both ways in turn. Each turn covers all counts, so that one bad minute does not distort a single point.

    Args:
        opened: A segmenter with prototypes.
        clip: The CLIP model; None: select by class only.
        counts: Numbers of segments.
        rounds: Timed turns of each way at each count; a slow way gets fewer, but at least three.
        show: Called with a description of each step.

    Returns:
        Records, and notes on what was left out.
    """
    frame = DrawnFrames(_SIZE, pictures=1).capture()
    tower = None if clip is None else TextTower(str(opened.case.clip), opened.case.backend, opened.case.device)
    ways: dict[_Way, Callable[[], float]] = {}
    for count in counts:
        segments = _segments(opened, frame, count)
        if not has_full_masks(segments):
            yield f"sweep of {opened.name}: left out, its masks are not made of prototypes"
            return
        if len(segments) < count:
            yield f"sweep of {opened.name}: {count} segments and more are left out, it finds at most {len(segments)}"
            break
        ways["ours", "labels", count] = wall_clock(_ours(frame, segments, _by_label()))
        ways["usual", "labels", count] = wall_clock(_usual(segments))
        if clip is not None and tower is not None:
            selector = _by_clip(clip, frame, segments)
            ways["ours", "clip", count] = wall_clock(_ours(frame, segments, selector))
            ways["usual", "clip", count] = wall_clock(_usual_clip(frame, segments, clip, tower))
    for (side, how, count), spent in _time(ways, rounds, lambda what: show(f"sweep {opened.name}: {what}")).items():
        stated = state(spent)
        yield Sweep(
            side=side,
            selector=how,
            segments=count,
            frame=_SIZE,
            latency_ms=Interval(stated.median, stated.low, stated.high),
            model=opened.name,
            backend=opened.session.backend,
            precision=opened.session.precision,
        )


def _time(ways: dict[_Way, Callable[[], float]], rounds: int, show: Callable[[str], None]) -> dict[_Way, list[float]]:
    """Times of all ways, measured in turn, ms."""
    times: dict[_Way, list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        for way, time_ms in ways.items():
            spent = times[way]
            if turn >= _FEWEST and sum(spent) > _LONG_MS:
                continue
            show(f"{way[2]} segments by {way[1]}, {way[0]}")
            spent.append(_turn(time_ms))
    return times


def _turn(time_ms: Callable[[], float]) -> float:
    """One turn of a way: the median of several calls, without the first one if calls are short."""
    spent = [time_ms()]
    while sum(spent) < _TURN_MS:
        spent.append(time_ms())
    return float(np.median(spent[1:] or spent))


def _segments(opened: OpenedModel, frame: NDArray[np.uint8], count: int) -> Segments:
    """The `count` segments with the highest scores; every fifth gets the prompted class."""
    opened.use(0)
    segmenter = opened.pipeline.segmenter
    segmenter.thresholds = replace(segmenter.thresholds, conf=0.0, iou=1.0, max_segments=count)
    try:
        segments = segmenter(frame)
    finally:
        opened.use(0)
    class_ids = np.where(np.arange(len(segments)) % _ONE_IN == 0, _PROMPTED, _OTHER).astype(np.int32)
    return replace(segments, class_ids=class_ids)


def _by_label() -> TextSelector:
    return TextSelector(Routes({_PROMPTED: 0}), TextOptions())


def _by_clip(clip: Clip, frame: NDArray[np.uint8], segments: Segments) -> TextSelector:
    """A selector with a threshold at which it selects one segment in five."""

    def selector(threshold: float) -> TextSelector:
        return TextSelector(Routes(by_clip={0: PROMPT}), TextOptions(threshold=threshold), clip)

    similarities = np.sort(selector(0.0).select(frame, segments).similarities)[::-1]
    return selector(float(similarities[max(len(segments) // _ONE_IN, 1) - 1]))


def _ours(frame: NDArray[np.uint8], segments: Segments, selector: TextSelector) -> Callable[[], object]:
    return lambda: segments.masks.decode(selector.select(frame, segments).indices.tolist())


def _usual(segments: Segments) -> Callable[[], object]:
    return lambda: full_masks(segments, *_SIZE)[segments.class_ids == _PROMPTED]


def _usual_clip(frame: NDArray[np.uint8], segments: Segments, clip: Clip, tower: TextTower) -> Callable[[], object]:
    kept = max(len(segments) // _ONE_IN, 1)

    def call() -> NDArray[np.bool_]:
        masks = full_masks(segments, *_SIZE)
        texts = tower([PROMPT, _NEGATIVE])
        scores = match_scores(clip.embed_boxes(frame, segments.boxes), texts[:1], texts[1:], clip.logit_scale)
        return masks[np.argsort(-scores[:, 0])[:kept]]

    return call
