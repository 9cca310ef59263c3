"""Measure the accuracy of segments and of selections on drawn scenes with exact ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.demo.scenes import ALL_PAIRS, HELD_OUT_PAIRS, Scene, draw_scene
from fastsam_trt.demo.shapes import COLOURS, SHAPES
from fastsam_trt.pipeline.pipeline import Pipeline
from fastsam_trt.results.result import Result

UNSEEN_SEED = 9_000_000  # training uses no seed near it
_MATCH_IOU = 0.5
_MIN_SIDE_PX = 16
_MIN_VISIBLE = 0.5


@dataclass(slots=True)
class Counts:
    """Right, wrong and missing selections, summed over scenes."""

    right: int = 0
    wrong: int = 0
    missing: int = 0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN without any selection."""
        total = 2 * self.right + self.wrong + self.missing
        return 2 * self.right / total if total else float("nan")


@dataclass(slots=True)
class Accuracy:
    """Counts over all scenes, and the metrics that follow from them.

    Attributes:
        scenes: Number of scenes.
        objects, found: Objects that count (over 16 px per side, at least half visible), and those found at IoU 0.5.
        ious: Mask IoU of the found objects.
        seen, held_out: Selections by colour and shape, for pairs seen in training and pairs held out of it.
        colour, shape: Selections by colour alone, and by shape alone.
        absent, silent: Prompts for things that a scene lacks, and those of them that selected nothing.
        together, attributed: Segments selected by several prompts at once, and those with the right prompt.
    """

    scenes: int = 0
    objects: int = 0
    found: int = 0
    ious: list[float] = field(default_factory=list)
    seen: Counts = field(default_factory=Counts)
    held_out: Counts = field(default_factory=Counts)
    colour: Counts = field(default_factory=Counts)
    shape: Counts = field(default_factory=Counts)
    absent: int = 0
    silent: int = 0
    together: int = 0
    attributed: int = 0

    def metrics(self) -> dict[str, float]:
        """The metrics by name, 0 to 1."""
        return {
            "recall at mask IoU 0.5": self.found / max(self.objects, 1),
            "mean mask IoU of found objects": float(np.mean(self.ious)) if self.ious else 0.0,
            "F1, colour and shape seen in training": self.seen.f1,
            "F1, pairs held out of training": self.held_out.f1,
            "F1, colour alone": self.colour.f1,
            "F1, shape alone": self.shape.f1,
            "absent things that select nothing": self.silent / max(self.absent, 1),
            "right prompt among several": self.attributed / max(self.together, 1),
        }


BOUNDS: dict[str, float] = {
    "recall at mask IoU 0.5": 0.95,
    "mean mask IoU of found objects": 0.90,
    "F1, colour and shape seen in training": 0.95,
    "F1, pairs held out of training": 0.85,
    "F1, colour alone": 0.90,
    "F1, shape alone": 0.90,
    "absent things that select nothing": 0.95,
    "right prompt among several": 0.95,
}
"""Lower bounds for the demo models, by the names of `Accuracy.metrics`."""


def measure(
    pipeline: Pipeline, scenes: int, first_seed: int = UNSEEN_SEED, *, items: tuple[int, int] = (3, 9)
) -> Accuracy:
    """Measure a pipeline on scenes. This changes its prompts.

    Args:
        pipeline: A segmenter with a CLIP.
        scenes: Number of scenes to draw.
        first_seed: Seed of the first scene.
        items: Fewest and most items per scene; many overlap or contain each other.
    """
    total = Accuracy()
    for seed in range(first_seed, first_seed + scenes):
        _measure_scene(pipeline, draw_scene(seed, items=items), np.random.default_rng(seed), total)
    return total


def _measure_scene(pipeline: Pipeline, scene: Scene, generator: np.random.Generator, total: Accuracy) -> None:
    total.scenes += 1
    counts = counting_items(scene)
    pipeline.prompts = ()
    owners, ious = _owners(pipeline(scene.frame), scene)
    for item in np.flatnonzero(counts):
        total.objects += 1
        if (owners == item).any():
            total.found += 1
            total.ious.append(float(ious[owners == item].max()))
    present = {(item.colour, item.shape) for item in scene.items}
    for pair in sorted(present):
        wanted = [(item.colour, item.shape) == pair for item in scene.items]
        kind = total.held_out if pair in HELD_OUT_PAIRS else total.seen
        _count(pipeline, scene, f"{pair[0]} {pair[1]}", wanted, counts, kind)
    for colour in sorted({colour for colour, _ in present}):
        _count(pipeline, scene, colour, [item.colour == colour for item in scene.items], counts, total.colour)
    for shape in sorted({shape for _, shape in present}):
        _count(pipeline, scene, shape, [item.shape == shape for item in scene.items], counts, total.shape)
    for prompt in _absent(present, generator):
        pipeline.prompts = (prompt,)
        total.absent += 1
        total.silent += len(pipeline(scene.frame)) == 0
    _measure_together(pipeline, scene, sorted(present), counts, total)


def _measure_together(
    pipeline: Pipeline, scene: Scene, present: Sequence[tuple[str, str]], counts: NDArray[np.bool_], total: Accuracy
) -> None:
    """Prompt for up to four things at once, and check the prompt of each selected segment."""
    pairs = [pair for pair in present if pair not in HELD_OUT_PAIRS][:4]
    if len(pairs) < 2:
        return
    pipeline.prompts = tuple(f"{colour} {shape}" for colour, shape in pairs)
    result = pipeline(scene.frame)
    owners, _ = _owners(result, scene)
    for owner, prompt_id in zip(owners.tolist(), result.prompt_ids.tolist(), strict=True):
        if owner < 0 or not counts[owner]:
            continue
        item = scene.items[owner]
        total.together += 1
        total.attributed += pairs[prompt_id] == (item.colour, item.shape)


def counting_items(scene: Scene) -> NDArray[np.bool_]:
    """Which items are large and visible enough to count: (n,) bool."""
    heights = scene.masks.any(axis=2).sum(axis=1)
    widths = scene.masks.any(axis=1).sum(axis=1)
    large = (heights > _MIN_SIDE_PX) & (widths > _MIN_SIDE_PX)
    counting: NDArray[np.bool_] = large & (scene.visible >= _MIN_VISIBLE)
    return counting


def _owners(result: Result, scene: Scene) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The item that each selected segment shows (-1: none), matched from the best IoU down, and the mask IoU."""
    owners = np.full(len(result), -1, np.intp)
    ious = np.zeros(len(result))
    if not len(result) or not len(scene.items):
        return owners, ious
    overlap = mask_ious(result.masks(), scene.masks)
    for flat in np.argsort(-overlap, axis=None):
        segment, item = np.unravel_index(flat, overlap.shape)
        if overlap[segment, item] < _MATCH_IOU:
            break
        if owners[segment] < 0 and not (owners == item).any():
            owners[segment], ious[segment] = item, overlap[segment, item]
    return owners, ious


def mask_ious(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU of every pair of masks: (n, H, W) and (m, H, W) bool to (n, m)."""
    pixels = a.shape[1] * a.shape[2]
    flat_a, flat_b = (masks.reshape(len(masks), pixels).astype(np.float32) for masks in (a, b))
    inter = (flat_a @ flat_b.T).astype(np.float64)
    union = flat_a.sum(axis=1)[:, None] + flat_b.sum(axis=1)[None] - inter
    ious: NDArray[np.float64] = inter / np.maximum(union, 1)
    return ious


def _count(
    pipeline: Pipeline,
    scene: Scene,
    prompt: str,
    wanted: Sequence[bool],
    counts: NDArray[np.bool_],
    into: Counts,
) -> None:
    """Select by one prompt and count. Items that do not count are neither missing nor wrong."""
    pipeline.prompts = (prompt,)
    owners, _ = _owners(pipeline(scene.frame), scene)
    for owner in owners.tolist():
        if owner >= 0 and not counts[owner]:
            continue
        if owner >= 0 and wanted[owner]:
            into.right += 1
        else:
            into.wrong += 1
    into.missing += sum(
        want and count and i not in owners for i, (want, count) in enumerate(zip(wanted, counts, strict=True))
    )


def _absent(present: Iterable[tuple[str, str]], generator: np.random.Generator) -> list[str]:
    """Prompts for things that a scene lacks: similar to its items, different from them, or no shapes at all."""
    pairs = set(present)
    colours, shapes = {colour for colour, _ in pairs}, {shape for _, shape in pairs}
    missing = [pair for pair in ALL_PAIRS if pair not in pairs and pair not in HELD_OUT_PAIRS]
    near = [pair for pair in missing if pair[0] in colours or pair[1] in shapes]
    far = [pair for pair in missing if pair[0] not in colours and pair[1] not in shapes]
    prompts = [str(generator.choice(["elephant", "bicycle", "a brown dog", "skyscraper"]))]
    prompts += [" ".join(group[int(generator.integers(len(group)))]) for group in (near, far) if group]
    for word, group in ((COLOURS, colours), (SHAPES, shapes)):
        rest = [each for each in word if each not in group]
        if rest:
            prompts.append(rest[int(generator.integers(len(rest)))])
    return prompts
