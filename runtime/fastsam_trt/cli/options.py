"""Options that several subcommands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeAlias

from fastsam_trt.cli.output_checks import input_path

if TYPE_CHECKING:
    from fastsam_trt.pipeline.pipeline import Pipeline

    Subcommands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that open a pipeline. Names are those that the field knows."""
    prompts = parser.add_argument_group(
        "prompts",
        "each may be repeated; --prompt, --box and --point are alternatives, without them everything is selected",
    )
    prompts.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="select what the text names")
    prompts.add_argument(
        "--box", action="append", type=float, nargs=4, metavar=("X0", "Y0", "X1", "Y1"),
        help="select the one segment that fits this box best, px of the frame",
    )  # fmt: skip
    prompts.add_argument(
        "--point", action="append", type=float, nargs=2, default=[], metavar=("X", "Y"),
        help="select the segments that this point lies on, px of the frame",
    )  # fmt: skip
    prompts.add_argument(
        "--not", action="append", default=[], dest="excluded", metavar="TEXT",
        help="leave out what the text names: a class, or for CLIP one more negative",
    )  # fmt: skip
    prompts.add_argument(
        "--not-point", action="append", type=float, nargs=2, default=[], metavar=("X", "Y"),
        help="leave out the segments that this point lies on, whatever selected them",
    )  # fmt: skip
    models = parser.add_argument_group("models")
    models.add_argument("--model", metavar="M", help="segmentation model: name, folder or file (yolov8n-seg)")
    models.add_argument("--clip", metavar="C", help="CLIP model: name or folder (clip-vit-base-patch32)")
    models.add_argument(
        "--names",
        type=input_path,
        metavar="FILE",
        help="class names of a model that has none: a name per line, YAML or JSON",
    )
    add_backend_options(models)
    choice = parser.add_argument_group("selection")
    choice.add_argument("--selector", default="auto", help="auto, labels or clip")
    choice.add_argument("--threshold", type=float, metavar="S", help="least similarity of a selected segment, 0 to 1")
    choice.add_argument("--crop", default="box", help="what CLIP sees of a segment: box, or masked (the rest greyed)")
    choice.add_argument("--conf", type=float, metavar="C", help="lowest score of a segment, 0 to 1")
    choice.add_argument(
        "--iou", type=float, metavar="I", help="highest overlap of two segments of a class, 0 to 1 (models with NMS)"
    )
    choice.add_argument(
        "--agnostic-nms", action=argparse.BooleanOptionalAction,
        help="let --iou bound the overlap of segments of different classes, too (FastSAM: on)",
    )  # fmt: skip
    choice.add_argument(
        "--classes", nargs="+", metavar="CLASS", help="classes to keep, by name or id: person 'traffic light' 2"
    )
    choice.add_argument("--components", action="store_true", help="split a semantic model's classes into their parts")
    choice.add_argument("--max-segments", type=int, metavar="N", help="most segments a frame, before selecting")
    choice.add_argument("--max-selected", type=int, metavar="N", help="most selected segments a frame, the best ones")
    choice.add_argument("--imgsz", type=int, nargs="+", metavar="PX", help="longest side, or height and width")


def add_backend_options(group: argparse._ActionsContainer) -> None:
    """Add the options that say what runs a model, to a parser or a group of its options."""
    group.add_argument("--backend", default="auto", help="auto, openvino or onnxruntime")
    group.add_argument("--device", default="auto", help="auto or a device of the backend, such as cpu")
    group.add_argument("--precision", default="auto", help="auto, fp32, bf16, fp16 or int8")
    group.add_argument(
        "--threads", type=int, metavar="N",
        help="threads that compute on the processor, OpenCV's included (what affinity and the container's quota leave)",
    )  # fmt: skip


def open_pipeline(args: argparse.Namespace) -> Pipeline:
    """Open the pipeline that the options describe."""
    from fastsam_trt.bundled_models import SEGMENTER
    from fastsam_trt.frames.preprocess import limit_opencv_threads
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.sources.naming import is_demo

    given = {
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
    if is_demo(args.source):  # the demo brings its own models, so that it runs with no other argument
        given.setdefault("model", SEGMENTER)
    if args.imgsz is not None:
        given["imgsz"] = image_size(args.imgsz)
    limit_opencv_threads(args.threads)
    return Pipeline(
        clip=args.clip,
        prompts=args.prompt,
        boxes=args.box,
        points=args.point + args.not_point,
        point_labels=[1] * len(args.point) + [0] * len(args.not_point),
        excluded=args.excluded,
        selector=args.selector,
        crop=args.crop,
        components=args.components,
        backend=args.backend,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        **given,
    )


def image_size(values: list[int]) -> tuple[int, int]:
    """`--imgsz N` or `--imgsz H W` as (height, width).

    Raises:
        OptionError: More than two numbers.
    """
    from fastsam_trt.errors import OptionError

    if len(values) > 2:
        raise OptionError("imgsz", "one number, or height and width", " ".join(map(str, values)))
    return values[0], values[-1]
