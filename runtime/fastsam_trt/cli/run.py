"""`fastsam-trt run`: select segments in a source, and draw, save or print them."""

from __future__ import annotations

import argparse
import logging
from typing import Any, get_args

from fastsam_trt.cli import options
from fastsam_trt.cli.draw_options import add_draw_options
from fastsam_trt.cli.help_text import one_of
from fastsam_trt.cli.run_outputs import add_output_options
from fastsam_trt.cli.source_run import SourceRun

_EXAMPLES = """\
examples:
  # select by text in the demo video, and save the overlay
  fastsam-trt run --video demo --prompt "red circle" --save out.mp4
  # write the cars of a video as JSON lines with COCO RLE masks
  fastsam-trt run --video street.mp4 --prompt car --json cars.jsonl
  # watch a camera in a browser at http://127.0.0.1:8080/
  fastsam-trt run --video cam0 --prompt person --preview 8080
  # select the cat in the photo that comes with the package, and save the picture
  fastsam-trt run --video demo-photo --prompt cat --save cat.png
"""


class _OneSource(argparse.Action):
    """Refuses a second source, of which argparse would take the last."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Store the source."""
        given = getattr(namespace, self.dest)
        if given is not None:
            parser.error(f"expected one source, found {given!r} and {values!r}; give several files as their folder")
        setattr(namespace, self.dest, values)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser.usage = "%(prog)s --video SOURCE [--prompt TEXT ...] [--save OUT] [options]"
    parser.description = (
        f"{parser.description}\nThe words run and --video may be left out: fastsam-trt SOURCE [options]"
    )
    parser.epilog = _EXAMPLES
    source = parser.add_argument_group("source")
    source.add_argument(
        "--video", "--source", dest="source", required=True, metavar="SOURCE", action=_OneSource,
        help="cam0, 0, /dev/video0, an rtsp/http/tcp address, a video, an image, a folder, a glob, - (a pipe), demo or "
        "demo-photo",
    )  # fmt: skip
    source.add_argument("--vid-stride", type=int, default=1, metavar="N", help="take every N-th frame")
    options.add_pipeline_options(parser)
    add_output_options(parser)
    add_draw_options(parser)
    shown = parser.add_argument_group("live view")
    shown.add_argument("--show", action="store_true", help="show the overlay in a window; q ends the run")
    shown.add_argument(
        "--preview", metavar="HOST:PORT",
        help="serve a web page with the overlay and the statistics, where prompts, boxes, points and thresholds can be "
        "changed; PORT alone: for this machine only",
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
    logging.getLogger("fastsam_engine").setLevel(logging.DEBUG if args.debug else logging.INFO)
    return SourceRun(args).execute()
