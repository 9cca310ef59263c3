"""Provide `fastsam-trt run`: select segments in a source, and draw, save or print them."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from contextlib import ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, get_args

from tqdm import tqdm

from fastsam_trt.cli import options
from fastsam_trt.cli.help_text import one_of
from fastsam_trt.cli.interrupts import INTERRUPTED
from fastsam_trt.cli.output_checks import place_video
from fastsam_trt.cli.run_outputs import add_output_options, open_sinks, output_paths
from fastsam_trt.cli.standard_streams import stdout_for

if TYPE_CHECKING:
    from fastsam_trt.cli.interrupts import Interrupts
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.results.result import Result
    from fastsam_trt.sinks import Sink
    from fastsam_trt.sources import Frame, Source
    from fastsam_trt.streaming import Flow

_EXAMPLES = """\
examples:
  # select by text in the demo video, and save the overlay
  fastsam-trt run --video demo --prompt "red circle" --save out.mp4
  # write the cars of a video as JSON lines with COCO RLE masks
  fastsam-trt run --video street.mp4 --prompt car --json cars.jsonl
  # watch a camera in a browser at http://127.0.0.1:8080/
  fastsam-trt run --video cam0 --prompt person --preview 8080
  # select what fits a box, and nothing under a point
  fastsam-trt run --video photo.jpg --box 285 110 380 200 --not-point 344 228 --save out.png
"""

_SHOWN_EVERY_S = 0.5
_COME_OUT_S = 3.0  # that an interrupt leaves for frames that have begun to come out


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser.usage = "%(prog)s --video SOURCE [--prompt TEXT ...] [--save OUT] [options]"
    parser.epilog = _EXAMPLES
    source = parser.add_argument_group("source")
    source.add_argument(
        "--video", "--source", dest="source", required=True, metavar="SOURCE",
        help="cam0, 0, /dev/video0, an rtsp/http/tcp address, a video, an image, a folder, a glob, - (a pipe), or demo",
    )  # fmt: skip
    source.add_argument("--vid-stride", type=int, default=1, metavar="N", help="take every N-th frame")
    options.add_pipeline_options(parser)
    add_output_options(parser)
    shown = parser.add_argument_group("live view")
    shown.add_argument("--show", action="store_true", help="show the overlay in a window; q ends the run")
    shown.add_argument(
        "--preview", metavar="HOST:PORT",
        help="serve a web page with the overlay, the statistics and the prompts; PORT alone: for this machine only",
    )  # fmt: skip
    _add_live_options(parser)
    parser.set_defaults(execute=execute)


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    from fastsam_trt.sources import RECONNECT_S, STALL_S
    from fastsam_trt.streaming import Policy

    live = parser.add_argument_group("videos and live sources")
    live.add_argument(
        "--policy", default="auto",
        help=f"{one_of(get_args(Policy))}: latest takes the newest frame and drops older ones, every takes all; "
        "auto takes the latest of live sources only",
    )  # fmt: skip
    live.add_argument(
        "--track", action=argparse.BooleanOptionalAction,
        help="track objects, so that CLIP sees each from time to time instead of in every frame (default: for videos "
        "and live sources of 8 frames per second or more)",
    )  # fmt: skip
    live.add_argument(
        "--budget", type=float, metavar="MS",
        help="highest age of a frame at its output: what CLIP has no time for is decided a few frames later "
        "(default: no limit)",
    )  # fmt: skip
    live.add_argument(
        "--reconnect", type=float, metavar="S", default=RECONNECT_S,
        help="seconds to try to reconnect to a lost live source; 0: the run ends there; inf: no limit",
    )  # fmt: skip
    live.add_argument(
        "--stall", type=float, metavar="S", default=STALL_S,
        help="seconds without a frame after which a live source counts as lost",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline over a source."""
    from fastsam_trt.sources import open_source
    from fastsam_trt.streaming import Flow, resolve_policy

    logging.getLogger("fastsam_engine").setLevel(logging.DEBUG if args.debug else logging.INFO)
    interrupts: Interrupts = args.interrupts
    with ExitStack() as holding:
        holding.enter_context(stdout_for(output_paths(args)))
        worked_on = holding.enter_context(ExitStack())  # what the flow's threads use
        source = worked_on.enter_context(
            open_source(args.source, vid_stride=args.vid_stride, reconnect_s=args.reconnect, stall_s=args.stall)
        )
        if args.save is not None and source.kind != "images":
            args.save = place_video(args.save, args.source)
        resolve_policy(args.policy, source)
        track = _tracks(args, source)
        outputs = holding.enter_context(ExitStack())
        sinks = [outputs.enter_context(sink) for sink in open_sinks(args, source)]
        if args.preview is not None:
            from fastsam_trt.preview import PreviewServer, PreviewSink, parse_address

            server = PreviewServer(
                parse_address(args.preview),
                lambda: pipeline.prompts,
                lambda prompts: setattr(pipeline, "prompts", prompts),
                lambda: flow.figures.snapshot().as_record(),
            )
            holding.callback(server.close)  # after the files, which clients are not to hold up
            sinks.append(outputs.enter_context(PreviewSink(server)))
        pipeline = worked_on.enter_context(options.open_pipeline(args))
        pipeline.track, pipeline.budget_ms = track, args.budget
        flow = Flow(source, pipeline, args.policy)
        if args.preview is not None:
            server.start()
            print(f"preview at {server.url}", file=sys.stderr)
        holding.enter_context(interrupts.stopping(flow.stop, finishing=True))  # from here on all ends in order
        error = None
        try:
            with outputs, interrupts.stopping(lambda: flow.stop(_COME_OUT_S)), flow:
                _consume(flow, sinks, source, interrupts)
        except KeyboardInterrupt:
            interrupts.came = True
        except BaseException as caught:
            error = caught
            raise
        finally:  # the files are whole before anything is said of them
            if not flow.ended:  # what a stage is in the middle of would be waited for
                worked_on.pop_all()
            _report(args, source, flow, pipeline, interrupted=interrupts.came, error=error)
    return INTERRUPTED if interrupts.hurried or (interrupts.came and source.kind != "live") else 0


def _tracks(args: argparse.Namespace, source: Source) -> bool:
    """Whether to track; options of tracks that do not fit are refused."""
    from fastsam_trt.errors import OptionError

    track = source.continuous if args.track is None else bool(args.track)
    if args.budget is not None:
        if not 0 < args.budget < float("inf"):
            raise OptionError("budget", "milliseconds, more than 0", args.budget)
        if not track:
            raise OptionError("budget", "tracks to put decisions off by (--track)", f"{args.budget:g} without tracks")
    return track


def _consume(flow: Flow, sinks: list[Sink], source: Source, interrupts: Interrupts) -> None:
    from fastsam_trt.cli import summary

    total = source.frames if flow.policy == "every" else None  # how many are dropped is not known before
    progress = tqdm(total=total, unit=" frames", disable=None, leave=False, file=sys.stderr)
    shown_s = time.perf_counter()
    with progress:
        for frame, result in flow:
            for sink in sinks:
                sink.write(frame, result)
            if any(sink.wants_end for sink in sinks):  # the frame is written and counted everywhere first
                interrupts.came = True
                flow.stop(_COME_OUT_S)
            if source.kind == "images":
                _describe(frame, result)
            elif not progress.disable and time.perf_counter() - shown_s > _SHOWN_EVERY_S:
                shown_s = time.perf_counter()
                progress.set_postfix_str(summary.live(flow.figures.snapshot()), refresh=False)
            progress.update()


def _report(
    args: argparse.Namespace,
    source: Source,
    flow: Flow,
    pipeline: Pipeline,
    *,
    interrupted: bool,
    error: BaseException | None,
) -> None:
    """Say what was done, and write its figures."""
    from fastsam_engine.errors import OutputError
    from fastsam_trt.cli import summary
    from fastsam_trt.cli.stats import write_stats
    from fastsam_trt.sources.naming import printable

    snapshot = flow.figures.snapshot()
    if args.stats is not None:  # before anything is printed, which fails where nobody reads it
        with nullcontext() if error is None else suppress(OutputError):  # the first error is the one to tell
            write_stats(args, flow, pipeline, interrupted=interrupted, error=error)
    if snapshot.frames:
        print(summary.ending(snapshot, aged=source.kind != "images"))
        for path in output_paths(args):
            if path.exists():
                print(f"saved {printable(path)}")


def _describe(frame: Frame, result: Result) -> None:
    from fastsam_trt.drawing.overlay import captions

    found = ", ".join(captions(result)) or "nothing selected"
    tqdm.write(f"{frame.source}: {len(result)} of {len(result.segments)} segments: {found}", file=sys.stdout)
