"""The home folder: where models and caches lie."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

import platformdirs

_logger = logging.getLogger(__name__)

NOWHERE = Path(os.devnull, "fastsam-trt")
"""A folder that is never there and that nobody can make: what would be read from it or kept in it is not."""


def expand_user(path: str | Path) -> Path:
    """A path with `~` and `~user` resolved; as it is where that user has no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def home() -> Path:
    """The folder that holds models and caches: `$FASTSAM_TRT_HOME`, else one in the user's cache folder.

    A user without a home (no `$HOME`, and no entry in the list of users) gets one that can't be made: nothing is
    cached then.
    """
    try:
        folder = expand_user(os.environ.get("FASTSAM_TRT_HOME") or platformdirs.user_cache_dir("fastsam-trt"))
    except RuntimeError:  # newer versions say so, older ones give the path with its `~`
        folder = Path("~")
    if folder.parts[:1] and folder.parts[0].startswith("~"):
        _tell_once()
        return NOWHERE
    return folder


def has_writable_home() -> bool:
    """Whether libraries that keep files of their own in the user's home can do so."""
    folder = expand_user("~")
    return folder.is_dir() and os.access(folder, os.W_OK)


@cache
def _tell_once() -> None:
    _logger.warning("this user has no home folder: nothing is cached; set FASTSAM_TRT_HOME to a folder to have it so")
