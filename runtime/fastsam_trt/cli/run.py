"""`fastsam-trt run`: select segments in a source, and draw, save or print them."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from fastsam_trt.cli import options
from fastsam_trt.cli.outputs import check_apart
from fastsam_trt.cli.summary import RunSummary

if TYPE_CHECKING:
    from fastsam_trt.pipeline import Pipeline
    from fastsam_trt.result import Result
    from fastsam_trt.sinks import Sink
    from fastsam_trt.sources import Frame, Source


def add_parser(subcommands: options.Subcommands, common: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser = subcommands.add_parser("run", parents=[common], help="select segments in a video, camera, image or folder")
    parser.add_argument(
        "--video", "--source", dest="source", required=True, metavar="SOURCE",
        help="cam0, 0, /dev/video0, an rtsp/http/tcp address, a video, an image, a folder, a glob, or demo",
    )  # fmt: skip
    parser.add_argument("--save", type=Path, metavar="OUT", help="video of the overlay, or picture (folder) for images")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write one JSON line a frame")
    parser.add_argument("--coco", type=Path, metavar="OUT", help="write one .json array of COCO's results for the run")
    parser.add_argument(
        "--label-map", type=Path, metavar="OUT", help="write label maps in PASCAL VOC's colours: a .png, or a folder"
    )
    parser.add_argument("--show", action="store_true", help="show the overlay in a window; q ends")
    parser.add_argument("--vid-stride", type=int, default=1, metavar="N", help="take every n-th frame")
    options.add_pipeline_options(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline over a source."""
    from fastsam_trt.sources import open_source

    logging.getLogger("fastsam_engine").setLevel(logging.DEBUG if args.debug else logging.INFO)
    summary = RunSummary()
    interrupted = False
    with ExitStack() as stack:
        source = stack.enter_context(open_source(args.source, vid_stride=args.vid_stride))
        sinks = [stack.enter_context(sink) for sink in _sinks(args, source)]
        pipeline = options.open_pipeline(args)
        try:
            _run(source, pipeline, sinks, summary)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            stack.close()  # the files are whole before anything is said of them
            if summary.frames:
                print(summary.line())
                for path in _outputs(args):
                    if path.exists():
                        print(f"saved {path}")
    return 130 if interrupted and source.kind != "live" else 0


def _run(source: Source, pipeline: Pipeline, sinks: list[Sink], summary: RunSummary) -> None:
    progress = tqdm(total=source.frames, unit=" frames", disable=None, leave=False, file=sys.stderr)
    frames = iter(source)
    with progress:
        while True:
            start = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            captured = time.perf_counter()
            result = pipeline(frame.picture)
            done = time.perf_counter()
            for sink in sinks:
                sink.write(frame, result)
            written = time.perf_counter()
            # Masks are decoded when a sink first asks for them: that time is decoding, not writing.
            output_ms = (written - done) * 1e3 - result.speed["decode"]
            summary.add(result, capture_ms=(captured - start) * 1e3, output_ms=output_ms)
            if source.kind == "images":
                _describe(frame, result)
            progress.update()


def _describe(frame: Frame, result: Result) -> None:
    from fastsam_trt.drawing import captions

    found = ", ".join(captions(result)) or "nothing selected"
    tqdm.write(f"{frame.source}: {len(result)} of {len(result.segments)} segments: {found}", file=sys.stdout)


def _outputs(args: argparse.Namespace) -> list[Path]:
    return [path for path in (args.save, args.json, args.coco, args.label_map) if path is not None]


def _check_outputs(args: argparse.Namespace, source: Source) -> None:
    """Refuse outputs that would overwrite the source or one another."""
    from fastsam_engine.errors import OutputError

    check_apart(_outputs(args), [Path(args.source), *source.files])
    folders = {file.parent for file in source.files if file.suffix.lower() == ".png"}
    for path in (args.save, args.label_map):
        if path is not None and path.is_dir() and path.resolve() in {folder.resolve() for folder in folders}:
            raise OutputError(path, "expected another folder than that of the source's .png files")


def _sinks(args: argparse.Namespace, source: Source) -> list[Sink]:
    """The sinks that were asked for; their paths are checked before any work."""
    from fastsam_engine.errors import OutputError
    from fastsam_trt.sinks import (
        PICTURE_SUFFIXES,
        CocoSink,
        JsonLinesSink,
        LabelMapSink,
        PictureSink,
        VideoSink,
        WindowSink,
    )

    _check_outputs(args, source)
    one_image = source.kind == "images" and source.frames == 1
    sinks: list[Sink] = []
    if args.json is not None:
        sinks.append(JsonLinesSink(args.json))
    if args.coco is not None:
        sinks.append(CocoSink(args.coco, source.files))
    if args.label_map is not None:
        if args.label_map.suffix.lower() == ".png" and not one_image:
            raise OutputError(args.label_map, "expected a folder for the label maps, found the name of one picture")
        sinks.append(LabelMapSink(args.label_map, source.kind))
    if args.save is not None:
        is_picture = args.save.suffix.lower() in PICTURE_SUFFIXES
        if is_picture and not one_image:
            wanted = "a folder for the pictures" if source.kind == "images" else "a video such as out.mp4"
            raise OutputError(args.save, f"expected {wanted}, found the name of one picture")
        pictures = is_picture or (source.kind == "images" and not args.save.suffix)
        sinks.append(PictureSink(args.save) if pictures else VideoSink(args.save, source.fps))
    if args.show:
        sinks.append(WindowSink())
    return sinks
