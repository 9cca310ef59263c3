"""Run several segmentation models on one image, with one selection by text."""

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
from fastsam_trt.default_models import default_clip
from fastsam_trt.errors import ComparedModelError, OptionError, PromptError
from fastsam_trt.frames.image import as_bgr
from fastsam_trt.pipeline.pipeline import Pipeline
from fastsam_trt.prompts.text_options import DEFAULT_THRESHOLD
from fastsam_trt.prompts.texts import SelectorName, check_prompts, route

_logger = logging.getLogger(__name__)


def compare(
    image: NDArray[Any],
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
    """Run several segmentation models on an image, one after the other, and select with the same prompts.

    Each model has two warm-up runs: one for the segments and the selection, one for the ranking. Then `repeat` runs are
    timed; like `fastsam-trt run`, each calls the pipeline and decodes the masks of the selected segments.

    Args:
        image: (H, W, 3) uint8 BGR; see `as_bgr` for other formats.
        models: Segmentation models: short names, folders or files.
        prompts: One or more texts that name what to select.
        clip: CLIP model, opened once for all models when a prompt needs it; None: `demo-clip` if `demo-seg` is the only
            model, otherwise `clip-vit-base-patch32`.
        selector, threshold, conf: See `Pipeline`.
        repeat: Number of timed runs, 1 or more.
        backend, device, precision, threads: See `fastsam_engine.open_session`.

    Raises:
        PromptError, OptionError, ImageFormatError: There is no prompt or no model, or an argument is invalid.
        ModelNotFoundError, ModelFileError: A model is missing or does not segment, or a prompt needs a missing CLIP.
        ComparedModelError: A model failed otherwise; the message names it.
    """
    image, texts, wanted = as_bgr(image), check_prompts(prompts), tuple(models)
    if not texts:
        raise PromptError("expected at least one prompt to compare by, found none; give --prompt TEXT")
    if not wanted:
        raise OptionError("models", "at least one segmenter", "none")
    if repeat < 1:
        raise OptionError("repeat", "a whole number of 1 or more", repeat)
    shared: str | Path | Clip = clip or default_clip(*wanted)
    outcomes = []
    for model in wanted:
        try:
            pipeline = Pipeline(
                model,
                clip=shared,
                prompts=texts,
                selector=selector,
                threshold=threshold,
                conf=conf,
                backend=backend,
                device=device,
                precision=precision,
                threads=threads,
            )
            outcomes.append(_measure(_short_name(model), pipeline, image, selector, repeat))
        except Exception as error:
            if isinstance(error, RequestError) and not isinstance(error, PromptError):
                raise  # it concerns the request, or names the model itself
            raise ComparedModelError(str(model), error) from error
        shared = pipeline.clip or shared
    name = shared.name if isinstance(shared, Clip) and any(outcome.by_clip for outcome in outcomes) else None
    return Comparison(image, texts, name, selector, threshold, repeat, tuple(outcomes))


def installed_segmenters() -> list[str]:
    """Sorted short names of the segmentation models in the model store; `demo-seg` of the package if it has none."""
    names = []
    for name in installed():
        try:
            if any(read_spec(graph).task == "segment" for graph in find_graphs(name)):
                names.append(name)
        except ModelFileError as error:
            _logger.warning("skipped: %s", error)
    return names or [bundled_models.SEGMENTER]


def _measure(
    name: str, pipeline: Pipeline, image: NDArray[np.uint8], selector: SelectorName, repeat: int
) -> ModelOutcome:
    result = pipeline.process(image)
    result.mask_crops()
    ranking = pipeline.rank(result)
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for _ in range(repeat):
        timed = pipeline.process(image)
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
        by_label=_prompts_by_label(pipeline.prompts, by_clip),
        by_clip=tuple(by_clip.values()),
        result=result,
        ranking=ranking,
        times_ms={stage: np.array(values) for stage, values in times.items()},
    )


def _prompts_by_label(prompts: Sequence[str], by_clip: dict[int, str]) -> tuple[str, ...]:
    return tuple(prompt for prompt_id, prompt in enumerate(prompts) if prompt_id not in by_clip)


def _short_name(model: str | Path) -> str:
    """The name of a model, which may be a path."""
    return Path(model).name.removesuffix(".onnx")
