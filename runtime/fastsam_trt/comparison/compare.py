"""compare: one selection by text, over the segments of several models."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import read_spec
from fastsam_engine.errors import ModelFileError, RequestError
from fastsam_engine.store.model_store import find_graphs, installed
from fastsam_trt import bundled_models
from fastsam_trt.clip.model import Clip
from fastsam_trt.comparison.outcome import STAGES, Comparison, ModelOutcome
from fastsam_trt.errors import ComparedModelError, OptionError, PromptError
from fastsam_trt.frames.image import as_bgr
from fastsam_trt.pipeline.models import DEFAULT_CLIP
from fastsam_trt.pipeline.pipeline import Pipeline
from fastsam_trt.prompts.text_options import DEFAULT_THRESHOLD
from fastsam_trt.prompts.texts import SelectorName, check_prompts, route

_logger = logging.getLogger(__name__)


def compare(
    picture: NDArray[Any],
    models: Iterable[str | Path],
    prompts: Iterable[str],
    *,
    clip: str | Path | Clip | None = None,
    selector: SelectorName = "auto",
    threshold: float = DEFAULT_THRESHOLD,
    conf: float | None = None,
    repeat: int = 5,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Comparison:
    """Run several segmenters on a picture, one after the other, and select in each with the same prompts.

    Of each model two runs warm up: the first gives the segments and the selection, the second is the ranking. Then
    `repeat` runs are timed, each a call of the pipeline and the masks of what it selected, as `run` does it.

    Args:
        picture: (H, W, 3) uint8 BGR; see `as_bgr` for others.
        models: Segmenters: short names, folders or files.
        prompts: Texts that name what to select, one or more.
        clip: CLIP model, opened once for all, when a prompt needs it; None: `demo-clip` for `demo-seg` alone, else
            `clip-vit-base-patch32`.
        selector, threshold, conf: See `Pipeline`.
        repeat: How many runs to time, 1 or more.
        backend, device, precision, threads: See `fastsam_engine.open_session`.

    Raises:
        PromptError, OptionError, ImageFormatError: There is no prompt or model, or an argument can't be used.
        ModelNotFoundError, ModelFileError: A model is missing or no segmenter; a prompt needs CLIP and there is none.
        ComparedModelError: Anything else that a model fails with; it names the model.
    """
    picture, asked, wanted = as_bgr(picture), check_prompts(prompts), tuple(models)
    if not asked:
        raise PromptError("expected at least one prompt to compare by, found none; give --prompt TEXT")
    if not wanted:
        raise OptionError("models", "at least one segmenter", "none")
    if repeat < 1:
        raise OptionError("repeat", "a whole number of 1 or more", repeat)
    shared: str | Path | Clip = clip or (
        bundled_models.CLIP if all(str(model) == bundled_models.SEGMENTER for model in wanted) else DEFAULT_CLIP
    )
    outcomes = []
    for model in wanted:
        try:
            pipeline = Pipeline(
                model,
                clip=shared,
                prompts=asked,
                selector=selector,
                threshold=threshold,
                conf=conf,
                backend=backend,
                device=device,
                precision=precision,
                threads=threads,
            )
            outcomes.append(_outcome(_short(model), pipeline, picture, selector, repeat))
        except Exception as error:
            if isinstance(error, RequestError) and not isinstance(error, PromptError):
                raise  # it is no single model's, or names the model itself
            raise ComparedModelError(str(model), error) from error
        shared = pipeline.clip or shared
    name = shared.name if isinstance(shared, Clip) and any(each.by_clip for each in outcomes) else None
    return Comparison(picture, asked, name, selector, threshold, repeat, tuple(outcomes))


def installed_segmenters() -> list[str]:
    """Short names of the segmenters in the model store, sorted; `demo-seg`, which needs no store, if there is none."""
    found = []
    for name in installed():
        try:
            if any(read_spec(graph).task == "segment" for graph in find_graphs(name)):
                found.append(name)
        except ModelFileError as error:
            _logger.warning("left out: %s", error)
    return found or [bundled_models.SEGMENTER]


def _outcome(
    name: str, pipeline: Pipeline, picture: NDArray[np.uint8], selector: SelectorName, repeat: int
) -> ModelOutcome:
    result = pipeline.process(picture)
    result.mask_crops()
    ranking = pipeline.rank(result)
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for _ in range(repeat):
        timed = pipeline.process(picture)
        timed.mask_crops()
        for stage in STAGES:
            times[stage].append(timed.speed[stage])
    session = pipeline.segmenter.session
    by_clip = route(pipeline.prompts, pipeline.segmenter.class_names, selector).by_clip
    return ModelOutcome(
        name=name,
        family=session.spec.family,
        backend=session.backend,
        device=session.device,
        precision=session.precision,
        by_label=_others(pipeline.prompts, by_clip),
        by_clip=tuple(by_clip.values()),
        result=result,
        ranking=ranking,
        times_ms={stage: np.array(values) for stage, values in times.items()},
    )


def _others(prompts: Sequence[str], by_clip: dict[int, str]) -> tuple[str, ...]:
    return tuple(prompt for prompt_id, prompt in enumerate(prompts) if prompt_id not in by_clip)


def _short(model: str | Path) -> str:
    """The name of a model that may be a path."""
    return Path(model).name.removesuffix(".onnx")
