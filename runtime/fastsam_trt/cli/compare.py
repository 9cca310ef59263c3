"""`fastsam-trt compare`: show several segmentation models side by side, with one selection by text."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_trt.cli import options
from fastsam_trt.cli.file_paths import check_distinct, output_path
from fastsam_trt.cli.standard_streams import stdout_for
from fastsam_trt.cli.text_table import table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EXAMPLES = """\
examples:
  # compare on the demo, with nothing to download
  fastsam-trt compare --image demo --prompt "red circle" --html out.html
  # compare two models on a photo
  fastsam-trt compare --image street.jpg --prompt bus --model fastsam-s --model yolov8n-seg --save out.png
"""

_PACKAGES = ("numpy", "opencv-python", "onnxruntime", "openvino", "tokenizers")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    from fastsam_trt.bundled_models import CLIP, SEGMENTER
    from fastsam_trt.default_models import DEFAULT_CLIP

    parser.usage = "%(prog)s --image X --prompt TEXT [--model M ...] [options]"
    parser.epilog = _EXAMPLES
    what = parser.add_argument_group("image and models")
    what.add_argument("--image", required=True, metavar="X", help="an image file, demo or demo-photo")
    what.add_argument(
        "--model", action="append", metavar="M",
        help=f"segmentation model: name, folder or file; repeatable (default: all installed ones, else {SEGMENTER})",
    )  # fmt: skip
    what.add_argument(
        "--clip", metavar="C",
        help=f"CLIP model for all: name or folder (default: {DEFAULT_CLIP}; for the demo: {CLIP})",
    )  # fmt: skip
    options.add_backend_options(what)
    choice = parser.add_argument_group("selection")
    choice.add_argument("--prompt", action="append", required=True, metavar="TEXT", help="what to select; repeatable")
    options.add_text_options(choice)
    measured = parser.add_argument_group("table")
    measured.add_argument("--repeat", type=int, default=5, metavar="N", help="timed runs per model")
    measured.add_argument("--top", type=int, default=5, metavar="K", help="how many of the best segments to number")
    outputs = parser.add_argument_group("outputs")
    outputs.add_argument("--save", type=output_path, metavar="OUT", help="image with a row of three panels per model")
    outputs.add_argument(
        "--html", type=output_path, metavar="OUT", help="one page with panels, times and rankings that works offline"
    )
    outputs.add_argument(
        "--json", type=output_path, metavar="OUT",
        help="times and rankings as one JSON document; - is stdout, and everything else then goes to stderr",
    )  # fmt: skip
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Compare, print the table, and write the outputs."""
    with stdout_for(_outputs(args)):
        return _compare(args)


def _compare(args: argparse.Namespace) -> int:
    from fastsam_engine.store.atomic_files import write_atomically
    from fastsam_trt.bundled_models import CLIP
    from fastsam_trt.comparison import compare, draw_sheet, installed_segmenters, make_page
    from fastsam_trt.comparison.records import HEADER, as_document, table_rows
    from fastsam_trt.errors import OptionError
    from fastsam_trt.frames.image_writer import write_image
    from fastsam_trt.frames.preprocess import limit_opencv_threads
    from fastsam_trt.reports.machine import this_machine
    from fastsam_trt.sources.names import is_demo, printable

    logging.getLogger("fastsam_engine").setLevel(logging.DEBUG if args.debug else logging.INFO)
    if args.top < 0:
        raise OptionError("top", "a whole number of 0 or more", args.top)
    _check_outputs(args)
    limit_opencv_threads(args.threads)
    image = _read(args.image)
    comparison = compare(
        image,
        args.model or installed_segmenters(),
        args.prompt,
        clip=args.clip or (CLIP if is_demo(args.image) else None),  # the demo has a CLIP model that knows its shapes
        selector=args.selector,
        conf=args.conf,
        repeat=args.repeat,
        backend=args.backend,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        threshold=args.threshold,
    )
    machine = this_machine(_PACKAGES)
    print(table(HEADER, table_rows(comparison)))
    if args.save is not None:
        write_image(args.save, draw_sheet(comparison, args.top))
    if args.html is not None:
        write_atomically(args.html, make_page(comparison, printable(args.image), machine, args.top).encode())
    if args.json is not None:
        text = json.dumps(as_document(comparison, printable(args.image), machine), ensure_ascii=False, indent=1)
        write_atomically(args.json, f"{text}\n".encode())
    for path in [] if args.quiet else _outputs(args):
        print(f"saved {printable(path)}")
    return 0


def _read(image: str) -> NDArray[np.uint8]:
    """Read the image to compare on."""
    from fastsam_trt.errors import SourceNotFoundError
    from fastsam_trt.frames.image import read_image
    from fastsam_trt.sources.names import as_path, is_demo, is_demo_photo

    if is_demo(image):
        from fastsam_trt.sources.demo_video import DemoVideo

        return DemoVideo().scene(0).frame
    if is_demo_photo(image):
        from fastsam_trt.sources.demo_photo import DemoPhoto

        (frame,) = DemoPhoto()
        return frame.image
    path = as_path(image)
    if path.is_dir() or not path.exists():
        found = "a folder" if path.is_dir() else "nothing there"
        raise SourceNotFoundError(image, "one image file, demo or demo-photo", found)
    return read_image(path)


def _outputs(args: argparse.Namespace) -> list[Path]:
    return [path for path in (args.save, args.html, args.json) if path is not None]


def _check_outputs(args: argparse.Namespace) -> None:
    """Check before any work that the outputs can be written and overwrite neither the image nor one another."""
    from fastsam_engine.errors import OutputError
    from fastsam_engine.store.atomic_files import check_writable, is_written_in_place
    from fastsam_trt.sinks import SAVED_IMAGE_SUFFIXES
    from fastsam_trt.sources.names import as_path

    check_distinct(_outputs(args), [as_path(args.image)])
    suffixes = ((args.save, SAVED_IMAGE_SUFFIXES), (args.html, {".html", ".htm"}), (args.json, {".json"}))
    for path, allowed in suffixes:
        if path is None:
            continue
        if path.suffix.lower() not in allowed and (path is args.save or not is_written_in_place(path)):
            raise OutputError(path, f"expected a suffix among {', '.join(sorted(allowed))}, found {path.suffix!r}")
        check_writable(path)
