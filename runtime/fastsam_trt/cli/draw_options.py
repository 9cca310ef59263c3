"""Define the options of overlays, in files, windows and the preview."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, get_args

from fastsam_trt.cli.help_text import one_of

if TYPE_CHECKING:
    from fastsam_trt.drawing.style import DrawStyle


def add_draw_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for what overlays show, and how."""
    from fastsam_trt.drawing.style import ELEMENTS, ColourBy, DrawStyle

    style = DrawStyle()
    group = parser.add_argument_group("drawing")
    group.add_argument(
        "--draw", metavar="WHAT",
        help=f"some of {','.join(ELEMENTS)}, with commas between them (default: masks, and labels with scores where "
        "segments have names)",
    )  # fmt: skip
    group.add_argument(
        "--colour-by", "--color-by", default=style.colour_by,
        help=f"what segments of one colour have in common, {one_of(get_args(ColourBy))}: auto takes prompts if there "
        "are several, classes if there is none, else tracks",
    )  # fmt: skip
    group.add_argument(
        "--opacity", type=float, metavar="A", default=style.opacity, help="opacity of the tint of masks, 0 to 1"
    )
    group.add_argument(
        "--line-width", type=float, metavar="PX", default=style.line_width,
        help="width of outlines and boxes in a 1080p frame; it scales with the frame; 0: none",
    )  # fmt: skip
    group.add_argument(
        "--text-size", type=float, metavar="PX", default=style.text_size,
        help="size of labels in a 1080p frame; it scales with the frame",
    )  # fmt: skip


def draw_style(args: argparse.Namespace) -> DrawStyle:
    """The style that the options describe.

    Raises:
        OptionError: A value is unknown or out of range.
    """
    from fastsam_trt.drawing.style import DrawStyle, elements

    return DrawStyle(
        draw=None if args.draw is None else elements(args.draw),
        colour_by=args.colour_by,
        opacity=args.opacity,
        line_width=args.line_width,
        text_size=args.text_size,
    )
