"""Provide an ONNX file's external weight files in a form that every backend accepts."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastsam_engine.graph.onnx_graph import read_graph


@contextmanager
def resolved_weights(path: Path) -> Iterator[Path]:
    """Yield a path of an ONNX file that has its weight files beside it, without symbolic links.

    Caches of model hubs hold links to files with other names in another folder. Backends refuse to follow them, or look
    in the wrong folder. If there are links, a temporary folder gets hard links to the files, or copies if the file
    system has no hard links.

    Args:
        path: An ONNX file that `check_graph` has accepted.
    """
    external = read_graph(path).external
    beside, real = Path(os.path.realpath(path.parent)), Path(os.path.realpath(path))
    linked = [each for each in external if os.path.realpath(beside / each) != str(beside / each)]
    if not external or (not linked and real == beside / path.name):
        yield path
        return
    folder = Path(tempfile.mkdtemp(prefix="fastsam-trt-", dir=_near(real)))
    try:
        for name, source in [(path.name, real), *((each, path.parent / each) for each in external)]:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _second_name(Path(os.path.realpath(source)), target)
        yield folder / path.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _near(path: Path) -> Path | None:
    """A folder on the same file system as a file, for hard links; None: the default temporary folder."""
    return path.parent if os.access(path.parent, os.W_OK) else None


def _second_name(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
