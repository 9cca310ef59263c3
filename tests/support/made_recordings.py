"""Recordings of made images, through the sink that the command uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fastsam_trt.sinks import VideoSink
from fastsam_trt.sources import Frame


class _Raw:
    """Shows images as they are, where the sink expects results."""

    def of(self, result: np.ndarray) -> np.ndarray:
        return result


RAW = _Raw()


def image_of(index: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A image (H, W, 3) uint8 BGR whose grey tells its index."""
    image = np.full((height, width, 3), 40 + index % 100 * 2, np.uint8)
    image[:, : width // 2] //= 2
    return image


def record(
    path: Path,
    fps: float | None,
    times: Sequence[float | None],
    *,
    images: Sequence[np.ndarray] | None = None,
    sound: Path | None = None,
    after: Callable[[], object] | None = None,
) -> Path:
    """Record one image for each media time, s; `after` is called before the file is closed."""
    with VideoSink(path, fps, RAW, sound) as sink:
        for index, time_s in enumerate(times):
            image = image_of(index) if images is None else images[index]
            sink.write(Frame(image, index, "made", media_s=time_s), image)
        if after is not None:
            after()
    return path


KILLED = """
import os, signal, sys
from pathlib import Path
from support.made_recordings import record
record(Path(sys.argv[1]), 25, [index / 25 for index in range(100)], sound=None,
       after=lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


def killed(path: Path) -> Path:
    """A recording of 100 frames whose process was killed after the last."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, path], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    return path
