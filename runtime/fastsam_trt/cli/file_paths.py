"""Parse the paths of files that options name, and check them before any work."""

from __future__ import annotations

import argparse
import os
from collections.abc import Hashable, Iterable
from pathlib import Path

from fastsam_trt.cli.standard_streams import STDOUT


def input_path(text: str) -> Path:
    """Convert an option to a path, and expand `~`, which shells do not expand in quotes or after `=`."""
    from fastsam_engine.store.home_folder import expand_user

    return expand_user(text)


def output_path(text: str) -> Path:
    """Convert an option to a path: `-` is stdout, and `~` is expanded as in `input_path`.

    Raises:
        argparse.ArgumentTypeError: The text is empty, or the file system refuses the path.
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


def resolve_video_path(path: Path, source: str) -> Path:
    """Resolve where to save a video: in an existing folder under the name of the source, else at the path itself.

    Args:
        path: The path of the option.
        source: The source of the option: `clip.mov` gives `clip.mp4`, `cam0` gives `cam0.mp4`, and a URL gives its last
            part.
    """
    from fastsam_trt.sinks.frame_names import stem_of
    from fastsam_trt.sources.names import DEMO, is_demo

    if not path.is_dir():
        return path
    return path / f"{(DEMO if is_demo(source) else stem_of(source)) or 'video'}.mp4"


def check_distinct(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    """Check that no output would overwrite a source or another output, also through links.

    Raises:
        OutputError: A path leads to a source or occurs twice.
    """
    from fastsam_engine.errors import OutputError

    read = {_identity(source) for source in sources if os.path.exists(source)}  # noqa: PTH110 - Path.exists raises
    taken: set[Hashable] = set()
    for path in outputs:
        identity = _identity(path)
        if identity in read:
            problem = "expected another file than the source"
            raise OutputError(path, f"{problem}, found a link to it" if path.is_symlink() else problem)
        if identity in taken:
            raise OutputError(path, "expected a different file for each output, found it twice")
        taken.add(identity)


def _identity(path: Path) -> Hashable:
    """A value that all paths of one file share, hard links included; for a new file, its folder and name."""
    try:
        status = path.stat()
    except OSError:
        resolved = path.resolve()
        return (_identity(resolved.parent) if resolved.parent != resolved else "", _fold(resolved))
    return (status.st_dev, status.st_ino)


def _fold(path: Path) -> str:
    """The name of a path, in lower case if its file system ignores case."""
    folder = path.parent
    try:
        other = folder.with_name(folder.name.swapcase())
        folds = other.name != folder.name and folder.samefile(other)
    except (OSError, ValueError):  # ValueError: the root has no name
        folds = False
    return path.name.casefold() if folds else path.name
