"""Define the options that several subcommands share."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any, get_args

from fastsam_trt.cli.file_paths import input_path
from fastsam_trt.cli.help_text import one_of

if TYPE_CHECKING:
    from fastsam_trt.pipeline.pipeline import Pipeline

_logger = logging.getLogger(__name__)


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that open a pipeline."""
    _add_prompt_options(parser)
    add_model_options(parser)
    add_selection_options(parser)


def _add_prompt_options(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_argument_group(
        "prompts",
        "Each may be repeated. --prompt, --box and --point are alternatives: a segment is selected if it matches any.\n"
        "Without them everything is selected.",
    )
    prompts.add_argument(
        "--prompt", action="append", default=[], metavar="TEXT",
        help="select what the text names: a class of the model, or anything that CLIP understands",
    )  # fmt: skip
    prompts.add_argument(
        "--box", action="append", type=float, nargs=4, metavar=("X0", "Y0", "X1", "Y1"),
        help="select the one segment that fits this box best, px of the frame",
    )  # fmt: skip
    prompts.add_argument(
        "--point", action="append", type=float, nargs=2, default=[], metavar=("X", "Y"),
        help="select every segment under this point, px of the frame",
    )  # fmt: skip
    prompts.add_argument(
        "--not", action="append", default=[], dest="excluded", metavar="TEXT",
        help="exclude what the text names: a class of the model, or one more negative prompt for CLIP",
    )  # fmt: skip
    prompts.add_argument(
        "--not-point", action="append", type=float, nargs=2, default=[], metavar=("X", "Y"),
        help="exclude every segment under this point, whatever selected it",
    )  # fmt: skip


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name models, and how they run."""
    from fastsam_trt.bundled_models import CLIP, SEGMENTER
    from fastsam_trt.default_models import DEFAULT_CLIP, DEFAULT_MODEL
    from fastsam_trt.sparse.crossing import ComputeName

    models = parser.add_argument_group("models")
    models.add_argument(
        "--model", metavar="M",
        help=f"segmentation model: name, folder or file (default: {DEFAULT_MODEL}; for the demo video: {SEGMENTER})",
    )  # fmt: skip
    models.add_argument(
        "--clip", metavar="C", help=f"CLIP model: name or folder (default: {DEFAULT_CLIP}; for {SEGMENTER}: {CLIP})"
    )
    models.add_argument(
        "--names", type=input_path, metavar="FILE",
        help="class names for a model file that has none: one name per line, YAML or JSON",
    )  # fmt: skip
    models.add_argument(
        "--imgsz", type=int, nargs="+", metavar="PX",
        help="longest side of the model's input, or its height and width (default: the model's own)",
    )  # fmt: skip
    models.add_argument(
        "--compute", default="auto",
        help=f"{one_of(get_args(ComputeName))}: only what can be selected, everything, or what is less work per frame",
    )  # fmt: skip
    add_backend_options(models)


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for which segments there are, and which of them are selected."""
    from fastsam_trt.prompts.text_options import CropName

    choice = parser.add_argument_group("selection")
    add_text_options(choice)
    choice.add_argument(
        "--crop", default="box",
        help=f"what CLIP sees of a segment, {one_of(get_args(CropName))}: masked greys out the background",
    )  # fmt: skip
    choice.add_argument(
        "--iou", type=float, metavar="I",
        help="highest overlap of two segments of one class, 0 to 1; for models with NMS (default: the model's own)",
    )  # fmt: skip
    choice.add_argument(
        "--agnostic-nms", action=argparse.BooleanOptionalAction,
        help="apply --iou to segments of different classes, too (default: for FastSAM only)",
    )  # fmt: skip
    choice.add_argument(
        "--classes", nargs="+", metavar="CLASS",
        help="classes to keep, by name or id: person 'traffic light' 2 (default: all)",
    )  # fmt: skip
    choice.add_argument(
        "--components", action="store_true",
        help="split each class of a semantic model into its connected parts",
    )  # fmt: skip
    choice.add_argument(
        "--max-segments", type=int, metavar="N",
        help="most segments per frame, before the selection (default: the model's own)",
    )  # fmt: skip
    choice.add_argument(
        "--max-selected", type=int, metavar="N", help="most selected segments per frame, best first (default: all)"
    )


def add_text_options(group: argparse._ArgumentGroup) -> None:
    """Add the options of a selection by text."""
    from fastsam_trt.prompts.text_options import DEFAULT_THRESHOLD
    from fastsam_trt.prompts.texts import SelectorName

    group.add_argument(
        "--selector", default="auto",
        help=f"what matches a text, {one_of(get_args(SelectorName))}: auto takes the model's class names (labels) "
        "where the text is one of them, else CLIP",
    )  # fmt: skip
    group.add_argument(
        "--threshold", type=float, metavar="S", default=DEFAULT_THRESHOLD,
        help="lowest CLIP similarity of a selected segment, 0 to 1",
    )  # fmt: skip
    group.add_argument(
        "--conf", type=float, metavar="C", help="lowest score of a segment, 0 to 1 (default: the model's own)"
    )


def add_backend_options(group: argparse._ArgumentGroup) -> None:
    """Add the options for what runs a model."""
    from fastsam_engine.backends import all_backends
    from fastsam_engine.spec.model_spec import Precision

    group.add_argument(
        "--backend",
        default="auto",
        help=f"{one_of(('auto', *all_backends()))}; auto takes the fastest that can run here",
    )
    group.add_argument(
        "--device",
        default="auto",
        help="auto, or a device of the backend such as cpu or cuda:1; see fastsam-trt doctor",
    )
    group.add_argument(
        "--precision", default="auto",
        help=f"precision to compute in, {one_of(('auto', *get_args(Precision)))}; auto takes the fastest accurate one",
    )  # fmt: skip
    group.add_argument(
        "--threads", type=int, metavar="N",
        help="CPU threads for models and OpenCV (default: all that CPU affinity and the container's quota allow)",
    )  # fmt: skip


def open_pipeline(args: argparse.Namespace, *, track: bool) -> Pipeline:
    """Open the pipeline for the options; `track`: whether to track objects."""
    from fastsam_trt.bundled_models import SEGMENTER
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.sources.names import is_demo, is_demo_photo

    keywords = pipeline_keywords(args)
    if is_demo(args.source):  # the demo has its own models, so that it needs no other option
        keywords.setdefault("model", SEGMENTER)
    if is_demo_photo(args.source) and "model" not in keywords:
        keywords["model"] = _model_for_photos()
    return Pipeline(
        prompts=args.prompt,
        boxes=args.box,
        points=args.point + args.not_point,
        point_labels=[1] * len(args.point) + [0] * len(args.not_point),
        excluded=args.excluded,
        track=track,
        budget_ms=args.budget,
        **keywords,
    )


def pipeline_keywords(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Pipeline` for the options of models and selection; OpenCV's threads are limited, too."""
    from fastsam_trt.frames.preprocess import limit_opencv_threads

    keywords = {
        name: getattr(args, name)
        for name in (
            "model",
            "threshold",
            "conf",
            "iou",
            "agnostic_nms",
            "classes",
            "max_segments",
            "max_selected",
            "names",
        )
        if getattr(args, name) is not None
    }
    if args.imgsz is not None:
        keywords["imgsz"] = image_size(args.imgsz)
    limit_opencv_threads(args.threads)
    names = ("clip", "selector", "crop", "components", "backend", "device", "precision", "threads", "compute")
    return keywords | {name: getattr(args, name) for name in names}


def _model_for_photos() -> str:
    """The default model, or else one that is installed, so that the demo photo needs no other option."""
    from fastsam_trt.bundled_models import SEGMENTER
    from fastsam_trt.comparison import installed_segmenters
    from fastsam_trt.default_models import DEFAULT_MODEL

    names = installed_segmenters()
    model = DEFAULT_MODEL if DEFAULT_MODEL in names else names[0]
    if model == SEGMENTER:
        _logger.warning(
            "demo-photo: no model for photos is installed; %s is used, which knows drawn shapes only, not cats. "
            "Install one with: fastsam-trt export %s",
            SEGMENTER,
            DEFAULT_MODEL,
        )
    return model


def image_size(values: list[int]) -> tuple[int, int]:
    """Convert `--imgsz N` or `--imgsz H W` to (height, width).

    Raises:
        OptionError: There are more than two numbers.
    """
    from fastsam_trt.errors import OptionError

    if len(values) > 2:
        raise OptionError("imgsz", "one number, or height and width", " ".join(map(str, values)))
    return values[0], values[-1]
