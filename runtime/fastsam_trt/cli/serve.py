"""`fastsam-trt serve`: answer requests over HTTP, with a page to drop a photo on."""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from typing import TYPE_CHECKING

from fastsam_trt.cli import options
from fastsam_trt.cli.file_paths import input_path

if TYPE_CHECKING:
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.serve import SegmentServer

TOKEN_VARIABLE = "FASTSAM_TRT_TOKEN"  # noqa: S105 - its name

_EXAMPLES = """\
Send a photo to it, and get its cats as JSON:

  curl -F image=@photo.jpg -F prompts=cat http://127.0.0.1:8000/v1/segment

examples:
  # serve this machine at http://127.0.0.1:8000/ with the small models that come with the package
  fastsam-trt serve --model demo-seg
  # serve other machines, which need the token in a file
  fastsam-trt serve --model yolov8n-seg --host 0.0.0.0 --token-file token.txt
"""
_MB = 1 << 20
_MEGAPIXEL = 1_000_000
_SCALE = 80  # px, from usual aspect ratios to frames


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    from fastsam_trt.serve.limits import Limits
    from fastsam_trt.serve.server import DEFAULT_PORT, DEFAULT_WORKERS
    from fastsam_trt.web.address import DEFAULT_HOST

    parser.usage = "%(prog)s [--model M] [--host HOST] [--port PORT] [options]"
    parser.epilog = _EXAMPLES
    address = parser.add_argument_group("address")
    address.add_argument("--host", default=DEFAULT_HOST, help="address to listen on; 0.0.0.0: all of this machine")
    address.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help="port; 0: a free one")
    _add_access_options(parser)
    limits, usual = parser.add_argument_group("limits"), Limits()
    limits.add_argument(
        "--workers", type=int, default=DEFAULT_WORKERS, metavar="N",
        help="requests that are worked on at a time: one is decoded or encoded while the network runs for another",
    )  # fmt: skip
    limits.add_argument(
        "--queue", type=int, default=usual.queue, metavar="N",
        help="requests that may wait for a worker; the next is told to try again later (429)",
    )  # fmt: skip
    limits.add_argument(
        "--timeout", type=float, default=usual.timeout_s, metavar="S", help="longest time from a request to its answer"
    )
    limits.add_argument(
        "--max-body-mb", type=float, default=usual.body_bytes / _MB, metavar="MB", help="largest body of a request, MiB"
    )
    limits.add_argument(
        "--max-megapixels", type=float, default=usual.pixels / _MEGAPIXEL, metavar="MP",
        help="largest image, million pixels; a larger one is refused before it is decoded",
    )  # fmt: skip
    options.add_model_options(parser)
    options.add_selection_options(parser)
    parser.set_defaults(execute=execute)


def _add_access_options(parser: argparse.ArgumentParser) -> None:
    access = parser.add_argument_group("access", "Other programs on this machine can always connect to it.")
    access.add_argument(
        "--token", metavar="TOKEN",
        help=f"what clients must send as Authorization: Bearer TOKEN; safer in a file or in {TOKEN_VARIABLE}, since "
        "other users see command lines",
    )  # fmt: skip
    access.add_argument("--token-file", type=input_path, metavar="FILE", help="read the token from a file")
    access.add_argument(
        "--without-token", action="store_true", help="let other machines use it without a token, with a --host for them"
    )
    access.add_argument(
        "--cors-origin", action="append", default=[], metavar="ORIGIN",
        help="let pages of this site use it, such as https://example.com; repeatable; *: pages of all sites",
    )  # fmt: skip
    access.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME",
        help="a name by which clients call it, besides its address; repeatable; not needed with a token",
    )  # fmt: skip
    access.add_argument("--log-requests", action="store_true", help="log a line per request on stderr")


def execute(args: argparse.Namespace) -> int:
    """Serve until a signal comes, and answer what is in progress then."""
    logging.getLogger("fastsam_engine").setLevel(logging.DEBUG if args.debug else logging.INFO)
    if args.log_requests:
        logging.getLogger("fastsam_trt.serve.access").setLevel(logging.INFO)
    with (
        _open_server(args) as server,  # first, since the port may be in use
        _open_pipeline(args) as pipeline,
        args.interrupts.stopping(server.stop, finishing=True),
    ):
        server.use(pipeline)
        print(f"serving {pipeline.segmenter.session.spec.name} at {server.url}", file=sys.stderr, flush=True)
        server.wait()
    return int(args.interrupts.code) if args.interrupts.hurried else 0


def _open_server(args: argparse.Namespace) -> SegmentServer:
    """Open the port for the options.

    Raises:
        OptionError: An option is out of range, or the token can't be read.
    """
    from fastsam_trt.errors import OptionError
    from fastsam_trt.serve import AccessRules, Address, Limits, SegmentServer

    if not 0 <= args.port <= 65535:
        raise OptionError("port", "a number from 0 to 65535", args.port)
    for name, value in (("max_body_mb", args.max_body_mb), ("max_megapixels", args.max_megapixels)):
        if not 0 < value < math.inf:
            raise OptionError(name, "a number above 0", value)
    limits = Limits(
        body_bytes=math.ceil(args.max_body_mb * _MB),
        pixels=math.ceil(args.max_megapixels * _MEGAPIXEL),
        queue=args.queue,
        timeout_s=args.timeout,
    )
    rules = AccessRules(_read_token(args), tuple(args.cors_origin), tuple(args.allowed_host))
    return SegmentServer(
        Address(args.host, args.port),
        rules,
        limits,
        workers=args.workers,
        max_segments=args.max_segments,
        without_token=args.without_token,
        log_requests=args.log_requests,
    )


def _read_token(args: argparse.Namespace) -> str | None:
    """The token of the options or, without one, of the environment."""
    from fastsam_trt.errors import OptionError

    if args.token is not None and args.token_file is not None:
        raise OptionError("token", "a token or a file of one", "both")
    if args.token_file is None:
        return args.token if args.token is not None else os.environ.get(TOKEN_VARIABLE)
    try:
        return str(args.token_file.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "other bytes than text"
        raise OptionError("token_file", "a text file with the token", f"{args.token_file}: {found}") from error


def _open_pipeline(args: argparse.Namespace) -> Pipeline:
    """Open the pipeline, and warm it up for the usual shapes of photos, which some backends compile for."""
    from fastsam_trt.frames.rectangles import COMMON_SHAPES
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.serve.limits import MAX_MASK_PIXELS

    pipeline = Pipeline(**options.pipeline_keywords(args), max_mask_pixels=MAX_MASK_PIXELS)
    has_fixed_size = getattr(pipeline.segmenter.session.spec.input, "size_multiple", None) is None
    shapes = COMMON_SHAPES[:1] if has_fixed_size else COMMON_SHAPES
    pipeline.warmup(*((height * _SCALE, width * _SCALE) for height, width in shapes))
    return pipeline
