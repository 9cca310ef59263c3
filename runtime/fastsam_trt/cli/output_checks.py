"""Paths of the files that a subcommand is to write: what they mean, and checks before any work."""

from __future__ import annotations

import argparse
import os
from collections.abc import Hashable, Iterable
from pathlib import Path

from fastsam_trt.cli.standard_streams import STDOUT


def input_path(text: str) -> Path:
    """The path of an option, `~` resolved: shells leave it where it is quoted or follows `=`."""
    from fastsam_engine.store.home_folder import expand_user

    return expand_user(text)


def output_path(text: str) -> Path:
    """The path of an option: `-` is stdout, and `~`, which shells leave where it is quoted or follows `=`, the home.

    Raises:
        argparse.ArgumentTypeError: There is no path, or none that the file system takes, or lets us look at.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found an empty text")
    path = STDOUT if text == "-" else input_path(text)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"expected a path that can be used, found {error.strerror}") from error
    return path


def place_video(path: Path, source: str) -> Path:
    """Where to save a video: into an existing folder under its source's name, else at the path itself.

    Args:
        path: What the user asked for.
        source: What he called the source: `clip.mov` gives `clip.mp4`, `cam0` `cam0.mp4`, an address its last part.
    """
    from fastsam_trt.sinks.frame_names import stem_of
    from fastsam_trt.sources.names import DEMO, is_demo

    if not path.is_dir():
        return path
    return path / f"{(DEMO if is_demo(source) else stem_of(source)) or 'video'}.mp4"


def check_apart(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuse outputs that would overwrite a source or one another, by whatever name: links are followed.

    Raises:
        OutputError: A path is that of a source, or was given twice.
    """
    from fastsam_engine.errors import OutputError

    read = {_identity(source) for source in sources if os.path.exists(source)}  # noqa: PTH110 - the method raises
    taken: set[Hashable] = set()
    for path in outputs:
        identity = _identity(path)
        if identity in read:
            found = "expected another file than the source"
            raise OutputError(path, found if not path.is_symlink() else f"{found}, found a link to it")
        if identity in taken:
            raise OutputError(path, "expected a file of its own for each output, found it twice")
        taken.add(identity)


def _identity(path: Path) -> Hashable:
    """What two paths of one file have in common, hard links among them; of a file to come, its folder and name."""
    try:
        status = path.stat()
    except OSError:
        place = path.resolve()
        return (_identity(place.parent) if place.parent != place else "", _fold(place))
    return (status.st_dev, status.st_ino)


def _fold(path: Path) -> str:
    """A name as its folder keeps it: some file systems do not tell `A` from `a`."""
    folder = path.parent
    try:
        other = folder.with_name(folder.name.swapcase())
        folds = other.name != folder.name and folder.samefile(other)
    except (OSError, ValueError):  # ValueError: the root has no name
        folds = False
    return path.name.casefold() if folds else path.name
