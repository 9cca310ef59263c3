"""Read a single image by its name: a file, or an image over HTTP."""

from __future__ import annotations

import glob
import os

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import NotOneImageError
from fastsam_trt.sources.names import (
    as_path,
    check_type,
    find_address,
    find_camera,
    hide_password,
    is_demo,
    printable,
)
from fastsam_trt.sources.opener import open_source
from fastsam_trt.sources.source import Source

_KINDS = {"video": "a video", "live": "a live stream"}


def read_one_image(source: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read the image that a source consists of.

    Args:
        source: The path of an image file (of any name: its content decides), a pipe with one, or the HTTP address of
            one. See `open_source`.

    Returns:
        (H, W, 3) uint8 BGR, turned upright.

    Raises:
        NotOneImageError: It is a video, an animation, a file of several pages, a folder, a glob, a camera or a stream.
        SourceNotFoundError: There is nothing of that name.
        SourceUnreadableError: It can't be read, or is neither an image nor a video.
        AmbiguousSourceError: A string names a camera or the demo, and also a file or folder.
    """
    name = hide_password(printable(str(source)))
    several = _several(source)
    if several:
        raise NotOneImageError(name, several)
    with open_source(source, reconnect_s=0) as opened:
        if opened.kind != "images" or opened.frames != 1:
            raise NotOneImageError(name, _found(opened))
        return next(iter(opened)).image


def _several(source: str | os.PathLike[str]) -> str:
    """What a source is if its name alone says that it is not one image; otherwise empty. Nothing is opened."""
    if is_demo(source):
        return "the demo video"
    if find_camera(check_type(source)) is not None:
        return "a camera"
    address = find_address(source)
    if address is not None:
        return "" if address.startswith(("http://", "https://")) else "the address of a stream"
    path = as_path(source)
    if os.fspath(source) and os.path.isdir(path):  # noqa: PTH112 - the method raises for names that are too long
        return "a folder"
    return "a glob" if glob.has_magic(str(path)) and not os.path.lexists(path) else ""


def _found(source: Source) -> str:
    if source.kind != "images":
        return _KINDS[source.kind]
    return "several images" if source.frames is None else f"{source.frames} images"
