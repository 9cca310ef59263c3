"""`fastsam-trt run`: select segments in a source, and draw, save or print them."""

from __future__ import annotations

import argparse
import logging

from fastsam_trt.cli import options
from fastsam_trt.cli.run_outputs import add_output_options
from fastsam_trt.cli.source_run import SourceRun


def add_parser(subcommands: options.Subcommands, common: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser = subcommands.add_parser("run", parents=[common], help="select segments in a video, camera, image or folder")
    parser.add_argument(
        "--video", "--source", dest="source", required=True, metavar="SOURCE",
        help="cam0, 0, /dev/video0, an rtsp/http/tcp address, a video, an image, a folder, a glob, - (a pipe), or demo",
    )  # fmt: skip
    add_output_options(parser)
    parser.add_argument("--show", action="store_true", help="show the overlay in a window; q ends")
    parser.add_argument(
        "--preview", metavar="HOST:PORT",
        help="serve a page with the overlay, the figures and the prompts; PORT alone: for this machine",
    )  # fmt: skip
    parser.add_argument("--vid-stride", type=int, default=1, metavar="N", help="take every n-th frame")
    _add_live_options(parser)
    options.add_pipeline_options(parser)
    parser.set_defaults(execute=execute)


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    live = parser.add_argument_group("videos and live sources")
    live.add_argument(
        "--policy", default="auto",
        help="latest: the newest frame, others are dropped; every: all frames; auto: latest for live sources only",
    )  # fmt: skip
    live.add_argument(
        "--track", action=argparse.BooleanOptionalAction,
        help="follow objects through frames, and show each to CLIP from time to time only (from 8 frames a second on)",
    )  # fmt: skip
    live.add_argument(
        "--budget", type=float, metavar="MS",
        help="keep the age of frames, at their output, below this by deciding on some segments a few frames later",
    )  # fmt: skip
    live.add_argument(
        "--reconnect", type=float, metavar="S",
        help="seek a live source that was lost for so many seconds (30); 0: the run ends there; inf: for ever",
    )  # fmt: skip
    live.add_argument(
        "--stall", type=float, metavar="S",
        help="a live source that gives no frame for so many seconds is lost (5)",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline over a source."""
    logging.getLogger("fastsam_engine").setLevel(logging.DEBUG if args.debug else logging.INFO)
    return SourceRun(args).execute()
