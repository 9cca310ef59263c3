"""Add the output options of a run, check their paths, and create the sinks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_trt.cli.file_paths import check_distinct, input_path, output_path
from fastsam_trt.cli.standard_streams import duplicate_stdout, is_stdout

if TYPE_CHECKING:
    from fastsam_trt.drawing.style import DrawStyle
    from fastsam_trt.sinks import Sink
    from fastsam_trt.sinks.shared_overlay import Overlay
    from fastsam_trt.sources import Source


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name files to write."""
    files = parser.add_argument_group("outputs")
    files.add_argument(
        "--save", type=output_path, metavar="OUT",
        help="overlay as a video (.mp4, .mkv, .webm, .gif, ...); of images, an image or a folder of images",
    )  # fmt: skip
    files.add_argument(
        "--panels", action="store_true",
        help="for images: --save writes the original, all segments and the overlay side by side",
    )  # fmt: skip
    files.add_argument("--no-audio", dest="audio", action="store_false", help="save the video without its sound")
    files.add_argument(
        "--json", type=output_path, metavar="OUT",
        help="one JSON line per frame; - is stdout, and everything else then goes to stderr",
    )  # fmt: skip
    files.add_argument(
        "--stats", type=output_path, metavar="OUT", help="statistics of the run as one .json file, written at its end"
    )
    _add_dataset_options(parser)


def _add_dataset_options(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("datasets and images of the selected segments")
    files.add_argument("--coco", type=output_path, metavar="OUT", help="COCO results: one .json array for the run")
    files.add_argument(
        "--coco-dataset", type=output_path, metavar="OUT",
        help="COCO dataset: one .json file with images, annotations with polygons, and categories",
    )  # fmt: skip
    files.add_argument(
        "--coco-ids", type=input_path, metavar="FILE",
        help="take the COCO ids of images and categories from this annotation file, by file_name and name",
    )  # fmt: skip
    files.add_argument(
        "--labels", type=output_path, metavar="DIR", help="YOLO segmentation labels: one .txt file per frame"
    )
    files.add_argument("--labels-conf", action="store_true", help="add the score to each line of the YOLO labels")
    files.add_argument(
        "--label-map", type=output_path, metavar="OUT",
        help="label maps in PASCAL VOC's colours: a .png file, or a folder",
    )  # fmt: skip
    files.add_argument(
        "--cutouts", type=output_path, metavar="DIR", help="each segment as a .png with a transparent background"
    )
    files.add_argument(
        "--masks", type=output_path, metavar="DIR", help="each mask as a .png of the frame's size, 0 and 255"
    )


def output_paths(args: argparse.Namespace) -> list[Path]:
    """The files and folders to write."""
    named = (args.save, args.json, args.coco, args.coco_dataset, args.label_map, args.labels, args.cutouts, args.masks)
    return [path for path in (*named, args.stats) if path is not None]


def _check_outputs(args: argparse.Namespace, source: Source) -> None:
    """Check that no output overwrites the source or another output.

    Raises:
        OutputError: An output does, or has the wrong suffix.
    """
    from fastsam_engine.errors import OutputError
    from fastsam_engine.store.atomic_files import check_writable, is_written_in_place
    from fastsam_trt.sources.names import as_path
    from fastsam_trt.sources.pipes.pipe import name_in_files

    read = [as_path(name_in_files(args.source)), *source.files, *([] if args.coco_ids is None else [args.coco_ids])]
    check_distinct([path for path in output_paths(args) if path != args.labels], read)
    check_distinct(output_paths(args), source.files)  # labels may lie beside the images, as in ultralytics
    if args.stats is not None:
        if args.stats.suffix.lower() != ".json" and not is_written_in_place(args.stats):
            raise OutputError(args.stats, f"expected the suffix .json, found {args.stats.suffix!r}")
        check_writable(args.stats)
    folders = {file.parent for file in source.files if file.suffix.lower() == ".png"}
    for path in (args.save, args.label_map, args.cutouts, args.masks):
        if path is not None and path.is_dir() and path.resolve() in {folder.resolve() for folder in folders}:
            raise OutputError(path, "expected another folder than that of the source's .png files")


def open_sinks(args: argparse.Namespace, source: Source) -> list[Sink]:
    """Create the sinks that the options name, once their paths are checked."""
    from fastsam_engine.errors import OutputError
    from fastsam_trt.cli.draw_options import draw_style
    from fastsam_trt.errors import OptionError
    from fastsam_trt.sinks import JsonLinesSink, LabelMapSink, WindowSink
    from fastsam_trt.sinks.shared_overlay import Overlay

    _check_outputs(args, source)
    style = draw_style(args)
    one_image = source.kind == "images" and source.frames == 1
    overlay = Overlay(style)
    sinks: list[Sink] = []
    if args.json is not None:
        sinks.append(JsonLinesSink(args.json, duplicate_stdout() if is_stdout(args.json) else None))
    sinks += _dataset_sinks(args, source)
    if args.label_map is not None:
        if args.label_map.suffix.lower() == ".png" and not args.label_map.is_dir() and not one_image:
            raise OutputError(args.label_map, "expected a folder for the label maps, found the name of one image")
        sinks.append(LabelMapSink(args.label_map, source.kind, source.files))
    if args.save is not None:
        sinks.append(_picture_sink(args, source, overlay, style, one_image=one_image))
    elif args.panels:
        raise OptionError("panels", "--save OUT, whose images it changes", "none")
    if args.show:
        sinks.append(WindowSink(overlay))
    return sinks


def _picture_sink(
    args: argparse.Namespace, source: Source, overlay: Overlay, style: DrawStyle, *, one_image: bool
) -> Sink:
    """Create the sink of `--save`.

    Raises:
        OutputError: The name of an image was given for a video or several images.
        OptionError: Panels are requested of a video.
    """
    from fastsam_engine.errors import OutputError
    from fastsam_trt.errors import OptionError
    from fastsam_trt.sinks import SAVED_IMAGE_SUFFIXES, OverlaySink, PanelSink

    is_folder = args.save.is_dir()
    is_picture = args.save.suffix.lower() in SAVED_IMAGE_SUFFIXES and not is_folder
    if is_picture and not one_image:
        wanted = "a folder for the images" if source.kind == "images" else "a video such as out.mp4"
        raise OutputError(args.save, f"expected {wanted}, found the name of one image")
    if is_picture or (source.kind == "images" and (is_folder or not args.save.suffix)):
        return (
            PanelSink(args.save, source.files, style) if args.panels else OverlaySink(args.save, source.files, overlay)
        )
    if args.panels:
        raise OptionError("panels", "images to save, or a folder of them", f"the video {args.save}")
    return _video_sink(args.save, source, overlay, source.sound if args.audio else None)


def _video_sink(path: Path, source: Source, overlay: Overlay, sound: Path | None) -> Sink:
    from fastsam_trt.sinks import VideoSink

    start_s = 0.0 if source.kind == "live" else None  # the first frame of a file is always processed
    return VideoSink(path, source.fps, overlay, sound, start_s=start_s, find_end_s=lambda: source.end_s)


def _dataset_sinks(args: argparse.Namespace, source: Source) -> list[Sink]:
    """Create the sinks of COCO files, labels, cutouts and masks."""
    from fastsam_trt.errors import OptionError
    from fastsam_trt.sinks import CocoDatasetSink, CocoSink, CutoutSink, MaskSink, YoloLabelSink
    from fastsam_trt.sinks.coco_ids import CocoIds
    from fastsam_trt.sinks.frame_names import FrameNames

    sinks: list[Sink] = []
    if args.coco is not None or args.coco_dataset is not None:
        ids = CocoIds(source.kind, source.files, args.coco_ids)
        if args.coco is not None:
            sinks.append(CocoSink(args.coco, source.files, ids))
        if args.coco_dataset is not None:
            sinks.append(CocoDatasetSink(args.coco_dataset, ids))
    elif args.coco_ids is not None:
        raise OptionError("coco-ids", "--coco OUT or --coco-dataset OUT, which use the ids", "neither")
    names = FrameNames(source.kind, source.files)
    if args.labels is not None:
        sinks.append(YoloLabelSink(args.labels, names, confidence=args.labels_conf))
    elif args.labels_conf:
        raise OptionError("labels-conf", "--labels DIR, which it extends", "none")
    if args.cutouts is not None:
        sinks.append(CutoutSink(args.cutouts, names))
    if args.masks is not None:
        sinks.append(MaskSink(args.masks, names))
    return sinks
