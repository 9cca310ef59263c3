"""Describe the outcome of a comparison: the segments, ranking and times of each model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.results.result import Result
from fastsam_trt.selectors import Ranking

STAGES = ("preprocess", "segment", "select", "decode", "total")
"""The timed stages, in order; `decode` makes the masks of the selected segments."""


@dataclass(frozen=True, slots=True)
class RankedSegment:
    """A segment in a ranking.

    Attributes:
        rank: From 1.
        index: Index of the segment.
        box: x0, y0, x1, y1, px of the frame.
        score: Confidence of the segmentation model, 0..1.
        label: Name of its class; None for a model with one class.
        prompt: The prompt that it matches best.
        similarity: Match score of CLIP for that prompt, 0..1; None if the prompt is a class label.
        selected: Whether it is selected.
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
        """The label, or else the prompt, and the similarity, or else the score."""
        value = self.score if self.similarity is None else self.similarity
        return f"{self.label or self.prompt} {value:.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class ModelOutcome:
    """The outcome for one segmentation model.

    Attributes:
        name: Short name of the model.
        family: Family of the model.
        backend, device, precision: What the model ran on.
        by_label: The prompts that select by class label.
        by_clip: The prompts that select by CLIP.
        result: All segments, and the selection.
        ranking: The segments that were compared with the prompts, best first.
        times_ms: For each of `STAGES` a (repeat,) float64 array, one value per timed run.
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
        """The numbers of segments and selected segments, in words."""
        return f"segments: {len(self.result.segments)}, selected: {len(self.result)}"

    @property
    def ms(self) -> dict[str, float]:
        """Median time of each stage, ms. The total is the median of totals, not the sum of medians."""
        return {stage: float(np.median(times)) for stage, times in self.times_ms.items()}

    @property
    def best_similarity(self) -> float | None:
        """The highest similarity; None if CLIP scored no segment."""
        scored = self.ranking.similarities[~np.isnan(self.ranking.similarities)]
        return float(scored.max()) if len(scored) else None

    def ranked(self, most: int | None = None) -> Iterator[RankedSegment]:
        """Iterate over the ranked segments, best first.

        Args:
            most: How many; None: all.
        """
        segments = self.result.segments
        selected = set(self.result.selection.indices.tolist())
        for position, index in enumerate(self.ranking.indices[:most].tolist()):
            x0, y0, x1, y1 = segments.boxes[index].tolist()
            similarity = float(self.ranking.similarities[position])
            yield RankedSegment(
                rank=position + 1,
                index=index,
                box=(x0, y0, x1, y1),
                score=float(segments.scores[index]),
                label=self.result.label_of(int(segments.class_ids[index])),
                prompt=self.result.prompts[self.ranking.prompt_ids[position]],
                similarity=None if np.isnan(similarity) else similarity,
                selected=index in selected,
            )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several segmentation models on one image, with one selection.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        prompts: The texts to select by.
        clip: Short name of the CLIP model; None if no prompt needed it.
        selector: `auto`, `labels` or `clip`.
        threshold: Lowest similarity of a selected segment, 0..1.
        repeat: Number of timed runs.
        models: Their outcomes, in the requested order.
    """

    image: NDArray[np.uint8]
    prompts: tuple[str, ...]
    clip: str | None
    selector: str
    threshold: float
    repeat: int
    models: tuple[ModelOutcome, ...]
