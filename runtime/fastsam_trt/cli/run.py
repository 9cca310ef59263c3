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
    parser.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="what to select; may be repeated")
    parser.add_argument("--save", type=Path, metavar="OUT", help="video of the overlay, or picture (folder) for images")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write one JSON line a frame")
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
                for path in (args.save, args.json):
                    if path is not None and path.exists():
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


def _sinks(args: argparse.Namespace, source: Source) -> list[Sink]:
    """The sinks that were asked for; their paths are checked before any work."""
    from fastsam_trt.errors import OutputError
    from fastsam_trt.sinks import PICTURE_SUFFIXES, JsonLinesSink, PictureSink, VideoSink, WindowSink

    for path in (args.save, args.json):
        if path is not None and path.exists() and path.resolve() == Path(args.source).resolve():
            raise OutputError(path, "expected another file than the source")
    sinks: list[Sink] = []
    if args.json is not None:
        sinks.append(JsonLinesSink(args.json))
    if args.save is not None:
        is_picture = args.save.suffix.lower() in PICTURE_SUFFIXES
        if is_picture and (source.kind != "images" or source.frames != 1):
            wanted = "a folder for the pictures" if source.kind == "images" else "a video such as out.mp4"
            raise OutputError(args.save, f"expected {wanted}, found the name of one picture")
        pictures = is_picture or (source.kind == "images" and not args.save.suffix)
        sinks.append(PictureSink(args.save) if pictures else VideoSink(args.save, source.fps))
    if args.show:
        sinks.append(WindowSink())
    return sinks
