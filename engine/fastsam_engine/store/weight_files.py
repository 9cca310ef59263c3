"""Weights in files of their own, beside an ONNX file, laid where every backend finds them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastsam_engine.graph.onnx_graph import read_graph


@contextmanager
def beside_its_weights(path: Path) -> Iterator[Path]:
    """A path of an ONNX file whose weights' files lie beside it, really and not by links, while the context lasts.

    Model hubs' caches hold links to files of other names in another folder, which backends refuse to follow, or follow
    to the wrong folder. Where there are links, the files get second names in a folder of their own: hard links, or
    copies where the file system has none.

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
    """A folder on a file's own file system, where hard links are possible; None: the usual one."""
    return path.parent if os.access(path.parent, os.W_OK) else None


def _second_name(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
