"""Find the home folder, which holds models and caches."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

import platformdirs

_logger = logging.getLogger(__name__)

NOWHERE = Path(os.devnull, "fastsam-trt")
"""A folder that does not exist and can't be created, so that nothing is read from it or cached in it."""


def expand_user(path: str | Path) -> Path:
    """A path with `~` and `~user` resolved; unchanged if that user has no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def home() -> Path:
    """The folder for models and caches: `$FASTSAM_TRT_HOME`, or a folder in the user's cache folder.

    For a user without a home (no `$HOME`, and no entry in the user database) it can't be created, and nothing is
    cached.
    """
    try:
        folder = expand_user(os.environ.get("FASTSAM_TRT_HOME") or platformdirs.user_cache_dir("fastsam-trt"))
    except RuntimeError:  # newer versions raise this, older ones return the path with its `~`
        folder = Path("~")
    if folder.parts[:1] and folder.parts[0].startswith("~"):
        _warn_once()
        return NOWHERE
    return folder


def has_writable_home() -> bool:
    """Whether libraries can write files to the user's home."""
    folder = expand_user("~")
    return folder.is_dir() and os.access(folder, os.W_OK)


@cache
def _warn_once() -> None:
    _logger.warning(
        "this user has no home folder: nothing is cached; to cache models, set FASTSAM_TRT_HOME to a folder"
    )
