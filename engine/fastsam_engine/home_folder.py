"""The home folder: where models and caches lie, on machines that have one."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def expand_user(path: str | Path) -> Path:
    """A path with `~` and `~user` resolved; as it is where that user has no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def home() -> Path | None:
    """The folder that holds models and caches: `$FASTSAM_TRT_HOME`, else one in the user's cache folder.

    None where the user has no home (no `$HOME`, and no entry in the list of users): nothing is cached then.
    """
    override = os.environ.get("FASTSAM_TRT_HOME")
    folder = expand_user(override or platformdirs.user_cache_dir("fastsam-trt"))
    return None if not override and not folder.is_absolute() else folder
