"""What segmenters made of one picture, each with its times and its ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.results.result import Result
from fastsam_trt.selectors import Ranking

STAGES = ("preprocess", "segment", "select", "decode", "total")
"""What is timed, in order; `decode` makes the masks of the selected segments."""


@dataclass(frozen=True, slots=True)
class RankedSegment:
    """One segment of a ranking.

    Attributes:
        rank: From 1.
        index: Into the segments.
        box: x0, y0, x1, y1, px of the frame.
        score: The segmenter's confidence, 0..1.
        label: Name of its class; None for a one-class model.
        prompt: The prompt that it answers best.
        similarity: How sure CLIP is of that, 0..1; None where the class label answers it.
        selected: Whether `run` would select it.
    """

    rank: int
    index: int
    box: tuple[float, float, float, float]
    score: float
    label: str | None
    prompt: str
    similarity: float | None
    selected: bool

    @property
    def caption(self) -> str:
        """Label (else prompt) and similarity (else score)."""
        sure = self.score if self.similarity is None else self.similarity
        return f"{self.label or self.prompt} {sure:.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class ModelOutcome:
    """What one segmenter made of the picture.

    Attributes:
        name: Short name of the model.
        family: Family of the model.
        backend, device, precision: What really ran it.
        by_label: The prompts that class labels answer.
        by_clip: The prompts that CLIP answers.
        result: All n segments, and the selection.
        ranking: The segments that the prompts were held against, best first.
        times_ms: Stage, of `STAGES`, to (repeat,) float64, one for each timed run.
    """

    name: str
    family: str
    backend: str
    device: str
    precision: str
    by_label: tuple[str, ...]
    by_clip: tuple[str, ...]
    result: Result
    ranking: Ranking
    times_ms: dict[str, NDArray[np.float64]]

    @property
    def engine(self) -> str:
        """Backend, device and precision in words."""
        return f"{self.backend} {self.device} {self.precision}"

    @property
    def counts(self) -> str:
        """How many segments there are and how many are selected, in words."""
        return f"segments: {len(self.result.segments)}, selected: {len(self.result)}"

    @property
    def ms(self) -> dict[str, float]:
        """Stage to its median, ms. The total is the median of totals, not the sum of medians."""
        return {stage: float(np.median(times)) for stage, times in self.times_ms.items()}

    @property
    def best_similarity(self) -> float | None:
        """The highest similarity; None where CLIP was asked about no segment."""
        asked = self.ranking.similarities[~np.isnan(self.ranking.similarities)]
        return float(asked.max()) if len(asked) else None

    def ranked(self, most: int | None = None) -> Iterator[RankedSegment]:
        """The ranking's segments, best first, all of them or the first few."""
        segments = self.result.segments
        selected = set(self.result.selection.indices.tolist())
        for place, index in enumerate(self.ranking.indices[:most].tolist()):
            x0, y0, x1, y1 = segments.boxes[index].tolist()
            similarity = float(self.ranking.similarities[place])
            yield RankedSegment(
                rank=place + 1,
                index=index,
                box=(x0, y0, x1, y1),
                score=float(segments.scores[index]),
                label=self.result.label_of(int(segments.class_ids[index])),
                prompt=self.result.prompts[self.ranking.prompt_ids[place]],
                similarity=None if np.isnan(similarity) else similarity,
                selected=index in selected,
            )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several segmenters on one picture, under one selection.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        prompts: The texts that were asked for.
        clip: Short name of the CLIP model; None where no prompt needed one.
        selector: `auto`, `labels` or `clip`.
        threshold: Least similarity of a selected segment, 0..1.
        repeat: How many runs were timed.
        models: In the order that they were asked for.
    """

    picture: NDArray[np.uint8]
    prompts: tuple[str, ...]
    clip: str | None
    selector: str
    threshold: float
    repeat: int
    models: tuple[ModelOutcome, ...]
