"""The methods of `Result` that show it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TypedDict, Unpack

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.display import show_image
from fastsam_trt.drawing.style import ColourBy, DrawStyle, elements
from fastsam_trt.errors import ReleasedError
from fastsam_trt.frames.image_writer import check_image_path, write_image
from fastsam_trt.results.captions import Drawable
from fastsam_trt.results.plot import plot

_DEFAULT = DrawStyle()
_NOTEBOOK_PX = 1280  # longest side in a notebook, whose file holds every picture


class PlotOptions(TypedDict, total=False):
    """The options of `Result.plot`."""

    draw: str | Iterable[str] | None
    colour_by: ColourBy
    opacity: float
    line_width: float
    text_size: float
    size: tuple[int, int] | None


class Plots:
    """The methods of a result that draw it."""

    __slots__ = ()

    def plot(
        self: Drawable,
        *,
        draw: str | Iterable[str] | None = None,
        colour_by: ColourBy = _DEFAULT.colour_by,
        opacity: float = _DEFAULT.opacity,
        line_width: float = _DEFAULT.line_width,
        text_size: float = _DEFAULT.text_size,
        size: tuple[int, int] | None = None,
    ) -> NDArray[np.uint8]:
        """Draw the segments on a copy of the frame.

        Masks are tinted and outlined. A label is on its mask, or beside it where the mask is small, and never over
        another label; its text is black or white, whichever is easier to read.

        Args:
            draw: What to draw: some of `masks`, `boxes`, `labels` (prompt or class, and track) and `scores`
                (similarity, or else score), as a list or as `"masks,labels"`. None: masks, and labels with scores where
                segments have names.
            colour_by: What segments of one colour have in common: `track`, `class` or `prompt`. `auto` takes prompts if
                there are several, classes if there is none, else tracks. Equal ids have equal colours in every frame.
            opacity: Of the tint, 0..1.
            line_width: Of outlines and boxes, px of a 1080p frame; it scales with the frame. 0: none.
            text_size: Of labels, px of a 1080p frame; it scales with the frame.
            size: Height and width of the picture, px; None: those of the frame.

        Returns:
            (H, W, 3) uint8 BGR, a new image.

        Raises:
            OptionError: A value is unknown or out of range.
        """
        shown = None if draw is None else elements(draw)
        return plot(self, DrawStyle(shown, colour_by, opacity, line_width, text_size), size)

    def save(self: Drawable, path: str | PathLike[str], **options: Unpack[PlotOptions]) -> Path:
        """Draw the segments and write the picture to a file.

        Args:
            path: The file; its suffix chooses the format: .jpg, .png, .webp, .bmp or .tif. A file that exists is
                replaced once the new one is complete.
            **options: See `plot`.

        Returns:
            The path.

        Raises:
            OutputError: The suffix is another one, or the file can't be written.
            OptionError: An option has a wrong value.
        """
        target = Path(path)
        check_image_path(target)
        write_image(target, Plots.plot(self, **options))
        return target

    def show(self: Drawable, **options: Unpack[PlotOptions]) -> None:
        """Draw the segments and show them: in a notebook below the cell, else in a window, until a key is pressed.

        Args:
            **options: See `plot`.

        Raises:
            DisplayError: There is neither a notebook nor a display.
            OptionError: An option has a wrong value.
        """
        picture = Plots.plot(self, **options)
        if not _show_in_notebook(picture):
            show_image(picture, "fastsam-trt")

    def _repr_png_(self: Drawable) -> bytes | None:
        """The overlay as a notebook shows it: PNG, at most 1280 px on its longer side.

        None after `release`, so that the notebook shows the text.
        """
        try:
            height, width = self.frame.shape[:2]
            scale = min(_NOTEBOOK_PX / max(height, width), 1)
            return _png(plot(self, size=(max(round(height * scale), 1), max(round(width * scale), 1))))
        except ReleasedError:
            return None


def _png(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def _show_in_notebook(image: NDArray[np.uint8]) -> bool:
    """Show an image below the cell that runs; False if this is no notebook."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return False
    ipython.display.display(ipython.display.Image(data=_png(image), format="png"))
    return True
