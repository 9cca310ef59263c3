"""Plan the cells of a request, and check the request before any work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastsam_bench.cases.case import CellCase, ModelCase
from fastsam_bench.cases.frames import VideoFrames
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_engine.errors import ModelFileError, ModelNotFoundError
from fastsam_engine.store.home_folder import expand_user
from fastsam_engine.store.model_store import find_graph
from fastsam_engine.store.ready_models import how_to_get
from fastsam_trt import bundled_models
from fastsam_trt.comparison.compare import installed_segmenters
from fastsam_trt.default_models import default_clip
from fastsam_trt.errors import OptionError

SCENARIOS = ("single", "offline", "live", "cold", "sweep")
BATCHES = (1, 8)
CROPS, QUICK_CROPS = (0, 10, 100), (0, 10)
SIZES, QUICK_SIZES = ((480, 640), (1080, 1920)), ((480, 640),)
"""(height, width), px."""
SECONDS, QUICK_SECONDS = 10.0, 1.5
_PASSES, _QUICK_PASSES = 10, 3


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure. None: a default; see `Plan`.

    Attributes:
        models: Names, folders or files.
        clip: CLIP model for all models.
        backends, precisions: Every combination is measured; see `fastsam_engine.open_session`.
        device: Device for all.
        batches: Frames per call of `offline`.
        crops: CLIP crops per frame of `single`; `live` uses the first number.
        sizes: (height, width) of drawn frames, px.
        scenarios: Names from `SCENARIOS`.
        video: Video file with the frames; None: drawn frames.
        seconds: Timed seconds per cell, all passes together; only undisturbed passes count.
        quick: Fewer passes, sizes and crops, and no measurement of memory.
    """

    models: tuple[str, ...] | None = None
    clip: str | None = None
    backends: tuple[str, ...] = ("auto",)
    device: str = "auto"
    precisions: tuple[str, ...] = ("auto",)
    batches: tuple[int, ...] | None = None
    crops: tuple[int, ...] | None = None
    sizes: tuple[tuple[int, int], ...] | None = None
    scenarios: tuple[str, ...] = SCENARIOS
    video: str | None = None
    seconds: float | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if unknown := set(self.scenarios) - set(SCENARIOS):
            raise OptionError("scenario", f"one of {', '.join(SCENARIOS)}", min(unknown))
        for name, values, least in (("batch", self.batches, 1), ("crops", self.crops, 0)):
            if values is not None and (not values or min(values) < least):
                raise OptionError(name, f"whole numbers of {least} or more", values)
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise OptionError("seconds", "a number above 0", self.seconds)
        if self.sizes is not None and self.video is not None:
            raise OptionError("sizes", "none with --video, whose frames have their own", self.sizes)
        if self.sizes is not None and min(min(size) for size in self.sizes) < 32:
            raise OptionError("sizes", "frames of 32 x 32 px or more", self.sizes)

    @property
    def passes(self) -> int:
        """Number of passes over all cells."""
        return _QUICK_PASSES if self.quick else _PASSES

    @property
    def cell_seconds(self) -> float:
        """Timed seconds per cell."""
        return (QUICK_SECONDS if self.quick else SECONDS) if self.seconds is None else self.seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """The models to open, and notes on what was left out."""

    options: BenchOptions
    models: tuple[ModelCase, ...]
    crops: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, options: BenchOptions) -> Plan:
        """Choose defaults: all installed segmenters and `demo-seg`; 0, 10 and 100 crops if CLIP is installed.

        Raises:
            OptionError: Crops were requested, but CLIP is not installed.
            ModelNotFoundError, ModelFileError: There is no such model.
            SourceNotFoundError, SourceUnreadableError: There is no such video, or it can't be read.
        """
        names = options.models or tuple(dict.fromkeys([*installed_segmenters(), bundled_models.SEGMENTER]))
        clips = {name: options.clip or default_clip(name) for name in names}
        for name in names:
            find_graph(bundled_models.locate(name))
        crops = options.crops or (QUICK_CROPS if options.quick else CROPS)
        wants_clip = max(crops) > 0 and bool({"single", "live", "sweep"} & set(options.scenarios))
        lacking = {name: clip for name, clip in clips.items() if wants_clip and not _is_there(clip)}
        notes = []
        for name, clip in lacking.items():
            fix = how_to_get(clip) or f"make it with: fastsam-trt export {clip} --weights PATH_OR_ID"
            if options.crops is not None or options.clip is not None:
                expected = f"the CLIP model {clip!r} for crops of {name} ({fix}; or --crops 0)"
                raise OptionError("crops", expected, "none")
            notes.append(f"{name}: crops are left out, since the CLIP model {clip!r} is not installed; {fix}")
        models = tuple(
            ModelCase(
                name, None if name in lacking or not wants_clip else clips[name], backend, options.device, precision
            )
            for name in dict.fromkeys(names)
            for backend in options.backends
            for precision in options.precisions
        )
        if options.video is not None:
            frames = VideoFrames(expand_user(options.video))
            sizes: tuple[tuple[int, int], ...] = (frames.size,)
            frames.close()
        else:
            sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
        return cls(options, models, tuple(dict.fromkeys(crops)), tuple(dict.fromkeys(sizes)), tuple(notes))

    def cells(self, opened: OpenedModel) -> list[CellCase]:
        """The cells of an open model.

        Raises:
            OptionError: The model does not support a requested batch.
        """
        options, found = self.options, list[CellCase]()
        crops = self.crops if opened.case.clip is not None else tuple(n for n in self.crops if n == 0) or (0,)

        def add(scenario: str, batch: int, count: int) -> None:
            if scenario in options.scenarios:
                found.extend(
                    CellCase(scenario, opened.case, batch, count, size, options.video)  # type: ignore[arg-type]
                    for size in self.sizes
                )

        for count in crops:
            add("single", 1, count)
        if "offline" in options.scenarios:
            for batch in self._batches(opened):
                add("offline", batch, 0)
        add("live", 1, crops[0])
        return found

    def _batches(self, opened: OpenedModel) -> Iterable[int]:
        low, high = opened.image.batch
        requested = self.options.batches
        fits = [batch for batch in requested or BATCHES if low <= batch and (high is None or batch <= high)]
        if requested is not None and len(fits) < len(requested):
            most = "more" if high is None else str(high)
            beyond = min(set(requested) - set(fits))
            raise OptionError(
                "batch", f"{low} to {most} frames per run of {opened.name} on {opened.session.backend}", beyond
            )
        return dict.fromkeys(fits or (low,))


def _is_there(clip: str) -> bool:
    try:
        find_graph(bundled_models.locate(clip), "image")
    except (ModelNotFoundError, ModelFileError):
        return False
    return True
